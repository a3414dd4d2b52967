"""`Work`: what is done to each of many inputs, plain enough to be kept in a plan and taken up by another machine."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ethomorph.core.errors import FormatError
from ethomorph.study.predictor import Predictor, open_predictor
from ethomorph.study.run import Run


@dataclass(frozen=True)
class Work:
    """A verb and what it needs.

    Attributes
    ----------
    verb : predict, or align.
    run : absolute path of the run that predicts; empty for other verbs.
    options : of the verb, as JSON can hold them.
    """

    verb: str
    run: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def predict(cls, run: Run) -> Work:
        return cls("predict", run=str(run.folder.absolute()))

    @classmethod
    def from_dict(cls, block: dict[str, Any], place: Path) -> Work:
        try:
            return cls(str(block["verb"]), str(block["run"]), dict(block["options"]))
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"no readable work ({error})", place=place, fix="begin again") from None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def worker(self, out: Path) -> Predictor:
        """What does it, loaded; `out` is where the result will go."""
        if self.verb == "align":
            from ethomorph.workflow.align_many import HeadAligner

            return HeadAligner(self.options, out)
        return open_predictor(Run(self.run), out)

    def __str__(self) -> str:
        return f"the run {self.run}" if self.run else f"other options of {self.verb}"

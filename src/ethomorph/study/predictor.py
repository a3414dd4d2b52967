"""What a room offers for predicting many inputs: loaded once, predicting batches, a part file an input, then merged.

A part is whatever the room likes; it is written atomically and belongs to one input, so that a run over thousands of
inputs can be cut short anywhere and go on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from ethomorph.core.errors import InputError
from ethomorph.study.config import TaskSection
from ethomorph.study.run import Run
from ethomorph.study.task import ROOMS


class Predictor(ABC):
    """A trained run, ready to predict.

    Attributes
    ----------
    batch : inputs that are predicted together.
    suffix : of a part file.
    """

    batch: ClassVar[int] = 1
    suffix: str

    @abstractmethod
    def inputs(self, given: list[str]) -> list[Path]:
        """The files that files, folders and patterns stand for, in natural order. Raises InputError for none."""

    @abstractmethod
    def predict(self, inputs: list[Path], parts: list[Path]) -> list[str | None]:
        """Predict a batch and write each input's part; a sentence for each input that could not be read, else None."""

    @abstractmethod
    def merge(self, parts: list[Path], out: Path) -> list[str]:
        """Put parts together at `out`, in order; returns what there is to tell."""


class OneByOne(Predictor):
    """For a room that only predicts files to files: each input's part is its output, and `out` is their folder."""

    def __init__(self, run: Run, section: TaskSection, suffix: str) -> None:
        self.run, self.section, self.suffix = run, section, suffix
        self.room: Any = import_module(ROOMS[section.kind])

    def inputs(self, given: list[str]) -> list[Path]:
        found: list[Path] = []
        for one in given:
            path = Path(one)
            found += sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
        if not found:
            raise InputError("there is nothing to predict", fix="give files or a folder")
        return found

    def predict(self, inputs: list[Path], parts: list[Path]) -> list[str | None]:
        said: list[str | None] = []
        for one, part in zip(inputs, parts, strict=True):
            try:
                self.room.predict_new(
                    self.run, self.section, [str(one)], out=part, sheet=None, distances=None, skip_bad=False,
                    progress=False,
                )  # fmt: skip
                said.append(None)
            except InputError as error:
                said.append(str(error))
        return said

    def merge(self, parts: list[Path], out: Path) -> list[str]:
        import shutil

        out.mkdir(parents=True, exist_ok=True)
        for part in parts:
            shutil.copy2(part, out / part.name)
        return [f"{len(parts)} files in {out}"]


def open_predictor(run: Run, out: Path) -> Predictor:
    """The room's own predictor, or the fallback for rooms that have none; `out` is where the result will go."""
    section = TaskSection.model_validate(run.config()["section"])
    room: Any = import_module(ROOMS[section.kind])
    if hasattr(room, "predictor"):
        made: Predictor = room.predictor(run, section, out)
        return made
    return OneByOne(run, section, "".join(out.suffixes) or ".out")

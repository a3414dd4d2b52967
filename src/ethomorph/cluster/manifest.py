"""`Manifest`: which of many inputs are done, failed with their one line, or pending, whoever was killed when.

A folder beside the output. Each worker appends to a log of its own, so nothing is locked and nobody waits; an input's
part is written atomically before the log says that it is done.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from ethomorph.cluster.work import Work
from ethomorph.core.errors import FormatError, StudyError
from ethomorph.core.files import write_json
from ethomorph.core.turn import Turn

PLAN = "plan.json"
LOGS = "logs"
PARTS = "parts"
MERGED = "merged.json"
PARTS_A_FOLDER = 500
"""Shared file systems grow slow in folders of many thousand files."""


@dataclass(frozen=True)
class Counts:
    """How far the work has come."""

    inputs: int
    done: int
    failed: int

    @property
    def pending(self) -> int:
        return self.inputs - self.done - self.failed


class Manifest:
    """The state of one piece of work over many inputs.

    Parameters
    ----------
    folder : where it is kept; made by `create`.

    Attributes
    ----------
    work, out : of the plan.
    inputs : every input, in order; its number is its name in logs and parts.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        plan = self._plan()
        self.work = Work.from_dict(plan["work"], self.folder / PLAN)
        self.out, self.suffix = Path(plan["out"]), str(plan["suffix"])
        self.inputs = [Path(one) for one in plan["inputs"]]

    @classmethod
    def create(cls, folder: Path, *, work: Work, out: Path, inputs: Iterable[Path], suffix: str) -> Manifest:
        """Start a manifest, or take up the one that is there: new inputs are added behind the known ones.

        Raises
        ------
        StudyError : the folder is of another run's prediction, or of other options.
        """
        listed = [str(path.absolute()) for path in inputs]
        if (folder / PLAN).exists():
            before = cls(folder)
            if before.work != work:
                raise StudyError(
                    f"was begun with {before.work}", place=folder, fix="give another --out, or delete the folder"
                )
            known = [str(path) for path in before.inputs]
            listed = known + [path for path in listed if path not in set(known)]
        plan = {"work": work.to_dict(), "out": str(out.absolute()), "suffix": suffix, "inputs": listed}
        write_json(folder / PLAN, plan)
        (folder / LOGS).mkdir(exist_ok=True)
        return cls(folder)

    def part(self, number: int) -> Path:
        """The part file of an input."""
        return self.folder / PARTS / f"{number // PARTS_A_FOLDER:04d}" / f"{number:07d}{self.suffix}"

    def outcomes(self) -> dict[int, str]:
        """What is known of each input: "" for done, its one line for failed; a later success overrides a failure."""
        found: dict[int, str] = {}
        for log in sorted((self.folder / LOGS).glob("*.jsonl")):
            for number, said in _entries(log):
                if number not in found or not said:
                    found[number] = said
        return found

    def counts(self) -> Counts:
        outcomes = self.outcomes()
        failed = sum(1 for said in outcomes.values() if said)
        return Counts(len(self.inputs), len(outcomes) - failed, failed)

    def pending(self, *, failed_too: bool = False) -> list[int]:
        """Numbers of the inputs that still have to be done."""
        outcomes = self.outcomes()
        return [i for i in range(len(self.inputs)) if i not in outcomes or (failed_too and outcomes[i])]

    def failures(self) -> list[tuple[Path, str]]:
        """The inputs that failed, with their line."""
        return [(self.inputs[i], said) for i, said in sorted(self.outcomes().items()) if said]

    def parts_done(self) -> list[Path]:
        """The parts of every input that is done, in the inputs' order."""
        return [self.part(i) for i, said in sorted(self.outcomes().items()) if not said]

    @property
    def is_merged(self) -> bool:
        """Whether the output holds every input that is done now."""
        try:
            merged = json.loads((self.folder / MERGED).read_text(encoding="utf-8"))["done"]
        except (OSError, ValueError, KeyError):
            return False
        return self.out.exists() and merged == self.counts().done

    def mark_merged(self) -> None:
        """Remember that the output holds what is done now."""
        write_json(self.folder / MERGED, {"done": self.counts().done})

    def turn(self) -> Turn:
        """The turn to merge."""
        return Turn(self.folder / ".turn")

    def log(self, worker: str) -> Log:
        """A worker's own log; `worker` must be unique among those at work, and may be used again later."""
        return Log(self.folder / LOGS / f"{worker}.jsonl")

    def _plan(self) -> dict[str, Any]:
        try:
            plan: dict[str, Any] = json.loads((self.folder / PLAN).read_text(encoding="utf-8"))
            if not {"work", "out", "suffix", "inputs"} <= set(plan):
                raise ValueError("keys are missing")
            return plan
        except (OSError, ValueError, TypeError) as error:
            raise FormatError(f"no readable plan ({error})", place=self.folder / PLAN, fix="begin again") from None


class Log:
    """Appends outcomes, each on the disk before the next input is begun."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.stream = path.open("ab")
        # a line that a kill cut short must not swallow the next one
        self.stream.write(b"\n")

    def write(self, outcomes: Iterable[tuple[int, str]]) -> None:
        """`outcomes` are (number, "" or the line of a failure)."""
        for number, said in outcomes:
            self.stream.write(json.dumps([number, said]).encode() + b"\n")
        self.stream.flush()
        os.fsync(self.stream.fileno())

    def close(self) -> None:
        self.stream.close()


def _entries(log: Path) -> Iterator[tuple[int, str]]:
    for line in log.read_bytes().splitlines():
        try:
            number, said = json.loads(line)
            yield int(number), str(said)
        except (ValueError, TypeError):
            continue  # cut short by a kill: the input counts as pending


def chunks(numbers: list[int], count: int) -> list[list[int]]:
    """`numbers` dealt into at most `count` runs of neighbours of nearly equal length.

    Examples
    --------
    >>> chunks([0, 1, 2, 3, 4], 2)
    [[0, 1], [2, 3, 4]]
    """
    count = max(1, min(count, len(numbers)))
    bounds = [round(i * len(numbers) / count) for i in range(count + 1)]
    bounds = sorted(set(bounds))
    return [numbers[a:b] for a, b in pairwise(bounds)]

"""`Job`: a command given to a cluster, and what it left: plain JSON in ``jobs/<name>/`` of the study.

The state is read from our own result files first and from the queue second, so that it is right where the cluster keeps
no accounts.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ethomorph.core.errors import FormatError, StudyError
from ethomorph.core.files import write_json

JOB_FILE = "job.json"


@dataclass(frozen=True)
class Job:
    """One submission: a single command, or an array over the chunks of a manifest.

    Attributes
    ----------
    folder : ``<study>/jobs/<name>``.
    verb : what was asked for: train, predict, score, sweep, align.
    arguments : the command line that every task runs, without ``ethomorph``; empty for an array over a manifest.
    last : the command line that runs when all tasks have ended, or empty.
    copies : tasks that run the same command line.
    slurm_id : the queue's number; None before submission.
    chunks : of an array over a manifest, the numbers of the inputs of each task.
    manifest : the manifest's folder, or None.
    run : the run folder that a training writes or a prediction uses, or None.
    attempt : how often the manifest's missing inputs were submitted before this.
    """

    folder: Path
    verb: str
    arguments: list[str] = field(default_factory=list)
    last: list[str] = field(default_factory=list)
    copies: int = 1
    slurm_id: str | None = None
    finisher_id: str | None = None
    chunks: list[list[int]] = field(default_factory=list)
    manifest: Path | None = None
    run: Path | None = None
    attempt: int = 1
    submitted: str = ""
    resources: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def tasks(self) -> int:
        return len(self.chunks) or self.copies

    @classmethod
    def new(cls, parent: Path, verb: str, **known: Any) -> Job:
        """A job with a folder of its own, made at once, so that two callers never share one."""
        stamp = datetime.now().strftime("%Y-%m-%d_%H%M%S")
        for number in range(1, 1000):
            folder = parent / (f"{stamp}-{verb}" if number == 1 else f"{stamp}-{verb}-{number}")
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                continue
            return cls(folder.absolute(), verb, submitted=datetime.now().isoformat(timespec="seconds"), **known)
        raise StudyError("too many jobs in one second", place=parent)

    @classmethod
    def read(cls, folder: str | Path) -> Job:
        """Raises FormatError for a folder that holds no job."""
        file = Path(folder) / JOB_FILE
        try:
            block = json.loads(file.read_text(encoding="utf-8"))
            paths = {key: Path(block[key]) if block[key] else None for key in ("manifest", "run")}
            return cls(**(block | paths | {"folder": Path(folder).absolute()}))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise FormatError(
                f"not a job ({error})", place=file, fix="name a job that `ethomorph jobs` lists"
            ) from None

    def write(self) -> Job:
        block = asdict(self)
        write_json(self.folder / JOB_FILE, {k: str(v) if isinstance(v, Path) else v for k, v in block.items()})
        return self

    def with_ids(self, slurm_id: str, finisher_id: str | None = None) -> Job:
        return replace(self, slurm_id=slurm_id, finisher_id=finisher_id).write()

    def result_file(self, task: int) -> Path:
        return self.folder / "results" / f"{task:05d}.json"

    def write_result(self, task: int, **said: Any) -> None:
        """Leave what became of a task: ``state`` (running, done, failed, queued again), exit code, host, times."""
        about = {"time": datetime.now().isoformat(timespec="seconds"), "host": socket.gethostname(), "pid": os.getpid()}
        write_json(self.result_file(task), about | said)

    def results(self) -> dict[int, dict[str, Any]]:
        """What each task that has begun said last."""
        found: dict[int, dict[str, Any]] = {}
        for file in sorted((self.folder / "results").glob("*.json")):
            try:
                found[int(file.stem)] = json.loads(file.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
        return found


def jobs_of(study: Path) -> Iterator[Job]:
    """Every job of a study, the oldest first."""
    for file in sorted((study / "jobs").glob(f"*/{JOB_FILE}")):
        yield Job.read(file.parent)

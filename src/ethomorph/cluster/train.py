"""A training as a job: its run's name is settled at submission, so that every go of it works on the same folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ethomorph.cluster.job import Job
from ethomorph.cluster.submit import submit_command
from ethomorph.core.errors import StudyError
from ethomorph.study.config import Study
from ethomorph.study.run import Run


def submit_training(
    folder: Path, *, task: str | None, run: str | None, settings: list[str], max_minutes: float | None, resume: bool,
    changes: dict[str, Any], dry_run: bool = False,
) -> tuple[Job, str]:  # fmt: skip
    """Submit ``ethomorph train``; returns the job and its script.

    Raises
    ------
    StudyError : no such task, a run of that name, or --resume without a run's name.
    """
    study = Study(folder)
    name, _ = study.task(task)
    place = Run.new(study, name, run)
    if resume and run is None:
        raise StudyError("which run goes on?", place=study.file, fix="give --run with --resume")
    if place.config_file.exists() and not resume:
        raise StudyError("this run exists", place=place.folder, fix="give another --run, or go on with it by --resume")
    arguments = ["train", str(study.folder.absolute()), "--task", name, "--run", place.folder.name, "--quiet"]
    arguments += [part for pair in settings for part in ("--set", pair)]
    arguments += ["--max-minutes", str(max_minutes)] if max_minutes is not None else []
    arguments += ["--resume"] if resume else []
    return submit_command(study, "train", arguments, run=place.folder.absolute(), changes=changes, dry_run=dry_run)

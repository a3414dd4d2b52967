"""A sweep as an array: every task tries settings from one storage; behind them one call makes up for killed trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ethomorph.cluster import slurm
from ethomorph.cluster.command import Command, Last
from ethomorph.cluster.job import Job
from ethomorph.cluster.submit import jobs_folder, resources_of
from ethomorph.study.config import Study
from ethomorph.workflow.space import read_space
from ethomorph.workflow.sweep_storage import JOURNAL, known_kind


def submit_sweep(
    folder: Path, space: Path, *, trials: int, task: str | None, name: str | None, max_minutes: float | None,
    prune: bool, seed: int, tasks: int, storage: str | None, changes: dict[str, Any], dry_run: bool = False,
) -> tuple[Job, str]:  # fmt: skip
    """Submit ``ethomorph sweep`` in `tasks` tasks; returns the job and its script.

    Trials stand in a journal, which several machines may write, unless the sweep was begun otherwise.

    Raises
    ------
    StudyError : no such task, or a space that cannot be read.
    """
    study = Study(folder)
    chosen, _ = study.task(task)
    read_space(space)
    place = study.folder / "sweeps" / chosen / (name or space.stem)
    resources = resources_of(study, changes)
    arguments = ["sweep", str(study.folder.absolute()), "--space", str(space.absolute()), "--trials", str(trials)]
    arguments += ["--task", chosen, "--name", name or space.stem, "--seed", str(seed), "--quiet"]
    arguments += ["--max-minutes", str(max_minutes)] if max_minutes is not None else []
    arguments += [] if prune else ["--no-prune"]
    arguments += ["--storage", storage or known_kind(place) or JOURNAL]
    job = Job.new(
        jobs_folder(study), "sweep", arguments=[*arguments, "--shared"], last=arguments, copies=min(tasks, trials),
        resources=resources.model_dump(exclude_unset=True),
    )  # fmt: skip
    text = slurm.script(job, resources)
    if dry_run:
        job.folder.rmdir()
        return job, text
    job.write()
    number = slurm.submit(job, resources, [Command(job.folder, task) for task in range(job.copies)])
    return job.with_ids(number, slurm.submit(job, resources, [Last(job.folder)], dependency=f"afterany:{number}")), text

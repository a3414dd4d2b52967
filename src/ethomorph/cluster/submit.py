"""Give a verb to a cluster: a job record, the script shown where it is asked for, and the submission."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ethomorph.cluster import slurm
from ethomorph.cluster.command import Command, submit_share
from ethomorph.cluster.job import Job
from ethomorph.cluster.many import begin
from ethomorph.cluster.work import Work
from ethomorph.core.errors import InputError
from ethomorph.study.config import SlurmSection, Study

WORTH_A_TASK_S = 300
"""Seconds of work below which a task of its own costs more in waiting and loading than it saves."""


def resources_of(study: Study, changes: dict[str, Any]) -> SlurmSection:
    """``[slurm]`` of the study with the command line's changes. Raises InputError for one that does not fit."""
    from pydantic import ValidationError

    from ethomorph.study.config import explain

    document = study.config.slurm.model_dump(exclude_unset=True) | changes
    try:
        return SlurmSection.model_validate(document)
    except ValidationError as error:
        raise InputError(f"slurm.{explain(error, SlurmSection, document)}", place=study.file) from None


def submit_command(
    study: Study, verb: str, arguments: list[str], *, run: Path | None = None, changes: dict[str, Any] | None = None,
    dry_run: bool = False,
) -> tuple[Job, str]:  # fmt: skip
    """Submit one command line; returns the job and its script. Nothing is left behind by a dry run."""
    resources = resources_of(study, changes or {})
    job = Job.new(
        jobs_folder(study), verb, arguments=arguments, run=run, resources=resources.model_dump(exclude_unset=True)
    )
    text = slurm.script(job, resources)
    if dry_run:
        job.folder.rmdir()
        return job, text
    job.write()
    return job.with_ids(slurm.submit(job, resources, [Command(job.folder)])), text


def submit_many(
    study: Study, task: Work, given: list[str], *, out: Path, tasks: int | None = None, retry_failed: bool = False,
    changes: dict[str, Any] | None = None, dry_run: bool = False,
) -> tuple[Job | None, str]:  # fmt: skip
    """Submit work over many inputs as an array; None where nothing is pending.

    Without `tasks`, a few inputs are done here first, and their time decides how many tasks are worth it.
    """
    resources = resources_of(study, changes or {})
    manifest = begin(task, given, out)
    pending = manifest.pending(failed_too=retry_failed)
    if not pending:
        return None, ""
    if tasks is None:
        tasks = resources.tasks if dry_run else worthwhile_tasks(manifest.folder, pending, resources.tasks)
        pending = manifest.pending(failed_too=retry_failed)
    shape = Job(
        jobs_folder(study) / "planned", task.verb, manifest=manifest.folder, run=Path(task.run) if task.run else None,
        chunks=[[0]] * max(1, min(tasks, len(pending))), resources=resources.model_dump(exclude_unset=True),
    )  # fmt: skip
    text = slurm.script(shape, resources)
    if dry_run:
        return shape, text
    if not pending:
        return None, ""
    return submit_share(manifest.folder, shape, pending), text


def worthwhile_tasks(folder: Path, pending: list[int], most: int) -> int:
    """Do two batches here, timing the second, and say how many tasks give each `WORTH_A_TASK_S` of work."""
    import time

    from ethomorph.cluster.manifest import Manifest
    from ethomorph.cluster.many import work

    manifest = Manifest(folder)
    batch = manifest.work.worker(manifest.out).batch
    ticks = [time.monotonic()]
    work(folder, pending[: 2 * batch], "measured", after_batch=lambda: ticks.append(time.monotonic()))
    seconds = (ticks[-1] - ticks[-2]) / min(batch, len(pending)) if len(ticks) > 2 else 0.0
    return max(1, min(most, round(seconds * len(pending) / WORTH_A_TASK_S)))


def retry(job: Job) -> Job:
    """Submit again what a job left undone: the failed inputs of a manifest, or the command."""
    resources = SlurmSection.model_validate(job.resources)
    if job.manifest is not None:
        from ethomorph.cluster.manifest import Manifest

        pending = Manifest(job.manifest).pending(failed_too=True)
        if not pending:
            raise InputError("nothing is left to do", place=job.folder, fix="look at the output")
        return submit_share(job.manifest, job, pending)
    again = replace(job, folder=Job.new(job.folder.parent, job.verb).folder).write()
    return again.with_ids(slurm.submit(again, resources, [Command(again.folder)]))


def jobs_folder(study: Study) -> Path:
    """Where a study keeps its jobs."""
    return study.folder.absolute() / "jobs"

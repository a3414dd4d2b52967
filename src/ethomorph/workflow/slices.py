"""A study of volumes as a Hugging Face data set of slices, split as the study splits."""

from __future__ import annotations

from pathlib import Path

from ethomorph.core.errors import StudyError
from ethomorph.study.config import Study
from ethomorph.study.task import open_task
from ethomorph.workflow.train import split_task


def study_slices(folder: str | Path, target: str | Path, *, axis: str = "z", every: int = 1) -> list[str]:
    """Write the slices of every labelled volume; returns what there is to tell.

    Raises
    ------
    StudyError : the study's task is not one of volumes.
    FormatError : the target is not empty.
    """
    from ethomorph.volumes.slices import write_slices
    from ethomorph.volumes.task import VolumeTask

    task = open_task(Study(folder))
    if not isinstance(task, VolumeTask):
        raise StudyError(
            f"task {task.name!r} is of kind {task.section.kind!r}", place=folder, fix="give a study of volumes"
        )
    parts = split_task(task)
    write_slices(task.cases, parts, task.classes, target, axis=axis, every=every)
    return [*task.warnings, f"{len(task.cases)} volumes, sliced across {axis}, each specimen in one part"]

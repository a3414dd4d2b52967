"""Scoring as a job: what is scored and where the scores go is settled at submission."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ethomorph.cluster.job import Job
from ethomorph.cluster.submit import submit_command
from ethomorph.core.errors import InputError
from ethomorph.study.run import Run


def submit_scoring(
    run: Path, *, labels: Path | None, images: Path | None, out: Path | None, changes: dict[str, Any],
    dry_run: bool = False,
) -> tuple[Job, str]:  # fmt: skip
    """Submit ``ethomorph score``; returns the job and its script.

    Raises
    ------
    InputError : no such run, labels or images.
    """
    opened = Run.open(run)
    arguments = ["score", str(opened.folder.absolute()), "--quiet"]
    for name, path in (("--labels", labels), ("--images", images)):
        if path is not None and not path.exists():
            raise InputError("there is no such file or folder", place=path, fix="check the path")
        arguments += [name, str(path.absolute())] if path is not None else []
    arguments += ["--out", str(out.absolute())] if out is not None else []
    return submit_command(opened.study(), "score", arguments, changes=changes, dry_run=dry_run)

"""Predict new pictures with a finished run."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from ethomorph.core.errors import InputError
from ethomorph.study.config import TaskSection
from ethomorph.study.run import Run
from ethomorph.study.task import ROOMS


def predict(
    run: str | Path,
    inputs: list[str],
    *,
    out: str | Path,
    sheet: str | Path | None = None,
    distances: str | Path | None = None,
    skip_bad: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Predict files, folders or patterns and write them in the task's native format, or another by the name of `out`.

    Parameters
    ----------
    run : a run's folder or its study; or a dlib shape predictor (``.dat``), such as ml-morph's.
    distances : needs a run, whose study names them.

    Returns
    -------
    ``out``, ``images``, ``found``, ``not_found``, ``notes`` (a sentence each) and ``skipped`` (unreadable pictures).

    Raises
    ------
    InputError : no such run, no input, an unreadable picture (unless `skip_bad`), an unknown format.
    """
    if Path(run).suffix == ".dat":
        if distances is not None:
            raise InputError("a .dat names no distances", place=run, fix="predict, then `ethomorph measure distances`")
        from ethomorph.keypoints.task import predict_by_dat

        return predict_by_dat(
            Path(run), inputs, out=Path(out), sheet=Path(sheet) if sheet else None, skip_bad=skip_bad,
            progress=progress,
        )  # fmt: skip
    opened = Run.open(run)
    section = TaskSection.model_validate(opened.config()["section"])
    room = import_module(ROOMS[section.kind])
    return room.predict_new(
        opened,
        section,
        inputs,
        out=Path(out),
        sheet=Path(sheet) if sheet else None,
        distances=Path(distances) if distances else None,
        skip_bad=skip_bad,
        progress=progress,
    )

"""Predictions that the page shows as ghosts: of the newest run's test part, and of `Predict` on the page."""

from __future__ import annotations

from pathlib import Path

from ethomorph.core.errors import InputError
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.formats.registry import read_landmarks
from ethomorph.study.config import Study
from ethomorph.study.run import Run


def predictions_file(study: Study, task: str) -> Path:
    """Where `Predict` leaves its landmarks; a tidy table, which keeps confidence and spread."""
    return study.folder / "review" / "predictions" / f"{task}.csv"


def newest_run(study: Study, task: str) -> Run | None:
    """The task's newest finished run."""
    runs = [Run(file.parent) for file in (study.folder / "runs" / task).glob("*/scores.json")]
    return max(runs, key=lambda run: run.scores_file.stat().st_mtime, default=None)


def newest_predictions(study: Study, task: str, run: Run | None, items: list[str]) -> tuple[dict[str, Specimen], str]:
    """Each item's prediction by name, and where they come from; of two for an item the newer file's counts."""
    run = run or newest_run(study, task)
    files = [predictions_file(study, task), *([run.folder / "predictions.tps"] if run else [])]
    present = sorted((f for f in files if f.is_file()), key=lambda f: f.stat().st_mtime)
    _, section = study.task(task)
    found: dict[str, Specimen] = {}
    origin = ""
    for file in present:
        try:
            images = study.path(section.images) if section.images else None
            read = read_landmarks(file, images=images, gaps="missing", unmatched="leave_out")
        except InputError:
            continue
        found |= by_item(read, items)
        origin = "predicted here" if file == files[0] else f"run {file.parent.name}"
    return found, origin


def by_item(landmarks: LandmarkSet, items: list[str]) -> dict[str, Specimen]:
    """Specimens by the names that the task's samples have; of one picture the second is ``name#2``."""
    known, times = set(items), dict[str, int]()
    found = {}
    for specimen in landmarks:
        name = specimen.image or specimen.id
        times[name] = times.get(name, 0) + 1
        item = name if times[name] == 1 else f"{name}#{times[name]}"
        if item in known:
            found[item] = specimen
    return found

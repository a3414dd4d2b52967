"""Predict files from the command line: videos into a table of clips, pose files into tables of frames and bouts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ethomorph.behavior.bouts import log_of
from ethomorph.behavior.estimator import BehaviorClassifier
from ethomorph.behavior.prediction import Prediction
from ethomorph.behavior.tracks import fps_or_refuse, read_tracks
from ethomorph.behavior.video import Canvas, read_clip
from ethomorph.core.clips import Clip, ClipSet
from ethomorph.core.errors import ImageError, InputError
from ethomorph.core.files import write_text
from ethomorph.formats.clip_table import STUB_PREFIX, VIDEOS, read_clip_table
from ethomorph.study.config import TaskSection
from ethomorph.study.run import Run

POSES = (".slp", ".h5", ".csv", ".nwb", ".json")
SHEET_ROWS = 12


def predict_files(
    run: Run, section: TaskSection, inputs: list[str], *, out: Path, sheet: Path | None, skip_bad: bool, progress: bool
) -> dict[str, Any]:
    """Predict, and write ``out`` (CSV); see `ethomorph.workflow.predict.predict` for what comes back."""
    model = BehaviorClassifier.load(run.model)
    if model.frames_:
        return _poses(model, section, inputs, out)
    clips = clips_of(inputs, model, section)
    if skip_bad:
        model.settings = replace(model.settings, unreadable="leave_out")
    found = model.predict(clips, progress=progress)
    table = clip_table(found)
    write_text(out, table.to_csv(index=False))
    if sheet is not None:
        write_clip_sheet(clips, found, sheet)
    counts = table["predicted"].value_counts()
    said = ", ".join(f"{name} {count}" for name, count in counts.items())
    return {
        "out": str(out), "clips": len(table), "skipped": list(model.skipped_), "notes": list(clips.notes),
        "images": len(clips), "found": len(table), "not_found": len(model.skipped_),
        "summary": f"{len(table)} clip(s): {said}",
    }  # fmt: skip


def clips_of(inputs: list[str], model: BehaviorClassifier, section: TaskSection) -> ClipSet:
    """Videos, folders and patterns as clips; or one table of clips, or of signals."""
    import glob

    if len(inputs) == 1 and Path(inputs[0]).suffix.lower() in (".csv", ".tsv"):
        table = Path(inputs[0])
        return read_clip_table(table, videos=table.parent if model.canvas_ is not None else None)
    paths: list[Path] = []
    for one in inputs:
        path = Path(one)
        if path.is_dir():
            paths += sorted(
                p for p in path.rglob("*") if p.suffix.lower() in VIDEOS and not p.name.startswith(STUB_PREFIX)
            )
        elif path.is_file():
            paths.append(path)
        else:
            paths += [Path(p) for p in sorted(glob.glob(one, recursive=True))]
    if not paths:
        raise InputError("no video was found", place=", ".join(inputs), fix="give videos, a folder or a table of clips")
    names = [p.name for p in paths]
    unique = names if len(set(names)) == len(names) else [str(p) for p in paths]
    return ClipSet([Clip(name, path=path) for name, path in zip(unique, paths, strict=True)], "inputs")


def clip_table(found: Prediction) -> pd.DataFrame:
    """A row a clip: its class and the probability of each."""
    table = pd.DataFrame({"sample": found.names, "predicted": found.labels})
    for k, name in enumerate(found.classes):
        table[f"p_{name}"] = np.asarray(found.probabilities)[:, k].round(5)
    return table


def write_clip_sheet(clips: ClipSet, found: Prediction, path: Path) -> None:
    """The first clips with their predictions, as a contact sheet."""
    from ethomorph.behavior.draw import write_sheet

    by_name = {clip.name: clip for clip in clips}
    shown: list[tuple[np.ndarray, str, str]] = []
    best = np.asarray(found.probabilities).max(1)
    for name, label, sure in zip(found.names, found.labels, best, strict=True):
        if len(shown) == SHEET_ROWS:
            break
        try:
            frames = read_clip(by_name[name], Canvas(12, 120, 120, True))
        except ImageError:
            continue
        shown.append((frames, label.replace("_", " "), f"{100 * sure:.0f} %"))
    if shown:
        write_sheet(shown, path)


def _poses(model: BehaviorClassifier, section: TaskSection, inputs: list[str], out: Path) -> dict[str, Any]:
    """Pose files: a row a frame into `out`, and the bouts beside it as BORIS exports them."""
    from ethomorph.formats.boris import write_aggregated

    paths = [p for one in inputs for p in (sorted(Path(one).iterdir()) if Path(one).is_dir() else [Path(one)])]
    paths = [p for p in paths if p.suffix.lower() in POSES]
    if not paths:
        raise InputError(
            "no pose file was found", place=", ".join(inputs), fix=f"give files ending in {', '.join(POSES)}"
        )
    rate = fps_or_refuse(section.fps, paths[0])
    recordings = [one for path in paths for one in read_tracks(path, fps=rate)]
    if model.each_:
        recordings = [replace(v, group=v.animals[0]) for one in recordings for v in one.of_each_animal()]
    found = model.predict(recordings)
    tables, labelled = [], []
    for recording, codes, probabilities in zip(recordings, found.codes, found.probabilities, strict=True):
        names = np.array(found.classes)[np.asarray(codes)]
        table = pd.DataFrame({"recording": recording.name, "frame": np.arange(len(recording)), "predicted": names})
        for k, name in enumerate(found.classes):
            table[f"p_{name}"] = np.asarray(probabilities)[:, k].round(5)
        tables.append(table)
        labelled.append(recording.with_labels(names))
    write_text(out, pd.concat(tables).to_csv(index=False))
    log = log_of(labelled)
    bouts = out.with_name(f"{out.stem}-bouts.csv")
    notes = write_aggregated(log, bouts)
    return {
        "out": str(out), "bouts": str(bouts), "images": len(recordings), "found": len(log), "not_found": 0,
        "skipped": [], "notes": [*(n for r in recordings for n in r.notes), *notes],
        "summary": f"{len(recordings)} recording(s), {len(log)} bouts in {bouts}",
    }  # fmt: skip

"""Make a study folder: a commented study.toml that can be trained as it stands."""

from __future__ import annotations

import os
import re
from importlib import import_module
from pathlib import Path
from typing import get_args

from ethomorph.core.errors import SplitError, StudyError
from ethomorph.core.files import write_text
from ethomorph.study.config import FILE_NAME, Kind, Study
from ethomorph.study.task import ROOMS, open_task

HEAD = """\
# What this study is. Every key is checked; `ethomorph train` says which one does not fit.

[study]
name = {name}
{specimens}

[split]
by = "specimen"        # an individual never stands in two parts; or a column of the specimens table
test = 0.25            # share of the samples that only judges the finished model
validation = {validation:<10}# share that training may look at to choose when to stop
seed = 0

"""

LANDMARKS = """\
[task.{task}]
kind = "{kind}"
labels = {labels}
{images}
method = "heatmap"     # heatmap (a network, most exact) or ert (regression trees as in ml-morph, fastest)
# max_minutes = 20     # stop training after so long
# repeat = "again.tps" # a second coding of the same specimens: errors are then given beside human repeat error
# enhancement = "none" # how radiographs are prepared for the network; never changes a file

# [task.{task}.settings]             # the method's own settings
# preset = "readme"                  # for ert: dlib, ml-morph, readme or lizardmorph

# [task.{task}.scale]                # where millimetres come from; the files' own scale where left out
# landmarks = ["bar_left", "bar_right"]
# mm = 27.0

# [task.{task}.grades]               # which pictures may train
# file = "grades.csv"                # filename,grade,id
# train = ["good"]

# [task.{task}.distances]            # named distances for `ethomorph measure distances` and `predict --distances`
# femur = ["hip_left", "knee_left"]
"""


def new_study(
    folder: str | Path,
    *,
    kind: str,
    labels: str | Path,
    images: str | Path | None = None,
    specimens: str | Path | None = None,
    poses: str | Path | None = None,
    fps: float | None = None,
    column: str | None = None,
    name: str | None = None,
) -> tuple[Path, list[str]]:
    """Write study.toml into a new or empty place and check that it can be loaded.

    Parameters
    ----------
    poses, fps, column : of behaviour scored frame by frame: the pose file, frames a second, the column of labels.

    Returns
    -------
    The path of study.toml, and what loading had to say.

    Raises
    ------
    StudyError : an unknown kind, a study that is there already, files that do not exist.
    InputError : labels or images that cannot be read; then nothing is left behind.
    """
    folder = Path(folder)
    file = folder / FILE_NAME
    if kind not in get_args(Kind):
        raise StudyError(f"--kind {kind!r} is not a kind", fix=f"choose one of {', '.join(get_args(Kind))}")
    if kind not in ROOMS:
        raise StudyError(f"--kind {kind}: not built yet", fix=f"kinds that are: {', '.join(ROOMS)}")
    if file.exists():
        raise StudyError("a study is here already", place=file, fix="edit it, or choose another folder")
    if kind != "behavior" and (poses is not None or fps is not None or column is not None):
        raise StudyError(
            f"--kind {kind} has no --poses, --fps and --column", fix="leave them out, or use kind behavior"
        )
    given = (("--labels", labels), ("--images", images), ("--specimens", specimens), ("--poses", poses))
    for option, path in given:
        if path is not None and not Path(path).exists():
            raise StudyError(f"{option}: does not exist", place=path, fix="correct the path")
    room = import_module(ROOMS[kind])
    text = (HEAD + getattr(room, "TEMPLATE", LANDMARKS)).format(
        name=quoted(name or folder.resolve().name),
        validation=getattr(room, "VALIDATION", 0.15),
        kind=kind,
        task=task_name(labels),
        labels=quoted(_seen_from(folder, labels)),
        images=f"images = {quoted(_seen_from(folder, images))}"
        if images
        else '# images = "photos"    # folder of the pictures',
        specimens=f"specimens = {quoted(_seen_from(folder, specimens))}"
        if specimens
        else '# specimens = "specimens.csv"   # columns specimen or image, then sex, age, site, ...',
        poses=f"poses = {quoted(_seen_from(folder, poses))}"
        if poses
        else '# poses = "tracks.slp"        # where labels score the frames of poses; then also:',
        fps=f"fps = {fps:g}" if fps else "# fps = 50",
        column=f"column = {quoted(column)}"
        if column
        else '# column = "freezing"         # the column of labels, or the BORIS observation',
    )
    was_there = folder.exists()
    write_text(file, text)
    try:
        notes = open_task(Study(folder)).warnings
    except SplitError as error:
        notes = [f"{error}; then `ethomorph split` shows it"]  # a study that stands, but for its [split]
    except BaseException:
        file.unlink()
        if not was_there:
            folder.rmdir()
        raise
    return file, notes


def task_name(labels: str | Path) -> str:
    """A task's name from its label file: letters, digits, - and _ only."""
    return re.sub(r"[^0-9A-Za-z_-]+", "_", Path(labels).name.split(".")[0]).strip("_") or "task"


def quoted(text: str) -> str:
    """`text` as a TOML string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _seen_from(folder: Path, path: str | Path | None) -> str:
    """`path` relative to the study where that is short, so that the pair of folders can move together."""
    absolute = Path(path or "").resolve()
    relative = os.path.relpath(absolute, folder.resolve())
    return absolute.as_posix() if relative.count("..") > 3 else Path(relative).as_posix()

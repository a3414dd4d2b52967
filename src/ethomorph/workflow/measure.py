"""Measurements from label files or predictions into tidy CSV files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ethomorph.core.errors import LabelError, StudyError
from ethomorph.core.files import atomic_path, write_text
from ethomorph.core.landmarks import LandmarkSet

Gaps = Literal["refuse", "missing"]

if TYPE_CHECKING:
    import pandas as pd

    from ethomorph.study.config import TaskSection


def measure_shape(
    labels: str | Path,
    *,
    images: str | Path | None = None,
    out: str | Path,
    study: str | Path | None = None,
    task: str | None = None,
    exclude: list[str] | None = None,
    gaps: Gaps = "refuse",
    picture: str | Path | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """Superimpose a file's specimens and write a row each; returns the table and what had to be said.

    Parameters
    ----------
    study, task : take the landmarks' names and the scale from a study's task, and leave its scale bar out.
    exclude : further landmarks that are not anatomy.
    picture : also draw the first two components, a PNG.

    Raises
    ------
    InputError : labels that cannot be read, an unknown landmark in `exclude`, under 3 specimens.
    """
    from ethomorph.shape.measure import shape_measurement

    landmarks, section, notes = _read(labels, images, gaps, study, task)
    bar = section.scale.landmarks if section and section.scale and section.scale.landmarks else ()
    measured = shape_measurement(without(landmarks, [*bar, *(exclude or [])]))
    write_text(out, measured.table.to_csv(index=False))
    if picture is not None:
        from ethomorph.shape.draw import draw_components

        with atomic_path(picture) as temporary:
            draw_components(measured.space).savefig(temporary, format="png", dpi=130)
    return measured.table, notes


def measure_distances(
    labels: str | Path,
    *,
    pairs: list[str] | None = None,
    study: str | Path | None = None,
    task: str | None = None,
    images: str | Path | None = None,
    out: str | Path,
    mm_per_px: float | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """Measure named distances on a file's specimens and write a row each; returns the table and what had to be said.

    Parameters
    ----------
    pairs : ``name=landmark,landmark``, beside those of the study.
    study, task : take names, pairs and scale from a study's task.
    mm_per_px : overrides every other scale.

    Raises
    ------
    InputError : labels that cannot be read, no pairs, unknown landmarks.
    """
    from ethomorph.shape.distances import landmark_distances

    wanted = dict(parse_pair(text) for text in pairs or [])
    landmarks, section, notes = _read(labels, images, "refuse", study, task)
    if section is not None:
        wanted = {**section.distances, **wanted}
    if not wanted:
        raise LabelError("no distances were named", place=labels, fix="give --pair name=landmark,landmark, or --study")
    table = landmark_distances(landmarks, wanted, mm_per_px=mm_per_px)
    write_text(out, table.to_csv(index=False))
    return table, notes


def measure_footprints(
    labels: str | Path,
    *,
    recipe: str = "felid",
    specimens: str | Path | None = None,
    images: str | Path | None = None,
    out: str | Path,
    study: str | Path | None = None,
    task: str | None = None,
    mm_per_px: float | None = None,
) -> tuple[int, list[str]]:
    """Measure landmarked prints by a recipe and write a row each; returns how many, and what had to be said.

    Parameters
    ----------
    recipe : name of a shipped one, or a TOML file.
    specimens : CSV with the columns image, specimen (the animal), trail, foot, sex, site, session ...; by default that
        of the study.
    study, task : take names and scale from a study's task.
    mm_per_px : where the prints have no scale of their own.

    Raises
    ------
    InputError : labels that cannot be read or lack points of the recipe, prints without scale.
    """
    from ethomorph.identity.recipe import read_recipe
    from ethomorph.identity.table import write_prints
    from ethomorph.identity.variables import measure_prints
    from ethomorph.study.config import Study
    from ethomorph.study.specimens import join_specimens, read_specimens

    followed = read_recipe(recipe)
    landmarks, _, notes = _read(labels, images, "missing", study, task)
    if specimens is not None:
        notes += join_specimens(landmarks, read_specimens(specimens), place=specimens)
    elif study is not None and (own := Study(study).config.study.specimens) is not None:
        table_of_study = Study(study).existing(own, "study.specimens")
        try:
            notes += join_specimens(landmarks, read_specimens(table_of_study), place=table_of_study)
        except StudyError:
            notes.append("the study's table describes none of these prints; name animals and trails with --specimens")
    table = measure_prints(landmarks, followed, cm_per_unit=None if mm_per_px is None else mm_per_px / 10)
    write_prints(table, out)
    return len(table), notes + table.notes


def measure_kinematics(
    labels: str | Path,
    *,
    fps: float,
    out: str | Path,
    fill: int = 5,
    smooth: int = 0,
    front: str = "",
    back: str = "",
    angles: list[str] | None = None,
    mm_per_px: float | None = None,
    netcdf: str | Path | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """Measure the motion of tracked animals and write a row an animal and frame; returns the table and what was said.

    Parameters
    ----------
    fps : frames a second.
    fill, smooth : longest gap that is filled, and window of the smoothing, in frames.
    front, back : nodes that heading runs to and from.
    angles : ``a,b,c``: the angle at b.
    netcdf : also write the poses as the package movement reads them.

    Raises
    ------
    InputError : labels that cannot be read or hold no animal, unknown nodes.
    """
    from ethomorph.keypoints.pose.kinematics import filled, kinematics_table, read_motion, smoothed, write_movement

    three = [tuple(part.strip() for part in text.split(",")) for text in angles or []]
    if any(len(one) != 3 for one in three):
        raise LabelError("an angle needs three nodes", fix="write --angle a,b,c")
    motion = read_motion(labels, fps=fps)
    before = int((~np.isfinite(motion.points)).all(-1).sum())
    motion.points = filled(motion.points, fill)
    notes = []
    if closed := before - int((~np.isfinite(motion.points)).all(-1).sum()):
        notes.append(f"{closed} missing points were filled in gaps of at most {fill} frames")
    motion.points = smoothed(motion.points, smooth)
    table = kinematics_table(motion, front=front, back=back, angles=three, mm_per_px=mm_per_px)  # type: ignore[arg-type]
    write_text(out, table.to_csv(index=False))
    if netcdf is not None:
        write_movement(motion, netcdf)
    return table, notes


def _read(
    labels: str | Path, images: str | Path | None, gaps: Gaps, study: str | Path | None, task: str | None
) -> tuple[LandmarkSet, TaskSection | None, list[str]]:
    """A label file, with names and scale from a study's task where one is given; and what reading had to say."""
    from ethomorph.api import read
    from ethomorph.keypoints.task import with_scale
    from ethomorph.study.config import Study

    landmarks = read(labels, images=images, gaps=gaps)
    notes = list(landmarks.notes)
    if study is None:
        return landmarks, None, notes
    _, section = Study(study).task(task)
    if section.names:
        landmarks = landmarks.renamed(section.names)
    landmarks, said = with_scale(landmarks, section.scale)
    return landmarks, section, notes + said


def parse_pair(text: str) -> tuple[str, tuple[str, str]]:
    """``name=a,b`` as (name, (a, b)).

    Examples
    --------
    >>> parse_pair("femur=hip_left,knee_left")
    ('femur', ('hip_left', 'knee_left'))
    """
    name, equals, ends = text.partition("=")
    a, comma, b = ends.partition(",")
    if not (equals and comma and name.strip() and a.strip() and b.strip()) or "," in b:
        raise LabelError(
            f"--pair {text!r}: not name=landmark,landmark", fix="write for example --pair femur=hip_left,knee_left"
        )
    return name.strip(), (a.strip(), b.strip())


def without(landmarks: LandmarkSet, names: list[str]) -> LandmarkSet:
    """The set without these landmarks; raises LabelError for one that is not there."""
    landmarks.keep(names)
    return landmarks.keep([name for name in landmarks.names if name not in names])

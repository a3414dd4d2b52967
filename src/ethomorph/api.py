"""The four verbs of the Python face: read, split, score, write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ethomorph.core.errors import SplitError
from ethomorph.core.landmarks import LandmarkSet
from ethomorph.study.specimens import group_of
from ethomorph.study.split import assign_parts, warn_if_by_sample

if TYPE_CHECKING:
    from ethomorph.keypoints.estimator import LandmarkRegressor


def read(
    path: str | Path,
    *,
    images: str | Path | None = None,
    gaps: Literal["refuse", "missing"] = "refuse",
    format: str | None = None,
) -> LandmarkSet:
    """Landmarks from any known file.

    Parameters
    ----------
    path : the label file; its format is known by name and content.
    images : the folder of the pictures, searched by exact file name; needed to train, and to turn TPS's y axis over.
    gaps : ``refuse`` files with specimens of another landmark count, or mark them ``missing``.
    format : the format's name, where neither name nor content tell.

    Raises
    ------
    FormatError : the file is not what its name says, or is damaged.
    LabelError : specimens contradict each other or their pictures.
    """
    from ethomorph.formats.registry import read_landmarks

    return read_landmarks(path, images=images, gaps=gaps, format=format)


def write(landmarks: LandmarkSet, path: str | Path, *, format: str | None = None) -> list[str]:
    """Write landmarks in the format that the name says; returns a sentence for everything the format cannot hold."""
    from ethomorph.formats.registry import write_landmarks

    return write_landmarks(landmarks, path, format=format)


def split(
    landmarks: LandmarkSet, *, by: str = "specimen", test: float = 0.25, validation: float = 0.0, seed: int = 0
) -> tuple[LandmarkSet, ...]:
    """Divide a set into (train, test), or (train, validation, test) where validation is asked for; groups stay whole.

    Parameters
    ----------
    by : the unit of independence: ``specimen``, an attribute such as ``site``, or ``sample`` (warned about).

    Raises
    ------
    SplitError : too few groups, or specimens of unknown group.
    """
    parts = assign_parts(groups_of(landmarks, by), test=test, validation=validation, seed=seed)
    wanted = ("train", "validation", "test") if validation > 0 else ("train", "test")
    return tuple(landmarks.subset(i for i, part in enumerate(parts) if part == name) for name in wanted)


def groups_of(landmarks: LandmarkSet, by: str) -> list[str]:
    """Each specimen's group; specimens in one picture share one, so that no picture stands on both sides.

    Raises
    ------
    SplitError : specimens whose group is not known, by name.
    """
    warn_if_by_sample(by)
    if by == "sample":
        found: list[str | None] = [f"{s.label} {i}" for i, s in enumerate(landmarks)]
    else:
        found = [group_of(specimen, by) for specimen in landmarks]
    unknown = [s.label for s, group in zip(landmarks, found, strict=True) if group is None]
    if unknown:
        raise SplitError(
            f"{len(unknown)} specimen(s) have no {by!r}, such as {unknown[0]}",
            place=landmarks.source,
            fix=f"add the column {by!r} to the specimens table, or split by specimen",
        )
    return _joined_by_picture([str(g) for g in found], [s.image for s in landmarks])


def score(model: LandmarkRegressor, landmarks: LandmarkSet, *, by: str = "specimen", **options: Any) -> Scores:
    """Predict a labelled set's pictures and compare.

    Returns
    -------
    The scores block of scores.json; printed, it is a table of value, 95 % interval, n and baseline.
    """
    from ethomorph.keypoints.score import score_landmarks

    predicted = model.predict(landmarks)
    block = score_landmarks(landmarks, predicted, groups=groups_of(landmarks, by), training=model.training_, **options)
    return Scores(block)


class Scores(dict[str, Any]):
    """A scores block that prints as a table."""

    def __str__(self) -> str:
        from ethomorph.report.run import metric_table

        return metric_table(self).to_string(index=False)


def _joined_by_picture(groups: list[str], images: list[str | None]) -> list[str]:
    """Groups that meet in one picture become one group, named after the first of them."""
    leader = {group: group for group in groups}

    def find(group: str) -> str:
        while leader[group] != group:
            group = leader[group]
        return group

    first_in: dict[str, str] = {}
    for group, image in zip(groups, images, strict=True):
        if image is not None:
            a, b = find(first_in.setdefault(image, group)), find(group)
            leader[b] = a
    return [find(group) for group in groups]

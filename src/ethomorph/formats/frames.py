"""Between coordinate frames of pictures: the y flip, stated once: ``y_image = height - y_up`` and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.core.landmarks import FRAMES, Frame, LandmarkSet, Specimen


def to_frame(landmarks: LandmarkSet, frame: Frame, *, what: str = "the target") -> LandmarkSet:
    """The set in another frame; curves go along.

    Raises LabelError where the picture's height is needed and not known, or no flip leads from one frame to the other.

    Examples
    --------
    >>> wing = LandmarkSet([Specimen([[290, 108]], image_size=(480, 632))], names=["1"], frame="y_up")
    >>> to_frame(wing, "image")[0].points
    array([[290., 372.]])
    """
    if landmarks.frame == frame:
        return landmarks
    if {landmarks.frame, frame} != {"image", "y_up"}:
        raise LabelError(
            f"points are {FRAMES[landmarks.frame]}; {what} needs {FRAMES[frame]}",
            place=landmarks.source,
            fix="choose another format",
        )
    sizes: dict[Path, tuple[int, int]] = {}
    flipped = [_flipped(specimen, _height(specimen, sizes, landmarks.source, what)) for specimen in landmarks]
    return replace(landmarks, specimens=flipped, frame=frame, notes=list(landmarks.notes))


def _flipped(specimen: Specimen, height: int) -> Specimen:
    return replace(
        specimen,
        points=flip(specimen.points, height),
        curves=[flip(curve, height) for curve in specimen.curves],
    )


def flip(points: np.ndarray, height: int) -> np.ndarray:
    """(points, 2) with ``height - y`` in place of y; its own inverse."""
    result = np.array(points, dtype=np.float64)
    result[:, 1] = height - result[:, 1]
    return result


def _height(specimen: Specimen, sizes: dict[Path, tuple[int, int]], source: str, what: str) -> int:
    if specimen.image_size is not None:
        return int(specimen.image_size[0])
    if specimen.image_path is None:
        raise LabelError(
            f"{what} needs the other y direction, and the height of {specimen.image or specimen.label!r} is not known",
            place=source,
            fix="give the folder of the images with --images",
        )
    if specimen.image_path not in sizes:
        from ethomorph.formats.images import image_size

        sizes[specimen.image_path] = image_size(specimen.image_path)
    return int(sizes[specimen.image_path][0])

"""What a keypoint sample is: a picture with the specimens marked in it, and what a model finds in one."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ethomorph.core.landmarks import LandmarkSet, Specimen


@dataclass
class Found:
    """One specimen that a model found in one picture.

    Attributes
    ----------
    points : (landmarks, 2) px in the full-resolution picture, NaN where the model gives none.
    confidence : (landmarks,) in 0..1.
    spread : (landmarks,) px, how far members or augmented views disagree; NaN where not measured.
    box : (left, top, right, bottom) px, inclusive.
    score : how sure the model is that this is a specimen, in 0..1.
    flags : what the shape prior objects to, one short sentence each.
    """

    points: np.ndarray
    confidence: np.ndarray
    spread: np.ndarray
    box: tuple[float, float, float, float]
    score: float
    flags: list[str] = field(default_factory=list)


@dataclass
class Picture:
    """All specimens marked in one picture file."""

    path: Path
    specimens: list[Specimen]


def by_picture(landmarks: LandmarkSet) -> list[Picture]:
    """Group a set's specimens by picture, in order; raises LabelError where a picture was not found."""
    pictures = {path: Picture(path, []) for path in landmarks.image_paths()}
    for specimen in landmarks:
        pictures[specimen.image_path].specimens.append(specimen)  # type: ignore[index]
    return list(pictures.values())

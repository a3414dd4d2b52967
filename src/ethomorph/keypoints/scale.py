"""Millimetres per pixel of each specimen: given, from a ruler in the picture, or from the file, and whether they agree.

Nothing here changes coordinates: `apply` records the scale on each specimen, `in_mm` measures with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from ethomorph.core.errors import ImageError, LabelError
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.core.units import millimetres

AGREEMENT = 0.02
"""Two sources of a scale that differ by more than this share are reported: above the reading error of a ruler."""

LISTED = 3
"""Disagreements that are told one by one before they are only counted."""

Source = Literal["given", "ruler", "file", "dicom"]
_SAID = {
    "given": "the given scale",
    "ruler": "the ruler's landmarks",
    "file": "the landmark file's SCALE",
    "dicom": "the image's DICOM spacing",
}


@dataclass(frozen=True)
class Ruler:
    """Two landmarks whose true distance is known.

    `first` and `second` are landmark names, or indices from 0; `length` is in `unit`.
    """

    first: str | int
    second: str | int
    length: float
    unit: str = "mm"


@dataclass
class Scales:
    """One scale a specimen, and how it was found.

    Attributes
    ----------
    mm_per_px : (specimens,), NaN where there is none.
    source : which source was taken, "" where there is none; given goes before ruler, file and dicom.
    candidates : for each specimen, every source that had something to say.
    warnings : one sentence for each disagreement and each specimen without a scale (many are told of together).
    """

    mm_per_px: np.ndarray
    source: list[str]
    candidates: list[dict[str, float]]
    warnings: list[str] = field(default_factory=list)


def find_scales(
    landmarks: LandmarkSet,
    *,
    given: float | Mapping[str, float] | None = None,
    ruler: Ruler | None = None,
    images: bool = True,
) -> Scales:
    """Collect every source's mm per px and choose one for each specimen.

    Parameters
    ----------
    given : mm per px for all, or by specimen id or image name.
    ruler : two landmarks of known distance; goes before the file because it lies beside the specimen, while detector
        spacing knows nothing of magnification.
    images : whether to ask DICOM images for their spacing.

    Raises
    ------
    LabelError
        a scale or length that is not positive, an unknown landmark or unit.
    """
    spacing = _spacings(landmarks) if images else {}
    ends = _ends(landmarks, ruler) if ruler else None
    scales = Scales(np.full(len(landmarks), np.nan), [], [])
    without: list[str] = []
    apart: list[str] = []
    oblong: list[str] = []
    for i, specimen in enumerate(landmarks):
        found: dict[str, float] = {}
        if (own := _given(given, specimen)) is not None:
            found["given"] = own
        if ruler and ends and (length := _distance(specimen, ends)) > 0:
            found["ruler"] = ruler.length * millimetres(ruler.unit) / length
        if specimen.scale is not None:
            refuse_no_scale(specimen.scale, f"specimen {specimen.label}")
            found["file"] = specimen.scale * millimetres(specimen.unit)
        pixel = spacing.get(specimen.image_path)
        if isinstance(pixel, tuple):
            oblong.append(specimen.label)
        elif pixel is not None:
            found["dicom"] = pixel
        scales.candidates.append(found)
        taken = next(iter(found), "")
        scales.source.append(taken)
        if taken:
            scales.mm_per_px[i] = found[taken]
            apart += _disagreements(specimen, found, taken)
        else:
            without.append(specimen.label)
    scales.warnings += apart[:LISTED]
    if len(apart) > LISTED:
        scales.warnings.append(f"Scales disagree by more than {AGREEMENT:.0%} in {len(apart) - LISTED} further cases.")
    if oblong:
        said = "pixels are not square, so one scale cannot hold; resample the image"
        scales.warnings.append(f"{_listed(oblong)}: {said}.")
    if without:
        scales.warnings.append(f"{len(without)} specimen(s) have no scale and stay in px: {_listed(without)}.")
    return scales


def apply(landmarks: LandmarkSet, scales: Scales) -> LandmarkSet:
    """A copy whose specimens carry their mm per px (`scale`, unit "mm"); coordinates stay in px."""
    specimens = [
        replace(s, scale=float(value), unit="mm") if np.isfinite(value) else replace(s, scale=None)
        for s, value in zip(landmarks, scales.mm_per_px, strict=True)
    ]
    return replace(landmarks, specimens=specimens, notes=[*landmarks.notes, *scales.warnings])


def in_mm(landmarks: LandmarkSet) -> np.ndarray:
    """Coordinates (specimens, landmarks, dim) in mm; NaN throughout a specimen without a scale.

    Examples
    --------
    >>> wing = LandmarkSet([Specimen([[0, 0], [30, 40]], scale=0.1, unit="cm")], ["hinge", "tip"])
    >>> in_mm(wing)[0, 1].tolist()
    [30.0, 40.0]
    """
    factor = [np.nan if s.scale is None else s.scale * millimetres(s.unit) for s in landmarks]
    return landmarks.array() * np.asarray(factor, float).reshape(-1, 1, 1)


def refuse_no_scale(value: float, place: str) -> None:
    """Raise LabelError for a scale that is not a positive number."""
    if not np.isfinite(value) or value <= 0:
        raise LabelError(f"scale is {value}", place=place, fix="give mm per px as a positive number")


def _disagreements(specimen: Specimen, found: dict[str, float], taken: str) -> list[str]:
    said = []
    for other, value in found.items():
        share = abs(value - found[taken]) / min(value, found[taken])
        if share > AGREEMENT:
            said.append(
                f"{specimen.label}: {_SAID[taken]} says {found[taken]:.5g} mm/px, {_SAID[other]} {value:.5g} "
                f"({share:.0%} apart); the first is used."
            )
    return said


def _given(given: float | Mapping[str, float] | None, specimen: Specimen) -> float | None:
    if isinstance(given, Mapping):
        names = (specimen.id, specimen.image or "", Path(specimen.image or "").name)
        value = next((given[name] for name in names if name in given), None)
    else:
        value = given
    if value is not None:
        refuse_no_scale(float(value), f"specimen {specimen.label}")
    return None if value is None else float(value)


def _ends(landmarks: LandmarkSet, ruler: Ruler) -> tuple[int, int]:
    refuse_no_scale(ruler.length, "ruler length")
    ends = []
    for name in (ruler.first, ruler.second):
        if isinstance(name, str) and name in landmarks.names:
            ends.append(landmarks.names.index(name))
        elif isinstance(name, int) and 0 <= name < len(landmarks.names):
            ends.append(name)
        else:
            known = ", ".join(landmarks.names[:40])
            raise LabelError(f"ruler: no landmark {name!r}", place=landmarks.source, fix=f"the landmarks are {known}")
    if ends[0] == ends[1]:
        raise LabelError("ruler: both ends are one landmark", place=landmarks.source, fix="name two landmarks")
    return ends[0], ends[1]


def _distance(specimen: Specimen, ends: tuple[int, int]) -> float:
    """px between the ruler's ends; 0 where one is missing."""
    return float(np.nan_to_num(np.linalg.norm(specimen.points[ends[1]] - specimen.points[ends[0]])))


def _spacings(landmarks: LandmarkSet) -> dict[Path | None, float | tuple[float, float]]:
    """mm per px of every image that is DICOM and says so."""
    from ethomorph.formats.dicom import read_spacing
    from ethomorph.formats.images import is_dicom

    found: dict[Path | None, float | tuple[float, float]] = {}
    for path in {s.image_path for s in landmarks if s.image_path is not None}:
        try:
            if is_dicom(path) and (spacing := read_spacing(path)) is not None:
                found[path] = spacing
        except ImageError:
            continue  # whoever reads the picture will say so; here it only has no scale
    return found


def _listed(names: list[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")

"""Named distances between landmarks, in px and, where a scale is known, in mm: one tidy row a specimen and distance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.core.units import millimetres

if TYPE_CHECKING:
    import pandas


def landmark_distances(
    landmarks: LandmarkSet,
    pairs: Mapping[str, tuple[str, str]],
    *,
    mm_per_px: float | Sequence[float | None] | None = None,
) -> pandas.DataFrame:
    """Measure named distances on every specimen.

    Parameters
    ----------
    landmarks : n specimens.
    pairs : name of the distance to the names of its two landmarks.
    mm_per_px : overrides the specimens' own scale: one number, or one a specimen (None where unknown).

    Returns
    -------
    DataFrame
        Columns specimen, image, distance, from, to, px, mm, note; a distance that could not be measured has an empty
        value and says why in `note`. Landmarks in frame "lps" are in mm already, and px is empty.

    Raises
    ------
    LabelError
        A landmark that the scheme does not have, or scales that do not fit.

    Examples
    --------
    >>> wings = LandmarkSet([Specimen([[0, 0], [30, 40]], id="a", scale=0.1)], names=["hinge", "tip"])
    >>> landmark_distances(wings, {"length": ("hinge", "tip")})[["specimen", "px", "mm"]].to_dict("records")
    [{'specimen': 'a', 'px': 50.0, 'mm': 5.0}]
    """
    import pandas

    refuse_unknown_names(landmarks, pairs)
    scales = specimen_scales(landmarks, mm_per_px)
    index = {name: i for i, name in enumerate(landmarks.names)}
    rows: list[dict[str, Any]] = []
    for specimen, scale in zip(landmarks, scales, strict=True):
        for distance, (a, b) in pairs.items():
            length = float(np.linalg.norm(specimen.points[index[a]] - specimen.points[index[b]]))
            gone = [name for name in (a, b) if not specimen.visible[index[name]]]
            metric = landmarks.frame == "lps"
            note = f"{' and '.join(gone)} missing" if gone else ("" if metric or scale else "no scale")
            px = None if gone or metric else length
            mm = None if gone else length if metric else length * scale if scale else None
            rows.append(
                {"specimen": specimen.label, "image": specimen.image or "", "distance": distance}
                | {"from": a, "to": b, "px": px, "mm": mm, "note": note}
            )
    columns = ["specimen", "image", "distance", "from", "to", "px", "mm", "note"]
    return pandas.DataFrame(rows, columns=columns).astype({"px": float, "mm": float})


def specimen_scales(
    landmarks: LandmarkSet, mm_per_px: float | Sequence[float | None] | None = None
) -> list[float | None]:
    """mm per px of every specimen, None where unknown; raises LabelError for a unit or number that makes no sense."""
    if mm_per_px is None:
        return [_own_scale(specimen, landmarks.source) for specimen in landmarks]
    given: list[float | None]
    given = [float(mm_per_px)] * len(landmarks) if isinstance(mm_per_px, (int, float)) else list(mm_per_px)
    if len(given) != len(landmarks):
        raise LabelError(f"{len(given)} scales for {len(landmarks)} specimens", place=landmarks.source)
    for specimen, scale in zip(landmarks, given, strict=True):
        if scale is not None and not (np.isfinite(scale) and scale > 0):
            raise LabelError(f"specimen {specimen.label}: scale {scale}", place=landmarks.source, fix="give mm per px")
    return given


def refuse_unknown_names(landmarks: LandmarkSet, pairs: Mapping[str, tuple[str, str]]) -> None:
    """Raise LabelError where a distance uses a landmark that the scheme does not have."""
    for distance, ends in pairs.items():
        unknown = [name for name in ends if name not in landmarks.names]
        if unknown:
            raise LabelError(
                f"distance {distance!r}: no landmark {', '.join(map(repr, unknown))}",
                place=landmarks.source,
                fix=f"the landmarks are {', '.join(landmarks.names[:40])}",
            )


def _own_scale(specimen: Specimen, source: str) -> float | None:
    if specimen.scale is None:
        return None
    unit = millimetres(specimen.unit, place=f"{source}, specimen {specimen.label}".lstrip(", "))
    if not (np.isfinite(specimen.scale) and specimen.scale > 0):
        raise LabelError(f"specimen {specimen.label}: scale {specimen.scale}", place=source, fix="give mm per px")
    return specimen.scale * unit

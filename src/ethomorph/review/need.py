"""Why a person should look at an item, and how much: the order of the queue.

Amounts are comparable within a task: about 1 for something that should be looked at, more where it is worse.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.core.landmarks import LandmarkSet, Specimen

MOST = 4.0
"""No single reason counts more than this."""


@dataclass
class Need:
    """How much an item needs a look, and the reasons as short sentences."""

    amount: float = 0.0
    reasons: list[str] = field(default_factory=list)

    def add(self, amount: float, *reasons: str) -> None:
        self.amount += min(float(amount), MOST)
        self.reasons += reasons

    def as_dict(self) -> dict[str, Any]:
        return {"amount": round(self.amount, 3), "reasons": self.reasons}


def needs_of_shapes(
    landmarks: LandmarkSet, names: list[str], ghosts: dict[str, Specimen]
) -> tuple[Any, dict[str, Need]]:
    """The shape prior of the labels (None where they are too few) and each specimen's need by shape and prediction.

    A shape beyond the prior's limits counts by how far beyond; a label far from its prediction, and a prediction that
    its views disagree about, count by how many times the typical specimen's.
    """
    points = landmarks.array()
    seen = np.isfinite(points).all(axis=2)
    needs: dict[str, Need] = {}
    prior = _prior(points, seen)
    if prior is not None:
        each, whole = prior.distances(points[seen.sum(axis=1) >= 4])
        rows = np.flatnonzero(seen.sum(axis=1) >= 4)
        beyond = np.fmax(np.nanmax(each / prior.point_limit, axis=1, initial=0), whole / prior.shape_limit)
        for row, ratio in zip(rows, beyond, strict=True):
            if ratio > 1:
                flags, _ = prior.check(points[row], names=landmarks.names, pairs=landmarks.symmetry or None)
                needs.setdefault(names[row], Need()).add(ratio, *flags[:2])
    for what, values in (
        ("labels lie {:.1f} times further from the prediction than usual", _apart(landmarks, names, ghosts)),
        ("the prediction is {:.1f} times less sure than usual", _spread(names, ghosts)),
    ):
        usual = float(np.median(list(values.values()))) if values else 0.0
        for name, value in values.items():
            if usual > 0 and value > 2 * usual:
                needs.setdefault(name, Need()).add(value / usual / 2, what.format(value / usual))
    return prior, needs


def grade_of(specimen: Specimen) -> str | None:
    """The grade that the files give."""
    return specimen.attributes.get("grade") or None


def _prior(points: np.ndarray, seen: np.ndarray) -> Any:
    from ethomorph.keypoints.prior import ShapePrior

    usable = seen.sum(axis=1) >= max(3, 0.8 * seen.shape[1])
    if usable.sum() < 8 or not seen[usable].any(axis=0).all():
        return None
    try:
        return ShapePrior.fit(points[usable])
    except LabelError:
        return None


def _apart(landmarks: LandmarkSet, names: list[str], ghosts: dict[str, Specimen]) -> dict[str, float]:
    """Median distance (px) of label and prediction, in units of the specimen's size."""
    found = {}
    for name, specimen in zip(names, landmarks, strict=True):
        if name not in ghosts:
            continue
        gap = np.linalg.norm(ghosts[name].points - specimen.points, axis=1)
        size = _size(specimen.points)
        if np.isfinite(gap).any() and size:
            found[name] = float(np.nanmedian(gap)) / size
    return found


def _spread(names: list[str], ghosts: dict[str, Specimen]) -> dict[str, float]:
    found = {}
    for name in names:
        ghost = ghosts.get(name)
        if ghost is None or ghost.spread is None or not np.isfinite(ghost.spread).any():
            continue
        size = _size(ghost.points)
        if size:
            found[name] = float(np.nanmean(ghost.spread)) / size
    return found


def _size(points: np.ndarray) -> float:
    seen = points[np.isfinite(points).all(axis=1)]
    return float(np.sqrt(((seen - seen.mean(axis=0)) ** 2).sum())) if len(seen) > 1 else 0.0

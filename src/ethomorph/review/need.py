"""Why a person should look at an item, and how much: the order of the queue.

Amounts are comparable within a task: about 1 for something that should be looked at, more where it is worse.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.core.landmarks import LandmarkSet, Specimen

MOST = 4.0
"""No single reason counts more than this."""
LITTLE = 0.05
"""What a usual prediction adds to the need."""
UNSEEN = 1.3
"""Shapes that the prior did not learn from lie this much further off, however right they are."""
LEAST_SEEN = 4
"""Shapes with fewer landmarks are not judged."""
RARE = 5e-4
"""A landmark is suspicious where so small a share of specimens would have it so far from where the others put it."""


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


class Shapes:
    """What shapes the study's specimens have, to judge one of them; landmarks of a ruler are left out.

    Parameters
    ----------
    landmarks : every specimen as in the files.
    anatomy : indices of the landmarks that are the animal.
    """

    def __init__(self, landmarks: LandmarkSet, anatomy: list[int]) -> None:
        self.anatomy = anatomy
        self.names = [landmarks.names[i] for i in anatomy]
        place = {old: new for new, old in enumerate(anatomy)}
        self.pairs = [(place[a], place[b]) for a, b in landmarks.symmetry if a in place and b in place]
        points = landmarks.array()[:, anatomy]
        self.prior = _prior(points, np.isfinite(points).all(axis=2))

    def needs(self, points: np.ndarray) -> list[Need]:
        """How far each shape of (n, landmarks, 2) is beyond what the others show, with the prior's own sentences."""
        found = [Need() for _ in points]
        if self.prior is None or not len(points):
            return found
        mine = points[:, self.anatomy]
        judged = np.flatnonzero(np.isfinite(mine).all(axis=2).sum(axis=1) >= LEAST_SEEN)
        for i, ratio in zip(judged, _ratio(self.prior, mine[judged]) if len(judged) else (), strict=True):
            if ratio > 1:
                flags, _ = self.prior.check(mine[i], names=self.names, pairs=self.pairs or None)
                found[i].add(float(ratio), *flags[:2])
        return found

    def expected(self, points: np.ndarray) -> list[tuple[np.ndarray, np.ndarray] | None]:
        """Where the other landmarks put each of (landmarks, 2): centre and covariance in px; None off the animal."""
        found: list[tuple[np.ndarray, np.ndarray] | None] = [None] * len(points)
        mine = points[self.anatomy]
        if self.prior is None or np.isfinite(mine).all(axis=1).sum() < LEAST_SEEN:
            return found
        shape = self.prior.fill(mine)
        turn, shift = _fits_without_each(shape, self.prior.mean)
        residual = turn[:, None] * _complex(shape) + shift[:, None] - _complex(self.prior.mean)
        for i, landmark in enumerate(self.anatomy):
            own = slice(2 * i, 2 * i + 2)
            apart = np.column_stack([residual[i].real, residual[i].imag])
            apart[i] = 0
            covariance = np.linalg.inv(self.prior.precision[own, own])
            there = self.prior.mean[i] - covariance @ self.prior.precision[own] @ apart.ravel()
            back = np.array([[turn[i].real, turn[i].imag], [-turn[i].imag, turn[i].real]]) / abs(turn[i]) ** 2
            centre = back @ (there - [shift[i].real, shift[i].imag])
            found[landmark] = centre, back @ covariance @ back.T
        return found


def _complex(points: np.ndarray) -> np.ndarray:
    return points[..., 0] + 1j * points[..., 1]


def _fits_without_each(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(p,) factor and (p,) shift, complex, of the least-squares similarities of `source` onto `target`, both (p, 2).

    The one with number i does without landmark i. In the plane a similarity is ``a z + b``, and the sums over all
    landmarks but one are those over all less one term.
    """
    s, t = _complex(source), _complex(target)
    left = len(s) - 1
    sum_s, sum_t = s.sum() - s, t.sum() - t
    joint = (s.conj() * t).sum() - s.conj() * t - sum_s.conj() * sum_t / left
    size = (abs(s) ** 2).sum() - abs(s) ** 2 - abs(sum_s) ** 2 / left
    factor = joint / size
    return factor, (sum_t - factor * sum_s) / left


def needs_of_predictions(landmarks: LandmarkSet, names: list[str], ghosts: dict[str, Specimen]) -> dict[str, Need]:
    """Need of labels far from their prediction, and of predictions whose views disagree, against the usual specimen.

    What is no more than twice the usual is no reason by itself, but orders those that have the same reasons.
    """
    needs: dict[str, Need] = {}
    for what, values in (
        ("labels lie {:.1f} times further from the prediction than usual", _apart(landmarks, names, ghosts)),
        ("the prediction is {:.1f} times less sure than usual", _spread(names, ghosts)),
    ):
        usual = float(np.median(list(values.values()))) if values else 0.0
        for name, value in values.items() if usual > 0 else ():
            times, need = value / usual, needs.setdefault(name, Need())
            if times > 2:
                need.add(times / 2, what.format(times))
            else:
                need.add(LITTLE * times)
    return needs


def grade_of(specimen: Specimen) -> str | None:
    """The grade that the files give."""
    return specimen.attributes.get("grade") or None


def _prior(points: np.ndarray, seen: np.ndarray) -> Any:
    from ethomorph.keypoints.prior import ShapePrior

    usable = seen.sum(axis=1) >= max(3, 0.8 * seen.shape[1])
    if usable.sum() < 8 or not seen[usable].any(axis=0).all():
        return None
    shapes = points[usable]
    try:
        prior = _stricter(ShapePrior.fit(shapes), shapes)
        fine = _ratio(prior, shapes) <= 1
        if fine.all() or fine.sum() < max(8, 0.7 * len(shapes)):
            return prior
        kept = _stricter(ShapePrior.fit(shapes[fine]), shapes[fine])  # what is wrong must not teach what is right
        return replace(kept, point_limit=UNSEEN * kept.point_limit, shape_limit=UNSEEN * kept.shape_limit)
    except LabelError:
        return None


def _ratio(prior: Any, points: np.ndarray) -> np.ndarray:
    """(n,): how far each shape, or its worst landmark, is beyond the prior's limits; 1 is at the limit."""
    each, whole = prior.distances(points)
    worst: np.ndarray = np.fmax(np.nanmax(each / prior.point_limit, axis=1, initial=0), whole / prior.shape_limit)
    return worst


def _stricter(prior: Any, points: np.ndarray) -> Any:
    """The prior with limits by medians alone.

    Its own limits leave room for the worst of the training shapes, so that a good prediction is not called wrong. Here
    those shapes are the ones on trial: an outlier among them must not move the limit that it is judged by.
    """
    each, whole = prior.distances(points)
    rayleigh = np.nanmedian(each, axis=0) / np.sqrt(2 * np.log(2))
    pooled = np.nanmedian(each) / np.sqrt(2 * np.log(2))
    limit = np.maximum(rayleigh, 0.7 * pooled) * np.sqrt(-2 * np.log(RARE))
    middle = float(np.median(whole))
    spread = 1.4826 * float(np.median(np.abs(whole - middle)))
    return replace(prior, point_limit=limit, shape_limit=np.array(max(middle + 4 * spread, 1.3 * middle)))


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

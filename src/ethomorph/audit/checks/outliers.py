"""Specimens and single landmarks far from where the others have them, with a guess at what went wrong.

Distances are judged by a robust z of their logarithms (median and median absolute deviation), because distances to a
mean are skewed: five clean log-deviations are about one false alarm in a million specimens, were they log-normal.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ethomorph.audit.check import Check, found
from ethomorph.audit.data import AuditData, listed, log_robust_z, several
from ethomorph.core.errors import LabelError
from ethomorph.training.health import Finding

MIN_SPECIMENS = 10
MAX_Z = 5.0
MIN_FACTOR = 2.0
"""An outlier also lies this many times farther out than the median: tight samples make large z of small things."""
LANDMARK_FACTOR = 7.0
"""A single landmark that lies this many of its own median residuals away. Measured: none of 16000 landmarks with normal
noise, none of 480 on fly wings, 11 of 30700 on lizards, where two lay on one spot and others on the wrong joint."""
SUSPECT = 4.0
"""Landmarks beyond this many median residuals have no say when the specimen is fitted again."""
SWAPPED_BACK = 4.0
"""Two landmarks count as swapped where exchanging them leaves both within this many median residuals."""
WORST = 4.0
"""A landmark of an outlier that lies this many of the specimen's own median residuals away is named."""


@dataclass(frozen=True)
class Outlier:
    """A specimen far from the mean shape: its Procrustes distance, robust z, and a hint ("" where there is none)."""

    sample: int
    distance: float
    z: float
    hint: str


@dataclass(frozen=True)
class Stray:
    """One landmark of one specimen far from where the others have it.

    Attributes
    ----------
    factor : its residual from the mean shape, in the landmark's own median residuals.
    swapped_with : the landmark it would have to change places with to be right, or "".
    """

    sample: int
    landmark: int
    factor: float
    swapped_with: str = ""


def run(data: AuditData) -> list[Finding]:
    outliers, strays = shape_outliers(data)
    findings = []
    assert data.landmarks is not None
    if outliers:
        said = [f"{data.names[o.sample]} (z {o.z:.1f}{', ' + o.hint if o.hint else ''})" for o in outliers]
        findings.append(
            found(
                "shape_outlier",
                "warning",
                f"{several(len(outliers), 'specimen')} far from the mean shape: {listed(said)}",
                causes=(
                    "landmarks in the wrong order",
                    "a mirrored picture",
                    "the wrong picture",
                    "a truly odd animal",
                ),
                remedy="look at these specimens with their landmarks drawn in",
            )
        )
    if strays:
        said = []
        for stray in strays:
            swap = f", as if swapped with {stray.swapped_with}" if stray.swapped_with else ""
            name = data.landmarks.names[stray.landmark]
            said.append(f"{data.names[stray.sample]} {name} ({stray.factor:.0f} x{swap})")
        findings.append(
            found(
                "stray_landmark",
                "warning",
                f"{several(len(strays), 'landmark')} far from where the other specimens have it: {listed(said)}",
                causes=("a slip of the hand", "landmarks out of order", "an injury"),
                remedy="look at these landmarks and set them again where they are wrong",
            )
        )
    return findings


def shape_outliers(data: AuditData) -> tuple[list[Outlier], list[Stray]]:
    """Outliers and, among the other specimens, stray landmarks; the farthest first.

    The mean shape is taken twice, the second time without the specimens that the first found far out.
    """
    from ethomorph.shape.procrustes import generalized_procrustes, procrustes_distance, superimpose

    assert data.landmarks is not None
    points = data.landmarks.array()
    usable = _usable(points)
    seen = np.flatnonzero(np.isfinite(points[usable]).all(axis=2).any(axis=0))
    if len(usable) < MIN_SPECIMENS or len(seen) <= points.shape[2]:
        return [], []
    shapes = points[usable][:, seen]
    names = [data.landmarks.names[k] for k in seen]
    keep = np.ones(len(shapes), bool)
    try:
        for _ in range(2):
            mean = generalized_procrustes(shapes[keep], max_iterations=50, tolerance=1e-6).mean
            distance = procrustes_distance(shapes, mean)
            z = log_robust_z(distance)
            keep = ~((z > MAX_Z) & (distance > MIN_FACTOR * np.median(distance)))
    except LabelError:
        return [], []  # too few shared landmarks to superimpose; `missing` tells of it
    limit = float(np.median(distance) * MIN_FACTOR)
    outliers = [
        Outlier(int(usable[i]), float(distance[i]), float(z[i]), hint(shapes[i], mean, limit, names))
        for i in np.flatnonzero(~keep)
    ]
    residual = np.linalg.norm(superimpose(shapes, mean) - mean, axis=2)
    typical = np.nanmedian(residual, axis=0)
    typical = np.maximum(typical, 0.2 * np.median(typical) + 1e-12)
    factor = residual / typical
    for i in np.flatnonzero((np.nan_to_num(factor) > SUSPECT).any(axis=1)):
        factor[i] = _without_suspects(shapes[i], mean, factor[i] > SUSPECT) / typical
    strays = [
        Stray(int(usable[i]), int(seen[k]), float(factor[i, k]), _swap_of(k, shapes[i], mean, typical, names))
        for i, k in np.argwhere(np.nan_to_num(factor) > LANDMARK_FACTOR)
        if keep[i]
    ]
    return sorted(outliers, key=lambda o: -o.z), sorted(strays, key=lambda s: -s.factor)


def hint(shape: np.ndarray, mean: np.ndarray, limit: float, names: list[str]) -> str:
    """What single change would bring the specimen within `limit` of the mean, else the landmarks that it is about."""
    from ethomorph.shape.procrustes import procrustes_distance, superimpose

    if float(procrustes_distance(shape, mean, reflect=True)) < limit:
        return "as if mirrored"
    if float(procrustes_distance(shape[::-1], mean)) < limit:
        return "as if digitised in reverse order"
    pairs = list(combinations(range(len(shape)), 2))
    swapped = np.repeat(shape[None], len(pairs), axis=0)
    for row, (a, b) in enumerate(pairs):
        swapped[row, [a, b]] = shape[[b, a]]
    distances = procrustes_distance(swapped, mean)
    best = int(np.nanargmin(distances))
    if distances[best] < limit:
        return f"as if {names[pairs[best][0]]} and {names[pairs[best][1]]} were swapped"
    residual = np.linalg.norm(superimpose(shape[None], mean)[0] - mean, axis=1)
    worst = [i for i in np.argsort(-residual) if residual[i] > WORST * np.nanmedian(residual)]
    return f"mostly {listed([names[i] for i in worst], 4)}" if 0 < len(worst) <= len(names) // 3 else ""


def _swap_of(k: int, shape: np.ndarray, mean: np.ndarray, typical: np.ndarray, names: list[str]) -> str:
    """The landmark that `k` was swapped with, where a swap puts both back to where they belong."""
    from ethomorph.shape.procrustes import superimpose

    swapped = np.repeat(shape[None], len(shape), axis=0)
    for m in range(len(shape)):
        swapped[m, [k, m]] = shape[[m, k]]
    residual = np.linalg.norm(superimpose(swapped, mean) - mean, axis=2) / np.maximum(typical, 1e-12)
    both = np.maximum(residual[:, k], np.diagonal(residual))
    both[k] = np.inf
    best = int(np.nanargmin(both))
    return names[best] if both[best] < SWAPPED_BACK else ""


def _without_suspects(shape: np.ndarray, mean: np.ndarray, suspect: np.ndarray) -> np.ndarray:
    """Residuals of a specimen that was fitted without its suspects, so that these do not drag the fit towards them."""
    from ethomorph.shape.procrustes import similarity

    sound = np.where(suspect[:, None], np.nan, shape)
    fitted = shape if np.isfinite(sound).all(axis=1).sum() <= shape.shape[1] else sound
    return np.linalg.norm(similarity(fitted, mean).apply(shape) - mean, axis=1)


def _usable(points: np.ndarray) -> np.ndarray:
    """Indices of the specimens that show more than half of the landmarks, not all on one spot."""
    visible = np.isfinite(points).all(axis=2)
    enough = visible.sum(axis=1) > max(points.shape[2], points.shape[1] // 2)
    spread = [
        np.ptp(one[shown], axis=0).max() if shown.any() else 0.0 for one, shown in zip(points, visible, strict=True)
    ]
    return np.flatnonzero(enough & (np.array(spread) > 0))


CHECK = Check("outliers", frozenset({"landmarks"}), run)

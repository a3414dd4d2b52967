"""Filling missing landmarks, so that analyses which need complete shapes can use incomplete specimens.

A filled landmark is a guess about shape, not a measurement: what was filled comes back as a mask, and no distance or
error should be computed from it.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.shape.checks import listed
from ethomorph.shape.procrustes import generalized_procrustes, similarity
from ethomorph.shape.thin_plate import thin_plate

RIDGE = 0.05
"""Share of the mean variance added to each coordinate's in the regression: with few specimens it would overfit."""


class Filled(NamedTuple):
    """Coordinates without gaps (n, p, k) and which landmarks were filled (n, p)."""

    points: np.ndarray
    filled: np.ndarray


def fill_missing(
    points: np.ndarray,
    *,
    method: Literal["thin_plate", "regression"] = "thin_plate",
    reference: np.ndarray | None = None,
) -> Filled:
    """Estimate missing landmarks from those that the specimen shows.

    `thin_plate` bends the reference onto the visible landmarks and reads off the missing ones (Gunz et al. 2009, J Hum
    Evol 57:48-62): it needs no sample, but knows no covariation. `regression` predicts the missing coordinates from
    the visible ones with the covariances of the complete specimens, a ridge added (Brown et al. 2012, Syst Biol
    61:941-954, compare both).

    Parameters
    ----------
    points : (n, p, k), NaN rows missing.
    method : see above; `regression` needs more than 2 complete specimens.
    reference : (p, k) complete configuration to bend; the mean of the sample if None.

    Raises
    ------
    LabelError
        A specimen shows too few landmarks, or there are too few complete ones.

    Examples
    --------
    >>> base = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 3.0], [0.0, 3.0], [2.0, 1.0]])
    >>> gap = 2 * base
    >>> gap[4] = np.nan
    >>> fill_missing(np.stack([base, gap]), reference=base).points[1, 4].round(6).tolist()
    [4.0, 2.0]
    """
    points = np.asarray(points, dtype=float)
    missing = ~np.isfinite(points).all(axis=2)
    if not missing.any():
        return Filled(points.copy(), missing)
    if method == "regression":
        return Filled(_by_regression(points, missing), missing)
    if reference is None:
        reference = generalized_procrustes(points).mean
    filled = points.copy()
    for i in np.flatnonzero(missing.any(axis=1)):
        try:
            spline = thin_plate(np.where(missing[i, :, None], np.nan, reference), points[i])
        except LabelError as problem:
            raise LabelError(f"specimen {i + 1}: {problem.what}", fix="leave this specimen out") from None
        filled[i, missing[i]] = spline.apply(reference[missing[i]])
    return Filled(filled, missing)


def _by_regression(points: np.ndarray, missing: np.ndarray) -> np.ndarray:
    complete = ~missing.any(axis=1)
    if complete.sum() < 3:
        raise LabelError(
            f"{int(complete.sum())} complete specimens to learn from", fix="use method='thin_plate', which needs none"
        )
    few = np.flatnonzero((~missing).sum(axis=1) < points.shape[2])
    if len(few):
        raise LabelError(f"specimens {listed(few + 1)} show too few landmarks", fix="leave them out")
    gpa = generalized_procrustes(points[complete])
    sample, mean = gpa.aligned.reshape(int(complete.sum()), -1), gpa.mean
    covariance = np.cov(sample.T)
    covariance += RIDGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    filled = points.copy()
    for i in np.flatnonzero(~complete):
        known = np.repeat(~missing[i], points.shape[2])
        to_mean = similarity(points[i], mean)
        seen = to_mean.apply(points[i]).ravel()[known] - mean.ravel()[known]
        weights = np.linalg.solve(covariance[np.ix_(known, known)], seen)
        guess = mean.ravel()[~known] + covariance[np.ix_(~known, known)] @ weights
        filled[i, missing[i]] = to_mean.inverse().apply(guess.reshape(-1, points.shape[2]))
    return filled

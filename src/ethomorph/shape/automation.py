"""What automatic landmarks do to shape: they may be close in pixels and still shift the mean and flatten variation.

Truth and prediction are superimposed together, so differences are differences of shape; errors in px are scored by
`ethomorph.keypoints.score`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.core.metric import Metric
from ethomorph.shape.checks import labels_for
from ethomorph.shape.procrustes import generalized_procrustes, procrustes_distance
from ethomorph.statistics.intervals import clustered_function, clustered_interval


@dataclass(frozen=True)
class AutomationEffect:
    """Shape of predictions against shape of truth.

    Attributes
    ----------
    procrustes_distance : mean over specimens, prediction to its own truth.
    mean_shape_bias : Procrustes distance between the mean of the predictions and the mean of the truths.
    size_bias : mean difference of centroid size.
    variance_kept : variance of shape among predictions over that among truths; 1 is what it should be.
    per_landmark : by name, the variance kept at each landmark ("disparity") and the length of its mean shift.
    left_out : specimens that show too few landmarks in common, by row.
    """

    procrustes_distance: Metric
    mean_shape_bias: Metric
    size_bias: Metric
    variance_kept: Metric
    per_landmark: dict[str, dict[str, Metric]]
    left_out: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "procrustes_distance": self.procrustes_distance.to_dict(),
            "mean_shape_bias": self.mean_shape_bias.to_dict(),
            "size_bias": self.size_bias.to_dict(),
            "variance_kept": self.variance_kept.to_dict(),
            "per_landmark": {
                name: {key: metric.to_dict() for key, metric in metrics.items()}
                for name, metrics in self.per_landmark.items()
            },
            "left_out": len(self.left_out),
        }


def automation_effect(
    truth: np.ndarray,
    predicted: np.ndarray,
    *,
    groups: Sequence[Any] | None = None,
    names: Sequence[str] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> AutomationEffect:
    """Compare predicted with true shapes of the same specimens.

    Only landmarks present in both are used. The superimposition is made once, jointly; intervals resample individuals
    within it.

    Parameters
    ----------
    truth, predicted : (n, p, k), NaN where missing or not found.
    groups : (n,) individuals; every row its own if None.
    names : (p,) landmark names; numbered from 1 otherwise.
    resamples, seed : of the intervals.

    Returns
    -------
    AutomationEffect
        With fewer than 3 usable specimens every metric is missing, with the reason.

    Notes
    -----
    A distance between means is never below zero, so random error alone makes `mean_shape_bias` positive: about the
    prediction's own spread over the root of n.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = np.array([[0, 0], [4.0, 0], [4, 3], [0, 3], [2, 5]]) + 0.2 * rng.normal(size=(30, 5, 2))
    >>> shrunk = truth.mean(axis=0) + 0.5 * (truth - truth.mean(axis=0))
    >>> abs(automation_effect(truth, shrunk, resamples=50).variance_kept.value - 0.25) < 0.02
    True
    """
    truth, predicted = np.asarray(truth, float), np.asarray(predicted, float)
    if truth.shape != predicted.shape or truth.ndim != 3:
        raise LabelError(
            f"truth {truth.shape} and predictions {predicted.shape} differ", fix="pair the specimens first"
        )
    n, p, k = truth.shape
    labels = labels_for(groups, n, "group") if groups is not None else np.arange(n).astype(str)
    names = [str(i + 1) for i in range(p)] if names is None else list(names)
    both = np.isfinite(truth).all(axis=2) & np.isfinite(predicted).all(axis=2)
    usable = both.sum(axis=1) > k
    left_out = tuple(int(i) for i in np.flatnonzero(~usable))
    if usable.sum() < 3:
        nothing = Metric.missing(f"{int(usable.sum())} of {n} specimens show more than {k} landmarks in both")
        each = {name: {"variance_kept": nothing, "shift": nothing} for name in names}
        return AutomationEffect(nothing, nothing, nothing, nothing, each, left_out)
    used = both[usable].any(axis=0)
    stacked = np.concatenate([np.where(both[..., None], x, np.nan)[usable][:, used] for x in (truth, predicted)])
    gpa = generalized_procrustes(stacked)
    half, labels = len(stacked) // 2, labels[usable]
    a, b = gpa.aligned[:half], gpa.aligned[half:]
    size_a, size_b = gpa.centroid_size[:half], gpa.centroid_size[half:]
    options: dict[str, Any] = {"resamples": resamples, "seed": seed}
    unseen = Metric.missing("the landmark is never present in both")
    each = {name: {"variance_kept": unseen, "shift": unseen} for name in names}
    for column, j in enumerate(np.flatnonzero(used)):
        shown = np.isfinite(a[:, column]).all(axis=1)
        pair = a[shown, column : column + 1], b[shown, column : column + 1]
        each[names[j]] = {
            "variance_kept": clustered_function(_variance_ratio, labels[shown], *pair, **options),
            "shift": clustered_function(_mean_shift, labels[shown], *pair, **options),
        }
    distance = procrustes_distance(stacked[half:], stacked[:half])
    return AutomationEffect(
        procrustes_distance=clustered_interval(distance, labels, **options),
        mean_shape_bias=clustered_function(_mean_shift, labels, a, b, **options),
        size_bias=clustered_interval(100 * (size_b / size_a - 1), labels, unit="%", **options),
        variance_kept=clustered_function(_variance_ratio, labels, a, b, **options),
        per_landmark=each,
        left_out=left_out,
    )


def _variance_ratio(a: np.ndarray, b: np.ndarray) -> float:
    """Summed variance of b over that of a; NaN under two rows or without variance."""
    if len(a) < 2:
        return float("nan")
    of_a, of_b = (float(_spread(x).sum()) for x in (a, b))
    return of_b / of_a if of_a > 0 else float("nan")


def _mean_shift(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(_mean(b - a)))


def _mean(x: np.ndarray) -> np.ndarray:
    """Mean over rows (n, p, k) of what is not NaN; zero where nothing is."""
    seen = np.isfinite(x)
    return np.where(seen, x, 0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)


def _spread(x: np.ndarray) -> np.ndarray:
    """Variance over rows (n, p, k) of what is not NaN."""
    seen = np.isfinite(x)
    return np.where(seen, (x - _mean(x)) ** 2, 0).sum(axis=0) / np.maximum(seen.sum(axis=0) - 1, 1)

"""How far apart two codings of the same specimens lie, landmark by landmark: the floor under any prediction error.

Distances only; what they mean for shape is in `repeatability` and `automation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ethomorph.core.errors import InputError, LabelError
from ethomorph.core.metric import Metric
from ethomorph.shape.checks import labels_for
from ethomorph.shape.procrustes import superimpose
from ethomorph.statistics.intervals import clustered_interval


@dataclass(frozen=True)
class RepeatError:
    """Distances between two codings.

    Attributes
    ----------
    mean, median : over all landmarks of all specimens.
    per_landmark : mean distance of each landmark by name.
    distances : (n, p), NaN where either coding lacks the landmark or the specimens could not be fitted.
    residuals : (n, p, k), second minus first coding, after the fit.
    left_out : how many of the n * p distances are missing.
    """

    mean: Metric
    median: Metric
    per_landmark: dict[str, Metric]
    distances: np.ndarray
    residuals: np.ndarray
    left_out: int

    def to_dict(self) -> dict[str, Any]:
        """For JSON; without the arrays."""
        return {
            "mean": self.mean.to_dict(),
            "median": self.median.to_dict(),
            "per_landmark": {name: metric.to_dict() for name, metric in self.per_landmark.items()},
            "left_out": self.left_out,
        }


def repeat_error(
    first: np.ndarray,
    second: np.ndarray,
    *,
    groups: Sequence[Any] | None = None,
    names: Sequence[str] | None = None,
    fit: Literal["similarity", "none"] = "similarity",
    scale: Sequence[float] | np.ndarray | None = None,
    unit: str = "px",
    resamples: int = 2000,
    seed: int = 0,
) -> RepeatError:
    """Mean distance between two codings of the same specimens, with intervals that keep an individual together.

    Parameters
    ----------
    first, second : (n, p, k), row i of both is one specimen; NaN where a landmark is missing.
    groups : (n,) individuals; every row its own if None.
    names : (p,) landmark names; numbered from 1 otherwise.
    fit : "similarity" lays each second coding on the first by least squares (scale included) before measuring, for
        pictures that differ in placement or size; "none" compares coordinates as they are.
    scale : (n,) units per px of the first coding, applied to the distances.
    unit : what the distances are in then.
    resamples, seed : of the intervals.

    Examples
    --------
    >>> first = np.array([[[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]]] * 12)
    >>> print(repeat_error(first, first + [3.0, 4.0], fit="none").mean)
    5 [5, 5] px
    >>> round(repeat_error(first, first + [3.0, 4.0]).mean.value, 9)
    0.0
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    if first.shape != second.shape or first.ndim != 3:
        raise LabelError(f"codings of shape {first.shape} and {second.shape}", fix="give the same specimens in both")
    n, p, _ = first.shape
    labels = labels_for(groups, n, "group") if groups is not None else np.arange(n).astype(str)
    names = [str(i + 1) for i in range(p)] if names is None else list(names)
    residuals = (superimpose(second, first) if fit == "similarity" else second) - first
    if scale is not None:
        factor = np.asarray(scale, dtype=float)
        if factor.shape != (n,) or not (factor > 0).all():
            raise InputError("scale must hold one positive number a specimen", fix="leave out specimens without scale")
        residuals = residuals * factor[:, None, None]
    distances = np.linalg.norm(residuals, axis=2)
    seen = np.isfinite(distances)
    options: dict[str, Any] = {"unit": unit, "resamples": resamples, "seed": seed}
    every = distances[seen], np.broadcast_to(labels[:, None], seen.shape)[seen]
    return RepeatError(
        mean=clustered_interval(*every, **options),
        median=clustered_interval(*every, statistic="median", **options),
        per_landmark={
            name: clustered_interval(distances[seen[:, j], j], labels[seen[:, j]], **options)
            for j, name in enumerate(names)
        },
        distances=distances,
        residuals=residuals,
        left_out=int((~seen).sum()),
    )

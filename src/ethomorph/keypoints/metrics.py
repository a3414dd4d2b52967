"""Landmark metrics from arrays of errors: each a `Metric` with its interval by groups.

What is compared with what is decided in `score`; here are only the numbers. Errors are (n, p) in px: NaN where a
landmark is not marked, infinite where it is marked and was not predicted.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ethomorph.core.landmarks import LandmarkSet
from ethomorph.core.metric import Metric
from ethomorph.keypoints.pairing import Pairing, picture_key
from ethomorph.shape.automation import automation_effect
from ethomorph.shape.procrustes import centroid_size, superimpose
from ethomorph.statistics.intervals import clustered_function, clustered_interval, clustered_proportion

SHAPE_RESAMPLES = 500
"""Each resample recomputes means and variances of shape, so there are fewer than for errors."""


def error_metrics(
    error: np.ndarray, anatomy: np.ndarray, scale: np.ndarray, labels: np.ndarray, limits: dict[str, tuple[float, ...]],
    *, missing: str, seed: int = 0,
) -> dict[str, Metric]:
    """Error statistics over found landmarks and success rates over all marked ones.

    Parameters
    ----------
    error : (n, p) px; NaN where the landmark is not marked, infinite where it is marked and not predicted.
    anatomy : (n, a, dim) true landmarks that centroid size is taken from.
    scale : (n,) mm per px, NaN where unknown.
    labels : (n,) groups.
    limits : success thresholds by unit.
    missing : why there is no error, where nothing was found.
    """
    values, owner = predicted_values(error)
    where = labels[owner]
    options: dict[str, Any] = {"seed": seed}
    if not len(values):
        nothing = Metric.missing(missing, unit="px")
        metrics = {"mean_error": nothing, "median_error": nothing, "p95_error": nothing}
    else:
        metrics = {
            "mean_error": clustered_interval(values, where, unit="px", **options),
            "median_error": clustered_interval(values, where, statistic="median", unit="px", **options),
            "p95_error": clustered_interval(values, where, statistic=_p95, unit="px", **options),
        }
        metrics |= _relative(error, anatomy, scale, labels, options)
    for unit, thresholds in limits.items():
        factor = np.ones(len(error)) if unit == "px" else scale
        for threshold in thresholds:
            metrics[f"success_within_{threshold:g}_{unit}"] = success(error * factor[:, None], threshold, labels)
    return metrics


def _relative(
    error: np.ndarray, anatomy: np.ndarray, scale: np.ndarray, labels: np.ndarray, options: dict[str, Any]
) -> dict[str, Metric]:
    """Mean error in mm, where any specimen has a scale, and in percent of each specimen's centroid size."""
    metrics: dict[str, Metric] = {}
    if np.isfinite(scale).any():
        values, owner = predicted_values(error * scale[:, None])
        if len(values):
            metrics["mean_error_mm"] = clustered_interval(values, labels[owner], unit="mm", **options)
        else:
            metrics["mean_error_mm"] = Metric.missing("no specimen that was found has a scale", unit="mm")
    size = centroid_size(anatomy)
    values, owner = predicted_values(100 * error / np.where(size > 0, size, np.nan)[:, None])
    unit = "% of centroid size"
    if len(values):
        metrics["mean_error_percent"] = clustered_interval(values, labels[owner], unit=unit, **options)
    else:
        metrics["mean_error_percent"] = Metric.missing("no specimen has two landmarks to measure its size", unit=unit)
    return metrics


def success(error: np.ndarray, threshold: float, labels: np.ndarray) -> Metric:
    """Share of marked landmarks predicted within the threshold; what was not predicted failed."""
    marked = ~np.isnan(error)
    if not marked.any():
        return Metric.missing("no marked landmark can be judged in this unit")
    owner = np.nonzero(marked)[0]
    return clustered_proportion(error[marked] <= threshold, labels[owner])


def detection_metrics(
    truth: LandmarkSet, predicted: LandmarkSet, pairing: Pairing, labels: np.ndarray
) -> dict[str, Metric]:
    """Share of marked specimens that were found, and share of predictions that are of a marked specimen."""
    recall = clustered_proportion(pairing.found, labels)
    group_of = dict(zip((picture_key(s) for s in truth), labels, strict=True))
    made = np.flatnonzero([s.visible.any() for s in predicted])
    if not len(made):
        return {"detection_recall": recall, "detection_precision": Metric.missing("nothing was predicted")}
    right = ~np.isin(made, pairing.extra)
    where = np.array([group_of[picture_key(predicted[int(i)])] for i in made])
    return {"detection_recall": recall, "detection_precision": clustered_proportion(right, where)}


def repeat_metrics(
    error: np.ndarray, points: np.ndarray, predicted: np.ndarray, repeated: tuple[np.ndarray, bool], labels: np.ndarray,
    *, seed: int = 0,
) -> dict[str, Metric]:
    """Distance between two codings by people, and the prediction's error over it on the same landmarks.

    Codings on different pictures (another export, other processing) are compared after a similarity fit, and so is then
    the prediction.
    """
    human, machine = like_with_like(error, points, predicted, repeated)
    both = np.isfinite(human) & np.isfinite(machine)
    seen = np.isfinite(human)
    if not seen.any():
        reason = "no specimen was landmarked a second time"
        return {"repeat_error": Metric.missing(reason, unit="px"), "error_to_repeat_ratio": Metric.missing(reason)}
    metrics = {"repeat_error": clustered_interval(human[seen], labels[np.nonzero(seen)[0]], unit="px", seed=seed)}
    metrics["error_to_repeat_ratio"] = error_ratio(machine, human, both, labels, seed)
    return metrics


def shape_metrics(points: np.ndarray, predicted: np.ndarray, labels: np.ndarray, *, seed: int = 0) -> dict[str, Metric]:
    """What automation does to shape, on the anatomical landmarks; see `ethomorph.shape.automation`."""
    if points.shape[1] < 3:
        nothing = Metric.missing(f"{points.shape[1]} landmarks have no shape")
        return dict.fromkeys(("procrustes_distance", "mean_shape_bias", "size_bias", "variance_kept"), nothing)
    effect = automation_effect(points, predicted, groups=list(labels), resamples=SHAPE_RESAMPLES, seed=seed)
    return {
        "procrustes_distance": effect.procrustes_distance, "mean_shape_bias": effect.mean_shape_bias,
        "size_bias": effect.size_bias, "variance_kept": effect.variance_kept,
    }


def distances(points: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """(n, p): distance, NaN where the landmark is not marked, infinite where it is marked but not predicted."""
    distance = np.linalg.norm(points - predicted, axis=2)
    return np.where(np.isnan(distance) & np.isfinite(points).all(axis=2), np.inf, distance)


def predicted_values(error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The finite errors, and the specimen (row) of each."""
    finite = np.isfinite(error)
    return error[finite], np.nonzero(finite)[0]


def like_with_like(
    error: np.ndarray, points: np.ndarray, predicted: np.ndarray, repeated: tuple[np.ndarray, bool]
) -> tuple[np.ndarray, np.ndarray]:
    """Human and machine error (n, p) taken alike: as they are, or both after a similarity fit to the first coding."""
    second, same_pictures = repeated
    if same_pictures:
        return np.linalg.norm(second - points, axis=2), error
    return tuple(np.linalg.norm(superimpose(other, points) - points, axis=2) for other in (second, predicted))  # type: ignore[return-value]


def error_ratio(
    machine: np.ndarray, human: np.ndarray, both: np.ndarray, labels: np.ndarray, seed: int,
    *, resamples: int = 2000,
) -> Metric:
    """Mean machine error over mean human error, on the landmarks of `both`."""
    if not both.any():
        return Metric.missing("no specimen that was landmarked twice was also found")
    if human[both].mean() == 0:
        return Metric.missing("the two codings are identical")

    def ratio(a: np.ndarray, b: np.ndarray) -> float:
        return float(a.mean() / b.mean()) if b.mean() > 0 else np.nan

    where = labels[np.nonzero(both)[0]]
    return clustered_function(ratio, where, machine[both], human[both], resamples=resamples, seed=seed)


def _p95(values: np.ndarray) -> float:
    return float(np.percentile(values, 95))

"""Scores of predicted landmarks: how far off, how often right, how many missed, and what that does to shape.

Error statistics are over the specimens that were found, with their number; success rates count every landmark of a
missed specimen as a failure. It makes no predictions and no intervals: those come from `statistics`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.core.landmarks import LandmarkSet
from ethomorph.core.metric import Metric
from ethomorph.core.units import millimetres
from ethomorph.keypoints.metrics import (
    detection_metrics,
    distances,
    error_metrics,
    error_ratio,
    like_with_like,
    predicted_values,
    repeat_metrics,
    shape_metrics,
    success,
)
from ethomorph.keypoints.pairing import Pairing, pair_specimens, picture_key, second_coding
from ethomorph.statistics.intervals import clustered_interval, clustered_proportion

THRESHOLDS_PX = (2.0, 5.0, 10.0, 20.0)
THRESHOLDS_MM = (0.2, 0.5, 1.0)
LANDMARK_RESAMPLES = 400
"""Resamples for the ratio of each landmark, whose interval is there to compare landmarks by eye."""
LISTED = 8
"""Specimens that a warning names before it only counts."""

Blocks = dict[str, dict[str, Any]]


def score_landmarks(
    truth: LandmarkSet,
    predicted: LandmarkSet,
    *,
    groups: Sequence[str],
    training: LandmarkSet | None = None,
    repeat: LandmarkSet | None = None,
    annotation_box: LandmarkSet | None = None,
    anatomy: Sequence[int] | None = None,
    thresholds_px: Sequence[float] = THRESHOLDS_PX,
    thresholds_mm: Sequence[float] = THRESHOLDS_MM,
    seed: int = 0,
) -> dict[str, Any]:
    """The scores block of a run.

    Parameters
    ----------
    truth : labelled specimens; errors in mm need their `scale`.
    predicted : of the same pictures, see `pair_specimens`.
    groups : of each labelled specimen; intervals resample these.
    training : for the mean-shape baseline: each landmark at its mean position in the training pictures (as a share of
        the picture's sides where all sizes are known), the best prediction that does not look at the picture.
    repeat : a second coding by people, of these specimens or some of them.
    annotation_box : predictions for the same pictures made inside boxes taken from the truth, as ml-morph scores.
    anatomy : indices of the landmarks that are the animal; default all. Size and shape are measured on these.
    thresholds_px, thresholds_mm : for success rates.

    Returns
    -------
    dict
        `metrics`, `baselines`, `by_group`, `per_landmark`, `per_grade`, `warnings`; see the run folder's contract.

    Raises
    ------
    LabelError : sets of different schemes or pictures, or no labelled specimen.
    """
    refuse_nothing(truth, groups)
    labels = np.asarray(groups)
    chosen = list(range(len(truth.names))) if anatomy is None else list(anatomy)
    points = truth.array()
    pairing = pair_specimens(truth, predicted)
    error = distances(points, pairing.predicted)
    scale = mm_per_px(truth)
    limits = {"px": tuple(thresholds_px), "mm": tuple(thresholds_mm) if np.isfinite(scale).any() else ()}
    missing = _reason(truth, predicted, pairing)
    metrics = error_metrics(error, points[:, chosen], scale, labels, limits, missing=missing, seed=seed)
    visible = np.isfinite(points).all(axis=2)
    metrics |= detection_metrics(truth, predicted, pairing, labels)
    repeated = second_coding(truth, repeat) if repeat is not None else None
    if repeated is not None:
        metrics |= repeat_metrics(error, points, pairing.predicted, repeated, labels, seed=seed)
    metrics |= shape_metrics(points[:, chosen], pairing.predicted[:, chosen], labels, seed=seed)
    if annotation_box is not None:
        metrics["annotation_box_error"] = _annotation_box(truth, annotation_box, labels, seed)
    return {
        "metrics": _blocks(metrics),
        "baselines": _baselines(truth, training, points[:, chosen], scale, labels, limits, seed),
        "by_group": by_group(error, visible, pairing.found, labels),
        "per_landmark": per_landmark(truth.names, error, points, pairing.predicted, repeated, labels, limits, seed),
        "per_grade": per_grade(truth, error, visible, pairing.found, labels, limits, seed),
        "warnings": warnings(truth, predicted, pairing, scale, training, repeated),
    }


def mean_position(training: LandmarkSet, truth: LandmarkSet) -> np.ndarray:
    """Each landmark (n, p, dim) at its mean position in the training pictures, for the pictures of `truth`.

    Positions are averaged as shares of the picture's sides where every size is known, else in px.
    """
    sizes = [s.image_size for s in (*training, *truth)]
    relative = truth.dim == 2 and all(size is not None for size in sizes)
    sides = np.array([size[::-1] for size in sizes], dtype=float) if relative else np.ones((len(sizes), truth.dim))  # type: ignore[index]
    known, new = sides[: len(training), None], sides[len(training) :, None]
    shares = training.array() / known
    seen = np.isfinite(shares).all(axis=2)
    total = np.where(seen[..., None], shares, 0).sum(axis=0)
    with np.errstate(invalid="ignore"):
        return total / np.where(seen.sum(axis=0) > 0, seen.sum(axis=0), np.nan)[:, None] * new


def by_group(error: np.ndarray, visible: np.ndarray, found: np.ndarray, labels: np.ndarray) -> list[dict[str, Any]]:
    """A row a group: its specimens, how many were found, its marked landmarks, and its mean error in px or null."""
    rows = []
    for label in np.unique(labels):
        mine = labels == label
        values, _ = predicted_values(error[mine])
        rows.append(
            {
                "group": str(label), "samples": int(mine.sum()), "found": int(found[mine].sum()),
                "landmarks": int(visible[mine].sum()), "mean_error": float(values.mean()) if len(values) else None,
            }
        )
    return rows


def per_landmark(
    names: list[str], error: np.ndarray, points: np.ndarray, predicted: np.ndarray,
    repeated: tuple[np.ndarray, bool] | None, labels: np.ndarray, limits: dict[str, tuple[float, ...]], seed: int,
) -> dict[str, Blocks]:
    """By landmark: mean and median error, success at the middle threshold, and how it compares with people's."""
    compared = like_with_like(error, points, predicted, repeated) if repeated is not None else None
    threshold = limits["px"][(len(limits["px"]) - 1) // 2] if limits["px"] else None
    table: dict[str, Blocks] = {}
    for i, name in enumerate(names):
        one = error[:, i : i + 1]
        values, owner = predicted_values(one)
        metrics: dict[str, Metric] = {}
        if len(values):
            where = labels[owner]
            metrics["mean_error"] = clustered_interval(values, where, unit="px", seed=seed)
            metrics["median_error"] = clustered_interval(values, where, statistic="median", unit="px", seed=seed)
        else:
            marked = int((~np.isnan(one)).sum())
            metrics["mean_error"] = Metric.missing(f"marked in {marked} specimens, predicted in none", unit="px")
        if threshold is not None:
            metrics[f"success_within_{threshold:g}_px"] = success(one, threshold, labels)
        if compared is not None:
            human, machine = (c[:, i : i + 1] for c in compared)
            seen, both = np.isfinite(human), np.isfinite(human) & np.isfinite(machine)
            if seen.any():
                metrics["repeat_error"] = clustered_interval(
                    human[seen], labels[np.nonzero(seen)[0]], unit="px", seed=seed
                )
                metrics["error_to_repeat_ratio"] = error_ratio(
                    machine, human, both, labels, seed, resamples=LANDMARK_RESAMPLES
                )
        table[name] = _blocks(metrics)
    return table


def per_grade(
    truth: LandmarkSet, error: np.ndarray, visible: np.ndarray, found: np.ndarray, labels: np.ndarray,
    limits: dict[str, tuple[float, ...]], seed: int,
) -> dict[str, Blocks]:
    """By the pictures' grade: recall, mean error and success; empty where nothing is graded."""
    grades = np.array([s.attributes.get("grade", "") for s in truth])
    if not (grades != "").any():
        return {}
    table: dict[str, Blocks] = {}
    for grade in sorted(set(grades.tolist())):
        mine = grades == grade
        values, owner = predicted_values(error[mine])
        metrics = {"detection_recall": clustered_proportion(found[mine], labels[mine])}
        metrics["mean_error"] = (
            clustered_interval(values, labels[mine][owner], unit="px", seed=seed)
            if len(values) else Metric.missing(f"none of {int(mine.sum())} specimens was found", unit="px")
        )
        for threshold in limits["px"]:
            metrics[f"success_within_{threshold:g}_px"] = success(error[mine], threshold, labels[mine])
        table[grade or "not graded"] = _blocks(metrics)
    return table


def warnings(
    truth: LandmarkSet, predicted: LandmarkSet, pairing: Pairing, scale: np.ndarray, training: LandmarkSet | None,
    repeated: tuple[np.ndarray, bool] | None,
) -> list[str]:
    """What must be said beside the numbers, one sentence each."""
    said = []
    missed = [truth[int(i)].label for i in np.flatnonzero(~pairing.found)]
    if missed:
        said.append(f"{len(missed)} of {len(truth)} specimens were missed: {listed(missed)}")
    if pairing.extra:
        where = sorted({picture_key(predicted[i]) for i in pairing.extra})
        said.append(f"{len(pairing.extra)} predictions are of no marked specimen: {listed(where)}")
    if pairing.astray:
        said.append(f"{pairing.astray} predictions lie farther from their specimen than it is long and count as missed")
    unscaled = int((~np.isfinite(scale)).sum())
    if 0 < unscaled < len(scale):
        said.append(f"{unscaled} of {len(scale)} specimens have no scale and are left out of the errors in mm")
    if training is None:
        said.append("no training set was given, so there is no mean-shape baseline")
    if repeated is not None:
        second = int(np.isfinite(repeated[0]).any(axis=(1, 2)).sum())
        fitted = "" if repeated[1] else ", on other pictures, so both errors are taken after a similarity fit"
        said.append(f"the ratio to human repeat error rests on {second} specimens landmarked twice{fitted}")
    return said


def mm_per_px(landmarks: LandmarkSet) -> np.ndarray:
    """(n,) mm per px, NaN where a specimen has no scale."""
    return np.array([np.nan if s.scale is None else s.scale * millimetres(s.unit) for s in landmarks], dtype=float)


def listed(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def refuse_nothing(truth: LandmarkSet, groups: Sequence[str]) -> None:
    """Raise LabelError without labelled specimens or landmarks, ValueError for another number of groups."""
    if len(groups) != len(truth):
        raise ValueError(f"{len(groups)} groups for {len(truth)} specimens")
    if not any(s.visible.any() for s in truth):
        raise LabelError("no labelled landmark to score against", place=truth.source, fix="give labelled pictures")


def _annotation_box(truth: LandmarkSet, predicted: LandmarkSet, labels: np.ndarray, seed: int) -> Metric:
    values, owner = predicted_values(distances(truth.array(), pair_specimens(truth, predicted).predicted))
    if not len(values):
        return Metric.missing("nothing was predicted", unit="px")
    metric = clustered_interval(values, labels[owner], unit="px", seed=seed)
    said = "boxes taken from the truth, as ml-morph scores; blind to specimens that a detector would miss"
    note = f"{said}; {metric.note}" if metric.note else said
    return Metric(metric.value, metric.low, metric.high, metric.unit, metric.n, note=note, points=metric.points)


def _baselines(
    truth: LandmarkSet, training: LandmarkSet | None, anatomy: np.ndarray, scale: np.ndarray, labels: np.ndarray,
    limits: dict[str, tuple[float, ...]], seed: int,
) -> dict[str, Blocks]:
    if training is None or not len(training):
        return {}
    error = distances(truth.array(), mean_position(training, truth))
    metrics = error_metrics(error, anatomy, scale, labels, limits, missing="no training landmarks", seed=seed)
    return {"mean_shape": _blocks(metrics)}


def _reason(truth: LandmarkSet, predicted: LandmarkSet, pairing: Pairing) -> str:
    best = [s.attributes["score"] for s in predicted if s.attributes.get("score")]
    seen = f"; highest detection score {max(best)}" if best else ""
    return f"{int(pairing.found.sum())} of {len(truth)} specimens were found{seen}"


def _blocks(metrics: dict[str, Metric]) -> Blocks:
    return {name: metric.to_dict() for name, metric in metrics.items()}

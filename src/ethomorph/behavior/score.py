"""Scores of a behaviour classifier: every figure with its interval over groups, beside three that never looked.

``majority`` says the commonest class, ``stratified`` guesses by the classes' shares, ``metadata_only`` reads the table
and no pixel. All are learned on the same training part and judged on the same samples. Makes no predictions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ethomorph.behavior.metrics import (
    OF_CONFUSION,
    average_precision,
    class_scores,
    confusion,
    expected_confusion,
    mean_average_precision,
)
from ethomorph.behavior.segments import IOUS, UNSCORED, edge_errors, edit_score, segment_counts
from ethomorph.core.metric import Metric
from ethomorph.statistics.calibration import brier_score, expected_calibration_error
from ethomorph.statistics.intervals import clustered_function, clustered_interval, clustered_weighted

RESAMPLES = 500
BINS = 15
MOST_GROUPS = 500  # listed one by one

Blocks = dict[str, Any]


def score_classes(
    truth: np.ndarray,
    predicted: np.ndarray,
    probabilities: np.ndarray | None,
    *,
    classes: Sequence[str],
    groups: Sequence[str] | np.ndarray,
    training: np.ndarray | None = None,
    metadata: np.ndarray | None = None,
    seed: int = 0,
) -> Blocks:
    """The scores block of classified clips or frames.

    Parameters
    ----------
    truth, predicted : (n,) codes.
    probabilities : (n, classes), or None where a method gives none.
    groups : (n,) unit of independence; intervals resample these.
    training : (m,) codes of the training part, for the baselines.
    metadata : (n, classes) probabilities of the metadata-only model.

    Returns
    -------
    dict
        ``metrics``, ``baselines``, ``by_group``, ``per_class``, ``confusion``, ``classes``, ``warnings``.
    """
    labels = np.asarray(groups)
    count = len(classes)
    metrics = class_metrics(truth, predicted, probabilities, labels, count, seed=seed)
    baselines: dict[str, Blocks] = {}
    if training is not None and len(training):
        commonest = np.full(len(truth), int(np.argmax(np.bincount(training, minlength=count))))
        baselines["majority"] = _blocks(class_metrics(truth, commonest, None, labels, count, seed=seed))
        guess = expected_confusion(training, truth, count)
        reason = "expectation in closed form"
        baselines["stratified"] = {
            name: Metric(value, n=len(truth), note=reason).to_dict()
            for name, metric in OF_CONFUSION.items()
            if math.isfinite(value := metric(guess))
        }
    if metadata is not None:
        said = class_metrics(truth, metadata.argmax(1), metadata, labels, count, seed=seed)
        baselines["metadata_only"] = _blocks(said)
    table = confusion(truth, predicted, count)
    return {
        "metrics": _blocks(metrics),
        "baselines": baselines,
        "by_group": by_group(truth, predicted, labels, count),
        "per_class": per_class(truth, predicted, probabilities, labels, classes, seed=seed),
        "classes": list(classes),
        "confusion": table.astype(int).tolist(),
        "warnings": warnings(truth, predicted, training, labels, classes),
    }


def class_metrics(
    truth: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray | None, groups: np.ndarray, classes: int, *,
    seed: int = 0, resamples: int = RESAMPLES,
) -> dict[str, Metric]:  # fmt: skip
    """Every figure with its interval."""
    options: dict[str, Any] = {"seed": seed, "resamples": resamples}
    found = {}
    for name, metric in OF_CONFUSION.items():

        def of(weights: np.ndarray, metric: Any = metric) -> float:
            return metric(confusion(truth, predicted, classes, weights))

        found[name] = clustered_weighted(of, groups, **options)
    if probabilities is None:
        return found
    confidence = probabilities[np.arange(len(truth)), predicted]
    right = (predicted == truth).astype(float)

    def ece(c: np.ndarray, r: np.ndarray) -> float:
        return expected_calibration_error(np.clip(c, 0, 1), r, bins=BINS)

    def adaptive(c: np.ndarray, r: np.ndarray) -> float:
        return expected_calibration_error(np.clip(c, 0, 1), r, bins=BINS, adaptive=True)

    few: dict[str, Any] = {"seed": seed, "resamples": min(resamples, 200)}
    found["average_precision"] = clustered_function(mean_average_precision, groups, probabilities, truth, **few)
    found["calibration_error"] = clustered_function(ece, groups, confidence, right, **few)
    found["calibration_error_adaptive"] = clustered_function(adaptive, groups, confidence, right, **few)
    found["brier"] = clustered_function(brier_score, groups, probabilities, truth, **few)
    loss = -np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-9))
    found["log_loss"] = clustered_interval(loss, groups, unit="nats", **few)
    return found


def per_class(
    truth: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray | None, groups: np.ndarray,
    classes: Sequence[str], *, seed: int = 0,
) -> dict[str, Blocks]:  # fmt: skip
    """Precision, recall, F1 and average precision of each class, with how many there were."""
    table: dict[str, Blocks] = {}
    for code, name in enumerate(classes):
        support = int((truth == code).sum())
        metrics: dict[str, Metric] = {}
        for figure in ("precision", "recall", "f1"):

            def of(weights: np.ndarray, code: int = code, figure: str = figure) -> float:
                return float(class_scores(confusion(truth, predicted, len(classes), weights))[figure][code])

            if figure == "recall" and not support:
                metrics[figure] = Metric.missing("the class does not occur here")
            elif figure == "precision" and not (predicted == code).any():
                metrics[figure] = Metric.missing("the class is never predicted", n=len(truth))
            elif not support and not (predicted == code).any():
                metrics[figure] = Metric.missing("the class neither occurs nor is predicted")
            else:
                metrics[figure] = clustered_weighted(of, groups, seed=seed, resamples=200)
        if probabilities is not None:
            area = average_precision(probabilities[:, code], truth == code)
            metrics["average_precision"] = (
                Metric(area, n=support) if math.isfinite(area) else Metric.missing("the class does not occur here")
            )
        table[name] = _blocks(metrics) | {"support": support}
    return table


def by_group(truth: np.ndarray, predicted: np.ndarray, groups: np.ndarray, classes: int) -> list[dict[str, Any]]:
    """A row a group: samples, and its own macro F1, balanced accuracy and accuracy; none where groups are samples."""
    rows: list[dict[str, Any]] = []
    names = np.unique(groups)
    if len(names) > MOST_GROUPS:
        return rows
    for name in names:
        mine = groups == name
        table = confusion(truth[mine], predicted[mine], classes)
        values = {k: OF_CONFUSION[k](table) for k in ("macro_f1", "balanced_accuracy", "accuracy")}
        known = {k: (v if math.isfinite(v) else None) for k, v in values.items()}
        rows.append({"group": str(name), "samples": int(mine.sum()), **known})
    return rows


def score_bouts(
    truth: list[np.ndarray], predicted: list[np.ndarray], *, fps: list[float], groups: list[str],
    classes: Sequence[str], rest: str | None = None, seed: int = 0,
) -> dict[str, Metric]:  # fmt: skip
    """Scores of bouts: one pair of arrays of codes a stretch, -1 where nobody scored.

    Parameters
    ----------
    rest : the class that is no behaviour; its bouts do not count in F1 and edges.

    Returns
    -------
    dict
        ``segment_f1_10`` and so on (over all stretches together), ``edit_score``, ``onset_error_s`` and
        ``offset_error_s`` (mean distance of matched edges), ``bout_count_ratio`` (predicted over true).
    """
    counted = [i for i, name in enumerate(classes) if name != rest]
    labels = np.asarray(groups)
    found: dict[str, Metric] = {}
    for iou in IOUS:
        counts = np.array([segment_counts(t, p, iou, counted) for t, p in zip(truth, predicted, strict=True)], float)

        def f1(rows: np.ndarray) -> float:
            hits, false, missed = rows.sum(0)
            return 2 * hits / (2 * hits + false + missed) if hits + false + missed else math.nan

        name = f"segment_f1_{round(100 * iou)}"
        if counts.sum():
            true = int((counts[:, 0] + counts[:, 2]).sum())
            found[name] = _counted(clustered_function(f1, labels, counts, seed=seed, resamples=RESAMPLES), true)
        else:
            found[name] = Metric.missing("there is no bout, true or predicted")
    edits = [edit_score(t, p) for t, p in zip(truth, predicted, strict=True)]
    known = [i for i, value in enumerate(edits) if math.isfinite(value)]
    found["edit_score"] = clustered_interval([edits[i] for i in known], labels[known], seed=seed)
    onsets, offsets, owners = [], [], []
    for t, p, rate, group in zip(truth, predicted, fps, groups, strict=True):
        on, off = edge_errors(t, np.where(t == UNSCORED, UNSCORED, p), counted)
        onsets += (np.abs(on) / rate).tolist()
        offsets += (np.abs(off) / rate).tolist()
        owners += [group] * len(on)
    for name, values in (("onset_error_s", onsets), ("offset_error_s", offsets)):
        found[name] = (
            clustered_interval(values, owners, unit="s", seed=seed)
            if values
            else Metric.missing("no predicted bout overlaps a true one", unit="s")
        )
    first = np.array([segment_counts(t, p, IOUS[0], counted) for t, p in zip(truth, predicted, strict=True)], float)
    true, said = (first[:, 0] + first[:, 2]).sum(), (first[:, 0] + first[:, 1]).sum()
    found["bout_count_ratio"] = (
        Metric(float(said / true), n=int(true)) if true else Metric.missing("there is no true bout")
    )
    return found


def share_errors(
    truth: np.ndarray, predicted: np.ndarray, groups: np.ndarray, classes: Sequence[str], *, seed: int = 0
) -> dict[str, Blocks]:
    """What a study would publish: each animal's share of each class, true and predicted, and how far apart they are.

    Returns
    -------
    dict
        by class: ``bias`` and limits of agreement (Bland-Altman, over animals), in percentage points, and
        ``mean_error``, the mean distance.
    """
    from ethomorph.statistics.agreement import bland_altman

    names = np.unique(groups)
    table: dict[str, Blocks] = {}
    for code, name in enumerate(classes):
        true = np.array([100 * (truth[groups == g] == code).mean() for g in names])
        said = np.array([100 * (predicted[groups == g] == code).mean() for g in names])
        limits = bland_altman(said, true, names, unit="percentage points", seed=seed)
        error = clustered_interval(np.abs(said - true), names, unit="percentage points", seed=seed)
        table[name] = {"mean_error": error.to_dict(), **limits.to_dict()}
    return table


def warnings(
    truth: np.ndarray, predicted: np.ndarray, training: np.ndarray | None, groups: np.ndarray, classes: Sequence[str]
) -> list[str]:
    """What must be said beside the numbers, one sentence each."""
    said = []
    never = [name for code, name in enumerate(classes) if (truth == code).any() and not (predicted == code).any()]
    if never:
        said.append(f"never predicted, though there: {', '.join(never)}")
    absent = [name for code, name in enumerate(classes) if not (truth == code).any()]
    if absent:
        said.append(f"not in this part, so left out of macro scores: {', '.join(absent)}")
    if training is not None:
        untaught = [name for code, name in enumerate(classes) if (truth == code).any() and not (training == code).any()]
        if untaught:
            said.append(f"in this part and not in training, so they cannot be found: {', '.join(untaught)}")
    if len(np.unique(predicted)) == 1 and len(np.unique(truth)) > 1:
        said.append(f"one class, {classes[int(predicted[0])]}, is predicted for everything")
    lone = [name for code, name in enumerate(classes) if len(np.unique(groups[truth == code])) == 1]
    if lone:
        said.append(f"each of these classes comes from one group here: {', '.join(lone)}")
    return said


def _counted(metric: Metric, n: int) -> Metric:
    return Metric(metric.value, metric.low, metric.high, metric.unit, n, metric.reason, metric.note, metric.points)


def _blocks(metrics: dict[str, Metric]) -> Blocks:
    return {name: metric.to_dict() for name, metric in metrics.items()}

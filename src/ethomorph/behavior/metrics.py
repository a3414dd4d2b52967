"""Figures of a classifier from its confusion matrix or its probabilities: plain numbers, no intervals.

Macro means run over the classes that occur in the truth, so that a class that nobody could have found does not count
as missed. Intervals and baselines are put together in `score`.
"""

from __future__ import annotations

import math

import numpy as np


def confusion(truth: np.ndarray, predicted: np.ndarray, classes: int, weights: np.ndarray | None = None) -> np.ndarray:
    """(classes, classes) counts, rows are the truth, columns the prediction.

    Examples
    --------
    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1.0, 1.0], [0.0, 1.0]]
    """
    pairs = np.asarray(truth) * classes + np.asarray(predicted)
    return np.bincount(pairs, weights=weights, minlength=classes**2).astype(float).reshape(classes, classes)


def expected_confusion(training: np.ndarray, truth: np.ndarray, classes: int) -> np.ndarray:
    """The mean confusion of guessing at random with the training part's shares: no draw, no luck."""
    shares = np.bincount(training, minlength=classes) / len(training)
    return np.outer(np.bincount(truth, minlength=classes), shares)


def class_scores(table: np.ndarray) -> dict[str, np.ndarray]:
    """(classes,) precision, recall and F1 from a confusion matrix; NaN for the recall of classes without truth."""
    hits, true, said = np.diag(table), table.sum(1), table.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = np.where(true > 0, hits / true, np.nan)
        precision = np.where(said > 0, hits / said, np.nan)
        f1 = np.where(true + said > 0, 2 * hits / (true + said), np.nan)
    return {"precision": precision, "recall": recall, "f1": f1}


def macro_f1(table: np.ndarray) -> float:
    """Mean F1 over the classes that occur; a class that is never predicted counts 0."""
    there = table.sum(1) > 0
    return float(class_scores(table)["f1"][there].mean()) if there.any() else math.nan


def balanced_accuracy(table: np.ndarray) -> float:
    """Mean recall over the classes that occur."""
    there = table.sum(1) > 0
    return float(class_scores(table)["recall"][there].mean()) if there.any() else math.nan


def accuracy(table: np.ndarray) -> float:
    """Share of right predictions."""
    total = table.sum()
    return float(np.trace(table) / total) if total else math.nan


def kappa(table: np.ndarray) -> float:
    """Cohen's kappa; NaN where truth and prediction are one and the same class throughout."""
    total = table.sum()
    if not total:
        return math.nan
    chance = float(table.sum(0) @ table.sum(1)) / total**2
    return (accuracy(table) - chance) / (1 - chance) if chance < 1 else math.nan


def matthews(table: np.ndarray) -> float:
    """Matthews' correlation for any number of classes (Gorodkin 2004); 0 where everything is predicted as one class."""
    total, hits = table.sum(), np.trace(table)
    said, true = table.sum(0), table.sum(1)
    above = hits * total - said @ true
    below = math.sqrt(max(total**2 - said @ said, 0)) * math.sqrt(max(total**2 - true @ true, 0))
    return float(above / below) if below > 0 else 0.0


OF_CONFUSION = {
    "macro_f1": macro_f1, "balanced_accuracy": balanced_accuracy, "accuracy": accuracy, "kappa": kappa, "mcc": matthews,
}  # fmt: skip
"""Metrics that a confusion matrix is enough for."""


def average_precision(scores: np.ndarray, hits: np.ndarray) -> float:
    """Area under the precision-recall curve as a step function (scikit-learn's definition); NaN without a hit.

    Examples
    --------
    >>> average_precision(np.array([0.9, 0.8, 0.1]), np.array([1, 0, 1]))
    0.8333333333333333
    """
    hits = np.asarray(hits, dtype=float)
    if not hits.sum():
        return math.nan
    order = np.argsort(-np.asarray(scores), kind="stable")
    ranked, values = hits[order], np.asarray(scores)[order]
    found = np.cumsum(ranked)
    last = np.append(np.flatnonzero(np.diff(values)), len(values) - 1)  # ties are taken together
    precision, recall = found[last] / (last + 1), found[last] / found[-1]
    return float((np.diff(recall, prepend=0) * precision).sum())


def mean_average_precision(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Mean of `average_precision` over the classes that occur."""
    each = [average_precision(probabilities[:, k], truth == k) for k in np.unique(truth)]
    return float(np.mean(each)) if each else math.nan

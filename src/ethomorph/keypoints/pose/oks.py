"""Object keypoint similarity, and the average precision that rests on it. Plain functions on arrays, two families' one
ground: which area is used, what is matched and what counts as false is decided by `score_sleap` and `score_strict`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SIGMA = 0.025
"""SLEAP's spread of a node, for every node; the share of the animal's size that labels of it scatter by."""
THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)


def areas(points: np.ndarray) -> np.ndarray:
    """(n,) area in px^2 of the box around each animal's visible nodes (n, nodes, 2); 0 where none is visible.

    >>> areas(np.array([[[0.0, 0.0], [3.0, 4.0]], [[1.0, 1.0], [np.nan, np.nan]]])).tolist()
    [12.0, 0.0]
    """
    seen = np.isfinite(points).all(-1, keepdims=True)
    low = np.where(seen, points, np.inf).min(1, initial=np.inf)
    high = np.where(seen, points, -np.inf).max(1, initial=-np.inf)
    return np.where(np.isfinite(high - low), high - low, 0.0).prod(-1) if len(points) else np.zeros(0)


def lengths(points: np.ndarray) -> np.ndarray:
    """(n,) diagonal in px of the box around each animal's visible nodes; 0 where none is visible."""
    seen = np.isfinite(points).all(-1, keepdims=True)
    low = np.where(seen, points, np.inf).min(1, initial=np.inf)
    high = np.where(seen, points, -np.inf).max(1, initial=-np.inf)
    return np.linalg.norm(np.where(np.isfinite(high - low), high - low, 0.0), axis=-1) if len(points) else np.zeros(0)


def similarity(
    truth: np.ndarray, predicted: np.ndarray, area: np.ndarray, sigma: float | np.ndarray = SIGMA
) -> np.ndarray:
    """(truths, predictions): mean over visible nodes of ``exp(-d^2 / (2 area (2 sigma)^2))`` (COCO's form).

    A node that is hidden in the truth counts nowhere, one that was not predicted counts as 0.

    Parameters
    ----------
    truth, predicted : (n, nodes, 2) and (m, nodes, 2).
    area : (n,) px^2.
    sigma : one for all nodes, or (nodes,).
    """
    away = ((truth[:, None] - predicted[None]) ** 2).sum(-1)
    seen = np.isfinite(truth).all(-1)[:, None]
    wide = 2 * (area[:, None, None] + np.spacing(1)) * (2 * np.broadcast_to(sigma, truth.shape[1:2])) ** 2
    with np.errstate(over="ignore"):
        each = np.exp(-np.where(np.isfinite(away), away, np.inf) / wide)
    count = seen.sum(-1)
    return np.where(seen, each, 0.0).sum(-1) / np.where(count > 0, count, 1)


def average_precision(
    scores: np.ndarray, right: np.ndarray, truths: int, recalls: np.ndarray = RECALLS
) -> tuple[float, float]:
    """Average precision over recall thresholds, and the recall reached (PASCAL VOC, 101 points).

    Parameters
    ----------
    scores : (n,) of the predictions.
    right : (n,) whether each is a true positive; the others are false ones.
    truths : animals that there are.

    >>> precision, recall = average_precision(np.array([0.9, 0.8]), np.array([True, False]), 2)
    >>> round(precision, 6), recall
    (0.50495, 0.5)
    """
    if not len(scores) or not truths:
        return 0.0, 0.0
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(right[order])
    recall = hits / truths
    precision = hits / (np.arange(len(hits)) + 1 + np.spacing(1))
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, recalls, side="left")
    found = np.where(at < len(precision), precision[np.minimum(at, len(precision) - 1)], 0.0)
    return float(found.mean()), float(recall[-1])


def mean_precision(scores: np.ndarray, right: np.ndarray, truths: int) -> tuple[float, float]:
    """Mean of `average_precision` and of recall over thresholds; `right` is (thresholds, n)."""
    both: Sequence[tuple[float, float]] = [average_precision(scores, one, truths) for one in right]
    precision, recall = np.mean(both, axis=0)
    return float(precision), float(recall)

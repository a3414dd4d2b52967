"""How right an identification is where the animals are known: pairs, partition and number, with intervals.

Pair accuracy alone is never reported: pairs of different animals outnumber the others fifty to one, so precision and
recall of "same" stand beside the balanced accuracy.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ethomorph.core.metric import Metric
from ethomorph.identity.result import Identification
from ethomorph.statistics.intervals import clustered_function

PAIRS_RESAMPLED = 40_000_000
"""Pairs looked at over all resamples of one score; bounds the time at some seconds."""


def pair_scores(scores: np.ndarray, truth: np.ndarray, *, resamples: int = 400, seed: int = 0) -> dict[str, Metric]:
    """Balanced accuracy, precision, recall and AUC of "same animal", intervals by resampling whole animals.

    Parameters
    ----------
    scores : (trails, trails), above 0 where the pair is called the same.
    truth : (trails,) animals.

    Returns
    -------
    dict
        ``balanced_accuracy``, ``precision``, ``recall``, ``auc``; each missing with a reason where it has no meaning.
    """
    codes = np.unique(truth, return_inverse=True)[1]
    functions = {
        "balanced_accuracy": balanced_accuracy,
        "precision": precision,
        "recall": recall,
        "auc": area_under_curve,
    }
    rows = np.arange(len(codes))
    resamples = int(np.clip(PAIRS_RESAMPLED // max(len(codes) ** 2, 1), 20, resamples))
    result = {}
    for name, function in functions.items():

        def of(index: np.ndarray, function: Any = function) -> float:
            return function(*_pairs(index, scores, codes))

        result[name] = clustered_function(of, codes, rows, resamples=resamples, seed=seed)
    return result


def adjusted_rand(individual: np.ndarray, truth: np.ndarray, *, resamples: int = 400, seed: int = 0) -> Metric:
    """Adjusted Rand index (Hubert & Arabie 1985) of the partition, interval by resampling whole animals.

    Copies of one trail in a resample are not compared with each other.
    """
    codes = np.unique(truth, return_inverse=True)[1]
    together = individual[:, None] == individual
    resamples = int(np.clip(PAIRS_RESAMPLED // max(len(codes) ** 2, 1), 20, resamples))

    def of(index: np.ndarray) -> float:
        return rand_of_pairs(*_pairs(index, np.where(together, 1.0, -1.0), codes))

    return clustered_function(of, codes, np.arange(len(codes)), resamples=resamples, seed=seed)


def score_identification(found: Identification, truth: np.ndarray) -> dict[str, Any]:
    """All scores of one identification against the animals (trails,), as metric blocks ready for JSON."""
    number = len(np.unique(truth))
    ratio = None if found.individuals.value is None else found.individuals.value / number
    low, high = found.individuals.low, found.individuals.high
    return {
        "pairs": {name: metric.to_dict() for name, metric in pair_scores(found.scores, truth).items()},
        "adjusted_rand": adjusted_rand(found.individual, truth).to_dict(),
        "truth": {"animals": number, "count_ratio": ratio, "covered": low is not None and low <= number <= (high or 0)},
    }


def balanced_accuracy(scores: np.ndarray, same: np.ndarray) -> float:
    """Mean of the shares called right among pairs of one and of two animals; NaN where one kind is absent."""
    if same.all() or not same.any():
        return math.nan
    called = scores > 0
    return float((called[same].mean() + (~called[~same]).mean()) / 2)


def precision(scores: np.ndarray, same: np.ndarray) -> float:
    """Share of the pairs called "same" that are; NaN where none was."""
    called = scores > 0
    return float(same[called].mean()) if called.any() else math.nan


def recall(scores: np.ndarray, same: np.ndarray) -> float:
    """Share of the pairs of one animal that were called "same"; NaN where there are none."""
    return float((scores > 0)[same].mean()) if same.any() else math.nan


def area_under_curve(scores: np.ndarray, same: np.ndarray) -> float:
    """Chance that a pair of one animal scores above a pair of two (Mann-Whitney); NaN where one kind is absent."""
    positive = int(same.sum())
    if positive in (0, len(same)):
        return math.nan
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((rank[same].sum() - positive * (positive + 1) / 2) / (positive * (len(same) - positive)))


def rand_of_pairs(scores: np.ndarray, same: np.ndarray) -> float:
    """Adjusted Rand index from pairs: together where the score is above 0; NaN where undefined."""
    called = scores > 0
    tp, fp, fn, tn = (float((called == a)[same == b].sum()) for a, b in ((1, 1), (1, 0), (0, 1), (0, 0)))
    below = (tp + fn) * (fn + tn) + (tp + fp) * (fp + tn)
    return 2 * (tp * tn - fn * fp) / below if below > 0 else math.nan


def _pairs(index: np.ndarray, scores: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores and truth of all pairs of the drawn trails, a trail with its own copy left out."""
    first, second = np.triu_indices(len(index), 1)
    a, b = index[first], index[second]
    keep = a != b
    return scores[a[keep], b[keep]], codes[a[keep]] == codes[b[keep]]

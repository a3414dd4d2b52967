"""How right an identification is where the animals are known: pairs, partition and number, with intervals.

Pair accuracy alone is never reported: pairs of different animals outnumber the others fifty to one, so precision and
recall of "same" stand beside the balanced accuracy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ethomorph.core.metric import Metric
from ethomorph.identity.result import Identification
from ethomorph.statistics.intervals import clustered_weighted

PAIRS_RESAMPLED = 100_000_000
"""Pairs looked at over all resamples of one score; bounds the time at some seconds."""

MOST_TRAILS = 3000
"""Trails whose pairs are scored; of more, a random share of the animals stands for all."""

PairStatistic = Callable[[np.ndarray, np.ndarray, np.ndarray], float]


def score_identification(found: Identification, truth: np.ndarray) -> dict[str, Any]:
    """All scores of one identification against the animals (trails,), as metric blocks ready for JSON."""
    number = len(np.unique(truth))
    chosen = trails_to_score(truth)
    scores, individual = found.scores[np.ix_(chosen, chosen)], found.individual[chosen]
    value, low, high = found.individuals.value, found.individuals.low, found.individuals.high
    covered = low is not None and high is not None and low <= number <= high
    return {
        "pairs": {name: metric.to_dict() for name, metric in pair_scores(scores, truth[chosen]).items()},
        "adjusted_rand": adjusted_rand(individual, truth[chosen], compared=np.isfinite(scores)).to_dict(),
        "truth": {"animals": number, "count_ratio": None if value is None else value / number, "covered": covered},
        **({"scored": {"trails": len(chosen), "of": len(truth)}} if len(chosen) < len(truth) else {}),
    }


def trails_to_score(truth: np.ndarray, *, most: int = MOST_TRAILS, seed: int = 0) -> np.ndarray:
    """Sorted indices of all trails, or of whole animals chosen at random where their pairs would be too many."""
    if len(truth) <= most:
        return np.arange(len(truth))
    animals, codes = np.unique(truth, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(animals))
    kept = order[np.cumsum(np.bincount(codes)[order]) <= most]
    return np.flatnonzero(np.isin(codes, kept))


def pair_scores(scores: np.ndarray, truth: np.ndarray, *, resamples: int = 1000, seed: int = 0) -> dict[str, Metric]:
    """Balanced accuracy, precision, recall and AUC of "same animal", intervals by resampling whole animals.

    Parameters
    ----------
    scores : (trails, trails), above 0 where the pair is called the same; NaN where it was not compared.
    truth : (trails,) animals.

    Returns
    -------
    dict
        ``balanced_accuracy``, ``precision``, ``recall``, ``auc``; each missing with a reason where it has no meaning.
    """
    statistics = {
        "balanced_accuracy": balanced_accuracy, "precision": precision, "recall": recall, "auc": area_under_curve,
    }  # fmt: skip
    return {name: _over_animals(of, scores, truth, resamples, seed) for name, of in statistics.items()}


def adjusted_rand(
    individual: np.ndarray,
    truth: np.ndarray,
    *,
    compared: np.ndarray | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Metric:
    """Adjusted Rand index (Hubert & Arabie 1985) of the partition, interval by resampling whole animals.

    `compared` (trails, trails) says which pairs count; by default all.
    """
    together = np.where(individual[:, None] == individual, 1.0, -1.0)
    if compared is not None:
        together = np.where(compared, together, np.nan)
    return _over_animals(rand_of_pairs, together, truth, resamples, seed)


def balanced_accuracy(scores: np.ndarray, same: np.ndarray, weight: np.ndarray | float = 1.0) -> float:
    """Mean of the shares called right among pairs of one and of two animals; NaN where one kind is absent.

    Examples
    --------
    >>> balanced_accuracy(np.array([1.0, -1.0, -1.0]), np.array([True, True, False]))
    0.75
    """
    tp, fp, fn, tn = _table(scores, same, weight)
    return (tp / (tp + fn) + tn / (tn + fp)) / 2 if tp + fn > 0 and tn + fp > 0 else math.nan


def precision(scores: np.ndarray, same: np.ndarray, weight: np.ndarray | float = 1.0) -> float:
    """Share of the pairs called "same" that are; NaN where none was."""
    tp, fp, _, _ = _table(scores, same, weight)
    return tp / (tp + fp) if tp + fp > 0 else math.nan


def recall(scores: np.ndarray, same: np.ndarray, weight: np.ndarray | float = 1.0) -> float:
    """Share of the pairs of one animal that were called "same"; NaN where there are none."""
    tp, _, fn, _ = _table(scores, same, weight)
    return tp / (tp + fn) if tp + fn > 0 else math.nan


def rand_of_pairs(scores: np.ndarray, same: np.ndarray, weight: np.ndarray | float = 1.0) -> float:
    """Adjusted Rand index from pairs, together where the score is above 0; NaN where undefined."""
    tp, fp, fn, tn = _table(scores, same, weight)
    below = (tp + fn) * (fn + tn) + (tp + fp) * (fp + tn)
    return 2 * (tp * tn - fn * fp) / below if below > 0 else math.nan


def area_under_curve(scores: np.ndarray, same: np.ndarray, weight: np.ndarray | float = 1.0) -> float:
    """Chance that a pair of one animal scores above a pair of two (Mann-Whitney); NaN where one kind is absent.

    Examples
    --------
    >>> area_under_curve(np.array([3.0, 2.0, 1.0]), np.array([True, False, False]))
    1.0
    """
    order = np.argsort(scores, kind="stable")
    weights = np.broadcast_to(weight, scores.shape)[order]
    positive, negative = np.where(same[order], weights, 0.0), np.where(same[order], 0.0, weights)
    ends = np.flatnonzero(np.append(np.diff(scores[order]) > 0, True))  # last of each run of equal scores
    upto = np.cumsum(negative)[ends]
    here = np.diff(upto, prepend=0.0)
    both = positive.sum() * negative.sum()
    wins = np.diff(np.cumsum(positive)[ends], prepend=0.0) @ (upto - here / 2)
    return float(wins / both) if both > 0 else math.nan


def _over_animals(of: PairStatistic, scores: np.ndarray, truth: np.ndarray, resamples: int, seed: int) -> Metric:
    """A statistic of pairs with its interval from resampled animals."""
    codes = np.unique(truth, return_inverse=True)[1]
    first, second = np.triu_indices(len(codes), 1)
    keep = np.isfinite(scores[first, second])
    first, second = first[keep], second[keep]
    values, same = scores[first, second], codes[first] == codes[second]
    order = np.argsort(values)  # sorted once, so that sorting again in each resample is quick
    first, second, values, same = first[order], second[order], values[order], same[order]
    resamples = int(np.clip(PAIRS_RESAMPLED // max(len(values), 1), 20, resamples))

    def of_drawn(drawn: np.ndarray) -> float:
        # a copy of an animal is another animal, but no pair: its own pairs count once a copy, never across copies
        return of(values, same, np.where(same, drawn[first], drawn[first] * drawn[second]))

    return clustered_weighted(of_drawn, codes, resamples=resamples, seed=seed)


def _table(scores: np.ndarray, same: np.ndarray, weight: np.ndarray | float) -> tuple[float, float, float, float]:
    """Weights of the pairs: rightly and wrongly called "same", wrongly and rightly called different."""
    called = scores > 0
    kinds = 2 * called.astype(int) + same
    tn, fn, fp, tp = np.bincount(kinds, np.broadcast_to(weight, kinds.shape), minlength=4).tolist()
    return tp, fp, fn, tn

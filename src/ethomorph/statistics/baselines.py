"""What a method that looked at nothing would score: majority, stratified random, mean.

A score means something only beside these. Predictions come from the training part alone; the scoring itself is done by
whoever scores the method, with the same function.
"""

from __future__ import annotations

import numpy as np

from ethomorph.statistics.intervals import Labels


def majority_labels(training: Labels, count: int) -> np.ndarray:
    """`count` times the commonest training label (of equals, the first in sorted order).

    Examples
    --------
    >>> majority_labels(["m", "f", "f"], 2).tolist()
    ['f', 'f']
    """
    labels, numbers = _shares(training)
    return np.repeat(labels[np.argmax(numbers)], count)


def stratified_labels(training: Labels, count: int, *, seed: int = 0) -> np.ndarray:
    """`count` labels drawn at random with the training part's class shares."""
    labels, shares = _shares(training)
    return np.random.default_rng(seed).choice(labels, size=count, p=shares)


def stratified_scores(training: Labels, truth: Labels) -> dict[str, float]:
    """Expected scores of `stratified_labels` in closed form: no draw, no luck.

    Returns
    -------
    dict
        `accuracy` (sum over classes of training share times true share), `balanced_accuracy` (mean training share of
        the classes that occur in `truth`), `kappa` (0 by its definition).

    Examples
    --------
    >>> stratified_scores(["a", "a", "a", "b"], ["a", "b"])
    {'accuracy': 0.5, 'balanced_accuracy': 0.5, 'kappa': 0.0}
    """
    labels, shares = _shares(training)
    learned = dict(zip(labels.tolist(), shares.tolist(), strict=True))
    present, true_shares = _shares(truth)
    recall = np.array([learned.get(label, 0.0) for label in present.tolist()])
    return {"accuracy": float(recall @ true_shares), "balanced_accuracy": float(recall.mean()), "kappa": 0.0}


def mean_values(training: Labels, count: int) -> np.ndarray:
    """`count` times the training mean: (count,) or, for (n, ...) training values, (count, ...). NaN are passed over.

    Examples
    --------
    >>> mean_values([1.0, 3.0], 2).tolist()
    [2.0, 2.0]
    """
    values = np.asarray(training, dtype=float)
    if not len(values):
        raise ValueError("a mean needs training values")
    mean = np.nanmean(values, axis=0)
    return np.broadcast_to(mean, (count, *np.shape(mean))).copy()


def _shares(labels: Labels) -> tuple[np.ndarray, np.ndarray]:
    unique, counts = np.unique(np.asarray(labels), return_counts=True)
    if not len(unique):
        raise ValueError("a baseline needs labels")
    return unique, counts / counts.sum()

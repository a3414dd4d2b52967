"""Does a stated probability happen as often as it says: calibration errors, reliability tables, class-prior shift.

It measures and, for a changed class mixture, corrects probabilities. Fitting a calibration model (temperature,
isotonic) is the task rooms' and scikit-learn's business.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ethomorph.statistics.intervals import Values


@dataclass(frozen=True)
class ReliabilityBin:
    """One row of a reliability table: predictions between `low` and `high`, their mean confidence and hit rate."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def reliability_table(
    confidence: Values, correct: Values, *, bins: int = 15, adaptive: bool = False
) -> list[ReliabilityBin]:
    """Predictions sorted into bins of confidence; empty bins are left out.

    Parameters
    ----------
    confidence : (n,) probabilities in 0..1 given to the predicted class (or to the event).
    correct : (n,) whether the prediction was right (or the event happened).
    bins : how many.
    adaptive : bins of equal width if False, of equal count if True.

    Examples
    --------
    >>> [row.accuracy for row in reliability_table([0.1, 0.9, 0.9], [False, True, False], bins=2)]
    [0.0, 0.5]
    """
    confidence, outcome = _checked(confidence, correct)
    if adaptive:
        order = np.argsort(confidence, kind="stable")
        members = [rows for rows in np.array_split(order, bins) if len(rows)]
        edges = [(float(confidence[rows].min()), float(confidence[rows].max())) for rows in members]
    else:
        which = np.minimum((confidence * bins).astype(int), bins - 1)
        members = [rows for i in range(bins) if len(rows := np.flatnonzero(which == i))]
        edges = [(which[rows[0]] / bins, (which[rows[0]] + 1) / bins) for rows in members]
    return [
        ReliabilityBin(float(low), float(high), len(rows), float(confidence[rows].mean()), float(outcome[rows].mean()))
        for rows, (low, high) in zip(members, edges, strict=True)
    ]


def expected_calibration_error(confidence: Values, correct: Values, *, bins: int = 15, adaptive: bool = False) -> float:
    """Mean gap between confidence and hit rate over the bins of `reliability_table` (Naeini et al. 2015); NaN if empty.

    Examples
    --------
    >>> round(expected_calibration_error([0.8, 0.8, 0.8, 0.8], [True, True, True, False]), 3)
    0.05
    """
    table = reliability_table(confidence, correct, bins=bins, adaptive=adaptive)
    total = sum(row.n for row in table)
    return sum(row.n * abs(row.confidence - row.accuracy) for row in table) / total if total else float("nan")


def brier_score(probabilities: np.ndarray, labels: Values) -> float:
    """Mean squared distance of the probabilities from what happened (Brier 1950).

    Parameters
    ----------
    probabilities : (n,) of an event, or (n, classes) with rows that sum to 1; the latter sums over classes (0..2).
    labels : (n,) 0 or 1 for an event, class indices otherwise.

    Examples
    --------
    >>> round(brier_score(np.array([0.9, 0.2]), [1, 0]), 4)
    0.025
    """
    probabilities, labels = np.asarray(probabilities, dtype=float), np.asarray(labels)
    if len(probabilities) != len(labels):
        raise ValueError(f"{len(probabilities)} probabilities for {len(labels)} labels")
    if not len(labels):
        return float("nan")
    if probabilities.ndim == 1:
        return float(((probabilities - labels) ** 2).mean())
    truth = np.eye(probabilities.shape[1])[labels.astype(int)]
    return float(((probabilities - truth) ** 2).sum(1).mean())


@dataclass(frozen=True)
class PriorShift:
    """Probabilities (n, classes) corrected to the class mixture `prior` (classes,), and the EM steps that found it."""

    probabilities: np.ndarray
    prior: np.ndarray
    steps: int


def correct_prior_shift(
    probabilities: np.ndarray, training_prior: np.ndarray, *, prior: np.ndarray | None = None, tolerance: float = 1e-8
) -> PriorShift:
    """Probabilities of a classifier that was trained on another class mixture than it now meets.

    With a known new `prior` this is Bayes' rule (Elkan 2001); without one the prior is estimated from the probabilities
    themselves by EM (Saerens, Latinne & Decaestecker 2002, Neural Computation 14:21). Only the mixture may have
    changed, not the look of a class.

    Parameters
    ----------
    probabilities : (n, classes), rows sum to 1.
    training_prior : (classes,) class shares the classifier learned from, all above 0.
    prior : (classes,) class shares where it is used; None to estimate.

    Examples
    --------
    >>> shifted = correct_prior_shift(np.array([[0.5, 0.5]]), np.array([0.5, 0.5]), prior=np.array([0.9, 0.1]))
    >>> shifted.probabilities.round(2).tolist()
    [[0.9, 0.1]]
    """
    given, learned = np.asarray(probabilities, dtype=float), np.asarray(training_prior, dtype=float)
    if given.ndim != 2 or learned.shape != given.shape[1:]:
        raise ValueError(f"probabilities {given.shape} and training prior {learned.shape} do not fit")
    if not np.isfinite(given).all() or (learned <= 0).any():
        raise ValueError("probabilities must be finite and every class present in training")
    learned = learned / learned.sum()

    def corrected(target: np.ndarray) -> np.ndarray:
        weighted = given * (target / learned)
        return weighted / weighted.sum(1, keepdims=True)

    if prior is not None:
        target = np.asarray(prior, dtype=float) / np.sum(prior)
        return PriorShift(corrected(target), target, 0)
    target, steps = learned, 0
    for steps in range(1, 1001):  # noqa: B007 - the count is reported
        renewed = corrected(target).mean(0)
        moved = float(np.abs(renewed - target).max())
        target = renewed
        if moved < tolerance:
            break
    return PriorShift(corrected(target), target, steps)


def _checked(confidence: Any, correct: Any) -> tuple[np.ndarray, np.ndarray]:
    confidence, outcome = np.asarray(confidence, dtype=float), np.asarray(correct, dtype=float)
    if confidence.shape != outcome.shape or confidence.ndim != 1:
        raise ValueError(f"confidences {confidence.shape} and outcomes {outcome.shape} do not fit")
    if len(confidence) and not ((confidence >= 0) & (confidence <= 1)).all():
        raise ValueError("confidences must lie in 0..1")
    return confidence, outcome

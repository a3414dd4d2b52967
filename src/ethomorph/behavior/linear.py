"""Multinomial logistic regression on standardised features: what carries over best from little data.

Fitted by scikit-learn, kept as plain arrays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ethomorph.behavior.boosting import softmax

STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3)
"""Inverse regularisation (scikit-learn's C) to choose from, for features of unit spread."""
FARTHEST = 6.0  # standard deviations beyond which a value says no more
STEPS = 100


@dataclass
class Linear:
    """A fitted model: ``softmax(standardised values @ weights + offsets)``; weights are (features, classes)."""

    mean: np.ndarray
    spread: np.ndarray
    weights: np.ndarray
    offsets: np.ndarray
    strength: float

    def probabilities(self, values: np.ndarray) -> np.ndarray:
        """(n, classes) of (n, features); a missing value counts as the mean."""
        return softmax(standardised(values, self.mean, self.spread) @ self.weights + self.offsets)


def fit_linear(
    values: np.ndarray, codes: np.ndarray, *, classes: int, strength: float, weights: np.ndarray | None = None
) -> Linear:
    """Fit one strength; classes without a sample get no probability.

    Parameters
    ----------
    values : (n, features), NaN where missing.
    codes : (n,) class of each.
    weights : (n,) of the samples.
    """
    from sklearn.linear_model import LogisticRegression

    with np.errstate(invalid="ignore"):
        mean = np.nan_to_num(np.nanmean(values, axis=0))
        spread = np.nan_to_num(np.nanstd(values, axis=0))
    spread = np.where(spread > 1e-9, spread, 1.0)
    model = LogisticRegression(C=strength, max_iter=STEPS, tol=1e-3)
    model.fit(standardised(values, mean, spread), codes, sample_weight=weights)
    slopes = np.zeros((values.shape[1], classes))
    offsets = np.full(classes, -30.0)
    if len(model.classes_) == 2:
        first, second = model.classes_
        slopes[:, second] = model.coef_[0]
        offsets[first], offsets[second] = 0.0, model.intercept_[0]
    else:
        slopes[:, model.classes_] = model.coef_.T
        offsets[model.classes_] = model.intercept_
    return Linear(mean, spread, slopes, offsets, strength)


def standardised(values: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Values less their mean over their spread, bounded; 0 where missing."""
    return np.nan_to_num(np.clip((np.asarray(values, float) - mean) / spread, -FARTHEST, FARTHEST))

"""Under-sampling, over-sampling and weights teach another mixture; the correction brings nature's back."""

from __future__ import annotations

import numpy as np
import pytest

from ethomorph.behavior.imbalance import Imbalance, natural_prior
from ethomorph.core.errors import StudyError
from ethomorph.statistics.calibration import correct_prior_shift

NATURAL = np.array([100, 40, 10])


@pytest.mark.parametrize(
    ("imbalance", "counts"),
    [
        (Imbalance(), [100, 40, 10]),
        (Imbalance(under_sampling=1), [10, 10, 10]),
        (Imbalance(over_sampling=1), [100, 100, 100]),
        (Imbalance(under_sampling=0.5), [32, 20, 10]),
    ],
)
def test_counts(imbalance, counts):
    assert imbalance.counts(NATURAL).tolist() == counts
    codes = np.repeat(np.arange(3), NATURAL)
    chosen = imbalance.chosen(codes, 3, seed=1)
    assert np.bincount(codes[chosen]).tolist() == counts


def test_absent_classes_stay_absent():
    assert Imbalance(over_sampling=1).counts(np.array([5, 0, 2])).tolist() == [5, 0, 5]


def test_weights_make_classes_equal_and_mean_one():
    codes = np.repeat(np.arange(3), NATURAL)
    weights = Imbalance(class_weights=1).weights(codes, 3)
    assert np.allclose(weights * NATURAL, (weights * NATURAL)[0])
    assert weights[codes].mean() == pytest.approx(1)


@pytest.mark.parametrize(
    "imbalance", [Imbalance(under_sampling=1), Imbalance(class_weights=1), Imbalance(over_sampling=0.7)]
)
def test_a_perfect_model_of_the_taught_mixture_becomes_true_again(imbalance):
    """Two overlapping classes: Bayes' rule under the taught mixture, corrected, is Bayes' rule under nature's."""
    codes = np.repeat(np.arange(2), [900, 100])
    x = np.linspace(-3, 4, 50)
    likelihood = np.column_stack([np.exp(-((x - m) ** 2) / 2) for m in (0.0, 1.0)])
    taught, natural = imbalance.taught_prior(codes, 2), natural_prior(codes, 2)
    assert not np.allclose(taught, natural)

    def bayes(prior):
        joint = likelihood * prior
        return joint / joint.sum(1, keepdims=True)

    corrected = correct_prior_shift(bayes(taught), taught, prior=natural).probabilities
    assert np.allclose(corrected, bayes(natural))


def test_impossible_rates_are_refused():
    with pytest.raises(StudyError, match="under_sampling"):
        Imbalance(under_sampling=1.5)

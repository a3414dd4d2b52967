"""Calibration against closed forms and simulated truth."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from ethomorph.statistics.calibration import (
    brier_score,
    correct_prior_shift,
    expected_calibration_error,
    reliability_table,
)


@pytest.mark.parametrize("adaptive", [False, True])
def test_ece_of_honest_and_boastful_confidence(adaptive):
    generator = np.random.default_rng(0)
    chance = generator.random(60_000)
    correct = generator.random(60_000) < chance
    assert expected_calibration_error(chance, correct, adaptive=adaptive) < 0.01
    boast = expected_calibration_error(np.full(60_000, 0.9), correct, adaptive=adaptive)
    assert boast == pytest.approx(0.9 - correct.mean(), abs=0.01)


def test_bins_hold_everything_once():
    confidence = np.linspace(0, 1, 101)
    for adaptive in (False, True):
        assert sum(row.n for row in reliability_table(confidence, confidence > 0.5, adaptive=adaptive)) == 101


def test_brier_is_scikit_learns():
    generator = np.random.default_rng(1)
    p, y = generator.random(200), generator.integers(2, size=200)
    assert brier_score(p, y) == pytest.approx(brier_score_loss(y, p))
    assert brier_score(np.column_stack([1 - p, p]), y) == pytest.approx(2 * brier_score_loss(y, p))


def test_prior_shift_is_found_and_undone():
    generator = np.random.default_rng(2)
    truth = generator.random(20_000) < 0.1
    x = generator.normal(loc=2.0 * truth)
    odds = np.exp(2 * x - 2)  # of a classifier trained where both classes were equally common
    given = np.column_stack([1 / (1 + odds), odds / (1 + odds)])
    shifted = correct_prior_shift(given, np.array([0.5, 0.5]))
    assert shifted.prior[1] == pytest.approx(0.1, abs=0.01)
    assert expected_calibration_error(shifted.probabilities[:, 1], truth) < 0.01
    assert expected_calibration_error(given[:, 1], truth) > 0.1


def test_confidence_outside_the_unit_interval_is_refused():
    with pytest.raises(ValueError, match=r"0\.\.1"):
        expected_calibration_error([1.2], [True])

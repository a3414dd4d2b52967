"""Agreement against published examples and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from ethomorph.statistics.agreement import (
    bland_altman,
    cohen_kappa,
    intraclass_correlation,
    krippendorff_alpha,
    repeat_error,
)

GAP = np.nan
# three coders and fifteen units: the worked example of Krippendorff (2011)
CODERS = np.array(
    [
        [GAP, GAP, GAP, GAP, GAP, 3, 4, 1, 2, 1, 1, 3, 3, GAP, 3],
        [1, GAP, 2, 1, 3, 3, 4, 3, GAP, GAP, GAP, GAP, GAP, GAP, GAP],
        [GAP, GAP, 2, 1, 3, 4, 4, GAP, 2, 1, 1, 3, 3, GAP, 4],
    ]
).T


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_kappa_is_scikit_learns(weights):
    generator = np.random.default_rng(0)
    a, b = generator.integers(4, size=(2, 200))
    b[:120] = a[:120]
    assert cohen_kappa(a, b, weights=weights) == pytest.approx(cohen_kappa_score(a, b, weights=weights))


def test_kappa_of_one_class_is_undefined():
    assert np.isnan(cohen_kappa(["a", "a"], ["a", "a"]))


def test_alpha_of_the_worked_example():
    assert krippendorff_alpha(CODERS) == pytest.approx(0.691, abs=5e-4)
    assert krippendorff_alpha(CODERS, metric="interval") == pytest.approx(0.811, abs=5e-4)


def test_icc_sees_an_offset_only_as_absolute_agreement():
    generator = np.random.default_rng(1)
    subject = generator.normal(size=(20_000, 1))
    ratings = subject + np.array([0.0, 3.0]) + 0.5 * generator.normal(size=(20_000, 2))
    assert intraclass_correlation(ratings, kind="C,1") == pytest.approx(1 / 1.25, abs=0.01)
    assert intraclass_correlation(ratings, kind="A,1") == pytest.approx(1 / (1 + 0.25 + 4.5), abs=0.01)


def test_bland_altman_finds_the_limits():
    generator = np.random.default_rng(2)
    truth = generator.normal(10, 3, size=400)
    limits = bland_altman(truth + 1 + generator.normal(size=400), truth, np.arange(400), resamples=300)
    assert limits.bias.low < 1 < limits.bias.high
    assert limits.lower.low < 1 - 1.96 < limits.lower.high
    assert limits.upper.low < 1 + 1.96 < limits.upper.high


def test_repeat_error_is_the_within_subject_sd():
    generator = np.random.default_rng(3)
    repeats = 100 * generator.normal(size=(3000, 1)) + 2 * generator.normal(size=(3000, 3))
    repeats[::4, 2] = np.nan
    assert repeat_error(repeats) == pytest.approx(2, rel=0.03)
    assert np.isnan(repeat_error(np.array([[1.0, np.nan]])))

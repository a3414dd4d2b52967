"""Paired comparisons: level and power of the test, and the ratio's interval."""

import numpy as np
import pytest

from ethomorph.statistics.paired import paired_difference, paired_ratio, sign_flip_p

LABELS = np.repeat(np.arange(20), 5)


def simulated(generator: np.random.Generator, effect: float) -> tuple[np.ndarray, np.ndarray]:
    base = generator.gamma(4, size=100)
    return base + effect + 0.5 * generator.normal(size=20)[LABELS] + 0.2 * generator.normal(size=100), base


def test_false_alarms_stay_at_the_level():
    generator = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        a, b = simulated(generator, 0.0)
        hits += sign_flip_p(a - b, LABELS, permutations=499) <= 0.05
    assert 0.025 <= hits / 400 <= 0.08


def test_effect_is_found():
    a, b = simulated(np.random.default_rng(1), 1.0)
    result = paired_difference(a, b, LABELS, unit="px")
    assert result.low < 1.0 < result.high
    assert result.p_value < 0.001
    assert result.to_dict()["p_value"] == result.p_value


def test_exact_enumeration():
    assert sign_flip_p([1.0] * 5, range(5)) == pytest.approx(2 / 2**5)
    assert sign_flip_p([1.0, -1.0], [0, 1]) == 1.0


def test_ratio_is_of_means_and_shares_the_p():
    a, b = np.abs(simulated(np.random.default_rng(2), 0.5))
    ratio = paired_ratio(a, b, LABELS, resamples=300)
    assert ratio.value == pytest.approx(a.mean() / b.mean())
    assert ratio.low < ratio.value < ratio.high
    assert ratio.p_value == paired_difference(a, b, LABELS).p_value


def test_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="equally many"):
        paired_difference([1.0], [1.0, 2.0], [0])


def test_missing_has_no_p():
    assert paired_difference([], [], []).p_value is None

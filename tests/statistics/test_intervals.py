"""Intervals: coverage on simulated truth, exactness of the fast paths, and what is refused."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ethomorph.core.metric import Metric
from ethomorph.statistics.intervals import clustered_function, clustered_interval, clustered_proportion

GROUPS, SIZE = 30, 20
LABELS = np.repeat(np.arange(GROUPS), SIZE)


def random_effects(generator: np.random.Generator, share: float = 0.3) -> np.ndarray:
    """Values with mean 0 whose groups hold `share` of the variance."""
    group = np.sqrt(share) * generator.normal(size=GROUPS)
    return group[LABELS] + np.sqrt(1 - share) * generator.normal(size=GROUPS * SIZE)


def test_clustered_interval_covers_and_the_naive_one_does_not():
    generator = np.random.default_rng(1)
    covered = naive = 0
    for _ in range(800):
        values = random_effects(generator)
        metric = clustered_interval(values, LABELS, resamples=600, seed=int(generator.integers(2**31)))
        covered += metric.low <= 0 <= metric.high
        half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
        naive += abs(values.mean()) <= half
    assert 0.93 <= covered / 800 <= 0.97
    assert naive / 800 < 0.8


def test_proportion_covers_near_certainty():
    generator = np.random.default_rng(2)
    covered = 0
    for _ in range(600):
        chance = np.clip(generator.beta(18, 1, size=GROUPS), 0, 1)  # mean 18 / 19
        metric = clustered_proportion(generator.random(len(LABELS)) < chance[LABELS], LABELS)
        covered += metric.low <= 18 / 19 <= metric.high
    assert 0.93 <= covered / 600 <= 0.985


def test_all_successes_claim_no_certainty():
    metric = clustered_proportion(np.ones(len(LABELS)), LABELS)
    assert (metric.value, metric.high) == (1.0, 1.0)
    assert 0.8 < metric.low < 0.95


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_fast_paths_agree_with_resampling_rows(statistic):
    values = random_effects(np.random.default_rng(3))
    fast = clustered_interval(values, LABELS, statistic=statistic, resamples=4000)
    plain = clustered_interval(values, LABELS, statistic=getattr(np, statistic), resamples=4000)
    assert fast.value == pytest.approx(plain.value)
    assert fast.low == pytest.approx(plain.low, abs=0.02)
    assert fast.high == pytest.approx(plain.high, abs=0.02)


def test_large_input_is_fast():
    generator = np.random.default_rng(0)
    values, labels = generator.normal(size=20_000), generator.integers(200, size=20_000)
    start = time.perf_counter()
    clustered_interval(values, labels)
    assert time.perf_counter() - start < 1.0


def test_few_groups_give_points_and_a_note():
    metric = clustered_interval([1.0, 3.0, 5.0], ["a", "a", "b"], unit="px")
    assert (metric.low, metric.high, metric.points) == (None, None, (2.0, 5.0))
    assert "2 groups" in metric.note


def test_no_values_is_a_reason():
    assert clustered_interval([], []) == Metric.missing("no values")


@pytest.mark.parametrize(
    ("values", "groups"), [([1.0, np.nan], [0, 1]), ([1.0, np.inf], [0, 1]), ([1.0, 2.0], [0]), ([1.0, 2.0], [0, None])]
)
def test_refusals(values, groups):
    with pytest.raises(ValueError):
        clustered_interval(values, groups)


@given(st.integers(0, 2**32 - 1), st.permutations(range(40)))
def test_deterministic_and_blind_to_label_names(seed, order):
    values = np.arange(40.0) % 7
    labels = np.arange(40) // 2
    first = clustered_interval(values, labels, seed=seed, resamples=50)
    assert first == clustered_interval(values, [f"animal {g:03d}" for g in labels], seed=seed, resamples=50)
    shuffled = clustered_interval(values[list(order)], labels[list(order)], seed=seed, resamples=50)
    assert shuffled.low == pytest.approx(first.low)


def test_function_withholds_what_is_rarely_defined():
    flags = np.zeros(40)
    flags[:2] = 1  # one group of 20 holds all of them: over a third of the resamples have none
    metric = clustered_function(lambda f: 1.0 if f.any() else float("nan"), np.arange(40) // 2, flags, resamples=200)
    assert metric.value == 1.0
    assert metric.low is None
    assert "undefined on" in metric.note
    assert clustered_function(lambda f: float("nan"), np.arange(40), flags).value is None

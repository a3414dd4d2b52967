"""Intervals of a count: shortest run, widening, bounds, and coverage on draws whose truth is known."""

import numpy as np
import pytest

from ethomorph.statistics.counts import count_interval, shortest_run


def test_shortest_run_against_all_runs():
    generator = np.random.default_rng(0)
    for _ in range(50):
        chance = generator.dirichlet(np.full(9, 0.5))
        first, last = shortest_run(chance, 0.9)
        holding = [(b - a, -chance[a : b + 1].sum()) for a in range(9) for b in range(a, 9)
                   if chance[a : b + 1].sum() >= 0.9 - 1e-9]  # fmt: skip
        assert (last - first, -chance[first : last + 1].sum()) == pytest.approx(min(holding))


def test_draws_that_agree_have_no_width():
    count = count_interval(np.full(30, 12), largest=40, unit="animals")
    assert (count.value, count.low, count.high) == (12, 12, 12)


def test_error_of_held_out_counts_widens_within_bounds():
    draws = np.full(50, 12)
    narrow = count_interval(draws, overdispersion=0.05, freedom=20, largest=40)
    wide = count_interval(draws, overdispersion=0.5, freedom=5, largest=14)
    assert narrow.high - narrow.low < 14 - wide.low
    assert wide.high == 14
    assert count_interval(np.array([1, 1, 2]), overdispersion=3.0, freedom=3, largest=9).low == 1


def test_interval_covers_a_count_with_the_stated_errors():
    generator = np.random.default_rng(1)
    covered = []
    for _ in range(400):
        truth = generator.integers(5, 30)
        centre = truth + generator.normal() * np.sqrt(1.5 + 0.1 * truth)
        draws = np.rint(centre + generator.normal(size=200) * np.sqrt(1.5)).clip(1)
        count = count_interval(draws, overdispersion=0.1, freedom=1000, largest=60)
        covered.append(count.low <= truth <= count.high)
    assert 0.92 <= np.mean(covered) <= 0.985


def test_refusals():
    with pytest.raises(ValueError, match="needs draws"):
        count_interval(np.array([]), largest=5)

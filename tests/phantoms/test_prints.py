"""Simulated prints have the structure they promise."""

import numpy as np
import pytest

from ethomorph.phantoms.prints import simulate_prints


def test_shares_of_variance():
    table = simulate_prints(animals=400, trails=(3, 3), prints=(5, 5), shares=(0.5, 0.2, 0.3), noise=0.0, latent=40)
    values = (table.values / table.values.mean(0)).reshape(400, 3, 5, -1)
    prints = values.var(axis=2, ddof=1).mean((0, 1))
    trails = values.mean(2).var(axis=1, ddof=1).mean(0) - prints / 5
    total = prints + trails + values.mean((1, 2)).var(axis=0, ddof=1) - trails / 3 - prints / 15
    assert np.median(prints / total) == pytest.approx(0.3, abs=0.05)
    assert np.median(trails / total) == pytest.approx(0.2, abs=0.05)


def test_seed_form_and_gaps():
    first, again = simulate_prints(animals=4, missing=0.2), simulate_prints(animals=4, missing=0.2)
    assert np.array_equal(first.values, again.values, equal_nan=True)
    assert np.isnan(first.values).mean() == pytest.approx(0.2, abs=0.05)
    assert not np.array_equal(first.values, simulate_prints(animals=4, seed=1).values)
    sites = simulate_prints(animals=8, sites=2)
    assert len({(a, s) for a, s in zip(sites.animal, sites.attributes["site"], strict=True)}) == 8

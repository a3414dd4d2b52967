"""The two-covariance model and the posterior over partitions against brute force."""

from math import lgamma

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from ethomorph.core.errors import LabelError
from ethomorph.identity import posterior
from ethomorph.identity.plda import TrailSummary, TwoCovariance, group_means
from ethomorph.identity.posterior import sample_partitions
from ethomorph.phantoms.prints import simulate_prints


@pytest.fixture(scope="module")
def model():
    table = simulate_prints(animals=20, shares=(0.2, 0.05, 0.75), prints=(2, 3))
    return TwoCovariance.fit(table.values, table.animal, table.trail, axes=5)


@pytest.fixture(scope="module")
def trails(model):
    table = simulate_prints(animals=3, shares=(0.2, 0.05, 0.75), prints=(2, 3), seed=5)
    summary = model.summarise(table.values, table.trail)
    return TrailSummary(summary.mean[:5], summary.precision[:5])


def log_normal(model, trails, members):
    """Log density of the trails' means if one animal left them, from the full covariance."""
    total = 0.0
    for axis in range(trails.mean.shape[1]):
        covariance = np.full((len(members),) * 2, model.between[axis]) + np.diag(1 / trails.precision[members, axis])
        total += multivariate_normal.logpdf(trails.mean[members, axis], np.zeros(len(members)), covariance)
    return total


def test_pair_score_is_the_ratio_of_densities(model, trails):
    expected = log_normal(model, trails, [0, 3]) - log_normal(model, trails, [0]) - log_normal(model, trails, [3])
    assert model.pair_scores(trails)[0, 3] == pytest.approx(expected)


def test_evidence_adds_up_over_any_number_of_trails(model, trails):
    members = [0, 1, 4]
    together = model.evidence(trails.sums[members].sum(0), trails.precision[members].sum(0))
    apart = sum(float(model.evidence(trails.sums[i], trails.precision[i])) for i in members)
    expected = log_normal(model, trails, members) - sum(log_normal(model, trails, [i]) for i in members)
    assert together - apart == pytest.approx(expected)


def partitions(number):
    def grow(prefix, highest):
        if len(prefix) == number:
            yield np.array(prefix)
            return
        for k in range(highest + 2):
            yield from grow([*prefix, k], max(highest, k))

    yield from grow([0], 0)


def test_sampler_has_the_enumerated_posterior(model, trails, monkeypatch):
    monkeypatch.setattr(posterior, "draw_concentration", lambda *_: 2.0)
    log, counts = [], []
    for codes in partitions(5):
        terms = [
            np.log(2.0) + lgamma(m.sum()) + model.evidence(trails.sums[m].sum(0), trails.precision[m].sum(0))
            for m in (codes == k for k in range(codes.max() + 1))
        ]
        log.append(sum(terms))
        counts.append(codes.max() + 1)
    chance = np.exp(np.array(log) - max(log))
    exact = np.bincount(counts, chance / chance.sum(), minlength=6)
    drawn = sample_partitions(model, trails, np.random.default_rng(0), draws=2500, burn_in=50)
    assert np.bincount(drawn.counts, minlength=6) / 2500 == pytest.approx(exact, abs=0.035)


def test_variances_are_found():
    table = simulate_prints(animals=200, shares=(0.5, 0.2, 0.3), trails=(4, 4), prints=(8, 8), noise=0.01, latent=3)
    # shrinking towards the total covariance is a bias for so many animals
    fitted = TwoCovariance.fit(
        table.values, table.animal, table.trail, axes=3, between_shrinkage=0.0, within_shrinkage=0.01
    )
    assert np.median(fitted.trail / fitted.print) == pytest.approx(2 / 3, rel=0.25)
    assert np.median(fitted.between / fitted.print) == pytest.approx(5 / 3, rel=0.35)


def test_axes_and_scores_ignore_units_and_order():
    table = simulate_prints(animals=10, variables=30)
    first = TwoCovariance.fit(table.values, table.animal, table.trail)
    scores = first.pair_scores(first.summarise(table.values, table.trail))
    factors = np.random.default_rng(0).uniform(0.1, 9, size=30)
    order = np.random.default_rng(1).permutation(len(table))
    second = TwoCovariance.fit(table.values[order] * factors + 3, table.animal[order], table.trail[order])
    again = second.pair_scores(second.summarise(table.values[order] * factors + 3, table.trail[order]))
    assert again == pytest.approx(scores, rel=1e-5, abs=1e-5)


def test_too_few_animals_are_refused():
    table = simulate_prints(animals=3)
    with pytest.raises(LabelError, match="3 known animals"):
        TwoCovariance.fit(table.values, table.animal, table.trail)


def test_group_means():
    means, counts = group_means(np.array([[1.0], [5.0], [3.0]]), np.array([0, 1, 0]))
    assert means.tolist() == [[2.0], [5.0]]
    assert counts.tolist() == [2, 1]

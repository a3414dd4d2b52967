"""The sampler for many trails says what the one for few says, and its tree is a proper one."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import is_monotonic, is_valid_linkage
from sklearn.metrics import adjusted_rand_score

from ethomorph.identity import crowd, estimator
from ethomorph.identity.clustering import cut_to_number
from ethomorph.identity.plda import TwoCovariance
from ethomorph.identity.posterior import sample_partitions
from ethomorph.phantoms.prints import simulate_prints


@pytest.fixture(scope="module")
def case():
    known = simulate_prints(animals=30, variables=40, seed=1)
    survey = simulate_prints(animals=20, trails=(5, 5), prints=(2, 3), variables=40, seed=2)
    model = TwoCovariance.fit(known.values, known.animal, known.trail)
    return model, model.summarise(survey.values, survey.trail), survey.of_trails(survey.animal)


def test_both_samplers_have_one_posterior(case):
    model, trails, owner = case
    few = sample_partitions(model, trails, np.random.default_rng(0), draws=60, burn_in=30)
    many = crowd.sample_crowd(model, trails, np.random.default_rng(0), draws=60, burn_in=30)
    counts = many.max(axis=1) + 1
    assert counts.mean() == pytest.approx(few.counts.mean(), abs=1.0)
    together = (many[:, :, None] == many[:, None, :]).mean(0)
    assert np.abs(together - few.together).max() < 0.35
    assert np.abs(together - few.together).mean() < 0.01
    assert adjusted_rand_score(owner, crowd.best_draw(many)) > 0.85


def test_scores_made_in_blocks_are_the_scores(case, monkeypatch):
    model, trails, _ = case
    monkeypatch.setattr(crowd, "BLOCK", 33)
    assert crowd.all_pair_scores(model, trails, 2.0, 1.0) == pytest.approx(
        2 * model.pair_scores(trails) + 1, rel=1e-4, abs=1e-3
    )


def test_tree_of_two_storeys(case, monkeypatch):
    model, trails, owner = case
    drawn = crowd.sample_crowd(model, trails, np.random.default_rng(0), draws=10, burn_in=20)
    best = crowd.best_draw(drawn)
    scores = crowd.all_pair_scores(model, trails, 1.0, 0.0)
    monkeypatch.setattr(crowd, "BLOCK", 33)
    tree = crowd.two_storey_tree(scores, drawn, best)
    assert is_valid_linkage(tree)
    assert is_monotonic(tree)
    assert tree[-1, 3] == len(owner)
    assert adjusted_rand_score(cut_to_number(tree, len(np.unique(best))), best) > 0.9
    assert len(np.unique(cut_to_number(tree, 3))) == 3


def test_membership_of_draws_by_hand():
    drawn = np.array([[0, 0, 1, 2], [0, 0, 0, 1]])
    assert crowd.membership_of_draws(drawn, np.array([0, 0, 1, 2])).tolist() == [1.0, 1.0, 0.5, 1.0]


def test_identifier_takes_the_way_of_crowds(monkeypatch):
    known, survey = simulate_prints(animals=20, variables=40, seed=1), simulate_prints(animals=9, variables=40, seed=2)
    model = estimator.Identifier(replicas=2).fit(known)
    few = model.predict(survey)
    monkeypatch.setattr(estimator, "CROWD", 5)
    many = model.predict(survey)
    assert many.individuals.low <= 9 <= many.individuals.high
    assert adjusted_rand_score(few.individual, many.individual) > 0.9
    assert many.scores == pytest.approx(few.scores, rel=1e-3, abs=1e-2)
    assert len(many.tree) == len(many.trails) - 1

"""Scores against scikit-learn, and the intervals' resampling."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, balanced_accuracy_score, precision_score, recall_score, roc_auc_score

from ethomorph.identity.score import adjusted_rand, area_under_curve, pair_scores


@pytest.fixture
def scored():
    generator = np.random.default_rng(0)
    truth = np.repeat(np.arange(14), 3)
    same = truth[:, None] == truth
    scores = np.triu(np.where(same, 1.2, -1.5) + generator.normal(size=same.shape), 1).round(1)
    return truth, scores + scores.T


def test_pairs_are_scored_as_scikit_learn_does(scored):
    truth, scores = scored
    upper = np.triu_indices(len(truth), 1)
    same, values = (truth[:, None] == truth)[upper], scores[upper]
    found = pair_scores(scores, truth, resamples=200)
    assert found["balanced_accuracy"].value == pytest.approx(balanced_accuracy_score(same, values > 0))
    assert found["precision"].value == pytest.approx(precision_score(same, values > 0))
    assert found["recall"].value == pytest.approx(recall_score(same, values > 0))
    assert found["auc"].value == pytest.approx(roc_auc_score(same, values))
    assert all(metric.low < metric.value < metric.high for metric in found.values())


def test_weighted_area_is_that_of_repeated_pairs(scored):
    truth, scores = scored
    upper = np.triu_indices(len(truth), 1)
    same, values = (truth[:, None] == truth)[upper], scores[upper]
    weight = np.random.default_rng(1).integers(0, 3, size=len(values))
    expected = roc_auc_score(np.repeat(same, weight), np.repeat(values, weight))
    assert area_under_curve(values, same, weight.astype(float)) == pytest.approx(expected)


def test_adjusted_rand_is_scikit_learns(scored):
    truth, _ = scored
    guess = truth.copy()
    guess[::5] = 99
    assert adjusted_rand(guess, truth, resamples=50).value == pytest.approx(adjusted_rand_score(truth, guess))


def test_without_pairs_of_one_animal_there_is_a_reason():
    truth = np.arange(12)
    found = pair_scores(np.full((12, 12), -1.0), truth, resamples=20)
    assert found["auc"].value is None
    assert "undefined" in found["auc"].reason


def test_interval_of_precision_covers():
    """Drawing an animal twice makes no new pairs of one animal: precision would be too high."""
    generator = np.random.default_rng(5)
    truth = np.repeat(np.arange(20), 2)
    same = truth[:, None] == truth
    upper = np.triu_indices(40, 1)
    # animals far from the others are called apart from them: precision in the long run is known by simulation
    drawn = []
    for seed in range(30):
        trait = generator.normal(size=20)[truth] + 0.1 * generator.normal(size=40)
        scores = 0.25 - np.abs(np.subtract.outer(trait, trait))
        drawn.append(
            (pair_scores(scores, truth, resamples=80, seed=seed)["precision"], same[upper][scores[upper] > 0].mean())
        )
    long_run = np.mean([value for _, value in drawn])
    assert np.mean([metric.low <= long_run <= metric.high for metric, _ in drawn]) >= 0.8

"""Figures against scikit-learn's, on random and on degenerate predictions."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from ethomorph.behavior.metrics import (
    OF_CONFUSION,
    average_precision,
    class_scores,
    confusion,
    expected_confusion,
    mean_average_precision,
)


@pytest.mark.parametrize("seed", range(4))
def test_equal_to_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    truth, said = rng.integers(4, size=200), rng.integers(4, size=200)
    said[rng.random(200) < 0.5] = truth[rng.random(200) < 0.5][0]
    table = confusion(truth, said, 4)
    assert np.array_equal(table, sk.confusion_matrix(truth, said, labels=range(4)))
    assert OF_CONFUSION["macro_f1"](table) == pytest.approx(sk.f1_score(truth, said, average="macro"))
    assert OF_CONFUSION["balanced_accuracy"](table) == pytest.approx(sk.balanced_accuracy_score(truth, said))
    assert OF_CONFUSION["kappa"](table) == pytest.approx(sk.cohen_kappa_score(truth, said))
    assert OF_CONFUSION["mcc"](table) == pytest.approx(sk.matthews_corrcoef(truth, said))
    assert OF_CONFUSION["accuracy"](table) == pytest.approx(sk.accuracy_score(truth, said))


def test_one_class_predicted_is_no_better_than_chance():
    truth = np.array([0] * 8 + [1] * 2)
    table = confusion(truth, np.zeros(10, int), 2)
    assert OF_CONFUSION["accuracy"](table) == 0.8
    assert OF_CONFUSION["balanced_accuracy"](table) == 0.5
    assert OF_CONFUSION["kappa"](table) == 0 and OF_CONFUSION["mcc"](table) == 0


def test_average_precision_with_ties():
    rng = np.random.default_rng(1)
    scores, hits = rng.integers(5, size=80) / 5, rng.random(80) < 0.3
    assert average_precision(scores, hits) == pytest.approx(sk.average_precision_score(hits, scores))
    probabilities = rng.dirichlet(np.ones(3), size=60)
    truth = rng.integers(3, size=60)
    mean = np.mean([sk.average_precision_score(truth == k, probabilities[:, k]) for k in range(3)])
    assert mean_average_precision(probabilities, truth) == pytest.approx(mean)


def test_a_class_without_truth_does_not_count_in_macro():
    table = confusion(np.array([0, 0, 1]), np.array([0, 2, 1]), 3)
    assert OF_CONFUSION["macro_f1"](table) == pytest.approx((2 / 3 + 1) / 2)
    assert np.isnan(class_scores(table)["recall"][2])


def test_expected_confusion_is_the_mean_of_draws():
    training, truth = np.array([0] * 6 + [1] * 2), np.array([0, 1, 1])
    rng = np.random.default_rng(0)
    draws = [confusion(truth, rng.choice(training, 3), 2) for _ in range(4000)]
    assert np.allclose(np.mean(draws, axis=0), expected_confusion(training, truth, 2), atol=0.05)

"""Baselines: the closed forms are what sampling gives in the long run."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from ethomorph.statistics.baselines import majority_labels, mean_values, stratified_labels, stratified_scores

TRAINING = np.array(["a"] * 6 + ["b"] * 3 + ["c"])
TRUTH = np.array(["a"] * 20 + ["b"] * 60 + ["c"] * 20)


def test_expected_scores_are_the_long_run():
    drawn = [stratified_labels(TRAINING, len(TRUTH), seed=s) for s in range(300)]
    expected = stratified_scores(TRAINING, TRUTH)
    assert np.mean([(d == TRUTH).mean() for d in drawn]) == pytest.approx(expected["accuracy"], abs=0.01)
    balanced = np.mean([balanced_accuracy_score(TRUTH, d) for d in drawn])
    assert balanced == pytest.approx(expected["balanced_accuracy"], abs=0.01)


def test_majority_and_mean():
    assert majority_labels(TRAINING, 3).tolist() == ["a"] * 3
    assert mean_values([[1.0, np.nan], [3.0, 5.0]], 2).tolist() == [[2.0, 5.0], [2.0, 5.0]]

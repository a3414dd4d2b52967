"""What automation does to shape: shrinkage, bias and size errors that were put in are measured."""

import json

import numpy as np
import pytest

from ethomorph.core.errors import LabelError
from ethomorph.shape.automation import automation_effect
from ethomorph.shape.procrustes import centroid_size, generalized_procrustes, procrustes_distance


@pytest.fixture
def truth():
    rng = np.random.default_rng(0)
    return 100 * rng.normal(size=(8, 2)) + 4 * rng.normal(size=(50, 8, 2))


def test_perfect_predictions_lose_nothing(truth):
    effect = automation_effect(truth, truth, resamples=50)
    assert effect.procrustes_distance.value == pytest.approx(0, abs=1e-9)
    assert effect.variance_kept.value == pytest.approx(1) and effect.mean_shape_bias.value == pytest.approx(
        0, abs=1e-12
    )
    assert effect.size_bias.value == pytest.approx(0, abs=1e-9)


def test_shrinkage_towards_the_mean_is_variance_lost(truth):
    predicted = truth.mean(axis=0) + 0.6 * (truth - truth.mean(axis=0))
    effect = automation_effect(truth, predicted, resamples=100)
    assert effect.variance_kept.value == pytest.approx(0.36, abs=0.01)
    assert effect.variance_kept.high < 0.5
    kept = [metrics["variance_kept"].value for metrics in effect.per_landmark.values()]
    np.testing.assert_allclose(kept, 0.36, atol=0.05)
    assert effect.mean_shape_bias.value < 0.002


def test_one_shifted_landmark_is_the_bias(truth):
    predicted = truth.copy()
    predicted[:, 3] += [12, 0]
    effect = automation_effect(truth, predicted, resamples=50)
    shifts = {name: metrics["shift"].value for name, metrics in effect.per_landmark.items()}
    assert max(shifts, key=shifts.get) == "4"
    means = generalized_procrustes(truth).mean, generalized_procrustes(predicted).mean
    assert effect.mean_shape_bias.value == pytest.approx(procrustes_distance(*means), rel=0.05)


def test_size_is_compared_in_percent(truth):
    effect = automation_effect(truth, 1.02 * truth + 30, resamples=50)
    assert effect.size_bias.value == pytest.approx(2) and effect.size_bias.unit == "%"
    assert effect.variance_kept.value == pytest.approx(1)
    assert centroid_size(1.02 * truth)[0] == pytest.approx(1.02 * centroid_size(truth)[0])


def test_missed_specimens_and_landmarks_are_said_not_dropped(truth):
    predicted = truth.copy()
    predicted[4] = np.nan
    predicted[:, 7] = np.nan
    predicted[2, 1] = np.nan
    effect = automation_effect(truth, predicted, names=list("abcdefgh"), resamples=50)
    assert effect.left_out == (4,)
    assert effect.per_landmark["h"]["shift"].value is None
    assert effect.per_landmark["b"]["shift"].n == 48
    assert effect.variance_kept.value == pytest.approx(1)
    json.dumps(effect.to_dict(), allow_nan=False)
    nothing = automation_effect(truth, np.full_like(truth, np.nan), resamples=50)
    assert nothing.variance_kept.value is None and "0 of 50" in nothing.variance_kept.reason
    json.dumps(nothing.to_dict(), allow_nan=False)
    with pytest.raises(LabelError, match="pair the specimens"):
        automation_effect(truth, truth[:3])

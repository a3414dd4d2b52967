"""Filled landmarks: exact where they are determined, better than the mean where they are not."""

import numpy as np
import pytest

from ethomorph.core.errors import LabelError
from ethomorph.shape.missing import fill_missing


@pytest.fixture(scope="module")
def sample():
    """60 shapes with two strong directions of variation and 10 % of the landmarks hidden in the last 20."""
    rng = np.random.default_rng(0)
    base, modes = 100 * rng.normal(size=(9, 2)), 8 * rng.normal(size=(2, 9, 2))
    points = base + np.einsum("nm,mpk->npk", rng.normal(size=(60, 2)), modes) + 0.5 * rng.normal(size=(60, 9, 2))
    gaps = points.copy()
    for row in gaps[40:]:
        row[rng.choice(9, 1)] = np.nan
    return points, gaps


@pytest.mark.parametrize("k", [2, 3])
def test_affine_copies_of_the_reference_are_filled_exactly(k):
    rng = np.random.default_rng(1)
    reference = rng.normal(size=(8, k))
    points = reference @ rng.normal(size=(5, k, k)) + 9 * rng.normal(size=(5, 1, k))
    gaps = points.copy()
    gaps[2, [1, 4]] = gaps[4, 0] = np.nan
    filled = fill_missing(gaps, reference=reference)
    np.testing.assert_allclose(filled.points, points, atol=1e-8)
    assert filled.filled.sum() == 3 and filled.filled[4, 0]


def test_regression_uses_covariation_that_the_spline_does_not_know(sample):
    points, gaps = sample
    error = {}
    for method in ("thin_plate", "regression"):
        filled = fill_missing(gaps, method=method)
        np.testing.assert_array_equal(filled.points[~filled.filled], gaps[~filled.filled])
        error[method] = np.linalg.norm(filled.points - points, axis=2)[filled.filled].mean()
    placing_at_the_mean = np.linalg.norm(points[40:] - points[:40].mean(axis=0), axis=2).mean()
    assert error["regression"] < error["thin_plate"]
    assert error["regression"] < 0.6 * placing_at_the_mean


def test_what_cannot_be_filled_is_refused(sample):
    _, gaps = sample
    hopeless = gaps.copy()
    hopeless[7, 2:] = np.nan
    with pytest.raises(LabelError, match="specimen 8: 2 landmarks do not span"):
        fill_missing(hopeless)
    with pytest.raises(LabelError, match="0 complete specimens"):
        fill_missing(gaps[40:], method="regression")

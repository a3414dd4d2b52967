"""Thin-plate splines: exact at landmarks, free for affine maps, and equal to scipy's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import RBFInterpolator

from ethomorph.core.errors import LabelError
from ethomorph.shape.thin_plate import bending_energy_matrix, partial_warps, thin_plate


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([2, 3]), st.sampled_from([1e-3, 1.0, 2000.0]))
def test_spline_interpolates_and_affine_maps_cost_nothing(seed, k, unit):
    rng = np.random.default_rng(seed)
    source = unit * rng.normal(size=(9, k))
    target = source + 0.2 * unit * rng.normal(size=(9, k))
    spline = thin_plate(source, target)
    np.testing.assert_allclose(spline.apply(source), target, atol=1e-7 * unit)
    assert spline.bending_energy > 0
    affine = source @ rng.normal(size=(k, k)) + unit * rng.normal(size=k)
    flat = thin_plate(source, affine)
    assert flat.bending_energy < 1e-9 * max(spline.bending_energy, 1e-12)
    elsewhere = unit * rng.normal(size=(20, k))
    mapped = thin_plate(source, 2 * source).apply(elsewhere)
    np.testing.assert_allclose(mapped, 2 * elsewhere, atol=1e-7 * unit)


@pytest.mark.parametrize(("k", "kernel"), [(2, "thin_plate_spline"), (3, "linear")])
def test_between_landmarks_it_is_scipys_spline(k, kernel):
    rng = np.random.default_rng(1)
    source, target, elsewhere = rng.normal(size=(12, k)), rng.normal(size=(12, k)), rng.normal(size=(30, k))
    expected = RBFInterpolator(source, target, kernel=kernel, degree=1)(elsewhere)
    np.testing.assert_allclose(thin_plate(source, target).apply(elsewhere), expected, atol=1e-8)


def test_energy_is_the_quadratic_form_of_its_matrix_and_of_the_partial_warps():
    rng = np.random.default_rng(2)
    source = 300 * rng.normal(size=(10, 2))
    shapes = source + 9 * rng.normal(size=(6, 10, 2))
    matrix = bending_energy_matrix(source)
    np.testing.assert_allclose(matrix @ np.c_[np.ones(10), source], 0, atol=1e-9)
    scores, energies = partial_warps(source, shapes)
    assert energies.shape == (7,) and (np.diff(energies) >= 0).all()
    for shape, score in zip(shapes, scores, strict=True):
        energy = thin_plate(source, shape).bending_energy
        assert np.trace(shape.T @ matrix @ shape) == pytest.approx(energy)
        assert (energies[:, None] * score**2).sum() == pytest.approx(energy)


def test_missing_landmarks_are_left_out_and_too_few_refused():
    rng = np.random.default_rng(3)
    source, target = rng.normal(size=(8, 2)), rng.normal(size=(8, 2))
    gap = target.copy()
    gap[3] = np.nan
    keep = np.arange(8) != 3
    point = np.array([[0.3, 0.1]])
    expected = thin_plate(source[keep], target[keep]).apply(point)
    np.testing.assert_allclose(thin_plate(source, gap).apply(point), expected)
    line = np.c_[np.arange(5.0), np.arange(5.0)]
    for bad in (source[:2], line, np.zeros((6, 2))):
        with pytest.raises(LabelError, match="do not span"):
            thin_plate(bad, bad)

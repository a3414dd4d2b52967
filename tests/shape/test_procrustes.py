"""Superimposition against closed forms, scipy and its own invariances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import procrustes as scipy_procrustes
from scipy.stats import special_ortho_group

from ethomorph.core.errors import LabelError
from ethomorph.shape.procrustes import (
    centroid_size,
    generalized_procrustes,
    procrustes_distance,
    similarity,
    superimpose,
)


def sample(n=12, p=8, k=2, noise=0.05, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(p, k)) + noise * rng.normal(size=(n, p, k))


def moved(points, seed=0):
    """Every configuration under its own similarity transform."""
    rng = np.random.default_rng(seed)
    k = points.shape[2]
    turns = [special_ortho_group.rvs(k, random_state=rng) for _ in points]
    return np.stack(
        [rng.uniform(0.2, 9) * x @ r.T + 50 * rng.normal(size=k) for x, r in zip(points, turns, strict=True)]
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([2, 3]), st.booleans())
def test_similarity_recovers_the_map_it_was_made_with(seed, k, gap):
    rng = np.random.default_rng(seed)
    source = rng.normal(size=(7, k))
    rotation, scale, shift = special_ortho_group.rvs(k, random_state=rng), rng.uniform(0.1, 10), 9 * rng.normal(size=k)
    target = scale * source @ rotation.T + shift
    if gap:
        target[0] = np.nan
    fit = similarity(source, target)
    np.testing.assert_allclose(fit.rotation, rotation, atol=1e-9)
    assert fit.scale == pytest.approx(scale)
    np.testing.assert_allclose(fit.translation, shift, atol=1e-8)
    np.testing.assert_allclose(fit.inverse().apply(fit.apply(source)), source, atol=1e-9)
    homogeneous = np.c_[source, np.ones(7)] @ fit.matrix.T
    np.testing.assert_allclose(homogeneous[:, :k], fit.apply(source), atol=1e-9)
    np.testing.assert_allclose(fit.inverse().matrix, np.linalg.inv(fit.matrix), atol=1e-7)


def test_reflection_only_where_allowed():
    source = sample(1)[0]
    mirrored = source * [-1, 1]
    assert np.linalg.det(similarity(source, mirrored).rotation) == pytest.approx(1)
    assert np.linalg.det(similarity(source, mirrored, reflect=True).rotation) == pytest.approx(-1)
    np.testing.assert_allclose(similarity(source, mirrored, reflect=True).apply(source), mirrored, atol=1e-9)


def test_rigid_fit_keeps_size():
    source, target = sample(2)
    fit = similarity(source, 3 * target, scale=False)
    assert fit.scale == 1.0
    assert centroid_size(fit.apply(source)) == pytest.approx(centroid_size(source))


@pytest.mark.parametrize("k", [2, 3])
def test_full_distance_is_scipys_disparity(k):
    for a, b in zip(sample(5, k=k, noise=0.5), sample(5, k=k, noise=0.5, seed=3), strict=True):
        disparity = scipy_procrustes(a, b)[2]  # scipy allows reflection
        assert procrustes_distance(a, b, kind="full", reflect=True) ** 2 == pytest.approx(disparity, rel=1e-9)


def test_distance_kinds_agree_with_the_angle_of_two_triangles():
    # Kendall's sphere for triangles has radius 1/2: an equilateral triangle and a flat one with two points together
    # are rho = pi / 4 apart, since all triangles with a coincident pair lie on its equator.
    equilateral = np.array([[0, 0], [1, 0], [0.5, 3**0.5 / 2]])
    flat = np.array([[0.0, 0], [0, 0], [1, 0]])
    assert procrustes_distance(equilateral, flat, kind="riemannian") == pytest.approx(np.pi / 4)
    assert procrustes_distance(equilateral, flat, kind="full") == pytest.approx(np.sin(np.pi / 4))
    assert procrustes_distance(equilateral, flat) == pytest.approx(2 * np.sin(np.pi / 8))


def test_small_distances_keep_their_digits():
    a = sample(1)[0]
    b = a.copy()
    b[0, 0] += 1e-9
    assert 1e-11 < procrustes_distance(a, b) < 1e-9


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("full", [False, True])
def test_gpa_is_blind_to_place_size_and_turn(k, full):
    points = sample(k=k)
    plain, transformed = (generalized_procrustes(x, full=full) for x in (points, moved(points)))
    np.testing.assert_allclose(plain.procrustes_distance, transformed.procrustes_distance, atol=1e-9)
    assert procrustes_distance(plain.mean, transformed.mean) < 1e-8
    np.testing.assert_allclose(transformed.centroid_size, centroid_size(moved(points)))
    assert plain.converged and transformed.converged


def test_gpa_mean_cannot_be_improved():
    points = sample(noise=0.3)
    gpa = generalized_procrustes(points)
    np.testing.assert_allclose(centroid_size(gpa.aligned), 1)
    np.testing.assert_allclose(gpa.aligned.mean(axis=0), gpa.mean, atol=1e-12)
    again = superimpose(gpa.aligned, gpa.mean / centroid_size(gpa.mean), scale=False)
    np.testing.assert_allclose(again, gpa.aligned, atol=1e-8)  # every specimen lies best on the mean already


def test_gpa_of_two_is_their_pairwise_fit():
    a, b = sample(2, noise=0.4)
    gpa = generalized_procrustes(np.stack([a, b]), max_iterations=2000)
    assert np.linalg.norm(gpa.aligned[0] - gpa.aligned[1]) == pytest.approx(procrustes_distance(a, b), rel=1e-6)


def test_gpa_without_scaling_keeps_size():
    points = sample() * np.linspace(1, 2, 12)[:, None, None]
    gpa = generalized_procrustes(points, scale=False)
    np.testing.assert_allclose(centroid_size(gpa.aligned), centroid_size(points))


@pytest.mark.parametrize("k", [2, 3])
def test_missing_landmarks_of_equal_shapes_change_nothing(k):
    shape = sample(1, p=9, k=k)[0]
    points = moved(np.repeat(shape[None], 15, axis=0))
    gaps = points.copy()
    rng = np.random.default_rng(5)
    for row in gaps:
        row[rng.choice(9, 3, replace=False)] = np.nan
    gpa = generalized_procrustes(gaps)
    np.testing.assert_allclose(gpa.centroid_size, centroid_size(points), rtol=1e-6)
    assert procrustes_distance(gpa.mean, shape) < 1e-7
    assert (np.isnan(gpa.aligned) == np.isnan(gaps)).all()


def test_few_gaps_move_the_mean_little():
    points = sample(60, noise=0.1)
    gaps = points.copy()
    gaps[np.random.default_rng(1).random((60, 8)) < 0.1] = np.nan
    whole, part = generalized_procrustes(points), generalized_procrustes(gaps)
    assert procrustes_distance(whole.mean, part.mean) < 0.01
    np.testing.assert_allclose(part.centroid_size, whole.centroid_size, rtol=0.12)


def test_specimens_join_through_others():
    # The first and the last share no landmark; the middle ones see both halves.
    points = moved(np.repeat(sample(1, p=10)[0][None], 4, axis=0))
    points[0, 5:] = np.nan
    points[3, :5] = np.nan
    assert np.isfinite(generalized_procrustes(points).mean).all()
    with pytest.raises(LabelError, match="share too few landmarks"):
        generalized_procrustes(points[[0, 3]])


def test_what_cannot_be_superimposed_is_refused_by_number():
    points = sample()
    points[3] = np.nan
    with pytest.raises(LabelError, match="specimens 4 show fewer than 2"):
        generalized_procrustes(points)
    points = sample()
    points[1] = 7.0
    with pytest.raises(LabelError, match="specimens 2 coincide"):
        generalized_procrustes(points)
    points = sample()
    points[:, 2] = np.nan
    with pytest.raises(LabelError, match="landmarks 3 are missing"):
        generalized_procrustes(points)
    with pytest.raises(LabelError, match="shared"):
        similarity(np.full((4, 2), np.nan), sample(1)[0][:4])


def test_gpa_agrees_with_ktch():
    landmark = pytest.importorskip("ktch.landmark")
    points = sample(20, noise=0.2)
    other = landmark.GeneralizedProcrustesAnalysis(n_dim=2, tol=1e-14)
    other.fit_transform(points.reshape(20, -1))
    # ktch fits scale as well and allows reflection: its mean is that of the full superimposition.
    assert procrustes_distance(generalized_procrustes(points, full=True).mean, other.mu_, reflect=True) < 1e-5

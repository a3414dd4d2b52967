"""Pixels and points move together: dots are drawn, the picture is changed, and the dots are looked for."""

from __future__ import annotations

import numpy as np
import pytest

from ethomorph.keypoints import augment
from ethomorph.keypoints.augment import Geometry, Intensity


def dots(points: np.ndarray, size: tuple[int, int], sigma: float = 2.0) -> np.ndarray:
    y, x = np.mgrid[: size[0], : size[1]]
    return sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2)) for px, py in points).astype(np.float32)


def centroid(picture: np.ndarray, near: np.ndarray, reach: int = 12) -> np.ndarray:
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    weight = picture * (np.hypot(x - near[0], y - near[1]) < reach)
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()


POINTS = np.array([[60.0, 70.0], [110.0, 62.0], [80.0, 120.0]])
SIZE = (180, 170)


@pytest.mark.parametrize("seed", range(6))
def test_points_follow_pixels_through_random_matrices(seed: int) -> None:
    rng = np.random.default_rng(seed)
    geometry = Geometry(rotation_deg=180, scale=0.2, stretch=0.1, shift=5)
    middle = augment.translation(85, 90)
    matrix = middle @ augment.random_matrix(rng, geometry) @ np.linalg.inv(middle)
    shown = augment.warp(dots(POINTS, SIZE), matrix, SIZE)
    for expected in augment.move(POINTS, matrix):
        assert np.linalg.norm(centroid(shown, expected) - expected) < 0.05


@pytest.mark.parametrize("seed", range(6))
def test_points_follow_pixels_through_elastic_displacement(seed: int) -> None:
    rng = np.random.default_rng(seed)
    geometry = Geometry(elastic=2.0, elastic_reach=40)
    field = augment.smooth_displacement(rng, SIZE, geometry)
    assert field is not None and 0.5 < field.std() < 3
    matrix = augment.translation(3, -4)
    shown = augment.warp(dots(POINTS, SIZE), matrix, SIZE, displacement=field)
    moved = augment.displaced(augment.move(POINTS, matrix), field)
    assert np.abs(moved - augment.move(POINTS, matrix)).max() > 0.3
    for expected in moved:
        # the dots themselves are bent a little, which moves their centroids
        assert np.linalg.norm(centroid(shown, expected) - expected) < 0.35
        inside = np.round(expected).astype(int)
        assert shown[inside[1], inside[0]] > 0.85


@pytest.mark.parametrize("factor", [0.5, 0.31, 0.77])
def test_shrinking_keeps_pixel_centres(factor: float) -> None:
    picture = dots(POINTS, SIZE, sigma=4)
    small = augment.shrink(picture, factor)
    matrix = augment.shrink_matrix(picture.shape, small.shape)
    for expected in augment.move(POINTS, matrix):
        assert np.linalg.norm(centroid(small, expected, 8) - expected) < 0.05


def test_scaling_agrees_with_shrinking() -> None:
    assert np.allclose(augment.scaling(0.5), augment.shrink_matrix((100, 80), (50, 40)))


def test_missing_points_stay_missing() -> None:
    points = np.array([[np.nan, np.nan], [1.0, 2.0]])
    moved = augment.move(points, augment.rotation(30, 2.0))
    assert np.isnan(moved[0]).all() and np.isfinite(moved[1]).all()


def test_intensity_changes_pixels_but_not_places() -> None:
    rng = np.random.default_rng(0)
    picture = augment.standardize(dots(POINTS, SIZE, sigma=3))[None, None]
    still = Intensity(noise=0, blots=0, gradient=0)
    for _ in range(4):
        changed = augment.vary_intensity(rng, picture, still)[0, 0]
        assert not np.allclose(changed, picture[0, 0])
        lifted = changed - np.median(changed)
        for expected in POINTS:
            assert np.linalg.norm(centroid(np.clip(lifted, 0, None), expected, 9) - expected) < 0.1


def test_standardize_leaves_flat_pictures_flat() -> None:
    flat = 0.4 + 1e-4 * np.random.default_rng(0).standard_normal((20, 20)).astype(np.float32)
    assert np.abs(augment.standardize(flat)).max() < 0.1
    assert abs(augment.standardize(dots(POINTS, SIZE)).std() - 1) < 1e-3


def test_blots_lie_in_the_same_place_at_every_scale() -> None:
    fine, wide = np.ones((90, 90), np.float32), np.ones((90, 90), np.float32)
    rng = np.random.default_rng(3)
    augment.blots(rng, [fine, wide], [1.0, 1 / 3], Intensity(blots=3))
    assert (wide < 0.9).any()
    seen = 44.5 + (np.argwhere(fine < 0.5).mean(0) - 44.5) / 3 if (fine < 0.5).any() else None
    if seen is not None:
        near = wide[int(seen[0]) - 5 : int(seen[0]) + 6, int(seen[1]) - 5 : int(seen[1]) + 6]
        assert (near < 0.9).any()

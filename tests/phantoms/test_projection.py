"""The projection against closed forms: chords, Beer-Lambert, photon statistics, sub-pixel position."""

from dataclasses import replace

import numpy as np
import pytest

from ethomorph.phantoms.projection import Bar, Exposure, Tube, attenuation_map, develop, expected_counts, expose

CLEAN = Exposure(photons=1000.0, readout=0.0, blur_px=0.0, scatter=0.0, vignette=0.0, grain=0.0)


def centroid(weights: np.ndarray) -> np.ndarray:
    y, x = np.indices(weights.shape)
    return np.array([(x * weights).sum(), (y * weights).sum()]) / weights.sum()


@pytest.mark.parametrize("centre", [(20.0, 15.0), (20.3, 15.8), (19.55, 14.25)])
@pytest.mark.parametrize("radius", [0.5, 1.2, 4.0, 30.0])
def test_a_ball_lies_where_it_was_put(centre, radius):
    shift = 30.0 if radius > 10 else 0.0
    ball = Tube(np.array([centre]) + shift, np.array([radius]), 1.0)
    image = attenuation_map([ball], (110, 110), 1.0)
    np.testing.assert_allclose(centroid(image), np.array(centre) + shift, atol=0.04)


def test_a_ball_has_the_volume_and_the_chord_of_a_ball():
    image = attenuation_map([Tube(np.array([[5.0, 5.0]]), np.array([3.0]), 0.5)], (100, 100), 0.1)
    assert image.max() == pytest.approx(0.5 * 6.0, rel=0.01)
    assert image.sum() * 0.1**2 == pytest.approx(0.5 * 4 / 3 * np.pi * 3.0**3, rel=0.01)


def test_marrow_is_what_is_missing():
    line, radii = np.array([[1.0, 5.0], [9.0, 5.0]]), np.array([1.0, 1.0])
    image = attenuation_map([Tube(line, radii, 1.0, marrow=0.6)], (100, 100), 0.1)
    assert image[50, 50] == pytest.approx(2.0 - 1.2, abs=0.02)
    assert image[58, 50] == pytest.approx(2 * np.sqrt(1 - 0.64), abs=0.03)  # outside the hollow


@pytest.mark.parametrize("radius", [0.3, 0.7, 1.4, 3.0])
def test_thin_and_thick_bars_have_the_cross_section_of_a_circle(radius):
    image = attenuation_map([Tube(np.array([[10.0, 20.3], [70.0, 20.3]]), np.full(2, radius), 1.0)], (41, 81), 1.0)
    assert image[:, 40].sum() == pytest.approx(np.pi * radius**2, rel=0.05)


def test_joints_of_one_bone_do_not_count_twice():
    straight = Tube(np.array([[1.0, 5.0], [9.0, 5.0]]), np.array([1.0, 1.0]), 1.0)
    jointed = Tube(np.array([[1.0, 5.0], [3.0, 5.0], [5.0, 5.0], [9.0, 5.0]]), np.ones(4), 1.0)
    maps = [attenuation_map([tube], (100, 100), 0.1) for tube in (straight, jointed)]
    np.testing.assert_allclose(maps[0], maps[1], atol=1e-4)


def test_parts_add_up_and_may_hang_over_the_edge():
    rng = np.random.default_rng(0)
    tubes = [Tube(rng.uniform(-20, 60, (n, 2)), rng.uniform(0.3, 9, n), 0.1) for n in (1, 2, 3, 5) for _ in range(6)]
    tubes.append(Tube(np.array([[-500.0, 3.0]]), np.array([2.0]), 1.0))
    together = attenuation_map(tubes, (40, 50), 1.0)
    assert together.shape == (40, 50)
    # The same parts on a larger plate, cut out: the edge changes nothing.
    moved = [replace(tube, points=tube.points + 100) for tube in tubes]
    larger = attenuation_map(moved, (240, 250), 1.0)
    np.testing.assert_allclose(together, larger[100:140, 100:150], atol=1e-4)
    np.testing.assert_allclose(together, sum(attenuation_map([tube], (40, 50), 1.0) for tube in tubes), atol=1e-4)


def test_the_bar_is_as_long_and_as_wide_as_it_says():
    start, end = np.array([10.3, 20.6]), np.array([70.9, 24.2])
    image = attenuation_map([Bar(start, end, 4.0, 2.0)], (50, 90), 1.0)
    stopped = 1 - np.exp(-image)
    assert image.max() == pytest.approx(2.0, rel=1e-5)
    assert stopped.sum() == pytest.approx((1 - np.exp(-2.0)) * 4.0 * np.hypot(*(end - start)), rel=1e-3)
    np.testing.assert_allclose(centroid(stopped), (start + end) / 2, atol=0.02)


def test_transmission_follows_beer_and_lambert():
    attenuation = np.array([[0.0, 0.5, 2.0]], np.float32)
    np.testing.assert_allclose(expected_counts(attenuation, CLEAN), 1000 * np.exp(-attenuation), rtol=1e-5)


@pytest.mark.parametrize("photons", [50.0, 400.0, 20000.0])
def test_photon_noise_has_the_variance_of_its_mean(photons):
    counts = expose(np.full((300, 300), 0.3, np.float32), replace(CLEAN, photons=photons), np.random.default_rng(1))
    mean = photons * np.exp(-0.3)
    assert counts.mean() == pytest.approx(mean, rel=0.01)
    assert counts.var() == pytest.approx(mean, rel=0.03)  # a standard error of 0.5 %


def test_readout_noise_adds_its_variance():
    counts = expose(np.zeros((300, 300), np.float32), replace(CLEAN, readout=40.0), np.random.default_rng(1))
    assert counts.var() == pytest.approx(1000 + 1600, rel=0.03)


def test_blur_keeps_photons_and_haze_adds_its_share():
    attenuation = attenuation_map([Tube(np.array([[30.0, 30.0]]), np.array([5.0]), 0.2)], (64, 64), 1.0)
    plain = expected_counts(attenuation, CLEAN).sum()
    for blurred in (replace(CLEAN, blur_px=2.0), replace(CLEAN, motion_px=6.0, motion_rad=0.7)):
        assert expected_counts(attenuation, blurred).sum() == pytest.approx(plain, rel=1e-3)
        assert expected_counts(attenuation, blurred).std() < 0.97 * expected_counts(attenuation, CLEAN).std()
    assert expected_counts(attenuation, replace(CLEAN, scatter=0.1)).sum() == pytest.approx(1.1 * plain, rel=0.01)


def test_motion_moves_nothing():
    attenuation = attenuation_map([Tube(np.array([[30.3, 31.2]]), np.array([3.0]), 0.05)], (64, 64), 1.0)
    lost = 1000 - expected_counts(attenuation, replace(CLEAN, motion_px=6.0, motion_rad=0.7))
    np.testing.assert_allclose(centroid(lost), [30.3, 31.2], atol=0.02)


def test_film_is_black_where_the_beam_is_open_and_white_where_it_is_stopped():
    grey = develop(np.array([[1000.0, 0.0, 500.0]]), CLEAN)
    np.testing.assert_allclose(grey[0, :2], [0.05, 0.93], atol=1e-6)
    assert 0.05 < grey[0, 2] < 0.93

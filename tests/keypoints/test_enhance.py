"""Every grey-value treatment against its formula or another program, in float throughout."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from ethomorph.core.errors import StudyError
from ethomorph.keypoints.clahe import equalise
from ethomorph.keypoints.enhance import PRESETS, Enhancement


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """A smooth scene with fine structure and noise, float32 in 0..1 on 8-bit levels."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:240, :320] / 60
    scene = 0.45 + 0.2 * np.sin(3 * x) * np.cos(2 * y) + 0.1 * (x > 3) + rng.normal(0, 0.03, x.shape)
    return (np.rint(scene.clip(0, 1) * 255) / 255).astype(np.float32)


def test_default_changes_nothing_but_copies(picture):
    result = Enhancement().apply(picture)
    assert np.array_equal(result, picture) and not np.shares_memory(result, picture)
    assert result.dtype == np.float32 and PRESETS["none"] == Enhancement()


@pytest.mark.parametrize("gamma", [0.5, 2.2])
def test_gamma_is_a_power(picture, gamma):
    np.testing.assert_allclose(Enhancement(gamma=gamma).apply(picture), picture ** (1 / gamma), atol=1e-6)


def test_contrast_stretches_about_the_mean(picture):
    mean = picture.mean()
    np.testing.assert_allclose(
        Enhancement(contrast=1.7).apply(picture), np.clip(mean + 1.7 * (picture - mean), 0, 1), atol=1e-6
    )
    np.testing.assert_allclose(Enhancement(contrast=0).apply(picture), mean, atol=1e-6)


def test_window_maps_percentiles_to_black_and_white(picture):
    low, high = np.percentile(picture, [5, 90])
    expected = np.clip((picture - low) / (high - low), 0, 1)
    np.testing.assert_allclose(Enhancement(window=(5, 90)).apply(picture), expected, atol=1e-5)
    flat = np.full((20, 20), 0.3, np.float32)
    assert np.array_equal(Enhancement(window=(5, 90)).apply(flat), flat)


def test_invert_twice_is_nothing(picture):
    once = Enhancement(invert=True)
    np.testing.assert_allclose(once.apply(once.apply(picture)), picture, atol=1e-7)


@pytest.mark.parametrize("amount", [0.0, 0.5, 4.0])
def test_sharpness_is_pillows(picture, amount):
    pillow = ImageEnhance.Sharpness(Image.fromarray(np.rint(picture * 255).astype(np.uint8))).enhance(amount)
    ours = Enhancement(sharpness=amount).apply(picture) * 255
    # Pillow rounds the smoothed picture, and leaves the outermost pixels as they are.
    assert np.abs(ours - np.asarray(pillow))[1:-1, 1:-1].max() <= 0.51 * abs(1 - amount) + 1.01


def test_denoising_follows_opencv_and_keeps_a_constant(picture):
    np.testing.assert_allclose(
        Enhancement(denoise="gaussian", denoise_px=7).apply(picture), cv2.GaussianBlur(picture, (7, 7), 0), atol=1e-6
    )
    spot = np.full((21, 21), 0.5, np.float32)
    spot[10, 10] = 1
    assert np.all(Enhancement(denoise="median").apply(spot) == 0.5)
    step = np.where(np.arange(40) < 20, 0.2, 0.8) * np.ones((40, 1))
    kept = Enhancement(denoise="bilateral", denoise_px=9).apply(step)
    assert (
        np.abs(kept - step).max()
        < 0.01
        < np.abs(Enhancement(denoise="gaussian", denoise_px=9).apply(step) - step).max()
    )


@pytest.mark.parametrize(
    ("shape", "tiles", "clip"), [((240, 320), (8, 8), 2.0), ((200, 200), (4, 5), 4.0), ((97, 61), (3, 2), 40.0)]
)
def test_clahe_gives_opencvs_answer_on_8_bit(picture, shape, tiles, clip):
    part = np.ascontiguousarray(picture[: shape[0], : shape[1]])
    reference = cv2.createCLAHE(clip, tiles[::-1]).apply(np.rint(part * 255).astype(np.uint8))
    # OpenCV rounds each tile's map and then the blend of four: at most half a level each.
    assert np.abs(equalise(part, clip_limit=clip, tiles=tiles) * 255 - reference).max() < 1.05


def test_clahe_keeps_the_depth_that_8_bits_lose():
    ramp = np.linspace(0.4, 0.4 + 20 / 255, 4000, dtype=np.float32).reshape(40, 100)
    assert len(np.unique(equalise(ramp, clip_limit=2.0, tiles=(2, 2)))) > 1000
    reference = cv2.createCLAHE(2.0, (2, 2)).apply(np.rint(ramp * 255).astype(np.uint8))
    assert len(np.unique(reference)) <= 100


def test_clahe_of_a_constant_is_constant_and_tiny_pictures_pass():
    assert np.ptp(equalise(np.full((64, 64), 0.4, np.float32), clip_limit=2.0, tiles=(8, 8))) < 1e-6
    for shape in ((1, 1), (3, 9), (9, 3)):
        assert np.isfinite(Enhancement(clahe=2.0).apply(np.full(shape, 0.5))).all()


def test_lizardmorph_is_that_programs_chain(picture):
    levels = np.rint(picture * 255).astype(np.uint8)
    pillow = ImageEnhance.Contrast(ImageEnhance.Sharpness(Image.fromarray(levels)).enhance(4.0)).enhance(1.3)
    theirs = cv2.createCLAHE(2.0, (8, 8)).apply(cv2.GaussianBlur(np.asarray(pillow), (3, 3), 0))
    ours = PRESETS["lizardmorph"].apply(picture) * 255
    assert np.abs(ours - theirs).mean() < 2.5
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.998


def test_every_preset_stays_within_0_and_1_is_repeatable_and_keeps_16_bits(picture):
    fine = np.clip(picture + np.linspace(0, 1e-3, picture.size, dtype=np.float32).reshape(picture.shape), 0, 1)
    for enhancement in PRESETS.values():
        once = enhancement.apply(fine)
        assert np.array_equal(once, enhancement.apply(fine))
        assert once.min() >= 0 and once.max() <= 1 and once.dtype == np.float32
        assert len(np.unique(once)) > 5000


@settings(max_examples=30, deadline=None)
@given(
    window=st.none() | st.tuples(st.floats(0, 40), st.floats(60, 100)),
    contrast=st.floats(0, 5),
    gamma=st.floats(0.1, 5),
    invert=st.booleans(),
    seed=st.integers(0, 99),
)
def test_pointwise_treatments_keep_the_order(window, contrast, gamma, invert, seed):
    enhancement = Enhancement(window=window, contrast=contrast, gamma=gamma, invert=invert)
    assert enhancement.pointwise
    values = np.sort(np.random.default_rng(seed).random((9, 9), np.float32), axis=None).reshape(9, 9)
    steps = np.diff(enhancement.apply(values).ravel())
    assert (steps <= 1e-6).all() if invert else (steps >= -1e-6).all()


@settings(max_examples=30, deadline=None)
@given(
    st.builds(
        Enhancement,
        window=st.none() | st.just((1.0, 99.0)),
        sharpness=st.floats(0, 9),
        clahe=st.floats(0, 9),
        clahe_tiles=st.tuples(st.integers(1, 16), st.integers(1, 16)),
        denoise=st.sampled_from(["none", "gaussian"]),
    )
)
def test_settings_survive_json(enhancement):
    assert Enhancement.of(json.loads(json.dumps(enhancement.to_dict()))) == enhancement


def test_names_presets_and_settings():
    assert Enhancement.of(None) == Enhancement() == Enhancement.of("none")
    assert Enhancement.of({"preset": "lizardmorph", "gamma": 2.0}).clahe == 2.0
    assert not PRESETS["lizardmorph"].pointwise


@pytest.mark.parametrize(
    "given",
    [
        "vivid",
        {"shrapness": 2},
        {"gamma": 0},
        {"gamma": float("nan")},
        {"window": (90, 10)},
        {"denoise": "nlm"},
        {"denoise_px": 4},
        {"denoise": "median", "denoise_px": 7},
        {"clahe": -1},
        {"clahe_tiles": (0, 8)},
        {"clahe_tiles": (8,)},
        {"contrast": "much"},
        {"preset": "vivid"},
    ],
)
def test_nonsense_is_refused_by_name(given):
    with pytest.raises(StudyError, match=r"enhancement.*;"):
        Enhancement.of(given)


def test_colour_is_refused():
    with pytest.raises(StudyError, match="grey"):
        Enhancement().apply(np.zeros((4, 4, 3)))

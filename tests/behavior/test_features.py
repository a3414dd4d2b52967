"""What features say of simulated movement whose truth is known, and that nobody's brightness gets in."""

from __future__ import annotations

import numpy as np
import pytest

from ethomorph.behavior.augment import augmented
from ethomorph.behavior.kinematics import (
    body_length,
    cleaned,
    frame_features,
    pose_signals,
    windowed,
)
from ethomorph.behavior.motion import NAMES, clip_signals
from ethomorph.behavior.signals import (
    STATISTICS,
    clip_feature_names,
    clip_features,
    filled,
    measured_signals,
    summary,
    summary_names,
)
from ethomorph.core.recordings import Recording
from ethomorph.training.preflight import still_clip


def moving_disc(speed: float, frames: int = 20, side: int = 64, *, gain: float = 1.0, seed: int = 0) -> np.ndarray:
    """A dark disc that moves to the right by `speed` px a frame over a noisy ground."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    ground = 120 + 20 * np.sin(x / 5) + 20 * np.cos(y / 7)
    clip = []
    for i in range(frames):
        disc = np.hypot(x - 14 - speed * i, y - side / 2) < 6
        clip.append(np.clip(np.where(disc, 40, ground) * gain + rng.normal(0, 2, (side, side)), 0, 255))
    return np.array(clip, np.uint8)[..., None]


def of(frames: np.ndarray, name: str) -> np.ndarray:
    return clip_signals(frames).values[:, NAMES.index(name)]


def test_speed_of_a_blob():
    slow, fast = (np.median(of(moving_disc(v, frames=16), "speed")) for v in (1.6, 2.8))
    assert slow == pytest.approx(1.6 / 64, rel=0.2) and fast == pytest.approx(2.8 / 64, rel=0.2)


def test_nothing_moves_in_a_still_clip():
    still = clip_signals(moving_disc(0.0))
    assert still.values[:, NAMES.index("area")].max() < 0.01
    assert still.values[:, NAMES.index("moving")].mean() < 0.02


def test_a_darker_day_changes_little():
    bright, dim = (clip_features(clip_signals(moving_disc(1.2, gain=g))) for g in (1.0, 0.7))
    names = clip_feature_names(clip_signals(moving_disc(1.2)))
    area = names.index("area:mean"), names.index("speed:q50"), names.index("flow:mean")
    assert np.allclose(bright[list(area)], dim[list(area)], rtol=0.35)


def test_what_is_changed_for_good_is_seen():
    clip = moving_disc(0.0)
    clip[10:, 10:20, 40:50] = np.clip(clip[10:, 10:20, 40:50].astype(int) + 60, 0, 255).astype(np.uint8)
    signals = clip_signals(clip)
    found = dict(zip(signals.extra_names, signals.extra, strict=True))
    assert 100 / 64**2 <= found["brighter for good"] < 200 / 64**2  # the patch, and the blur around it
    assert found["darker for good"] < 0.003


def test_names_fit_numbers():
    signals = clip_signals(moving_disc(1.0))
    assert len(clip_feature_names(signals)) == len(clip_features(signals))
    assert np.isfinite(clip_features(signals)).all()


def test_summary_of_a_ramp():
    said = dict(zip(summary_names(["x"]), summary(np.arange(10.0)[:, None]), strict=True))
    assert said["x:mean"] == 4.5 and said["x:low"] == 0 and said["x:high"] == 9 and said["x:change"] == 1
    assert said["x:early"] < 0 < said["x:late"] and said["x:when"] > 0.7
    assert len(said) == len(STATISTICS)


def test_measured_signals_separate_posture_and_movement():
    time = np.arange(40)
    lying = np.column_stack([np.full(40, 9.8), 0.1 * np.sin(time), np.zeros(40)])
    flying = np.column_stack([np.full(40, 9.8), 5 * np.sin(time), np.zeros(40)])
    a, b = (measured_signals(s, list("xyz")) for s in (lying, flying))
    fast = a.names.index("fast y")
    assert b.values[:, fast].mean() > 20 * a.values[:, fast].mean()
    assert a.values[:, 0].mean() == pytest.approx(b.values[:, 0].mean())


def walking(speed: float = 2.0, fps: float = 20.0, scale: float = 1.0, seconds: float = 5.0) -> Recording:
    """An animal of three nodes, 10 long, that walks to the right at `speed` body lengths a second."""
    time = np.arange(int(seconds * fps)) / fps
    x = speed * 10 * time
    points = np.stack([np.column_stack([x + dx, np.full_like(x, 5.0)]) for dx in (10, 5, 0)], axis=1)
    return Recording("w", scale * points[:, None], fps, ["nose", "mid", "tail"], ["a"])


def signal(recording: Recording, name: str) -> np.ndarray:
    found = pose_signals(recording)
    return found.values[:, found.names.index(name)]


@pytest.mark.parametrize(("fps", "scale"), [(20.0, 1.0), (50.0, 1.0), (20.0, 7.0)])
def test_speed_in_body_lengths_whatever_the_camera(fps, scale):
    found = np.exp(signal(walking(2.0, fps, scale), "log speed"))[5:-5] - 0.01
    assert np.median(found) == pytest.approx(2.0, rel=0.02)
    assert np.median(signal(walking(2.0, fps, scale), "forward")[5:-5]) == pytest.approx(2.0, rel=0.02)


def test_posture_does_not_depend_on_where_it_looks():
    recording = walking()
    angle = 0.7
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = Recording("t", recording.points @ turn.T, recording.fps, recording.nodes, recording.animals)
    for name in ("nose forward", "nose sideways", "nose to tail"):
        assert np.allclose(signal(recording, name), signal(turned, name), atol=1e-4)


def test_gaps_and_doubtful_points_are_filled():
    recording = walking()
    confidence = np.ones(recording.points.shape[:3])
    confidence[10:14, 0, 1] = 0.1
    recording.points[10:14, 0, 1] = 999
    recording.points[30:33, 0, 0] = np.nan
    recording.confidence = confidence
    assert np.allclose(cleaned(recording), walking().points, atol=1e-9)
    assert body_length(cleaned(recording)[:, 0]) == pytest.approx(10)
    assert filled(np.array([[np.nan], [np.nan]])).tolist() == [[0], [0]]


def test_a_second_animal_is_seen_from_the_first():
    recording = walking()
    other = recording.points.copy() + [30, 0]
    pair = Recording("p", np.concatenate([recording.points, other], axis=1), 20.0, recording.nodes, ["a", "b"])
    assert np.allclose(signal(pair, "nearest other: distance"), 3.0, atol=0.01)
    assert np.allclose(signal(pair, "nearest other: ahead"), 3.0, atol=0.01) and np.allclose(
        signal(pair, "nearest other: aside"), 0, atol=0.01
    )
    assert np.allclose(signal(pair, "nearest other: same heading"), 1)


def test_windows_before_and_after():
    values = np.zeros((21, 1))
    values[10] = 1
    before, after = (windowed(values, 5, "high", side=s)[:, 0] for s in (-1, 1))
    assert np.flatnonzero(before).tolist() == [10, 11, 12, 13, 14]
    assert np.flatnonzero(after).tolist() == [6, 7, 8, 9, 10]


def test_features_of_frames_have_names():
    values, names = frame_features(walking())
    assert values.shape == (100, len(names)) and np.isfinite(values).all() and len(set(names)) == len(names)


def test_augmentation_moves_all_frames_alike():
    rng = np.random.default_rng(3)
    said = still_clip(lambda clip: augmented(clip.astype(np.float32), rng, flips=True))
    assert said["still_clip_motion"] == 0.0


def test_augmentation_keeps_motion():
    clip = moving_disc(1.5)
    out = augmented(clip, np.random.default_rng(0))
    assert out.shape == clip.shape and out.dtype == np.uint8
    assert np.median(of(out, "speed")) == pytest.approx(np.median(of(clip, "speed")), rel=0.3)

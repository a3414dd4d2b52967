"""The simulated arena: poses lie on the fish, behaviours do what they are called, the seed decides everything."""

from __future__ import annotations

import numpy as np
import pytest

from ethomorph.behavior.bouts import time_budget
from ethomorph.phantoms.arena import STATES, simulate_arena
from ethomorph.phantoms.arena_clips import BUILDING, SHARES, simulate_clips
from ethomorph.phantoms.fish import NODES, draw_style, keypoints, midline, outline


@pytest.fixture(scope="module")
def video():
    return simulate_arena(fish=4, frames=500, size=(240, 320), length_px=36, seed=3)


@pytest.fixture(scope="module")
def clips():
    return simulate_clips(120, individuals=6, size=64, frames=16, fps=8, seed=1)


def test_body_length_is_what_was_asked_for():
    style = draw_style(np.random.default_rng(0), 50)
    line = midline(100, 100, 0.3, length=50, pitch=0, bend=0, beat=0, phase=0)
    assert np.linalg.norm(line[0] - line[-1]) == pytest.approx(50, rel=0.01)
    nose_down = midline(100, 100, 0.3, length=50, pitch=0.9, bend=0, beat=0, phase=0)
    assert np.linalg.norm(nose_down[0] - nose_down[-1]) < 40
    left, right = keypoints(line, style)[1:3]
    ahead = line[0] - line[-1]
    side = right - left
    assert ahead[0] * side[1] - ahead[1] * side[0] > 0  # its right, as seen from above with y down


def test_poses_lie_on_the_drawn_fish(video):
    """A frame with one fish painted out differs from the whole frame only where that fish, or its shadow, is."""
    frame = 120
    whole = video.frame(frame).astype(int)
    for i, fish in enumerate(video.swimmers):
        video.swimmers.remove(fish)
        without = video.frame(frame).astype(int)
        video.swimmers.insert(i, fish)
        changed = np.abs(whole - without).sum(2) > 30
        body = ~video.hidden[frame, i]
        inside = [n for n, name in enumerate(NODES) if name in ("eye_left", "eye_right", "dorsal") and body[n]]
        for node in inside:
            x, y = np.round(video.poses[frame, i, node]).astype(int)
            assert changed[y - 1 : y + 2, x - 1 : x + 2].any()


def test_frames_follow_from_the_seed_and_can_be_drawn_alone(video):
    again = simulate_arena(fish=4, frames=500, size=(240, 320), length_px=36, seed=3)
    assert np.array_equal(video.poses, again.poses)
    late, early = again.frame(400), again.frame(10)
    assert np.array_equal(video.frame(10), early) and np.array_equal(video.frame(400), late)
    assert not np.array_equal(simulate_arena(fish=4, frames=20, size=(240, 320), seed=4).poses, video.poses[:20])


def test_fish_stay_in_the_arena_and_move_smoothly(video):
    centre = video.poses.mean(2)
    assert centre.min() > -20 and (centre < np.array([340, 260])).all()
    assert np.linalg.norm(np.diff(centre, axis=0), axis=2).max() < 12  # px a frame


def test_digging_is_head_down_and_slow(video):
    states, length = video.states, np.linalg.norm(video.poses[:, :, 0] - video.poses[:, :, -1], axis=2)
    digging = states == "dig"
    assert digging.any() and set(np.unique(states)) <= set(STATES)
    male = np.flatnonzero(digging.any(0))[0]
    assert np.median(length[digging[:, male], male]) < 0.93 * np.median(length[states[:, male] == "swim", male])


def test_hidden_nodes_are_under_leaves_or_other_fish(video):
    x, y = np.clip(video.poses, 0, [319, 239]).astype(int).transpose(3, 0, 1, 2)
    assert video.hidden[video.scene.hidden[y, x]].all()
    rest = video.hidden & ~video.scene.hidden[y, x]
    covered = 0
    for frame, i, node in np.argwhere(rest):
        px, py = video.poses[frame, i, node]
        outside = not (0 <= px < 320 and 0 <= py < 240)
        near = any(
            np.linalg.norm(outline(o.lines[frame], o.style) - (px, py), axis=1).min() < 12
            for o in video.swimmers[i + 1 :]
        )
        covered += outside or near
    assert covered == rest.sum()


def test_written_video_poses_and_events_agree(video, tmp_path):
    from ethomorph.behavior.tracks import read_tracks
    from ethomorph.behavior.video import probe
    from ethomorph.formats.boris import read_aggregated

    video.write(tmp_path)
    assert probe(tmp_path / "video.mp4").size == (240, 320)
    (track,) = read_tracks(tmp_path / "poses.slp", fps=video.fps)
    seen = ~video.hidden
    assert np.allclose(track.points[seen], video.poses[seen], atol=0.01) and np.isnan(track.points[~seen]).all()
    budget = time_budget(read_aggregated(tmp_path / "events.csv"))
    for i, name in enumerate(video.names):
        mine = budget[budget["subject"] == name].set_index("behavior")["share_of_observed"]
        for state in np.unique(video.states[:, i]):
            assert mine[state] == pytest.approx((video.states[:, i] == state).mean(), abs=0.002)


def test_recordings_name_the_behaviour_of_their_own_fish(video):
    recordings = video.recordings()
    assert [r.group for r in recordings] == video.names
    assert (recordings[2].labels == video.states[:, 2]).all()
    own = np.where(video.hidden[:, 2, :, None], np.nan, video.poses[:, 2])
    assert np.array_equal(recordings[2].points[:, 0], own, equal_nan=True)


def test_classes_are_ten_to_one(clips):
    counts = {name: clips.labels.count(name) for name in SHARES}
    big = simulate_clips(1000, seed=2)
    many = {name: big.labels.count(name) for name in SHARES}
    assert sum(counts.values()) == 120 and min(counts.values()) >= 1
    assert max(many.values()) / min(many.values()) == pytest.approx(10, rel=0.05)


def test_clips_show_their_class(clips):
    by_label = {label: [i for i, one in enumerate(clips.plan) if one.label == label] for label in SHARES}
    assert all(clips.poses(i).shape[1] == 0 for i in by_label["no_fish"])
    pair = clips.poses(by_label["spawn"][0])
    assert pair.shape[1] == 2
    gap = np.linalg.norm(pair[:, 0, 5] - pair[:, 1, 5], axis=1)
    assert gap.max() < 64 and clips.clip(0).shape == (16, 64, 64, 3)


def test_building_goes_with_place_but_the_arena_differs(clips):
    """What a metadata-only model can use: within an individual building is near the bower; bowers differ."""
    near, far = [], []
    for one in simulate_clips(1000, individuals=6, seed=1).plan:
        bower = clips.individuals[one.individual].bower
        distance = np.hypot(one.row - bower[0], one.column - bower[1])
        (near if one.label in BUILDING else far).append(distance)
    assert np.median(near) < 0.5 * np.median(far)
    assert np.ptp([who.bower for who in clips.individuals], axis=0).min() > 50


def test_impossible_sizes_do_not_hang():
    assert simulate_arena(fish=1, frames=3, size=(64, 64), length_px=20, plants=0).poses.shape == (3, 1, 8, 2)

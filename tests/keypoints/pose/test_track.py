"""Following animals: identities kept through crossings and gaps, and counted as the literature counts them."""

from __future__ import annotations

import numpy as np
import pytest

from ethomorph.keypoints.pose.frames import ScoredFrame
from ethomorph.keypoints.pose.table import PoseTable
from ethomorph.keypoints.pose.track import Tracker, Tracking, track_tables
from ethomorph.keypoints.pose.track_score import swaps, track_scores

SHAPE = np.array([[10.0, 0.0], [0.0, 0.0], [-10.0, 0.0]])


def crossing(frames=60):
    """Two animals that cross at right angles."""
    t = np.linspace(-60, 60, frames)
    a = SHAPE + np.stack([t, np.full_like(t, 4)], 1)[:, None]
    b = SHAPE[:, ::-1] + np.stack([np.full_like(t, -3), t * 1.1], 1)[:, None]
    return np.stack([a, b], 1)


def follow(points, settings, *, order=None, gone=()):
    tracker, numbers = Tracker(settings), []
    for frame, animals in enumerate(points):
        if frame in gone:
            numbers.append(np.full(len(animals), -1))
            continue
        turn = np.arange(len(animals)) if order is None or frame % 2 else np.arange(len(animals))[::-1]
        found = tracker.update(frame, animals[turn], np.ones(len(animals)))
        back = np.empty(len(animals), int)
        back[turn] = found
        numbers.append(back)
    return np.array(numbers), tracker


@pytest.mark.parametrize("cost", ["oks", "iou", "centroid"])
def test_a_crossing_keeps_identities(cost):
    numbers, _ = follow(crossing(), Tracking(animals=2, cost=cost), order="turning")
    assert (numbers == numbers[0]).all()


def test_a_known_number_survives_a_long_gap():
    numbers, tracker = follow(crossing(120), Tracking(animals=2), gone=range(20, 45))
    seen = [i for i in range(120) if i not in range(20, 45)]
    assert (numbers[seen] == numbers[0]).all() and len(tracker.tracks) == 2


def test_gaps_are_closed_where_the_number_is_not_known():
    still = np.stack([SHAPE + [0, 0], SHAPE + [0, 200]])[None].repeat(80, 0)
    numbers, tracker = follow(still, Tracking(patience=5), gone=range(30, 60))
    assert set(numbers[70]) == {2, 3}
    joined = tracker.joined()
    assert (joined[numbers[70]] == joined[numbers[0]]).all()


def test_more_predictions_than_animals_leave_the_weakest_over():
    tracker = Tracker(Tracking(animals=1))
    numbers = tracker.update(0, np.stack([SHAPE, SHAPE + 300]), np.array([0.3, 0.9]))
    assert numbers.tolist() == [-1, 0]


def test_tables_are_tracked_one_after_the_other():
    points = crossing(40).astype(np.float32)
    tables = []
    for start in (0, 20):
        part = points[start : start + 20].reshape(-1, 3, 2)
        ones = np.ones(len(part), np.float32)
        tracks, lost = np.full(len(part), -1, np.int32), np.empty(0, np.int64)
        at = np.repeat(np.arange(start, start + 20), 2)
        tables.append(PoseTable(at, part, np.ones((len(part), 3), np.float32), ones, tracks, start, start + 20, lost))
    moved, tracker = track_tables(iter(tables), Tracking(animals=2))
    assert [t.tracks.tolist() for t in moved] == [[0, 1] * 20] * 2
    assert tracker.joined().tolist() == [0, 1]


def scored(order):
    """Frames of two far animals, predicted exactly, with tracks named by `order`."""
    points = np.stack([SHAPE, SHAPE + 100])
    return [
        ScoredFrame(f"f{i}", "g", points, points, np.ones(2), ["a", "b"], list(names)) for i, names in enumerate(order)
    ]


def test_perfect_tracks_score_one():
    metrics, counts = track_scores(scored(["xy"] * 20))
    assert all(metrics[name].value == pytest.approx(1.0) for name in ("MOTA", "IDF1", "HOTA", "AssA"))
    assert counts["switches"] == 0 and not swaps(scored(["xy"] * 20))


def test_a_swap_half_way_is_counted_and_costs_what_the_definitions_say():
    rows = scored(["xy"] * 10 + ["yx"] * 10)
    metrics, counts = track_scores(rows)
    assert counts["switches"] == 2 and len(swaps(rows)) == 2 and swaps(rows)[0]["frame"] == "f10"
    assert metrics["MOTA"].value == pytest.approx(1 - 2 / 40)
    assert metrics["IDF1"].value == pytest.approx(0.5)
    # each true positive shares 10 of 30 distinct frames of its two tracks
    assert metrics["DetA"].value == pytest.approx(1.0) and metrics["AssA"].value == pytest.approx(1 / 3)
    assert metrics["HOTA"].value == pytest.approx(np.sqrt(1 / 3))


def test_without_tracks_there_is_a_reason():
    rows = scored(["xy"] * 3)
    for row in rows:
        row.predicted_tracks = ["", ""]
    metrics, _ = track_scores(rows)
    assert metrics["IDF1"].value is None and "no tracks" in metrics["IDF1"].reason


@pytest.mark.parametrize("expect", ["velocity", "kalman", "flow"])
def test_a_crossing_keeps_identities_whatever_expects_it(expect):
    numbers, _ = follow(crossing(), Tracking(animals=2, expect=expect), order="turning")
    assert (numbers == numbers[0]).all()


def test_flow_follows_animals_while_they_are_not_found(toys):
    """Two animals glide on for 18 frames in which only the pixels show them."""
    rng = np.random.default_rng(0)
    sides = np.stack([np.array([[30.0, 26], [24, 26], [18, 26]]), np.array([[30.0, 70], [24, 70], [18, 70]])])
    points = sides[None] + np.array([2.5, 0.0]) * np.arange(19)[:, None, None, None]
    far = {}
    for expect in ("kalman", "flow"):
        tracker = Tracker(Tracking(animals=2, expect=expect))
        for frame, animals in enumerate(points):
            seen = animals if frame == 0 else animals[:0]
            tracker.update(frame, seen, np.ones(len(seen)), toys.draw(animals, rng)[..., 0])
        far[expect] = np.abs(np.stack([track.expected(18) for track in tracker.tracks]) - points[18]).max()
    assert far["flow"] < 3 < far["kalman"]


def test_nodes_taken_from_a_neighbour_do_not_pull_a_track_along():
    """Every third frame one node of the left animal is drawn over to the right one, 12 lengths away."""
    still = np.stack([SHAPE, SHAPE + [240.0, 0.0]])[None].repeat(30, 0)
    torn = still.copy()
    torn[3::3, 0, 2] = still[3::3, 1, 2]
    numbers, tracker = follow(torn, Tracking(animals=2))
    assert (numbers == numbers[0]).all()
    for track, place in zip(tracker.tracks, still[0], strict=True):
        assert np.abs(track.points - place).max() < 1e-6 and np.abs(track.velocity).max() < 1e-6


def test_the_identity_score_is_that_of_motmetrics():
    """Animals that are missed, invented, and change tracks at random."""
    import motmetrics

    from ethomorph.keypoints.pose.track_score import _closeness

    rng = np.random.default_rng(3)
    rows, accumulator = [], motmetrics.MOTAccumulator(auto_id=True)
    for i in range(60):
        truth = np.stack([SHAPE, SHAPE + 60, SHAPE + 120])
        kept = rng.random(3) < 0.8
        guess = np.concatenate([truth[kept] + rng.normal(0, 3, (int(kept.sum()), 3, 2)), SHAPE[None] - 90])
        tracks = [str(t) for t in rng.permutation(4)[: len(guess)]] if i % 7 == 0 else list("0123")[: len(guess)]
        rows.append(ScoredFrame(f"f{i}", f"b{i // 5}", truth, guess, np.ones(len(guess)), list("abc"), tracks))
        near = _closeness(rows[-1])
        accumulator.update([1, 2, 3], [10 + int(t) for t in tracks], np.where(1 - near <= 0.5, 1 - near, np.nan))
    metrics, _ = track_scores(rows)
    known = motmetrics.metrics.create().compute(accumulator, metrics=["idf1"], name="all").iloc[0]["idf1"]
    one = metrics["IDF1"]
    assert one.value == pytest.approx(known) and one.low < one.value < one.high


def test_stretches_are_followed_each_on_its_own():
    from ethomorph.keypoints.pose.data import LabelledFrame
    from ethomorph.keypoints.pose.track_score import follow_stretches

    places = [0, 1, 2, 10, 20, 21]
    points = crossing(30)
    frames = [LabelledFrame(0, i, points[i], ["a", "b"]) for i in places]
    rows = [ScoredFrame(f"f{i}", "g", points[i], points[i][::-1], np.ones(2), ["a", "b"]) for i in places]
    followed = follow_stretches(rows, frames, Tracking(animals=2))
    assert [row.name for row in followed] == ["f0", "f1", "f2", "f20", "f21"]
    assert {t for row in followed for t in row.tracks} == {"0:a", "0:b", "2:a", "2:b"}
    assert track_scores(followed)[0]["IDF1"].value == pytest.approx(1.0)


def test_gaps_of_thousands_of_tracks_are_closed_in_no_time():
    """A still animal that is seen for a frame in every twenty: 3,000 tracks, one animal."""
    import time

    tracker = Tracker(Tracking(patience=5, gap=30))
    for frame in range(0, 60_000, 20):
        tracker.update(frame, SHAPE[None], np.ones(1))
    begun = time.process_time()
    assert set(tracker.joined().tolist()) == {0} and time.process_time() - begun < 5

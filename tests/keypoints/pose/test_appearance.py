"""Individuals told apart by looks where places cannot: animals that meet and turn back, and those that look alike."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ethomorph.core.errors import StudyError
from ethomorph.keypoints.pose.appearance import looks, template_of
from ethomorph.keypoints.pose.pieces import Piece, give_back, is_apart, reference
from ethomorph.keypoints.pose.track import Tracker, Tracking

SHAPE = np.array([[18.0, 0.0], [6.0, 0.0], [-6.0, 0.0], [-18.0, 0.0]])
STRIPES = ((4, -10), (9, -3))
"""Where along its body each animal is dark."""
GONE = range(60, 64)
"""Frames in which nobody is found: the animals are too close together."""
SIZE = (160, 360)


def pose(x, y, turn):
    c, s = np.cos(turn), np.sin(turn)
    return SHAPE @ np.array([[c, s], [-s, c]]) + [x, y]


def meeting(frames=150):
    """Two animals, side by side, that drift together and bounce: by place alone, they have passed each other."""
    t = np.arange(frames)
    out = np.where(t < GONE[0], 4.0 * np.abs(GONE[0] - t) * 0.6 + 1, 2 + 2.2 * np.abs(t - GONE[-1]))
    wag = np.pi / 2 + 0.3 * np.sin(t / 3)
    return np.stack([[pose(180 - d, 80, w), pose(180 + d, 80, w)] for d, w in zip(out, wag, strict=True)])


def picture(animals, stripes, rng):
    shown = np.full(SIZE, 90.0, np.float32)
    for points, dark in zip(animals, stripes, strict=True):
        along = (points[0] - points[-1]) / 36
        for at in range(-20, 21):
            middle = points.mean(0) + at * along
            value = 60.0 if any(abs(at - d) < 3 for d in dark) else 200.0
            cv2.circle(shown, tuple(int(v) for v in np.rint(middle)), 5, value, -1)
    return np.clip(shown + rng.normal(0, 4, SIZE), 0, 255).astype(np.uint8)


def followed(points, stripes, **settings):
    tracker, rng = Tracker(Tracking(animals=2, **settings)), np.random.default_rng(0)
    numbers = []
    for frame, animals in enumerate(points):
        found = animals[: 0 if frame % 150 in GONE else 2]
        now = tracker.update(frame, found, np.ones(len(found)), picture(animals, stripes, rng))
        numbers.append(now if len(now) else numbers[-1])
    joined = tracker.joined()
    return joined[np.array(numbers)], tracker


def test_animals_that_meet_and_turn_back_are_told_apart_by_their_stripes():
    points = meeting()
    by_place, _ = followed(points, STRIPES, expect="velocity", cost="centroid")
    assert (by_place[-1] != by_place[0]).all()  # followed by place alone they seem to have passed each other
    numbers, tracker = followed(points, STRIPES, expect="velocity", cost="centroid", identity="appearance")
    assert (numbers[[5, 30, 90, 149]] == numbers[0]).all()
    assert "changed owner" in tracker.looks.note


def test_animals_that_look_alike_stay_as_they_were_followed():
    points = np.concatenate([meeting()] * 4)
    numbers, tracker = followed(points, (STRIPES[0], STRIPES[0]), expect="velocity", identity="appearance")
    by_place, _ = followed(points, STRIPES, expect="velocity")
    free = [i for i in range(len(points)) if np.abs(points[i, 0] - points[i, 1]).max() > 40]
    same = (numbers[free] == by_place[free]).all(1)
    assert set(np.unique(numbers)) <= {-1, 0, 1}
    assert same.mean() > 0.9 or "too much alike" in tracker.looks.note


def test_nobody_is_in_two_places_at_once():
    numbers, _ = followed(meeting(), STRIPES, identity="appearance")
    assert all(len(set(row[row >= 0])) == (row >= 0).sum() for row in numbers)


def test_looks_do_not_depend_on_where_an_animal_is_or_which_way_it_heads():
    rng = np.random.default_rng(1)
    template = template_of(SHAPE)

    def seen(x, y, turn, dark):
        animal = pose(x, y, turn)
        return looks(picture([animal], [dark], rng), animal, template)

    one, turned = seen(100, 80, 0.3, STRIPES[0]), seen(250, 60, 2.5, STRIPES[0])
    other = seen(100, 80, 0.3, STRIPES[1])
    assert np.abs(one - turned).mean() < 0.4 * np.abs(one - other).mean()
    hidden = np.full_like(SHAPE, np.nan)
    hidden[0] = 3
    assert looks(np.zeros(SIZE, np.uint8), hidden, template) is None


def test_who_is_near_another_or_near_where_one_was_lost_could_be_exchanged():
    points = np.stack([pose(50, 50, 0), pose(50, 66, 0), pose(200, 50, 0)])
    assert is_apart(points, np.empty((0, 4, 2)), 36.0).tolist() == [True, True, True]
    assert is_apart(points, np.empty((0, 4, 2)), 60.0).tolist() == [False, False, True]
    assert is_apart(points, pose(230, 50, 0)[None], 36.0).tolist() == [True, True, False]
    assert is_apart(points[:1], np.empty((0, 4, 2)), 36.0).tolist() == [True]
    assert is_apart(points[:0], np.empty((0, 4, 2)), 36.0).tolist() == []


def test_the_reference_is_where_all_are_apart_and_the_shortest_is_longest():
    spans = [(0, 0, 20), (1, 0, 10), (0, 25, 60), (1, 30, 90), (0, 70, 95)]
    pieces = [Piece(track, first, last, True, -1, [last - first + 1]) for track, first, last in spans]
    assert reference(pieces, 2).tolist() == [2, 3]
    assert reference(pieces, 3).tolist() == []


def test_a_piece_for_which_nobody_is_left_is_nobodys():
    pieces = [Piece(i, 0, 9, True, -1, [10]) for i in range(3)]
    owner = give_back(pieces, np.array([[9.0, 0.0], [0.0, 9.0], [3.0, 1.0]]), [])
    assert owner.tolist() == [0, 1, -1]


def test_looks_need_to_know_how_many_there_are():
    with pytest.raises(StudyError, match=r"tracking.identity.*\"appearance\" for 0 animals; .*at least 2"):
        Tracking(identity="appearance")

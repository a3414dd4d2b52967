"""Finding specimens: one, several, none, at the edge, at other sizes; and the boxes that all of it rests on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ethomorph.keypoints.boxes import distinct, landmark_box, overlap
from ethomorph.keypoints.detector import Detector, displacement, emptied, moved, scaled, threshold
from ethomorph.keypoints.ert import to_bytes
from ethomorph.keypoints.gradients import CHANNELS, ORIENTATIONS, gradient_field, sampled


@pytest.fixture(scope="module")
def detector(leaves):
    pictures, points = leaves.leaf_set(20, seed=0)
    return Detector.fit([to_bytes(p) for p in pictures], [landmark_box(p)[None] for p in points])


def test_finds_each_leaf_once_and_closely(detector, leaves):
    pictures, points = leaves.leaf_set(15, seed=1)
    shares = []
    for picture, shape in zip(pictures, points, strict=True):
        boxes, probability = detector.find(to_bytes(picture))
        assert len(boxes) == 1 and 0.5 <= probability[0] <= 1
        shares.append(float(overlap(boxes[0], landmark_box(shape))))
    assert np.mean(shares) > 0.85 and min(shares) > 0.7


def test_finds_several_and_none(detector, leaves):
    rng = np.random.default_rng(2)
    marked = [leaves.leaf_points(rng, at=at) for at in ([120.0, 110.0], [350.0, 120.0], [240.0, 320.0])]
    boxes, _ = detector.find(to_bytes(leaves.leaf_picture(rng, marked, width=480, height=430)))
    shared = overlap(boxes[:, None], landmark_box(np.array(marked))[None])
    assert len(boxes) == 3 and (shared.max(axis=0) > 0.6).all()
    for nothing in (leaves.leaf_picture(rng, []), np.full((100, 100), 0.4), rng.random((220, 300)), np.zeros((7, 5))):
        assert len(detector.find(to_bytes(nothing))[0]) == 0


def test_finds_a_leaf_at_the_edge(detector, leaves):
    rng = np.random.default_rng(3)
    shape = leaves.leaf_points(rng, at=[80.0, 110.0])
    boxes, _ = detector.find(to_bytes(leaves.leaf_picture(rng, [shape])))
    assert len(boxes) == 1 and overlap(boxes[0], landmark_box(shape)) > 0.6


def test_survives_its_arrays_and_refuses_damaged_ones(detector, leaves):
    pictures, _ = leaves.leaf_set(1, seed=4)
    again = Detector.from_arrays(detector.to_arrays())
    np.testing.assert_array_equal(again.find(to_bytes(pictures[0]))[0], detector.find(to_bytes(pictures[0]))[0])
    with pytest.raises(ValueError, match="fit together"):
        Detector.from_arrays(detector.to_arrays() | {"window": np.array([3, 4])})


def test_learns_from_pictures_without_and_with_several_specimens(leaves):
    rng = np.random.default_rng(5)
    groups = [[leaves.leaf_points(rng)] for _ in range(8)] + [[], []]
    groups += [[leaves.leaf_points(rng, at=[70.0, 110.0], size=55.0), leaves.leaf_points(rng, at=[220.0, 100.0])]]
    pictures = [to_bytes(leaves.leaf_picture(rng, g)) for g in groups]
    boxes = [np.array([landmark_box(p) for p in g]).reshape(-1, 4) for g in groups]
    learned = Detector.fit(pictures, boxes)
    assert [len(learned.find(p)[0]) for p in pictures[:10]] == [1] * 8 + [0] * 2


def test_same_seed_same_detector(leaves):
    pictures, points = leaves.leaf_set(5, seed=6)
    given_ = [to_bytes(p) for p in pictures], [landmark_box(p)[None] for p in points]
    first, second = (Detector.fit(*given_, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.weights, second.weights)


corner = st.floats(-500, 500)
side = st.floats(8, 600)


step = st.floats(-0.3, 0.3)


@given(corner, corner, side, side, step, step, step, step)
@settings(max_examples=60, deadline=None)
def test_moving_undoes_displacement(x, y, width, height, a, b, c, d):
    window = np.array([[x, y, x + width, y + height]])
    box = moved(window, np.array([[a, b, c, d]]))
    np.testing.assert_allclose(displacement(window, box), [[a, b, c, d]], atol=1e-9)


def test_overlap_in_closed_form():
    a = np.array([0.0, 0.0, 9.0, 9.0])
    assert overlap(a, a) == 1
    assert overlap(a, a + 10) == 0
    np.testing.assert_allclose(overlap(a, a + [5, 0, 5, 0]), 50 / 150)


def test_distinct_keeps_the_best_of_each_heap():
    boxes = np.array([[0, 0, 9, 9], [1, 0, 10, 9], [50, 50, 59, 59]], dtype=float)
    assert distinct(boxes, np.array([0.5, 0.9, 0.1])).tolist() == [1, 2]
    assert distinct(np.empty((0, 4)), np.empty(0)).tolist() == []


def test_scaled_boxes_keep_their_outer_edges():
    np.testing.assert_allclose(scaled(np.array([[0.0, 0.0, 99.0, 49.0]]), 0.5), [[0, 0, 49, 24]])
    boxes = np.array([[3.0, 4.0, 60.0, 70.0]])
    np.testing.assert_allclose(scaled(scaled(boxes, 0.3), 1 / 0.3), boxes)


def test_emptied_pictures_keep_only_what_lies_around():
    pixels = np.full((60, 60), 20, np.uint8)
    pixels[20:40, 20:40] = 200
    empty = emptied(pixels, np.array([[20.0, 20.0, 39.0, 39.0]]), np.random.default_rng(0))
    assert (empty == 20).all() and pixels.max() == 200


def test_threshold_parts_specimens_from_the_rest():
    cut, slope = threshold(np.full(50, 0.9), np.full(50, 0.1))
    assert cut == pytest.approx(0.42) and slope > 0
    assert threshold(np.array([0.5]), np.empty(0))[0] < 0.5


def test_gradients_vote_for_their_orientation_and_ignore_brightness():
    stripes = np.tile((np.sin(np.arange(80) / 3) * 50 + 100), (80, 1)).astype(np.uint8)
    upright, lying = (gradient_field(p, 5, 1.0)[40, 40, :ORIENTATIONS] for p in (stripes, stripes.T.copy()))
    assert upright.argmax() == 0 and lying.argmax() == ORIENTATIONS // 2
    dimmer = gradient_field((stripes // 2).astype(np.uint8), 5, 0.01)[40, 40, :ORIENTATIONS]
    np.testing.assert_allclose(dimmer, gradient_field(stripes, 5, 0.01)[40, 40, :ORIENTATIONS], atol=0.03)
    assert np.abs(gradient_field(np.full((30, 30), 77, np.uint8), 5, 1.0)).max() == 0


def test_sampling_is_bilinear_and_repeats_edges():
    field = np.arange(12, dtype=np.float32).reshape(3, 4)[..., None].repeat(CHANNELS, axis=2)
    got = sampled(field, np.array([-3.0, 1.5, 9.0]), np.array([0.5, 2.0]))[..., 0]
    np.testing.assert_allclose(got, [[2.0, 3.5, 5.0], [8.0, 9.5, 11.0]])

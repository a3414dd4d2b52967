"""The shape prior: it knows a wrong landmark, an exchange and a mirror image when it sees one, and little else."""

import numpy as np
import pytest

from ethomorph.core.errors import LabelError
from ethomorph.formats.registry import read_landmarks
from ethomorph.keypoints.prior import ShapePrior, point_limits
from ethomorph.shape.procrustes import procrustes_distance


def shapes(leaves, count, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([leaves.leaf_points(rng) for _ in range(count)])


@pytest.fixture(scope="module")
def prior(leaves):
    return ShapePrior.fit(shapes(leaves, 60))


def test_good_shapes_raise_no_flag_wherever_they_lie(prior, leaves):
    fresh = shapes(leaves, 60, seed=1)
    turn = np.array([[0.0, -3.0], [3.0, 0.0]])  # a quarter turn, three times as large
    flagged = sum(bool(prior.check(p)[0]) for p in fresh)
    assert flagged <= 3
    assert flagged == sum(bool(prior.check(p @ turn.T + 1000)[0]) for p in fresh)


def test_a_stray_landmark_is_named_and_put_back(prior, leaves):
    for seed, shape in enumerate(shapes(leaves, 10, seed=2)):
        wrong = seed % 12
        moved = shape.copy()
        moved[wrong] += [45, -30]
        flags, suggested = prior.check(moved, names=[f"m{i}" for i in range(12)])
        assert flags == [f"landmark m{wrong} is far from where the others put it"]
        assert np.linalg.norm(suggested[wrong] - shape[wrong]) < 12
        np.testing.assert_array_equal(np.delete(suggested, wrong, 0), np.delete(moved, wrong, 0))


def test_two_strays_are_both_named(prior, leaves):
    moved = shapes(leaves, 1, seed=3)[0]
    moved[2] += [40, 40]
    moved[9] -= [50, 0]
    assert prior.outliers(moved).tolist() == [i in (2, 9) for i in range(12)]


def test_an_exchange_is_told_from_two_strays(prior, leaves):
    for a, b in ((1, 7), (2, 6), (8, 10)):
        shape = shapes(leaves, 1, seed=4)[0]
        swapped = shape.copy()
        swapped[[a, b]] = swapped[[b, a]]
        flags, suggested = prior.check(swapped)
        assert flags == [f"landmarks {a + 1} and {b + 1} look exchanged"]
        np.testing.assert_array_equal(suggested, shape)
        assert prior.swaps(swapped, [(a, b), (0, 4)]) == [(a, b)]
        assert prior.swaps(shape) == []


def test_a_mirror_image_is_known(prior, leaves):
    shape = shapes(leaves, 1, seed=5)[0]
    assert prior.check(shape * [1, -1])[0] == ["the whole specimen looks mirrored"]
    assert not prior.mirrored(shape)


def test_hidden_landmarks_are_expected_from_the_others(prior, leaves):
    gaps, plain = [], []
    for shape in shapes(leaves, 40, seed=6):
        hidden = shape.copy()
        hidden[[3, 9]] = np.nan
        filled = prior.fill(hidden)
        np.testing.assert_array_equal(filled[[0, 1, 2]], shape[[0, 1, 2]])
        gaps.append(np.linalg.norm(filled[[3, 9]] - shape[[3, 9]], axis=1).mean())
        plain.append(np.linalg.norm(shape.std(axis=0)))
    assert np.mean(gaps) < 4  # the landmarks' own variation is 0.025 of 85 px in each direction
    unsure = np.zeros(12)
    unsure[3] = 60.0
    assert np.linalg.norm(prior.check(shape, unsure)[1][3] - shape[3]) > 0


def test_conditional_expectation_in_closed_form():
    """A landmark that always lies midway between two others is filled there."""
    rng = np.random.default_rng(7)
    base = np.array([[0.0, 0], [10, 0], [10, 8], [0, 8], [5, 4]])
    points = base + rng.normal(size=(200, 5, 2)) * 0.4
    points[:, 4] = (points[:, 0] + points[:, 2]) / 2
    prior = ShapePrior.fit(points)
    shape = base.copy()
    shape[0] += [0.5, -0.3]
    shape[4] = np.nan
    np.testing.assert_allclose(prior.fill(shape)[4], (shape[0] + shape[2]) / 2, atol=0.05)


def test_learns_from_shapes_with_gaps(leaves):
    whole = shapes(leaves, 60)
    rng = np.random.default_rng(8)
    gappy = np.where(rng.random((60, 12, 1)) < 0.15, np.nan, whole)
    a, b = ShapePrior.fit(whole), ShapePrior.fit(gappy)
    assert procrustes_distance(a.mean, b.mean) < 0.02
    assert 0.5 < np.trace(b.covariance) / np.trace(a.covariance) < 2
    assert not b.check(shapes(leaves, 1, seed=9)[0])[0]


def test_survives_its_arrays(prior, leaves):
    again = ShapePrior.from_arrays(prior.to_arrays())
    shape = shapes(leaves, 1, seed=10)[0]
    np.testing.assert_array_equal(again.distances(shape[None])[0], prior.distances(shape[None])[0])
    with pytest.raises(ValueError, match="covariance"):
        ShapePrior.from_arrays(prior.to_arrays() | {"covariance": np.eye(3)})


def test_too_little_to_see_is_left_alone(prior):
    points = np.full((12, 2), np.nan)
    assert prior.check(points)[0] == [] and np.isnan(prior.fill(points)).all()
    points[4] = [3, 4]
    assert np.isnan(prior.fill(points)[5]).all()


def test_too_few_shapes_are_refused(leaves):
    with pytest.raises(LabelError, match="2 specimens"):
        ShapePrior.fit(shapes(leaves, 2))
    with pytest.raises(LabelError, match="2 landmarks"):
        ShapePrior.fit(np.random.default_rng(0).normal(size=(9, 2, 2)))


def test_identical_shapes_do_not_break_it(leaves):
    same = np.repeat(shapes(leaves, 1), 6, axis=0)
    prior = ShapePrior.fit(same)
    assert np.isfinite(prior.point_limit).all() and np.isfinite(prior.precision).all()


def test_limits_follow_the_rayleigh_scale():
    rng = np.random.default_rng(11)
    distances = np.linalg.norm(rng.normal(size=(4000, 3, 2)) * 2.0, axis=2)
    np.testing.assert_allclose(point_limits(distances), 2 * np.sqrt(-2 * np.log(5e-4)), rtol=0.05)


def test_real_wings_pass_and_their_exchanges_do_not(shared_data):
    wings = read_landmarks(shared_data / "fly-wings/landmarks.tps", images=shared_data / "fly-wings/images").array()
    prior = ShapePrior.fit(wings[:30])
    assert sum(bool(prior.check(p)[0]) for p in wings[30:]) <= 1
    caught = 0
    for shape in wings[30:]:
        shape = shape.copy()
        shape[[1, 4]] = shape[[4, 1]]
        caught += prior.check(shape)[0] == ["landmarks 2 and 5 look exchanged"]
    assert caught >= 9

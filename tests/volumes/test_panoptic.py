"""Instances against instances: worked examples, brute force, and panoptica where it is installed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from ethomorph.volumes.panoptic import (
    compare_instances,
    panoptic_quality,
    recognition_quality,
    segmentation_quality,
)


def teeth(seed: int, jitter: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """A row of balls that touch, and a disturbed copy with one lost, one merged and one split."""
    rng = np.random.default_rng(seed)
    z, y, x = np.ogrid[:24, :24, :90]
    truth, guess = np.zeros((24, 24, 90), np.uint16), np.zeros((24, 24, 90), np.uint16)
    for i, centre in enumerate(range(8, 88, 9), start=1):
        truth[(z - 12) ** 2 + (y - 12) ** 2 + (x - centre) ** 2 < 22] = i
        dz, dy, dx = rng.normal(0, jitter, 3)
        guess[(z - 12 - dz) ** 2 + (y - 12 - dy) ** 2 + (x - centre - dx) ** 2 < 22] = 100 + i
    guess[guess == 103] = 0
    guess[guess == 105] = 104
    half = guess == 107
    guess[half & (np.broadcast_to(x, half.shape) > 62)] = 207
    return truth, guess


@given(st.integers(0, 50))
def test_it_agrees_with_pairs_counted_one_by_one(seed):
    rng = np.random.default_rng(seed)
    truth = ndimage.zoom(rng.integers(0, 4, (3, 3, 3)), 2, order=0)
    guess = ndimage.zoom(rng.integers(0, 4, (3, 3, 3)), 2, order=0) * 1000
    found = compare_instances(truth, guess)
    expected = []
    for t in np.unique(truth[truth > 0]):
        for p in np.unique(guess[guess > 0]):
            both, any_ = ((truth == t) & (guess == p)).sum(), ((truth == t) | (guess == p)).sum()
            if both / any_ > 0.5:
                expected.append((t, p, both / any_))
    assert found.pairs == [(t, p) for t, p, _ in expected]
    assert np.allclose(found.overlaps, [o for *_, o in expected])
    assert found.truth == len(found.missed) + len(found.pairs)
    assert found.predicted == len(found.spurious) + len(found.pairs)


def test_losses_splits_and_merges_are_named():
    truth, guess = teeth(0, jitter=0.2)
    found = compare_instances(truth, guess)
    assert 3 in found.missed
    assert found.merged == [104]
    assert found.split == [7]


def test_exactly_half_is_no_match_and_just_above_is_one():
    truth = np.zeros((1, 1, 8), int)
    truth[..., :4], truth[..., 4:] = 1, 2
    merged = np.ones_like(truth)
    found = compare_instances(truth, merged)
    assert found.pairs == [] and found.missed == [1, 2] and found.spurious == [1] and found.merged == [1]
    truth[..., 4] = 1
    assert compare_instances(truth, merged).pairs == [(1, 1)]


def test_empties():
    nothing, one = np.zeros((2, 2, 2), int), np.ones((2, 2, 2), int)
    assert np.isnan(panoptic_quality(np.array([compare_instances(nothing, nothing).sums])))
    assert panoptic_quality(np.array([compare_instances(one, nothing).sums])) == 0
    assert panoptic_quality(np.array([compare_instances(nothing, one).sums])) == 0
    assert np.isnan(segmentation_quality(np.array([compare_instances(one, nothing).sums])))


def test_pq_is_sq_times_rq_and_pools():
    rows = np.array([compare_instances(*teeth(s)).sums for s in range(4)])
    assert panoptic_quality(rows) == pytest.approx(segmentation_quality(rows) * recognition_quality(rows))
    assert panoptic_quality(rows) == pytest.approx(
        rows[:, 0].sum() / (rows[:, 1] + (rows[:, 2] + rows[:, 3]) / 2).sum()
    )


FROM_PANOPTICA = {0: (0.4257348365306753, 5, 3, 4), 1: (0.3253927394226487, 4, 4, 5), 2: (0.28386548242927095, 3, 5, 6)}
"""PQ, TP, FP and FN of `teeth` by panoptica 2.1.7, which cannot be installed beside NumPy 2.4."""


def test_panoptica_counts_the_same():
    """No pair of these volumes overlaps by exactly one half, the only case in which the two differ."""
    for seed, (quality, tp, fp, fn) in FROM_PANOPTICA.items():
        sums = compare_instances(*teeth(seed)).sums
        assert sums[1:] == (tp, fp, fn)
        assert panoptic_quality(np.array([sums])) == pytest.approx(quality, abs=1e-6)


def test_panoptica_itself_counts_the_same():
    panoptica = pytest.importorskip("panoptica")
    evaluator = panoptica.Panoptica_Evaluator(
        expected_input=panoptica.InputType.UNMATCHED_INSTANCE, instance_matcher=panoptica.NaiveThresholdMatching()
    )
    for seed in range(6):
        truth, guess = teeth(seed)
        theirs = evaluator.evaluate(guess, truth, verbose=False)["ungrouped"]
        sums = compare_instances(truth, guess).sums
        assert (theirs.tp, theirs.fp, theirs.fn) == sums[1:]
        assert theirs.pq == pytest.approx(panoptic_quality(np.array([sums])))
        assert theirs.sq == pytest.approx(segmentation_quality(np.array([sums])))
        assert theirs.rq == pytest.approx(recognition_quality(np.array([sums])))

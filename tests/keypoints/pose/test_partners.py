"""Left and right where the network knows both places and not which is whose."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ethomorph.keypoints.pose.decode import single_peaks
from ethomorph.keypoints.pose.heads import OnePeak
from ethomorph.keypoints.pose.partners import mean_shape, partnered

NAMES = ("nose", "left", "right", "tail")
SHAPE = np.array([[16.0, 0.0], [6.0, -9.0], [6.0, 9.0], [-16.0, 0.0]])  # y down: it looks to the right
HEAD = OnePeak(NAMES, 2, 2.5)
SIZE = (48, 48)


def turned(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return SHAPE @ np.array([[c, s], [-s, c]]) + 46.0


def logits(points: np.ndarray, share: float) -> torch.Tensor:
    """Maps in which left and right each give `share` of their confidence to their own place and the rest to the
    partner's."""
    maps = HEAD.targets(torch.tensor(points, dtype=torch.float32)[None, None], SIZE)[0]
    mixed = maps.clone()
    mixed[1], mixed[2] = share * maps[1] + (1 - share) * maps[2], share * maps[2] + (1 - share) * maps[1]
    return HEAD.logits_of(0.97 * mixed)[None]


@pytest.mark.parametrize("share", [0.3, 0.5, 0.62])
@pytest.mark.parametrize("angle", [0.0, 1.1, 2.9, 4.4])
def test_undecided_partners_stand_where_the_shape_has_them(angle, share):
    truth = turned(angle)
    given = logits(truth, share)
    shape = mean_shape(np.stack([turned(a) for a in (0.3, 2.0, 5.0)]))
    points, scores = partnered(HEAD, given, *single_peaks(HEAD, given), [(1, 2)], shape)
    assert np.linalg.norm(points[0].numpy() - truth, axis=1).max() < 0.3
    assert (scores > 0.8).all()


def test_partners_that_the_network_tells_apart_stay_as_they_are():
    given = logits(turned(0.7), 0.05)  # it is sure, and the shape, which says otherwise, is not asked
    before = single_peaks(HEAD, given)
    after = partnered(HEAD, given, *before, [(1, 2)], mean_shape(turned(0.0)[None]))
    assert torch.equal(before[0], after[0]) and torch.equal(before[1], after[1])


def test_a_hidden_partner_leaves_the_other_alone():
    truth = turned(1.0)
    truth[2] = np.nan
    given = HEAD.logits_of(0.97 * HEAD.targets(torch.tensor(truth, dtype=torch.float32)[None, None], SIZE)[0])[None]
    before = single_peaks(HEAD, given)
    after = partnered(HEAD, given, *before, [(1, 2)], mean_shape(turned(0.0)[None]))
    assert torch.equal(before[0], after[0])


def test_the_mean_shape_is_turned_and_scaled_but_never_mirrored():
    rng = np.random.default_rng(0)
    animals = np.stack([rng.uniform(0.5, 2) * turned(a) + rng.normal(0, 40, 2) for a in rng.uniform(0, 6.2, 12)])
    animals[3:6, 1] = np.nan
    mean = mean_shape(animals)
    nose, left, right, tail = mean
    assert np.linalg.norm(mean, axis=1).max() < 2 and np.allclose(mean.mean(0), 0, atol=1e-6)
    assert np.linalg.norm(nose - tail) / np.linalg.norm(left - right) == pytest.approx(32 / 18, rel=1e-3)
    along, across = nose - tail, left - right
    assert along[0] * across[1] - along[1] * across[0] < 0  # left of its own heading, y down


def test_animals_of_one_node_have_no_shape_to_be_wrong():
    assert np.isfinite(mean_shape(np.array([[[3.0, 4.0]], [[5.0, 6.0]]]))).all()

"""Peaks and groups against points that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ethomorph.keypoints.pose.decode import Peaks, many_peaks, single_peaks
from ethomorph.keypoints.pose.grouping import group, pair
from ethomorph.keypoints.pose.heads import Fields, ManyPeaks, OnePeak

inside = st.tuples(st.floats(12, 80), st.floats(12, 60))


@settings(max_examples=30, deadline=None)
@given(inside)
def test_a_single_peak_is_found_to_a_twentieth_of_a_pixel(at):
    head = OnePeak(("a",), 2, 2.5)
    points = torch.tensor([[[list(at)]]], dtype=torch.float32)
    found, scores = single_peaks(head, head.logits_of(head.targets(points, (40, 50))))
    assert np.allclose(found[0, 0], at, atol=0.05) and float(scores[0, 0]) > 0.9


def test_a_hidden_node_has_no_confidence():
    head = OnePeak(("a",), 2, 2.5)
    nowhere = torch.full((1, 1, 1, 2), float("nan"))
    assert float(single_peaks(head, head.logits_of(head.targets(nowhere, (40, 50))))[1]) < 0.01


@settings(max_examples=30, deadline=None)
@given(inside, st.floats(0, 2 * np.pi))
def test_two_peaks_of_one_map_are_two(at, angle):
    head = ManyPeaks(("a",), 2, 2.5)
    other = np.array([46.0, 36.0]) + 25 * np.array([np.cos(angle), np.sin(angle)])
    if np.hypot(*(other - at)) < 12:
        return
    points = torch.tensor(np.array([[[at], [other]]]), dtype=torch.float32)
    (found,) = many_peaks(head, head.logits_of(head.targets(points, (48, 60))), threshold=0.3)
    assert len(found.node) == 2
    for wanted in (at, other):
        assert np.linalg.norm(found.points - wanted, axis=1).min() < 0.15
    assert (found.scores > 0.9).all()


def test_hungarian_pairs_where_greedy_is_led_astray():
    affinity = np.array([[0.9, 0.8], [0.85, 0.1]])
    assert pair(affinity, how="hungarian") == [(0, 1), (1, 0)]
    assert pair(affinity, how="greedy") == [(0, 0)]


@pytest.mark.parametrize("how", ["hungarian", "greedy"])
def test_crossing_animals_are_told_apart_by_their_fields(how):
    animals = np.array([[[10, 30], [40, 30], [70, 30]], [[40, 5], [40, 29.5], [40, 60]]], dtype=np.float32)
    animals[1, 1] += 3
    edges = ((0, 1), (1, 2))
    fields = Fields(edges, 2, 3.0).targets(torch.from_numpy(animals)[None], (35, 45))[0].numpy()
    node = np.array([0, 1, 2, 0, 1, 2])
    order = np.array([3, 1, 5, 0, 4, 2])
    found = Peaks(node[order], animals.reshape(-1, 2)[order], np.ones(6))
    poses = group(found, fields, edges, 3, stride=2, how=how, most=5)
    assert len(poses) == 2
    for pose in poses:
        assert np.abs(animals - pose.points).max((1, 2)).min() == 0


def test_a_lost_node_leaves_the_rest_together():
    animal = np.array([[10.0, 30.0], [40.0, 30.0]], dtype=np.float32)
    whole = torch.tensor([[[[10.0, 30.0], [40.0, 30.0], [70.0, 30.0]]]])
    edges = ((0, 1), (1, 2))
    fields = Fields(edges, 2, 3.0).targets(whole, (35, 45))[0].numpy()
    found = Peaks(np.array([0, 1]), animal, np.array([0.9, 0.8]))
    (pose,) = group(found, fields, edges, 3, stride=2, how="hungarian", most=5)
    assert np.isnan(pose.points[2]).all() and np.allclose(pose.points[:2], animal)

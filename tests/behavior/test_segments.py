"""Segment scores against hand-counted cases, and properties that hold for any codes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ethomorph.behavior.segments import (
    edge_errors,
    edit_score,
    segment_counts,
    segment_f1,
    segments,
    without_short,
)

codes = st.lists(st.integers(0, 3), min_size=1, max_size=60).map(np.array)


@given(codes)
def test_a_perfect_prediction_scores_one(truth):
    assert segment_f1(truth, truth, 0.5) == 1.0
    assert edit_score(truth, truth) == 1.0
    onset, offset = edge_errors(truth, truth)
    assert not onset.any() and not offset.any()


@given(codes, codes)
def test_scores_are_shares_and_count_every_segment(truth, said):
    said = np.resize(said, len(truth))
    hits, false, missed = segment_counts(truth, said, 0.25)
    assert hits + missed == len(segments(truth)) and hits + false == len(segments(said))
    assert 0 <= edit_score(truth, said) <= 1


@given(codes, st.integers(1, 8))
def test_no_short_run_is_left_and_long_ones_stay(truth, least):
    cleaned = without_short(truth, least)
    runs = segments(cleaned)
    assert len(runs) == 1 or all(len(run) >= least for run in runs)
    if all(len(run) >= least for run in segments(truth)):
        assert (cleaned == truth).all()


def test_over_segmentation_costs_segment_f1_but_not_frames():
    truth = np.array([1] * 20)
    said = truth.copy()
    said[[4, 9, 14]] = 0
    assert (truth == said).mean() == 0.85
    assert segment_f1(truth, said, 0.5) == 0.0
    assert edit_score(truth, said) == 1 - 6 / 7


def test_unscored_frames_do_not_count():
    truth = np.array([-1, -1, 1, 1, 0, 0])
    said = np.array([0, 1, 1, 1, 0, 0])
    assert segment_f1(truth, said, 0.5) == 1.0


def test_onset_is_late_by_two_frames():
    truth, said = np.array([0] * 5 + [1] * 10 + [0] * 5), np.array([0] * 7 + [1] * 8 + [0] * 5)
    onset, offset = edge_errors(truth, said, codes=[1])
    assert onset.tolist() == [2.0] and offset.tolist() == [0.0]


def test_each_true_segment_is_matched_once():
    truth = np.array([1] * 10)
    said = np.array([1] * 6 + [0] + [1] * 3)
    assert segment_counts(truth, said, 0.1) == (1, 2, 0)

"""The two families on cases whose answers are known, above all those that mislead elsewhere."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ethomorph.keypoints.pose.frames import ScoredFrame, paired_labels
from ethomorph.keypoints.pose.oks import areas, average_precision, similarity
from ethomorph.keypoints.pose.score import score_poses
from ethomorph.keypoints.pose.score_sleap import sleap_scores

ANIMAL = np.array([[20.0, 20.0], [60.0, 25.0], [40.0, 70.0]])
NAMES = ("head", "middle", "tail")


def frames(predicted, truth=None, *, count=10, scores=None):
    """`count` frames of one animal; `predicted` gives the points of frame i, or None where the frame is absent."""
    rows = []
    for i in range(count):
        true = (ANIMAL if truth is None else truth)[None] + i
        guess = predicted(i, true[0])
        found = None if guess is None else np.asarray(guess, dtype=float).reshape(-1, *true.shape[1:])
        number = 0 if found is None else len(found)
        rows.append(
            ScoredFrame(f"f{i}", f"g{i}", true, found, np.linspace(0.9, 0.5, number) if number else np.zeros(0))
        )
    return rows


def values(block):
    json.dumps(block, allow_nan=False)  # nothing may be NaN
    return {name: metric["value"] for name, metric in block["metrics"].items()}


def test_a_perfect_prediction_is_perfect_in_both_families():
    block = score_poses(frames(lambda i, true: true), NAMES)
    found = values(block)
    assert block["status"] == "ok"
    for name in (
        "mAP",
        "mOKS",
        "pck_1px",
        "detection_recall",
        "detection_precision",
        "sleap_mOKS",
        "sleap_oks_voc_mAP",
    ):
        assert found[name] == pytest.approx(1.0)
    assert found["mean_error"] == 0.0


def test_blind_spot_absent_frames_count_as_missed():
    block = score_poses(frames(lambda i, true: true if i == 0 else None), NAMES)
    found = values(block)
    assert found["sleap_oks_voc_mAP"] == pytest.approx(1.0) and found["sleap_mPCK"] == 1.0
    assert found["mAP"] == pytest.approx(0.1, abs=0.02)
    assert found["pck_10px"] == pytest.approx(0.1) and found["mOKS"] == pytest.approx(0.1)
    assert block["counts"]["absent_frames"] == 9
    assert any("not in the prediction" in line for line in block["warnings"])


def test_blind_spot_empty_frames_show_in_every_strict_number():
    found = values(score_poses(frames(lambda i, true: true if i == 0 else []), NAMES))
    assert found["sleap_oks_voc_mAP"] == pytest.approx(11 / 101) and found["sleap_oks_voc_mAR"] == pytest.approx(0.1)
    assert found["sleap_mOKS"] == 1.0 and found["sleap_mPCK"] == 1.0
    assert found["mOKS"] == pytest.approx(0.1) and found["detection_recall"] == pytest.approx(0.1)


def test_blind_spot_spurious_animals_are_false_positives():
    def crowd(i, true):
        return np.concatenate([true[None], true + 500 + 100 * np.arange(20)[:, None, None]])

    block = score_poses(frames(crowd), NAMES)
    found = values(block)
    assert found["sleap_oks_voc_mAP"] == pytest.approx(1.0)
    assert found["detection_precision"] == pytest.approx(1 / 21) and block["counts"]["extra"] == 200

    def worse(i, true):
        return np.concatenate([true + 500 + 100 * np.arange(20)[:, None, None], true[None]])

    assert values(score_poses(frames(worse), NAMES))["mAP"] < 0.1


def test_blind_spot_hidden_nodes_of_the_truth_are_no_misses():
    hidden = ANIMAL.copy()
    hidden[2] = np.nan
    found = values(score_poses(frames(lambda i, true: ANIMAL + i, hidden), NAMES))
    assert found["sleap_mPCK"] == pytest.approx(2 / 3)
    assert found["pck_1px"] == 1.0 and found["hidden_nodes_predicted"] == 1.0


def test_blind_spot_missing_predicted_nodes_are_misses_and_not_distances():
    def partly(i, true):
        points = true.copy()
        points[2] = np.nan
        return points

    found = values(score_poses(frames(partly), NAMES))
    assert found["sleap_dist_mean"] == 0.0 and found["sleap_mOKS"] == pytest.approx(2 / 3)
    assert found["pck_10px"] == pytest.approx(2 / 3) and found["node_recall"] == pytest.approx(2 / 3)


def test_blind_spot_everything_far_away_has_a_status_and_a_reason():
    block = score_poses(frames(lambda i, true: true + 5000), NAMES)
    found = values(block)
    assert block["status"] == "no_matches" and "10 predictions" in block["reason"]
    assert found["mean_error"] is None and found["sleap_mOKS"] is None
    assert found["mAP"] == 0.0 and found["pck_10px"] == 0.0


def test_nothing_predicted_says_how_high_the_peaks_were():
    block = score_poses(
        frames(lambda i, true: []), NAMES, highest=0.07, threshold=0.2, learned="training ended in epoch 11"
    )
    assert block["status"] == "no_predictions"
    assert "highest confidence 0.07 < peak threshold 0.2" in block["reason"] and "epoch 11" in block["reason"]
    assert values(block)["detection_recall"] == 0.0


def test_no_labels_and_no_overlap_are_told_apart():
    assert score_poses([], NAMES)["status"] == "no_labels"
    assert score_poses(frames(lambda i, true: None), NAMES)["status"] == "no_frame_overlap"


def test_one_node_has_no_scale_but_distances():
    point = ANIMAL[:1]
    block = score_poses(frames(lambda i, true: true + [3, 4], point), ("head",))
    found = values(block)
    assert block["status"] == "degenerate_scale" and "no area" in block["reason"]
    assert found["mAP"] is None and found["mean_error"] == pytest.approx(5.0) and found["pck_5px"] == 1.0


def test_similarity_is_the_closed_form():
    away = 5.0
    area = areas(ANIMAL[None])
    assert area[0] == 40 * 50
    moved = ANIMAL + [away, 0]
    assert similarity(ANIMAL[None], moved[None], area)[0, 0] == pytest.approx(np.exp(-(away**2) / (2 * 2000 * 0.05**2)))


def test_average_precision_of_a_known_ranking():
    scores, right = np.array([0.9, 0.8, 0.7]), np.array([True, False, True])
    # recall 0.5 at precision 1 for 51 of 101 thresholds, then 2 of 3
    assert average_precision(scores, right, 2)[0] == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)


def test_the_greedy_match_of_sleap_takes_the_best_score_first():
    true = np.stack([ANIMAL, ANIMAL + 30])
    guess = np.stack([ANIMAL + 1, ANIMAL + 29])
    row = ScoredFrame("f", "g", true, guess, np.array([0.2, 0.9]))
    found = sleap_scores([row])
    assert found["sleap_dist_mean"].value == pytest.approx(np.sqrt(2))


def test_labels_are_paired_by_video_name_and_node_name(toys):
    points = toys.paths(1, 6)
    truth, predicted = toys.labels_of(points, "a/toy.mp4"), toys.labels_of(points + 1, "b/toy.mp4")
    rows, scheme = paired_labels(truth, predicted)
    assert len(rows) == 6 and scheme.names == ("head", "middle", "tail")
    assert np.allclose(rows[3].found, points[3] + 1, atol=1e-5) and rows[3].predicted_tracks == ["animal 1"]

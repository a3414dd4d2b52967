"""Scores against closed forms: known errors, misses, extras, repeats, scales; and never a NaN."""

import json

import numpy as np
import pytest

from ethomorph.core.errors import LabelError
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.keypoints.pairing import pair_specimens, second_coding
from ethomorph.keypoints.score import mean_position, score_landmarks

SQUARE = np.array([[0.0, 0.0], [30.0, 0.0], [30.0, 40.0], [0.0, 40.0]])  # diagonal 50, centroid size 50
NAMES = ["a", "b", "c", "d"]


def specimens(count, *, shift=(0.0, 0.0), scale=None, image="{}.png", grade=None):
    rng = np.random.default_rng(0)
    places = rng.uniform(20, 200, (count, 2))
    return LandmarkSet(
        [
            Specimen(
                SQUARE + places[i] + shift, id=str(i), image=image.format(i), image_size=(300, 300), scale=scale,
                attributes={"grade": grade(i)} if grade else {},
            )
            for i in range(count)
        ],
        NAMES,
    )


def groups(landmarks):
    return [s.id for s in landmarks]


def value(scores, name):
    return scores["metrics"][name]["value"]


@pytest.fixture(scope="module")
def constant():
    """12 specimens, each predicted 3 px to the right and 4 px down."""
    truth = specimens(12, scale=0.1)
    return score_landmarks(truth, specimens(12, shift=(3, 4)), groups=groups(truth), training=specimens(12))


def test_constant_shift_in_closed_form(constant):
    assert value(constant, "mean_error") == pytest.approx(5)
    assert value(constant, "median_error") == pytest.approx(5)
    assert value(constant, "p95_error") == pytest.approx(5)
    assert value(constant, "mean_error_mm") == pytest.approx(0.5)
    assert value(constant, "mean_error_percent") == pytest.approx(10)  # of centroid size 50
    assert value(constant, "success_within_2_px") == 0 and value(constant, "success_within_10_px") == 1
    assert value(constant, "success_within_0.2_mm") == 0 and value(constant, "success_within_1_mm") == 1
    assert value(constant, "detection_recall") == 1 and value(constant, "detection_precision") == 1
    assert value(constant, "procrustes_distance") == pytest.approx(0, abs=1e-6)
    assert value(constant, "variance_kept") is None or value(constant, "variance_kept") > 0
    block = constant["metrics"]["mean_error"]
    assert block["unit"] == "px" and block["n"] == 48 and block["low"] <= 5 <= block["high"]


def test_every_block_has_a_value_or_a_reason(constant):
    text = json.dumps(constant, allow_nan=False)
    for blocks in (constant["metrics"], *constant["baselines"].values(), *constant["per_landmark"].values()):
        for block in blocks.values():
            assert ("reason" in block) == (block["value"] is None)
    assert set(json.loads(text)) == {"metrics", "baselines", "by_group", "per_landmark", "per_grade", "warnings"}


def test_baseline_is_the_mean_position_in_training():
    train, truth = specimens(12), specimens(4)
    scores = score_landmarks(truth, truth, groups=groups(truth), training=train)
    expected = np.linalg.norm(truth.array() - train.array().mean(axis=0), axis=2).mean()
    assert scores["baselines"]["mean_shape"]["mean_error"]["value"] == pytest.approx(expected)
    assert value(scores, "mean_error") == 0
    doubled = [Specimen(2 * s.points, image=s.image, image_size=(600, 600)) for s in truth]
    np.testing.assert_allclose(  # positions are shares of the picture
        mean_position(train, LandmarkSet(doubled, NAMES))[0], 2 * mean_position(train, truth)[0]
    )
    without = score_landmarks(truth, truth, groups=groups(truth))
    assert without["baselines"] == {} and any("no mean-shape baseline" in w for w in without["warnings"])


def test_missed_specimens_are_failures_and_are_named():
    truth = specimens(12)
    predicted = specimens(12, shift=(1, 0))
    predicted.specimens[3].points[:] = np.nan
    del predicted.specimens[7]
    scores = score_landmarks(truth, predicted, groups=groups(truth))
    assert value(scores, "mean_error") == pytest.approx(1) and scores["metrics"]["mean_error"]["n"] == 40
    assert value(scores, "detection_recall") == pytest.approx(10 / 12)
    assert value(scores, "success_within_20_px") == pytest.approx(10 / 12)
    assert value(scores, "detection_precision") == 1
    assert "2 of 12 specimens were missed: 3, 7" in scores["warnings"]
    assert [row["mean_error"] for row in scores["by_group"] if row["group"] == "3"] == [None]


def test_nothing_found_gives_reasons_not_numbers():
    truth = specimens(12)
    nothing = LandmarkSet(
        [Specimen(np.full((4, 2), np.nan), image=s.image, attributes={"score": "0.07"}) for s in truth], NAMES
    )
    scores = score_landmarks(truth, nothing, groups=groups(truth), training=truth)
    block = scores["metrics"]["mean_error"]
    assert block["value"] is None
    assert block["reason"] == "0 of 12 specimens were found; highest detection score 0.07"
    assert value(scores, "detection_recall") == 0 and value(scores, "success_within_5_px") == 0
    assert scores["metrics"]["detection_precision"]["value"] is None
    assert scores["per_landmark"]["a"]["mean_error"]["reason"].startswith("marked in 12")
    json.dumps(scores, allow_nan=False)


def test_several_specimens_in_a_picture_are_assigned_by_least_distance():
    at = [np.array(p, float) for p in ((0, 0), (200, 0), (100, 150))]
    truth = LandmarkSet([Specimen(SQUARE + a, id=str(i), image="x.png") for i, a in enumerate(at)], NAMES)
    shuffled = [Specimen(SQUARE + at[i] + [0, 2], image="x.png") for i in (2, 0, 1)]
    extra = Specimen(SQUARE + [400, 400], image="x.png")
    pairing = pair_specimens(truth, LandmarkSet([*shuffled, extra], NAMES))
    assert pairing.match.tolist() == [1, 2, 0] and pairing.extra == [3]
    scores = score_landmarks(truth, LandmarkSet([*shuffled, extra], NAMES), groups=groups(truth))
    assert value(scores, "mean_error") == pytest.approx(2)
    assert value(scores, "detection_precision") == pytest.approx(3 / 4)
    assert any("1 predictions are of no marked specimen: x.png" in w for w in scores["warnings"])


def test_a_prediction_elsewhere_is_a_miss_and_an_extra():
    truth = specimens(12)
    predicted = specimens(12)
    predicted.specimens[0].points[:] += 500
    pairing = pair_specimens(truth, predicted)
    assert not pairing.found[0] and pairing.extra == [0] and pairing.astray == 1
    scores = score_landmarks(truth, predicted, groups=groups(truth))
    assert value(scores, "mean_error") == 0 and value(scores, "detection_recall") == pytest.approx(11 / 12)


def test_missing_marks_are_no_errors():
    truth = specimens(12)
    for specimen in truth:
        specimen.points[2] = np.nan
    scores = score_landmarks(truth, specimens(12, shift=(0, 3)), groups=groups(truth))
    assert scores["metrics"]["mean_error"]["n"] == 36 and value(scores, "success_within_5_px") == 1
    assert scores["per_landmark"]["c"]["mean_error"]["value"] is None


def test_ratio_to_human_repeat_error():
    truth = specimens(12)
    repeat = specimens(12, shift=(0, 2))
    scores = score_landmarks(truth, specimens(12, shift=(3, 0)), groups=groups(truth), repeat=repeat)
    assert value(scores, "repeat_error") == pytest.approx(2)
    assert value(scores, "error_to_repeat_ratio") == pytest.approx(1.5)
    assert scores["per_landmark"]["b"]["error_to_repeat_ratio"]["value"] == pytest.approx(1.5)
    assert any("12 specimens landmarked twice" in w for w in scores["warnings"])


def test_second_codings_on_other_pictures_are_fitted_first():
    truth = specimens(12)
    turned = specimens(12, image="other-{}.png").with_points(truth.array() @ np.array([[0, 1.1], [-1.1, 0]]) + 40)
    scores = score_landmarks(truth, specimens(12, shift=(3, 0)), groups=groups(truth), repeat=turned)
    assert value(scores, "repeat_error") == pytest.approx(0, abs=1e-9)
    points, same = second_coding(truth, turned)
    assert not same and np.isfinite(points).all()
    assert any("after a similarity fit" in w for w in scores["warnings"])


def test_no_repeat_of_these_specimens_is_said():
    truth = specimens(12)
    other = LandmarkSet([Specimen(SQUARE, id="else", image="else.png")], NAMES)
    scores = score_landmarks(truth, truth, groups=groups(truth), repeat=other)
    assert scores["metrics"]["repeat_error"]["reason"] == "no specimen was landmarked a second time"


def test_grades_stand_apart():
    truth = specimens(24, grade=lambda i: "bad" if i % 4 == 0 else "good")
    points = truth.array()
    points[::4, :, 0] += 8
    points[1::4, :, 0] += 1
    scores = score_landmarks(truth, truth.with_points(points), groups=groups(truth))
    assert scores["per_grade"]["bad"]["mean_error"]["value"] == pytest.approx(8)
    assert scores["per_grade"]["good"]["mean_error"]["value"] == pytest.approx(1 / 3)
    assert scores["per_grade"]["bad"]["success_within_5_px"]["value"] == 0
    ungraded = specimens(12)
    assert score_landmarks(ungraded, ungraded, groups=groups(ungraded))["per_grade"] == {}


def test_annotation_box_error_stands_beside_and_says_what_it_is():
    truth = specimens(12)
    scores = score_landmarks(
        truth, specimens(12, shift=(4, 0)), groups=groups(truth), annotation_box=specimens(12, shift=(2, 0))
    )
    block = scores["metrics"]["annotation_box_error"]
    assert block["value"] == pytest.approx(2) and "from the truth" in block["note"]
    assert value(scores, "mean_error") == pytest.approx(4)


def test_size_and_shape_are_of_the_anatomy_only():
    truth = specimens(12)
    points = truth.array()
    points[:, 0] += np.random.default_rng(1).normal(size=(12, 2)) * 9  # landmark a is one end of a scale bar
    some = score_landmarks(truth, truth.with_points(points), groups=groups(truth), anatomy=[1, 2, 3])
    every = score_landmarks(truth, truth.with_points(points), groups=groups(truth))
    assert value(some, "procrustes_distance") == pytest.approx(0, abs=1e-6)
    assert value(every, "procrustes_distance") > 0.05
    assert value(some, "mean_error") == value(every, "mean_error") > 0


def test_few_groups_give_points_instead_of_an_interval():
    truth = specimens(12)
    scores = score_landmarks(truth, specimens(12, shift=(3, 4)), groups=[f"g{i % 3}" for i in range(12)])
    block = scores["metrics"]["mean_error"]
    assert block["low"] is None and len(block["points"]) == 3 and "no interval" in block["note"]


def test_shrunken_variation_is_seen():
    rng = np.random.default_rng(2)
    shapes = SQUARE + rng.normal(size=(30, 4, 2)) * 2
    mean = shapes.mean(axis=0)
    truth = LandmarkSet([Specimen(s, id=str(i), image=f"{i}.png") for i, s in enumerate(shapes)], NAMES)
    predicted = truth.with_points(mean + 0.5 * (shapes - mean))
    scores = score_landmarks(truth, predicted, groups=groups(truth))
    assert value(scores, "variance_kept") == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(
    ("predicted", "said"),
    [
        (LandmarkSet([Specimen(SQUARE, image="0.png")], ["a", "b", "c", "x"]), "same names and order"),
        (LandmarkSet([Specimen(SQUARE, image="new.png")], NAMES), "not among the labelled"),
        (LandmarkSet([Specimen(SQUARE, image="0.png")], NAMES, frame="y_up"), "frame"),
    ],
)
def test_sets_that_do_not_belong_together_are_refused(predicted, said):
    truth = specimens(3)
    with pytest.raises(LabelError, match=said):
        score_landmarks(truth, predicted, groups=groups(truth))


def test_no_labels_are_refused():
    blank = LandmarkSet([Specimen(np.full((4, 2), np.nan), image="0.png")], NAMES)
    with pytest.raises(LabelError, match="no labelled landmark"):
        score_landmarks(blank, blank, groups=["0"])

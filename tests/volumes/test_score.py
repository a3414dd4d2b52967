"""Scores of volumes: worked examples, empties, intervals by specimen."""

import numpy as np
import pytest

from ethomorph.core.grid import Grid
from ethomorph.volumes.classes import ClassMap, Encoded
from ethomorph.volumes.score import per_instance, score_class, score_set, score_volume

CLASSES = ClassMap.of({"jaw": "jaw", "tooth": {"match": "t*", "instances": True}})
GRID = Grid((12, 14, 40), (0.5, 0.5, 0.5))


def truth() -> Encoded:
    classes, ids = np.zeros(GRID.shape, np.uint8), np.zeros(GRID.shape, np.uint16)
    classes[2:5, 2:12, 2:38] = 1
    for i in range(4):
        box = (slice(5, 9), slice(4, 9), slice(3 + 9 * i, 9 + 9 * i))
        classes[box], ids[box] = 2, i + 1
    return Encoded(classes, ids, ("t1", "t2", "t3", "t4"))


def test_a_perfect_prediction():
    score = score_volume("a", "a", truth(), truth(), CLASSES, GRID)
    block = score_set([score], CLASSES)["metrics"]
    for name in ("mean_dice", "tooth_pq", "tooth_sq", "tooth_rq", "tooth_f1_at_iou_0.5", "jaw_dice", "jaw_nsd_1_voxel"):
        assert block[name]["value"] == 1.0, name
    for name in ("tooth_count_error", "tooth_splits", "tooth_merges", "jaw_hd95", "tooth_assd", "jaw_volume_error"):
        assert block[name]["value"] == 0.0, name
    assert block["tooth_pq"]["n"] == 4


def test_a_lost_and_a_merged_tooth():
    found = truth()
    ids = found.instances.copy()
    ids[ids == 2] = 1
    classes = found.classes.copy()
    classes[found.instances == 4], ids[found.instances == 4] = 0, 0
    score = score_volume("a", "a", truth(), Encoded(classes, ids), CLASSES, GRID)
    things = score.things["tooth"]
    assert (things.truth, things.predicted, len(things.merged)) == (4, 2, 1)
    # tooth 3 matches; 1 and 2 share one prediction of twice their size: exactly one half, so no match
    assert things.sums == (1.0, 1, 1, 3)
    block = score_set([score], CLASSES)["metrics"]
    assert block["tooth_pq"]["value"] == pytest.approx(1 / (1 + 0.5 + 1.5))
    assert block["tooth_count_error"]["value"] == 2 and block["tooth_merges"]["value"] == 1
    rows = per_instance(truth(), Encoded(classes, ids), CLASSES, GRID)
    assert [r["found"] for r in rows] == [False, False, True, False]
    assert [r["iou"] for r in rows] == [0.5, 0.5, 1.0, 0.0]
    assert rows[2]["predicted_mm3"] == rows[2]["volume_mm3"] == pytest.approx(120 * 0.125)


def test_empties_are_defined():
    nothing, box = np.zeros(GRID.shape, bool), np.zeros(GRID.shape, bool)
    box[2:4, 2:4, 2:4] = True
    assert score_class(nothing, nothing, GRID).dice is None
    missed, invented = score_class(box, nothing, GRID), score_class(nothing, box, GRID)
    assert (missed.dice, missed.nsd, missed.hd95_mm, missed.volume_error) == (0.0, 0.0, None, -1.0)
    assert (invented.dice, invented.hd95_mm, invented.volume_error) == (0.0, None, None)


def test_what_has_no_value_is_left_out_and_said():
    bare = Encoded(np.where(truth().classes == 1, 0, truth().classes), truth().instances)
    whole = score_volume("a", "a", truth(), truth(), CLASSES, GRID)
    block = score_set([whole, score_volume("b", "b", bare, bare, CLASSES, GRID)], CLASSES)
    jaw = block["metrics"]["jaw_dice"]
    assert jaw["n"] == 1 and "1 of 2 volumes have no value" in jaw["note"]
    assert any("jaw is neither true nor predicted in 1 volume(s): b" in w for w in block["warnings"])
    import json

    json.dumps(block, allow_nan=False)


def test_ignored_voxels_do_not_count():
    mine = truth()
    classes = mine.classes.copy()
    classes[2:5, 2:12, 20:38] = 255
    found = mine.classes.copy()
    found[2:5, 2:12, 20:38] = 0
    score = score_volume("a", "a", Encoded(classes, mine.instances), Encoded(found, mine.instances), CLASSES, GRID)
    assert score.classes["jaw"].dice == 1.0


def test_intervals_are_by_specimen_and_withheld_from_few():
    rng = np.random.default_rng(0)
    scores = []
    for i in range(12):
        found = truth()
        classes, ids = found.classes.copy(), found.instances.copy()
        for tooth in range(1, 5):
            if rng.random() < 0.3:
                classes[ids == tooth], ids[ids == tooth] = 0, 0
        scores.append(score_volume(str(i), str(i), truth(), Encoded(classes, ids), CLASSES, GRID, surfaces=False))
    block = score_set(scores, CLASSES)["metrics"]
    assert block["tooth_pq"]["low"] < block["tooth_pq"]["value"] < block["tooth_pq"]["high"]
    few = score_set(scores[:3], CLASSES)["metrics"]
    assert few["tooth_pq"]["low"] is None and len(few["tooth_pq"]["points"]) == 3

"""Touching things come apart, whether decoded at once or piece by piece."""

import numpy as np
import pytest
from scipy import ndimage

from ethomorph.core.grid import Grid
from ethomorph.volumes.decode import Thresholds, find_things, from_arrays, pieces, settle_classes, split_touching, tune
from ethomorph.volumes.panoptic import compare_instances
from ethomorph.volumes.patches import thing_targets


def perfect(instances: np.ndarray):
    """Outputs of a network that makes no mistake."""
    distance, border = thing_targets(instances, (1.0, 1.0, 1.0))
    grid = Grid(instances.shape, (1, 1, 1))
    inside = (instances > 0).astype(float)
    return from_arrays(grid, 2 * inside, inside, distance / 255, border.astype(float))


def row_of_teeth(count=6, length=20) -> np.ndarray:
    z, y, x = np.ogrid[:length, :14, : 9 * count + 6]
    ids = np.zeros((length, 14, 9 * count + 6), np.uint16)
    for i in range(count):
        radius = 4.9 - 3.5 * z / length
        ids[((y - 7) ** 2 + (x - 7 - 9 * i) ** 2) < radius**2] = i + 1
    return ids


def test_touching_teeth_that_components_join_come_apart():
    truth = row_of_teeth()
    assert ndimage.label(truth > 0, np.ones((3, 3, 3)))[1] == 1
    found, owners = find_things(perfect(truth), [2], Thresholds())
    score = compare_instances(truth, found.whole())
    assert len(score.pairs) == 6 and score.overlaps.min() > 0.95 and owners == [2] * 6


def test_real_heads_decode_from_perfect_outputs(head_cases, classes):
    for case in head_cases[:2]:
        truth = classes.encode(case.labels).instances
        found, _ = find_things(perfect(truth), [2], Thresholds(rise=0.12, border=0.9))
        score = compare_instances(truth, found.whole())
        assert len(score.pairs) >= 0.9 * score.truth


def test_piece_by_piece_is_the_same_as_at_once(monkeypatch):
    truth = np.zeros((30, 40, 130), np.uint16)
    truth[2:22, 3:17, 2:62] = row_of_teeth()
    truth[8:28, 22:36, 66:126] = np.where(row_of_teeth() > 0, row_of_teeth() + 6, 0)
    outputs = perfect(truth)
    at_once = split_touching(truth > 0, outputs.distance.whole(), outputs.border.whole(), Thresholds())
    for voxels in (500, 5_000, 10**7):
        monkeypatch.setattr("ethomorph.volumes.decode.COARSE_VOXELS", voxels)
        found, _ = find_things(outputs, [2], Thresholds())
        score = compare_instances(at_once, found.whole())
        assert len(score.pairs) == 12 and np.all(score.overlaps == 1.0)


def test_pieces_hold_everything_and_overlap_nowhere(monkeypatch):
    monkeypatch.setattr("ethomorph.volumes.decode.COARSE_VOXELS", 200)
    mask = np.random.default_rng(0).random((17, 19, 23)) > 0.97
    outputs = from_arrays(Grid(mask.shape, (1, 1, 1)), mask * 2, mask.astype(float), mask * 1.0, mask * 0.0)
    seen = np.zeros(mask.shape, int)
    for box, piece in pieces(outputs.thing, 0.5):
        seen[box] += piece & mask[box]
    assert np.array_equal(seen, mask.astype(int))


def test_small_things_are_dropped_and_their_voxels_are_nothing():
    truth = row_of_teeth(2)
    truth[0, 0, 0] = 9
    outputs = perfect(truth)
    found, owners = find_things(outputs, [2], Thresholds(smallest_mm3=50))
    assert len(owners) == 2
    settle_classes(outputs.classes, found, owners, [2])
    assert outputs.classes.whole()[0, 0, 0] == 0 and (outputs.classes.whole()[truth == 1] == 2).mean() > 0.95


def test_no_largest_component_filter():
    truth = np.zeros((12, 12, 60), np.uint16)
    for i in range(4):
        truth[3:9, 3:9, 3 + 15 * i : 9 + 15 * i] = i + 1
    found, owners = find_things(perfect(truth), [2], Thresholds())
    assert len(owners) == 4 and np.array_equal(found.whole() > 0, truth > 0)


def test_tuning_finds_thresholds_that_separate():
    truth = row_of_teeth()
    outputs = perfect(truth)
    outputs.distance.array[:] = ndimage.gaussian_filter(outputs.distance.array.astype(float), 1.5)
    best, quality = tune([(outputs, truth)], [2], typical_mm3=float(np.bincount(truth.ravel())[1:].mean()))
    assert quality > 0.9
    assert Thresholds.from_dict(best.to_dict()) == best


def test_nothing_gives_nothing():
    empty = np.zeros((6, 6, 6), np.uint16)
    found, owners = find_things(perfect(empty), [2], Thresholds())
    assert owners == [] and not found.whole().any()


@pytest.mark.parametrize("votes", [(1, 2), (2, 1)])
def test_things_take_the_class_of_most_of_their_voxels(votes):
    truth = row_of_teeth(1)
    outputs = perfect(truth)
    inside = truth > 0
    half = inside & (np.arange(truth.shape[0])[:, None, None] < 4)
    outputs.classes.array[inside], outputs.classes.array[half] = votes[0], votes[1]
    expected = votes[0] if (inside & ~half).sum() > half.sum() else votes[1]
    _, owners = find_things(outputs, [1, 2], Thresholds())
    assert owners == [expected]


def test_depth_in_the_mask_divides_what_the_distance_head_does_not():
    z, y, x = np.ogrid[:20, :20, :44]
    mask = np.zeros((20, 20, 44), bool)
    for middle in (14, 28):
        mask |= (z - 10) ** 2 + (y - 10) ** 2 + (x - middle) ** 2 < 81
    flat = np.where(mask, 200, 0).astype(np.uint8)
    none = np.zeros(mask.shape, np.uint8)
    assert split_touching(mask, flat, none, Thresholds(rise=0.1)).max() == 1
    deep = Thresholds(rise=0.1, depth=1.0, smooth=1.0, radius_mm=9.0)
    ids = split_touching(mask, flat, none, deep)
    sizes = np.bincount(ids.ravel())[1:]
    assert len(sizes) == 2 and abs(int(sizes[0]) - int(sizes[1])) < 0.1 * sizes.sum()
    halved = Thresholds(rise=0.1, depth=1.0, smooth=1.0, radius_mm=4.5)
    assert np.array_equal(split_touching(mask, flat, none, halved, (0.5, 0.5, 0.5)) > 0, mask)


def test_very_large_boxes_are_divided_on_coarser_voxels(monkeypatch):
    truth = np.repeat(np.repeat(np.repeat(row_of_teeth(), 2, axis=0), 2, axis=1), 2, axis=2)
    monkeypatch.setattr("ethomorph.volumes.decode.LARGEST_BOX", truth.size // 5)
    found, _ = find_things(perfect(truth), [2], Thresholds())
    score = compare_instances(truth, found.whole())
    assert len(score.pairs) == 6 and score.overlaps.min() > 0.9

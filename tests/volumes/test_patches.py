"""Patches: targets by closed form, geometry without a shift, and a draw that can be repeated."""

import numpy as np
import pytest

from ethomorph.core.errors import LabelError
from ethomorph.volumes.patches import Patches, Prepared, cut, draw_geometry, places_of, prepare, thing_targets
from ethomorph.volumes.plan import fingerprint, make_plan
from ethomorph.volumes.settings import SegmenterSettings


@pytest.fixture
def plan(head_cases, classes):
    found = []
    for case in head_cases:
        image = case.read_image()
        found.append(fingerprint(image, classes.encode(case.read_labels(image)), classes))
    return make_plan(found, classes, SegmenterSettings(patch_voxels=16**3), gpu=False, steps=10)


def ramp_volume(shape=(20, 22, 24)) -> Prepared:
    z, y, x = np.meshgrid(*map(np.arange, shape), indexing="ij")
    image = (100 * z + 10 * y + x).astype(np.float32)
    classes = ((z > 9) * 1).astype(np.uint8)
    arrays = {"image": image, "classes": classes, "distance": (z * 5).astype(np.uint8), "border": classes}
    return Prepared("ramp", arrays, places_of(classes, 1, 0))


def test_a_straight_patch_is_the_array_itself():
    volume = ramp_volume()
    patch = cut(volume, np.array([9.5, 9.5, 9.5]), np.eye(3), (8, 8, 8))
    for name, array in volume.arrays.items():
        assert np.allclose(patch[name].numpy(), array[6:14, 6:14, 6:14], atol=1e-3), name


def test_turned_patches_sample_where_the_matrix_says():
    volume = ramp_volume()
    turn = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    centre = np.array([10.2, 11.1, 12.3])
    patch = cut(volume, centre, turn, (6, 6, 6))["image"].numpy()
    offsets = np.stack(np.meshgrid(*[np.arange(6) - 2.5] * 3, indexing="ij"), axis=-1)
    points = centre + offsets @ turn.T
    assert np.allclose(patch, points @ [100, 10, 1], atol=0.05)


def test_mirrored_patches_keep_whole_voxels():
    volume = ramp_volume()
    patch = cut(volume, np.array([9.6, 9.4, 9.5]), np.diag([1.0, -1, 1]), (8, 8, 8))
    for name, array in volume.arrays.items():
        assert np.array_equal(patch[name].numpy(), array[6:14, 6:14, 6:14][:, ::-1]), name


def test_classes_of_turned_patches_are_those_with_the_larger_share():
    """A plane at 45 degrees to the voxels: nearest voxels would leave steps on either side of it."""
    z, y, _ = np.meshgrid(*map(np.arange, (24, 24, 24)), indexing="ij")
    classes = (z + y >= 24).astype(np.uint8) * 3
    volume = Prepared("p", ramp_volume((24, 24, 24)).arrays | {"classes": classes}, {})
    turn = np.array([[np.sqrt(0.5), np.sqrt(0.5), 0], [-np.sqrt(0.5), np.sqrt(0.5), 0], [0, 0, 1]])
    found = cut(volume, np.array([11.5] * 3), turn, (8, 8, 8))["classes"].numpy()
    assert set(np.unique(found)) == {0, 3}
    assert all(len(np.unique(plane)) == 1 for plane in np.moveaxis(found, 1, 0))  # flat across the second axis


@pytest.mark.parametrize("matrix", [np.eye(3), np.diag([1.0, 1, -1]), 1.1 * np.eye(3)])
def test_outside_is_air_and_background(matrix):
    patch = cut(ramp_volume(), np.array([-20.0, 5, 5]), matrix, (8, 8, 8))
    assert (patch["image"] == -1).all() and (patch["classes"] == 0).all()
    edge = cut(ramp_volume(), np.array([19.0, 11, 12]), matrix, (8, 8, 8))
    assert (edge["image"].numpy()[-1] == -1).all() and (edge["classes"].numpy()[0] == 1).all()


def test_distance_and_border_targets():
    ids = np.zeros((9, 9, 20), np.uint16)
    ids[1:8, 1:8, 1:8], ids[1:8, 1:8, 8:15] = 1, 2
    distance, border = thing_targets(ids, (1.0, 1.0, 1.0))
    assert distance[4, 4, 4] == 255 and distance[1, 1, 1] == round(255 / 4)
    assert (distance[ids == 0] == 0).all() and (distance[ids > 0] > 0).all()
    assert border[4, 4, 7] == border[4, 4, 8] == 1 and border[4, 4, 4] == 0 and border[4, 4, 1] == 0


def test_prepared_volumes_are_mapped_and_taken_up_again(tmp_path, head_cases, classes, plan):
    first = prepare(head_cases[0], plan, classes, tmp_path, seed=0)
    assert isinstance(first.arrays["image"], np.memmap)
    stamp = {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    prepare(head_cases[0], plan, classes, tmp_path, seed=0)
    assert stamp == {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    bone = np.asarray(first.arrays["image"], np.float32)[np.asarray(first.arrays["classes"]) == 3]
    assert 0 < bone.mean() < 1.5


def test_draws_follow_from_seed_epoch_and_index_and_favour_foreground(tmp_path, head_cases, classes, plan):
    volumes = [prepare(case, plan, classes, tmp_path, seed=0) for case in head_cases]
    settings = SegmenterSettings(foreground=1.0)
    one, two = (Patches(volumes, plan, settings, count=12, seed=1) for _ in range(2))
    for epoch in (0, 3):
        one.set_epoch(epoch)
        two.set_epoch(epoch)
        assert all(np.array_equal(one[5][k], two[5][k]) for k in one[5])
    two.set_epoch(1)
    assert not np.array_equal(one[5]["image"], two[5]["image"])
    share = {f: np.mean([(Patches(volumes, plan, SegmenterSettings(foreground=f), count=30, seed=1)[i]["classes"] == 2)
                         .float().mean().item() for i in range(30)]) for f in (0.0, 1.0)}  # fmt: skip
    assert share[1.0] > 1.2 * share[0.0]
    calm = Patches(volumes, plan, settings, count=6, seed=1, calm=True)
    before = calm[2]["image"]
    calm.set_epoch(7)
    assert np.array_equal(before, calm[2]["image"])


def test_every_volume_comes_equally_often(tmp_path, head_cases, classes, plan, monkeypatch):
    volumes = [prepare(case, plan, classes, tmp_path, seed=0) for case in head_cases]
    drawn = []
    monkeypatch.setattr("ethomorph.volumes.patches.cut", lambda v, *a: drawn.append(v.name) or cut(v, *a))
    patches = Patches(volumes, plan, SegmenterSettings(), count=9, seed=0)
    for i in range(9):
        patches[i]
    assert sorted(drawn) == sorted([c.name for c in head_cases] * 3)


def test_turns_keep_millimetres_on_uneven_voxels(plan, rng):
    from dataclasses import replace

    uneven = replace(plan, spacing=(0.1, 0.1, 0.5), mirror_axes=[])
    matrix = draw_geometry(rng, SegmenterSettings(rotate_deg=40, zoom=1.0), uneven)
    size = np.array([0.5, 0.1, 0.1])
    in_mm = matrix * size[:, None] / size[None, :]
    assert np.allclose(in_mm @ in_mm.T, np.eye(3), atol=1e-9)


def test_volumes_without_any_class_are_refused(plan):
    empty = ramp_volume()
    with pytest.raises(LabelError, match="no voxel of any class"):
        Patches([Prepared("a", empty.arrays, {})], plan, SegmenterSettings(), count=1, seed=0)

"""Volumes: every slice is that slice, agreement with the prediction, and merges, splits and names in the file."""

from __future__ import annotations

import json
import time

import cv2
import numpy as np
import pytest

from ethomorph.core.grid import Grid
from ethomorph.core.volume import LabelVolume, ScalarVolume
from ethomorph.formats.volumes import read_labels, write_volume
from ethomorph.review.planes import Planes, build
from ethomorph.review.surfaces import surfaces
from ethomorph.review.volumes import apply_corrections

SKULL = "/api/studies/heads/tasks/skull"
SHAPE = (12, 20, 16)
NAMES = {"jaw": 1, "tooth_1": 2, "tooth_2": 3}


def labels() -> LabelVolume:
    array = np.zeros(SHAPE, np.uint8)
    array[2:10, 2:6, 2:14] = 1
    array[3:7, 10:14, 2:6] = 2
    array[3:7, 10:14, 9:13] = 3
    return LabelVolume.of(array, Grid(SHAPE, (0.2, 0.2, 0.4)), NAMES)


@pytest.fixture
def heads(tmp_path):
    folder, truth = tmp_path / "heads", labels()
    grey = np.random.default_rng(0).integers(0, 4000, SHAPE).astype(np.int16)
    write_volume(ScalarVolume(grey, truth.grid), folder / "images" / "a.nrrd")
    write_volume(truth, folder / "labels" / "a.seg.nrrd")
    wrong = truth.array.copy()
    wrong[wrong == 3] = 0
    wrong[3:7, 10:14, 4:6] = 0
    run = folder / "runs" / "skull" / "first"
    write_volume(LabelVolume.of(wrong, truth.grid, {"jaw": 1, "tooth_1": 2}), run / "predictions" / "a.seg.nrrd")
    (run / "scores.json").write_text("{}")
    (folder / "study.toml").write_text(
        '[study]\nname = "Heads"\n[task.skull]\nkind = "segmentation"\nlabels = "labels"\nimages = "images"\n'
    )
    return folder, grey


def test_planes_are_the_volume(heads, tmp_path):
    folder, grey = heads
    prediction = folder / "runs/skull/first/predictions/a.seg.nrrd"
    facts = build(folder / "images/a.nrrd", folder / "labels/a.seg.nrrd", prediction, tmp_path / "planes")
    planes, truth = Planes(tmp_path / "planes"), labels().array
    low, high = facts["window"]
    eight = np.clip((grey.astype(np.float32) - low) * (255 / (high - low)) + 0.5, 0, 255).astype(np.uint8)
    for axis, name in enumerate("zyx"):
        for index in (0, 5, SHAPE[axis] - 1):
            np.testing.assert_array_equal(planes.plane("truth", name, index), truth.take(index, axis))
            np.testing.assert_array_equal(planes.plane("image", name, index), eight.take(index, axis))
    with pytest.raises(IndexError):
        planes.plane("image", "z", SHAPE[0])
    rows = {row["name"]: row for row in facts["instances"]}
    assert [row["name"] for row in facts["instances"]] == ["tooth_2", "tooth_1", "jaw"]  # the worst first
    assert rows["tooth_2"]["dice"] == 0 and rows["jaw"]["dice"] == 1
    assert rows["tooth_1"]["dice"] == pytest.approx(2 * 32 / (64 + 32), abs=1e-4)
    z, y, x = rows["tooth_2"]["centre"]
    assert truth[z, y, x] == 3


def test_surfaces_lie_where_the_segments_are(heads, tmp_path):
    folder, _ = heads
    build(folder / "images/a.nrrd", folder / "labels/a.seg.nrrd", None, tmp_path / "planes")
    content = surfaces(Planes(tmp_path / "planes"), "truth")
    assert surfaces(Planes(tmp_path / "planes"), "truth") == content  # from disk
    length = int.from_bytes(content[:4], "little")
    table, at = json.loads(content[4 : 4 + length]), 4 + length
    np.testing.assert_allclose(table["extent"], [16 * 0.2, 20 * 0.2, 12 * 0.4])
    for row in table["segments"]:
        places = np.frombuffer(content, "<u2", 4 * row["vertices"], at).reshape(-1, 4)[:, :3] / 65535
        at += 8 * row["vertices"]
        faces = np.frombuffer(content, "<u4", 3 * row["faces"], at)
        at += 12 * row["faces"]
        assert row["faces"] > 10 and faces.max() < row["vertices"]
        voxels = np.argwhere(labels().array == row["id"])[:, ::-1]
        middle = (voxels.mean(axis=0) + 0.5) / [16, 20, 12]
        np.testing.assert_allclose((places.min(axis=0) + places.max(axis=0)) / 2, middle, atol=0.02)
        assert (np.ptp(places, axis=0) * [16, 20, 12] <= np.ptp(voxels, axis=0) + 1.01).all()
    assert at == len(content)


def test_corrections_reach_the_file(heads, application, signed_in):
    folder, _ = heads
    app, gate = application([folder], database=f"sqlite:///{folder / 'review.sqlite'}")
    client = signed_in(app, token=gate.new_token())
    for _ in range(600):
        item = client.get(f"{SKULL}/item", name="a").json()
        if item["ready"]:
            break
        time.sleep(0.1)
    plane = client.get(f"{SKULL}/volume/labels", name="a", which="truth", axis="z", index=4).content
    np.testing.assert_array_equal(np.frombuffer(plane, "<u2").reshape(20, 16), labels().array[4])
    sent = client.get(f"{SKULL}/volume/slice", name="a", axis="x", index=3).content
    assert cv2.imdecode(np.frombuffer(sent, np.uint8), cv2.IMREAD_GRAYSCALE).shape == (12, 20)
    assert client.get(f"{SKULL}/volume/slice", name="a", axis="x", index=16).status_code == 404
    changes = [
        {"field": "segment:1", "value": {"name": "lower jaw", "seeds": [[5, 3, 3], [5, 3, 12]]}, "base": 0},
        {"field": "segment:3", "value": {"into": 2}, "base": 0},
        {"field": "segment:2", "value": {"status": "accepted"}, "base": 0},
    ]
    body = {"item": "a", "key": "key-of-volume", "changes": changes}
    assert client.send("POST", f"{SKULL}/edits", body).status_code == 200
    bad = {"item": "a", "key": "key-of-volume-2", "changes": [{"field": "segment:9", "value": None, "base": 0}]}
    assert client.send("POST", f"{SKULL}/edits", bad).status_code == 404
    assert client.send("POST", f"{SKULL}/volume/write-back").json()["files"] == ["a.seg.nrrd"]
    after, before = read_labels(folder / "labels" / "a.seg.nrrd"), labels()
    assert set(after.names) == {"lower jaw", "lower jaw_2", "tooth_1"}
    assert after.mask("tooth_1").sum() == before.mask("tooth_1").sum() + before.mask("tooth_2").sum()
    jaw = after.mask("lower jaw") | after.mask("lower jaw_2")
    np.testing.assert_array_equal(jaw, before.mask("jaw"))
    assert after.mask("lower jaw")[:, :, 2:8].sum() == after.mask("lower jaw").sum()
    assert after.segment("tooth_1").status == "completed"


def test_merging_in_a_circle_ends():
    after = apply_corrections(labels(), {2: {"into": 3}, 3: {"into": 2}})
    assert "jaw" in after.names

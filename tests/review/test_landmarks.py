"""Landmark studies through the API: the order of the queue, edits, pictures, and what reaches files."""

from __future__ import annotations

import io
import shutil
import zipfile

import cv2
import numpy as np
import pytest

from ethomorph.formats.registry import read_landmarks
from ethomorph.review.need import Shapes

BONES = "/api/studies/lizards/tasks/bones"


def wait_until_ready(client, seconds=60):
    import time

    for _ in range(int(seconds * 10)):
        queue = client.get(f"{BONES}/queue").json()
        if queue["ready"]:
            return queue
        time.sleep(0.1)
    raise AssertionError("the queue never became ready")


def edit(client, item, changes, key="key-1-of-test"):
    values = client.get(f"{BONES}/item", name=item).json()["values"]
    listed = [{"field": f, "value": v, "base": values[f]["revision"]} for f, v in changes.items()]
    return client.send("POST", f"{BONES}/edits", {"item": item, "key": key, "changes": listed})


def test_the_neediest_comes_first_and_says_why(client):
    rows = wait_until_ready(client)["items"]
    assert rows[0]["item"] == "0003_dorsal.png"
    assert any("far from where the others put it" in reason for reason in rows[0]["reasons"])
    fifth = next(row for row in rows if row["item"] == "0005_dorsal.png")
    assert "1 landmark missing" in fifth["reasons"]
    assert [row["need"] for row in rows] == sorted((row["need"] for row in rows), reverse=True)


def test_where_the_others_put_a_landmark_is_near_the_truth(client, study):
    wait_until_ready(client)
    truth = read_landmarks(study / "landmarks.tps", images=study / "images")[0].points
    expected = client.get(f"{BONES}/item", name="0001_dorsal.png").json()["expected"]
    assert expected[0] is None and expected[1] is None  # the ruler is not anatomy
    away = [np.hypot(e["x"] - p[0], e["y"] - p[1]) / e["a"] for e, p in zip(expected[2:], truth[2:], strict=True)]
    assert np.mean(np.array(away) < 1.3) > 0.8


def test_where_the_others_put_a_landmark_is_the_prior_without_it(study):
    """The sums that leave one out, against the prior asked once for each landmark."""
    landmarks = read_landmarks(study / "landmarks.tps", images=study / "images", gaps="missing")
    shapes, points = Shapes(landmarks, list(range(2, len(landmarks.names)))), landmarks[0].points
    for i, found in enumerate(shapes.expected(points)[2:]):
        others = points[2:].copy()
        others[i] = np.nan
        np.testing.assert_allclose(found[0], shapes.prior.fill(others)[i], atol=1e-6)


def test_a_corrected_landmark_no_longer_makes_the_specimen_needy(client):
    rows = wait_until_ready(client)["items"]
    before = rows[0]["need"]
    item = client.get(f"{BONES}/item", name="0003_dorsal.png").json()
    x, y = item["values"]["point:jaw_corner_right"]["value"]
    assert edit(client, "0003_dorsal.png", {"point:jaw_corner_right": [x - 45, y + 30]}).status_code == 200
    after = next(r for r in client.get(f"{BONES}/queue").json()["items"] if r["item"] == "0003_dorsal.png")
    assert after["need"] < 0.4 * before


def test_done_items_go_to_the_end(client):
    assert edit(client, "0001_dorsal.png", {"status": "done", "grade": "bad"}).status_code == 200
    last = client.get(f"{BONES}/queue").json()["items"][-1]
    assert (last["item"], last["status"], last["grade"]) == ("0001_dorsal.png", "done", "bad")


@pytest.mark.parametrize(
    "field, value",
    [
        ("point:snout_tip", [1, "2"]),
        ("point:snout_tip", [1e300, 0]),
        ("point:snout_tip", [1, 2, 3]),
        ("point:nobody", [1, 2]),
        ("grade", "excellent"),
        ("status", "perhaps"),
        ("scale", {"a": [1, 1], "b": [1, 1], "mm": 5}),
        ("scale", {"mm_per_px": -1}),
        ("note", 7),
        ("colour", "red"),
    ],
)
def test_values_that_do_not_fit_are_refused(client, field, value):
    body = {
        "item": "0001_dorsal.png",
        "key": "key-of-nonsense",
        "changes": [{"field": field, "value": value, "base": 0}],
    }
    assert client.send("POST", f"{BONES}/edits", body).status_code == 404
    assert client.get(f"{BONES}/log").json() == []


def test_the_scale_by_two_points(client):
    changes = {"scale": {"a": [10, 10], "b": [10, 110], "mm": 5}}
    assert edit(client, "0001_dorsal.png", changes).json()["values"]["scale"]["value"]["mm_per_px"] == 0.05
    tps = client.get(f"{BONES}/export", format="tps").text
    assert "SCALE=0.05" in tps.split("LM=")[1]


def test_write_back_changes_the_native_file_and_keeps_the_old_one(client, study):
    before = read_landmarks(study / "landmarks.tps", images=study / "images")
    old = (study / "landmarks.tps").read_bytes()
    assert edit(client, "0002_dorsal.png", {"point:snout_tip": [20.125, 30.5], "grade": "bad"}).status_code == 200
    assert (study / "landmarks.tps").read_bytes() == old  # nothing before it is asked for
    answer = client.send("POST", f"{BONES}/write-back").json()
    assert "landmarks.tps" in answer["files"] and "specimens.csv" in answer["files"]
    after = read_landmarks(study / "landmarks.tps", images=study / "images")
    expected = before.array()
    expected[1, 2] = [20.125, 30.5]
    np.testing.assert_allclose(after.array(), expected, atol=1e-6)
    kept = {path.name.split("_", 3)[-1]: path for path in (study / "review" / "before").iterdir()}
    assert kept["landmarks.tps"].read_bytes() == old
    row = next(line for line in (study / "specimens.csv").read_text().splitlines() if line.startswith("0002_dorsal"))
    assert "bad" in row.split(",")
    again = client.get(f"{BONES}/item", name="0002_dorsal.png").json()
    assert again["native"]["point:snout_tip"] == pytest.approx([20.125, 30.5])
    assert again["native"]["grade"] == "bad"


def test_a_file_that_another_program_changed_is_not_overwritten(client, study):
    client.get(f"{BONES}/queue")
    (study / "landmarks.tps").write_bytes((study / "landmarks.tps").read_bytes() + b"\n")
    answer = client.send("POST", f"{BONES}/write-back")
    assert answer.status_code == 400 and "another program" in answer.json()["detail"]
    assert client.send("POST", f"{BONES}/write-back").status_code == 200  # read anew, so that it may be repeated


def test_export_in_every_format_reads_back(client, study, tmp_path):
    edit(client, "0001_dorsal.png", {"point:snout_tip": [20.5, 30.25]})
    content = client.get(f"{BONES}/export").content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "out")
    assert {n.split("/")[0] for n in names} >= {"tps", "dlib", "csv", "tidy", "coco", "grades.csv", "notes.txt"}
    for name, tolerance in (("tps/bones.tps", 1e-5), ("dlib/bones.xml", 0.51), ("tidy/bones.tidy.csv", 1e-5)):
        read = read_landmarks(tmp_path / "out" / name, images=study / "images", gaps="missing")
        places = [i for i, s in enumerate(read) if s.image == "0001_dorsal.png"]
        point = read[places[0]].points[2]
        assert np.abs(point - [20.5, 30.25]).max() <= tolerance, name


def test_new_pictures_are_items_and_are_written_once_placed(client, study):
    shutil.copy(study / "images" / "0001_dorsal.png", study / "images" / "new.png")
    rows = client.get(f"{BONES}/queue").json()["items"]
    new = next(row for row in rows if row["item"] == "new.png")
    assert new["reasons"] == ["no grade", "no landmarks yet"]
    client.send("POST", f"{BONES}/write-back")
    assert len(read_landmarks(study / "landmarks.tps", images=study / "images")) == 24
    assert edit(client, "new.png", {"point:snout_tip": [12.0, 13.0]}).status_code == 200
    client.send("POST", f"{BONES}/write-back")
    after = read_landmarks(study / "landmarks.tps", images=study / "images")
    assert len(after) == 25 and after[24].image == "new.png"
    assert after[24].points[2].tolist() == [12.0, 13.0] and after[24].visible.sum() == 1


def test_a_picture_keeps_its_size_and_enhancement_does_not_touch_the_file(client, study):
    path = study / "images" / "0001_dorsal.png"
    before = path.read_bytes()
    for options in ({}, {"clahe": 2, "stretch": True, "denoise": 4}):
        answer = client.get(f"{BONES}/picture", name="0001_dorsal.png", **options)
        assert answer.headers["content-type"] == "image/jpeg"
        picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert picture.shape == (220, 290)
    plain = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    sent = client.get(f"{BONES}/picture", name="0001_dorsal.png").content
    shown = cv2.imdecode(np.frombuffer(sent, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert np.abs(plain.astype(int) - shown).mean() < 2
    assert path.read_bytes() == before


def test_sixteen_bits_are_shown_by_their_own_range(client, study):
    ramp = np.tile(np.linspace(0, 65535, 290).astype(np.uint16), (220, 1))
    cv2.imwrite(str(study / "images" / "deep.png"), ramp)
    sent = client.get(f"{BONES}/picture", name="deep.png").content
    shown = cv2.imdecode(np.frombuffer(sent, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert np.abs(shown[0].astype(int) - np.linspace(0, 255, 290)).max() < 4


def test_the_prediction_of_a_run_is_the_ghost(client, study):
    landmarks = read_landmarks(study / "landmarks.tps", images=study / "images")
    run = study / "runs" / "bones" / "r"
    run.mkdir(parents=True)
    (run / "scores.json").write_text("{}")
    from ethomorph.formats.registry import write_landmarks

    write_landmarks(landmarks.subset([0]).with_points(landmarks.array()[:1] + 3), run / "predictions.tps")
    wait_until_ready(client)
    ghost = client.get(f"{BONES}/item", name="0001_dorsal.png").json()["ghost"]
    shift = [ghost[5]["x"], ghost[5]["y"]] - landmarks[0].points[5]
    np.testing.assert_allclose(shift, [3, 3], atol=1e-4)
    assert client.get(f"{BONES}/item", name="0002_dorsal.png").json()["ghost"] is None

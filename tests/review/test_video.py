"""Poses and bouts: any frame by its number, exchanged identities found and set right, bouts in BORIS's table."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ethomorph.formats.boris import read_boris
from ethomorph.formats.poses import read_poses
from ethomorph.phantoms.arena import simulate_arena
from ethomorph.review.bouts import checked_bouts
from ethomorph.review.source import Refused
from ethomorph.review.tracks import animals_of, suspects

POSES, ACTS = ("/api/studies/pond/tasks/poses", "/api/studies/pond/tasks/acts")
STUDY = """\
[study]
name = "Pond"
[task.poses]
kind = "pose"
labels = "poses.slp"
[task.acts]
kind = "behavior"
labels = "events.csv"
images = "."
"""
FRAMES, EXCHANGED = 60, 40


@pytest.fixture(scope="module")
def film():
    return simulate_arena(fish=3, frames=FRAMES, size=(120, 160), length_px=26, seed=4)


@pytest.fixture
def pond(film, tmp_path, application, signed_in):
    """Three fish; from frame 40 on a tracker took the second for the third."""
    import sleap_io

    folder = film.write(tmp_path / "pond")
    labels = sleap_io.load_slp(str(folder / "poses.slp"))
    a, b = labels.tracks[1], labels.tracks[2]
    for frame in labels.labeled_frames:
        for one in frame.instances if frame.frame_idx >= EXCHANGED else []:
            one.track = b if one.track is a else a if one.track is b else one.track
    labels.save(str(folder / "poses.slp"), embed=False)
    (folder / "study.toml").write_text(STUDY)
    app, gate = application([folder], database=f"sqlite:///{folder / 'review.sqlite'}")
    return folder, signed_in(app, token=gate.new_token())


def send(client, task, item, field, value, base=0, key="key-of-video-1"):
    body = {"item": item, "key": key, "changes": [{"field": field, "value": value, "base": base}]}
    return client.send("POST", f"{task}/edits", body)


def test_each_frame_is_that_frame(pond, film):
    _, client = pond
    for index in (0, 31, 7, FRAMES - 1, 8):
        sent = client.get(f"{POSES}/video/frame", name="video.mp4", index=index).content
        shown = cv2.imdecode(np.frombuffer(sent, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(float)
        errors = [np.abs(shown - film.frame(i)).mean() for i in range(max(0, index - 2), min(FRAMES, index + 3))]
        assert int(np.argmin(errors)) == min(2, index), index
    assert client.get(f"{POSES}/video/frame", name="video.mp4", index=FRAMES).status_code == 404


def test_the_exchange_is_found_set_right_and_written(pond, film):
    folder, client = pond
    before = read_poses(folder / "poses.slp")[0]
    found = suspects(animals_of(before)[0])
    assert [s["frame"] for s in found] == [EXCHANGED]
    assert send(client, POSES, "video.mp4", f"swap:{EXCHANGED}", found[0]["tracks"]).status_code == 200
    assert send(client, POSES, "video.mp4", "node:5:0:nose", [1.5, 2.5], key="key-of-video-2").status_code in (200, 404)
    assert client.send("POST", f"{POSES}/video/write-back").status_code == 200
    after, truth = read_poses(folder / "poses.slp")[0], film.labels()
    for mine, true in zip(after.labeled_frames, truth.labeled_frames, strict=True):
        names = [one.track.name for one in mine.instances]
        assert names == [one.track.name for one in true.instances], mine.frame_idx
    assert suspects(animals_of(after)[0]) == []
    assert any((folder / "review" / "before").iterdir())


def test_a_moved_node_reaches_the_file(pond):
    folder, client = pond
    node = client.get(f"{POSES}/queue").json()["scheme"]["nodes"][0]
    assert send(client, POSES, "video.mp4", f"node:3:1:{node}", [11.25, 12.5]).status_code == 200
    client.send("POST", f"{POSES}/video/write-back")
    frame = next(f for f in read_poses(folder / "poses.slp")[0].labeled_frames if f.frame_idx == 3)
    assert frame.instances[1].numpy()[0].tolist() == [11.25, 12.5]


def test_bouts_are_edited_and_written_as_boris_has_them(pond):
    folder, client = pond
    item = client.get(f"{ACTS}/item", name="arena").json()
    bouts = item["values"]["bouts"]["value"]
    assert len(bouts) == len(read_boris(folder / "events.csv"))
    first = bouts[0] | {"stop_s": round(bouts[0]["stop_s"] / 2, 3)}
    assert send(client, ACTS, "arena", "bouts", [first, *bouts[2:]]).status_code == 200
    assert client.send("POST", f"{ACTS}/video/write-back").status_code == 200
    after = read_boris(folder / "events.csv")
    assert len(after) == len(bouts) - 1
    assert min(abs(e.stop_s - first["stop_s"]) for e in after if e.behavior == first["behavior"]) < 1e-3


@pytest.mark.parametrize("bad", [3, [{"subject": "a"}], [{"subject": "a", "behavior": "b", "start_s": 2, "stop_s": 1}],
                                 [{"subject": "a", "behavior": "b", "start_s": 0, "stop_s": 99}]])  # fmt: skip
def test_bouts_that_are_none_are_refused(bad):
    with pytest.raises(Refused):
        checked_bouts(bad, 10.0)

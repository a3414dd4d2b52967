"""Damaged videos and labels through the pose verbs: one clear line and exit 2, or a run whose scores say why."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import av
import numpy as np
import pytest
import sleap_io

from ethomorph.cli.app import execute

STUDY = """\
[study]
name = "damaged"
[split]
by = "block"
[task.t]
kind = "pose"
labels = "a.slp"
[task.t.settings.model]
backbone = "unet-bn"
filters = 4
max_stride = 8
stem_stride = 2
[task.t.settings.optimization]
epochs = 2
steps_an_epoch = 5
[task.t.settings.heads]
peak_threshold = 0.0
"""


@pytest.fixture(scope="module")
def toys():
    path = Path(__file__).parents[1] / "keypoints" / "pose" / "toys.py"
    spec = importlib.util.spec_from_file_location("pose_toys_for_damage", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def study(tmp_path, toys):
    """A study of 20 small frames, in good order."""
    toys.film(tmp_path, frames=20, size=64)
    (tmp_path / "toy.slp").rename(tmp_path / "a.slp")
    (tmp_path / "study.toml").write_text(STUDY)
    return tmp_path


def cut(study, toys):
    (study / "toy.mp4").write_bytes((study / "toy.mp4").read_bytes()[:900])


def empty_file(study, toys):
    (study / "toy.mp4").write_bytes(b"")


def no_frames(study, toys):
    with av.open(str(study / "toy.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        container.start_encoding()


def gone(study, toys):
    (study / "toy.mp4").unlink()


def past_the_end(study, toys):
    toys.labels_file(study / "a.slp", toys.paths(1, 25, size=64), study / "toy.mp4")


def all_hidden(study, toys):
    toys.labels_file(study / "a.slp", np.full((20, 1, 3, 2), np.nan), study / "toy.mp4")


def one_node_never_seen(study, toys):
    points = toys.paths(1, 20, size=64)
    points[:, :, 2] = np.nan
    toys.labels_file(study / "a.slp", points, study / "toy.mp4")


def cut_labels(study, toys):
    whole = (study / "a.slp").read_bytes()
    (study / "a.slp").write_bytes(whole[: len(whole) // 2])


def no_labels(study, toys):
    sleap_io.Labels([], [], [sleap_io.Skeleton(nodes=["a"])]).save(str(study / "a.slp"), embed=False, verbose=False)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut, "toy.mp4: not a readable video"),
        (empty_file, "toy.mp4"),
        (no_frames, "toy.mp4"),
        (gone, "video toy.mp4 was not found"),
        (past_the_end, "5 labelled frames lie past the end of their video"),
        (all_hidden, "no labelled animal"),
        (one_node_never_seen, "node 3 is hidden in every training frame"),
        (cut_labels, "a.slp"),
        (no_labels, "no labelled animal"),
    ],
)
def test_what_cannot_be_trained_on_is_one_line_and_exit_2(study, toys, capsys, damage, said):
    damage(study, toys)
    capsys.readouterr()
    assert execute(["train", str(study), "--quiet"]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error and len(error.splitlines()) == 1, error
    assert not list(study.glob("runs/t/*/model"))


def wrong_count(study, toys):
    """The header promises ten times the frames that are there."""
    data = bytearray((study / "toy.mp4").read_bytes())
    at = data.find(b"stsz")
    assert int.from_bytes(data[at + 12 : at + 16], "big") == 20
    data[at + 12 : at + 16] = (200).to_bytes(4, "big")
    (study / "toy.mp4").write_bytes(data)


def one_node(study, toys):
    skeleton = sleap_io.Skeleton(nodes=["head"])
    video = sleap_io.Video(filename=str(study / "toy.mp4"), open_backend=False)
    frames = [
        sleap_io.LabeledFrame(video, i, [sleap_io.Instance.from_numpy(p[0, :1], skeleton=skeleton)])
        for i, p in enumerate(toys.paths(1, 20, size=64))
    ]
    sleap_io.Labels(frames, [video], [skeleton]).save(str(study / "a.slp"), embed=False, verbose=False)


def some_hidden(study, toys):
    points = toys.paths(1, 20, size=64)
    points[::3, 0] = np.nan
    points[1::3, 0, 1] = np.nan
    toys.labels_file(study / "a.slp", points, study / "toy.mp4")


@pytest.mark.slow
@pytest.mark.parametrize(("damage", "status"), [(one_node, "degenerate_scale"), (some_hidden, "ok")])
def test_what_can_be_trained_on_is_scored_with_its_reason(study, toys, damage, status):
    damage(study, toys)
    assert execute(["train", str(study), "--run", "r", "--quiet"]) == 0
    text = (study / "runs" / "t" / "r" / "scores.json").read_text()
    scores = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} in scores.json"))
    assert scores["status"] in (status, "no_matches"), scores["status"]
    assert scores["status"] == "ok" or scores["reason"]
    for metric in scores["metrics"].values():
        assert metric["value"] is not None or metric["reason"]
    if damage is one_node:
        assert scores["metrics"]["mean_error"]["value"] is not None and scores["metrics"]["mAP"]["value"] is None
    else:
        assert any("without a visible node" in warning for warning in scores["warnings"])


def test_a_header_that_promises_too_much_is_refused_or_said(study, toys, capsys):
    wrong_count(study, toys)
    code = execute(["render", str(study / "toy.mp4"), str(study / "a.slp"), "--out", str(study / "o.mp4"), "--quiet"])
    error = capsys.readouterr().err.strip()
    assert code in (0, 2) and "Traceback" not in error and len(error.splitlines()) <= 2, error

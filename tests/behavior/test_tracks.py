"""Several animals in one pose file: each with its own labels, whatever the order and number of the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ethomorph.behavior.estimator import BehaviorClassifier
from ethomorph.behavior.kinematics import frame_features
from ethomorph.behavior.tracks import read_labelled
from ethomorph.core.errors import LabelError
from ethomorph.phantoms.arena import simulate_arena


@pytest.fixture(scope="module")
def video():
    return simulate_arena(fish=3, frames=150, size=(96, 128), fps=15, length_px=20, seed=4)


@pytest.fixture(scope="module")
def written(video, tmp_path_factory):
    return video.write(tmp_path_factory.mktemp("long"))


def test_every_scored_subject_is_a_recording_of_its_own(video, written):
    found = read_labelled(written / "poses.slp", written / "events.csv", fps=15)
    assert [one.animals[0] for one in found] == ["fish 1", "fish 2", "fish 3"]
    for one, truth in zip(found, video.recordings(), strict=True):
        assert one.group == truth.group and one.animals == truth.animals
        assert np.allclose(one.points[:, 0], truth.points[:, 0], atol=1e-3, equal_nan=True)
        assert (one.labels == truth.labels).mean() > 0.98  # events are written in milliseconds


def test_a_subject_that_nobody_tracked_is_refused(written, tmp_path):
    text = (written / "events.csv").read_text().replace("fish 2", "blue male")
    (tmp_path / "events.csv").write_text(text)
    with pytest.raises(LabelError, match="subject 'blue male' is none of the tracks fish 1, fish 2, fish 3"):
        read_labelled(written / "poses.slp", tmp_path / "events.csv", fps=15)


def test_one_subject_is_found_among_the_tracks(video, written, tmp_path):
    head, *rows = (written / "events.csv").read_text().splitlines()
    (tmp_path / "events.csv").write_text("\n".join([head, *(r for r in rows if "fish 3" in r)]) + "\n")
    (one,) = read_labelled(written / "poses.slp", tmp_path / "events.csv", fps=15)
    assert one.animals[0] == "fish 3" and "fish 1, fish 2" in one.notes[-1]


def test_the_order_of_the_others_does_not_matter(video):
    one = video.recordings()[0]
    turned = replace(one, points=one.points[:, [0, 2, 1]], animals=[one.animals[i] for i in (0, 2, 1)])
    (values, names), (again, same) = frame_features(one), frame_features(turned)
    assert names == same and np.array_equal(values, again)
    fewer, known = frame_features(replace(one, points=one.points[:, :2], animals=one.animals[:2]))
    assert known == names and not np.array_equal(values, fewer)


def test_poses_that_are_not_alike_are_refused(video, tmp_path):
    recordings = video.recordings()
    model = BehaviorClassifier(settings={"trees": {"rounds": 2}, "stride": 10}).fit(recordings[:2], progress=False)
    alone = replace(recordings[2], points=recordings[2].points[:, :1], animals=["fish 3"])
    with pytest.raises(LabelError, match="with and without other animals"):
        BehaviorClassifier.load(model.save(tmp_path)).predict([alone])

"""Training on toys: each pipeline learns, a saved model predicts the same, and sick trainings are named."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ethomorph.core.errors import InputError, LabelError
from ethomorph.formats.video import open_film
from ethomorph.keypoints.pose.estimator import PoseEstimator, opened
from ethomorph.keypoints.pose.frames import paired_labels
from ethomorph.keypoints.pose.score import score_poses
from ethomorph.keypoints.pose.table import tables_of

TINY = {
    "model": {"backbone": "unet-bn", "filters": 8, "max_stride": 8, "stem_stride": 2},
    "optimization": {"epochs": 5, "steps_an_epoch": 20, "averaging": 0.9, "learning_rate": 4e-3},
    "augmentation": {"rotation_min_deg": -180, "rotation_max_deg": 180, "noise_sd": 0.0},
    "heads": {"field_sigma_px": 6, "field_stride": 2, "peak_threshold": 0.15},
}


def tiny(**groups):
    return {key: value | groups.get(key, {}) for key, value in TINY.items()} | {
        key: value for key, value in groups.items() if key not in TINY
    }


@pytest.fixture(scope="module")
def films(tmp_path_factory, toys):
    """Label files of one animal and of two."""
    found = {}
    for animals in (1, 2):
        folder = tmp_path_factory.mktemp(f"toys{animals}")
        found[animals] = toys.film(folder, animals=animals, frames=24)
    return found


@pytest.fixture(scope="module")
def single(films, tmp_path_factory):
    folder = tmp_path_factory.mktemp("single")
    model = PoseEstimator(settings=tiny()).fit(films[1], validation=films[1], folder=folder, progress=False)
    model.save(folder / "model")
    return model, folder


@pytest.mark.slow
def test_one_animal_is_found_in_every_frame(single, films):
    model, folder = single
    predicted = model.predict(films[1].with_suffix(".mp4"), progress=False)
    truth = opened(films[1], None)
    assert len(predicted.labeled_frames) == 24 and truth[0] == model.scheme_
    import sleap_io

    rows, scheme = paired_labels(sleap_io.load_slp(str(films[1]), open_videos=False), predicted)
    block = score_poses(rows, scheme.names)
    assert block["status"] == "ok" and block["metrics"]["mean_error"]["value"] < 4
    health = json.loads((folder / "health.json").read_text())
    named = {finding["rule"] for finding in health["findings"] if finding["severity"] != "info"}
    assert not named & {"unlearned", "update_size", "learning_rate", "not_finite"}, health
    assert {"history.csv", "health.json", "evidence.json"} <= {path.name for path in folder.iterdir()}


@pytest.mark.slow
def test_a_loaded_model_predicts_the_same_by_every_runtime(single, films):
    _, folder = single
    film = open_film(films[1].with_suffix(".mp4"))
    found = {}
    for runtime in ("torch", "onnxruntime", "openvino"):
        if runtime != "torch":
            pytest.importorskip(runtime)
        model = PoseEstimator.load(folder / "model", runtime=runtime)
        (found[runtime],) = model.tables(film, stop=8)
    for runtime, table in found.items():
        assert np.nanmax(np.abs(table.points - found["torch"].points)) < 0.1, runtime
    chosen = PoseEstimator.load(folder / "model")
    list(chosen.tables(film, stop=8))
    assert {trial.name for trial in chosen.trials_["single_instance"]} == {"torch", "onnxruntime", "openvino"}


@pytest.mark.slow
@pytest.mark.parametrize(("method", "window"), [("top_down", 0), ("bottom_up", 0), ("bottom_up", 64)])
def test_two_animals_are_found_apart(films, method, window):
    settings = tiny(optimization={"epochs": 8}, data={"window_px": window})
    model = PoseEstimator(method=method, settings=settings).fit(films[2], progress=False)
    assert model.pipeline_.facts.instances == 2
    table = tables_of(model.predict(films[2].with_suffix(".mp4"), progress=False))[0][0]
    scheme, frames, _, _ = opened(films[2], None)
    errors = []
    for frame in frames:
        rows = np.flatnonzero(table.frames == frame.frame)
        for animal in frame.points:
            away = np.linalg.norm(table.points[rows] - animal, axis=-1)
            errors.append(np.nanmean(away, axis=1).min() if len(rows) else 99.0)
    assert np.median(errors) < 5, f"{method}: {np.median(errors)}"
    assert len(scheme) == 3


@pytest.fixture(scope="module")
def small(tmp_path_factory, toys):
    """One animal in 16 small frames."""
    return toys.film(tmp_path_factory.mktemp("small"), frames=16, size=64)


FAST = {"epochs": 12, "steps_an_epoch": 5, "averaging": 0.0, "schedule": "constant"}
RUNS = {
    "small rate": ({"learning_rate": 1e-6}, "update_size", "too low", "multiply the learning rate"),
    "tiny rate, patient": (
        {"learning_rate": 1e-8, "patience": 10, "warm_up": 0}, "update_size", "too low", "multiply the learning rate",
    ),
    "tiny rate, stopped early": (
        {"learning_rate": 1e-7, "patience": 3, "warm_up": 0}, "unlearned", "early stopping", "patience",
    ),
    "huge rate": ({"learning_rate": 3.0}, "", "too high", "learning rate"),
}  # fmt: skip
"""The trainings that other tools end without a word: settings, a rule that has to speak, and words of its cause and
remedy. The fifth, which is in order, is that of `single`."""


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_sick_trainings_are_named_and_still_scored(small, tmp_path, name):
    change, rule, cause, remedy = RUNS[name]
    settings = tiny(optimization=FAST | change, model={"backbone": "unet", "filters": 4})
    model = PoseEstimator(settings=settings).fit(small, validation=small, folder=tmp_path, progress=False)
    health = json.loads((tmp_path / "health.json").read_text())
    serious = [finding for finding in health["findings"] if finding["severity"] != "info"]
    named = {finding["rule"] for finding in serious}
    assert model.result_.stop_reason
    assert health["verdict"] == "sick" and (not rule or rule in named), health
    assert any(cause in " ".join(f["causes"]) and remedy in f["remedy"] for f in serious), health
    if "stopped" in name:
        assert model.result_.stop == "early" and model.result_.epochs < FAST["epochs"]
    scheme, frames, films, _ = opened(small, None)
    from ethomorph.keypoints.pose.frames import scored_frames

    found = model.predict_labelled(frames[:4], films)
    rows = scored_frames(frames[:4], found, [str(f.frame) for f in frames[:4]], ["g"] * 4)
    block = score_poses(rows, scheme.names, highest=model.pipeline_.highest, threshold=0.15)
    json.dumps(block, allow_nan=False)
    assert block["status"] in ("no_predictions", "no_matches", "ok")
    if block["status"] == "no_predictions":
        assert "highest confidence" in block["reason"]


def test_what_cannot_be_trained_on_is_refused_in_one_line(films, toys, tmp_path):
    with pytest.raises(LabelError, match="more than one animal"):
        PoseEstimator(settings=tiny()).fit(films[2], progress=False)
    points = toys.paths(1, 30)
    late = toys.labels_file(tmp_path / "late.slp", points, films[1].with_suffix(".mp4"))
    with pytest.raises(LabelError, match=r"6 labelled frames lie past the end of their video"):
        PoseEstimator(settings=tiny()).fit(late, progress=False)
    hidden = points[:5].copy()
    hidden[:, :, 2] = np.nan
    missing = toys.labels_file(tmp_path / "hidden.slp", hidden, films[1].with_suffix(".mp4"))
    with pytest.raises(LabelError, match="node 3 is hidden in every training frame"):
        PoseEstimator(settings=tiny()).fit(missing, progress=False)
    empty = toys.labels_file(tmp_path / "empty.slp", np.full((3, 1, 3, 2), np.nan), films[1].with_suffix(".mp4"))
    with pytest.raises(LabelError, match="no labelled animal"):
        PoseEstimator(settings=tiny()).fit(empty, progress=False)
    with pytest.raises(InputError, match="no node 'fin'"):
        PoseEstimator(method="top_down", settings=tiny(heads={"anchor": "fin"})).fit(films[2], progress=False)

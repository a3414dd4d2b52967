"""The pose verbs in one process, on two toy animals: what they print, what they leave, how they fail."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from ethomorph.cli.app import execute

QUICK = [
    "model.backbone=unet-bn", "model.filters=8", "model.max_stride=8", "optimization.epochs=4",
    "optimization.steps_an_epoch=15", "optimization.averaging=0.9", "optimization.learning_rate=0.004",
    "heads.peak_threshold=0.1", "tracking.animals=2",
]  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pose")
    path = Path(__file__).parents[1] / "keypoints" / "pose" / "toys.py"
    spec = importlib.util.spec_from_file_location("pose_toys_for_verbs", path)
    toys = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(toys)
    toys.film(folder, animals=2, frames=40)
    labels = str(folder / "toy.slp")
    assert execute(["new", str(folder / "study"), "--kind", "pose", "--labels", labels, "--images", str(folder)]) == 0
    return folder / "study"


@pytest.mark.slow
def test_the_whole_way(study, capsys):
    sets = [part for key in QUICK for part in ("--set", f"settings.{key}")]
    assert execute(["split", str(study), "--json"]) == 0
    parts = json.loads(capsys.readouterr().out)["parts"]
    assert sum(part["samples"] for part in parts) == 40
    assert execute(["audit", str(study), "--quiet"]) == 0
    assert execute(["train", str(study), "--run", "a", "--quiet", *sets]) == 0
    run = study / "runs" / "toy" / "a"
    left = {path.name for path in run.iterdir()}
    assert {
        "model",
        "model.txt",
        "scores.json",
        "health.json",
        "predictions.slp",
        "per_sample.csv",
        "report.html",
    } <= left
    scores = json.loads((run / "scores.json").read_text())
    assert scores["kind"] == "pose" and scores["status"] in ("ok", "no_matches", "no_predictions")
    assert {"mean_error", "mAP", "sleap_mOKS"} <= set(scores["metrics"]) and scores["counts"]["truth_instances"] > 0
    text = (run / "model.txt").read_text()
    assert all(f"\n{title}\n" in f"\n{text}" for title in ("Data", "Optimization", "Augmentation", "Model", "Heads"))
    video, out = str(study.parent / "toy.mp4"), study.parent / "out.slp"
    capsys.readouterr()
    assert execute(["predict", str(run), video, "--out", str(out), "--json", "--quiet"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["images"] == 40 and told["tracks"] <= 2 and not list(study.parent.glob(".*part"))
    overlay = study.parent / "overlay.mp4"
    assert execute(["render", video, str(out), "--out", str(overlay), "--trail", "5", "--scale", "2", "--quiet"]) == 0
    from ethomorph.formats.video import open_film

    assert len(open_film(overlay)) == 40 and open_film(overlay).size == (192, 192)


def test_kinematics_of_labels(study, capsys):
    out = study.parent / "motion.csv"
    labels = str(study.parent / "toy.slp")
    assert (
        execute(["measure", "kinematics", labels, "--fps", "25", "--out", str(out), "--angle", "head,middle,tail"]) == 0
    )
    rows = np.genfromtxt(out, delimiter=",", names=True, dtype=None, encoding="utf-8")
    assert len(rows) == 80 and np.allclose(rows["angle_head_middle_tail_deg"], 180, atol=1e-2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["predict", "{run}", "cut.mp4", "--out", "o.slp"], "cut.mp4"),
        (["render", "cut.mp4", "{labels}", "--out", "o.mp4"], "not a readable video"),
        (["render", "{video}", "{labels}", "--out", "o.mp4", "--crop", "1,2"], "--crop"),
        (["render", "{video}", "{labels}", "--out", "o.mp4", "--follow", "nobody"], "no track 'nobody'"),
        (["measure", "kinematics", "missing.slp", "--fps", "25"], "missing.slp"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(study, tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cut.mp4").write_bytes((study.parent / "toy.mp4").read_bytes()[:900])
    names = {"run": study, "labels": study.parent / "toy.slp", "video": study.parent / "toy.mp4"}
    if words[0] == "predict" and not (study / "runs").exists():
        pytest.skip("nothing was trained")
    assert execute([word.format(**names) for word in words]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error and len(error.splitlines()) == 1 and "Traceback" not in error

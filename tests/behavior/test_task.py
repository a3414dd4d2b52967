"""The verbs on studies of behaviour: what they print, leave and refuse."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from ethomorph.cli.app import execute
from ethomorph.core.errors import SplitError
from ethomorph.study.config import Study
from ethomorph.study.task import open_task

STUDY = """\
[study]
name = "Arena"
[split]
by = "{by}"
test = 0.4
validation = 0.15
[task.arena]
kind = "behavior"
labels = "{labels}"
{keys}
[task.arena.settings]
frames = 12
side_px = 48
trees = {{ rounds = 6 }}
{settings}
"""


def make(folder, *, labels, by="specimen", keys="", settings=""):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.toml").write_text(STUDY.format(labels=labels, by=by, keys=keys, settings=settings))
    return folder


@pytest.fixture(scope="module")
def study(arena, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return make(folder, labels=arena / "labels.csv", keys=f'images = "{arena / "clips"}"', settings="folds = 3")


@pytest.fixture(scope="module")
def run(study):
    assert execute(["train", str(study), "--run", "first", "--quiet"]) == 0
    return study / "runs" / "arena" / "first"


def test_a_run_leaves_what_the_contract_says(run):
    left = {path.name for path in run.iterdir()}
    assert {"config.toml", "split.csv", "model", "history.csv", "health.json", "scores.json", "predictions.csv",
            "per_sample.csv", "report.html", "provenance.json"} <= left  # fmt: skip
    scores = json.loads((run / "scores.json").read_text())
    assert scores["kind"] == "behavior" and scores["part"] == "test"
    for name in ("macro_f1", "balanced_accuracy", "kappa", "mcc", "average_precision", "calibration_error", "brier"):
        assert scores["metrics"][name]["value"] is not None
    assert set(scores["baselines"]) == {"majority", "stratified", "metadata_only"}
    assert scores["metrics"]["grouped_folds_macro_f1"]["value"] is not None
    assert scores["baselines"]["metadata_only"]["grouped_folds_macro_f1"]["value"] is not None
    table = np.array(scores["confusion"])
    assert table.sum() == scores["samples"] == len(pd.read_csv(run / "predictions.csv"))
    assert sum(block["support"] for block in scores["per_class"].values()) == scores["samples"]
    page = (run / "report.html").read_text()
    assert "What is taken for what" in page and "Shares of animals" in page and "<script" not in page


def test_groups_stay_whole(run):
    split = pd.read_csv(run / "split.csv")
    assert split.groupby("group")["part"].nunique().max() == 1
    assert split["group"].str.startswith("male_").all()


def test_predicting_new_videos(run, arena, tmp_path, capsys):
    out = tmp_path / "new.csv"
    videos = [str(p) for p in sorted((arena / "clips").glob("*.mp4"))[:5]]
    assert (
        execute(["predict", str(run), *videos, "--out", str(out), "--sheet", str(tmp_path / "s.png"), "--quiet"]) == 0
    )
    table = pd.read_csv(out)
    assert len(table) == 5 and np.allclose(table.filter(like="p_").sum(axis=1), 1, atol=1e-3)
    assert (tmp_path / "s.png").stat().st_size > 10_000
    assert "5 clip(s)" in capsys.readouterr().err


def test_scoring_other_labels_and_unknown_ones(run, arena, tmp_path, capsys):
    table = pd.read_csv(arena / "labels.csv")
    table.head(20).to_csv(tmp_path / "some.csv", index=False)
    argv = ["score", str(run), "--labels", str(tmp_path / "some.csv"), "--images", str(arena / "clips"), "--json"]
    assert execute([*argv, "--quiet", "--out", str(tmp_path / "scores.json")]) == 0
    block = json.loads(capsys.readouterr().out)
    assert block["samples"] == 20 and "this is no test" in block["warnings"][0]
    table.head(5).assign(label="fly").to_csv(tmp_path / "some.csv", index=False)
    assert execute(argv) == 2
    assert "fly: this run does not know" in capsys.readouterr().err


def test_the_audit_prints_what_the_table_gives_away(study, capsys):
    assert execute(["audit", str(study), "--quiet"]) == 0
    said = capsys.readouterr().out
    assert "metadata shortcut" in said and "sees no pixel" in said
    block = json.loads((study / "audit.json").read_text())
    assert set(block["metadata_only"]) == {"random", "grouped"}
    assert block["metadata_only"]["random"]["accuracy"]["value"] > 0
    rules = {f["rule"] for f in block["findings"]}
    assert {"few_animals", "no_observer_agreement", "one_stratum"} <= rules
    assert block["learning_curve"] and "Do more animals help" in (study / "audit.html").read_text()


def test_a_random_split_is_printed_beside_the_grouped_one(arena, tmp_path, capsys):
    keys = f'images = "{arena / "clips"}"'
    folder = make(tmp_path / "random", labels=arena / "labels.csv", by="sample", keys=keys, settings="folds = 3")
    assert execute(["train", str(folder), "--run", "r", "--quiet"]) == 0
    metrics = json.loads((folder / "runs" / "arena" / "r" / "scores.json").read_text())["metrics"]
    assert "split by sample" in capsys.readouterr().err
    assert metrics["random_folds_macro_f1"]["value"] is not None
    assert metrics["grouped_folds_macro_f1"]["value"] is not None


def test_labels_are_held_against_the_ethogram(arena, tmp_path, capsys):
    (tmp_path / "ethogram.toml").write_text('[[behavior]]\ncode = "Spawn"\n')
    keys = f'images = "{arena / "clips"}"\nethogram = "{tmp_path / "ethogram.toml"}"'
    folder = make(tmp_path / "s", labels=arena / "labels.csv", keys=keys)
    assert execute(["split", str(folder)]) == 2
    said = capsys.readouterr().err
    assert "do not fit the ethogram" in said and "'spawn' is written 'Spawn'" in said


def test_clips_of_unknown_groups_are_refused(arena, tmp_path):
    table = pd.read_csv(arena / "labels.csv").drop(columns="specimen")
    table.to_csv(tmp_path / "l.csv", index=False)
    with pytest.raises(SplitError, match="have no 'specimen'"):
        open_task(Study(make(tmp_path / "s", labels=tmp_path / "l.csv")))


def test_a_folder_for_each_class_is_a_study_too(arena, tmp_path):
    table = pd.read_csv(arena / "labels.csv").head(12)
    for row in table.to_dict("records"):
        place = tmp_path / "by_class" / row["label"]
        place.mkdir(parents=True, exist_ok=True)
        (place / row["clip"]).symlink_to(arena / "clips" / row["clip"])
    folder = make(tmp_path / "s", labels=tmp_path / "by_class", by="sample")
    with pytest.warns(UserWarning, match="split by sample"):
        task = open_task(Study(folder))
    assert len(task.samples) == 12 and task.clips[0].path.is_file()


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """A recording of an animal that runs and rests, with DeepLabCut-like poses and labels a frame."""
    folder = tmp_path_factory.mktemp("frames")
    rng = np.random.default_rng(0)
    fast = np.repeat(rng.random(24) < 0.5, 25)
    x = np.cumsum(np.where(fast, 4.0, 0.1)) + rng.normal(0, 0.1, len(fast))
    rows = ["scorer,d,d,d,d,d,d", "bodyparts,nose,nose,nose,tail,tail,tail", "coords,x,y,likelihood,x,y,likelihood"]
    rows += [f"{i},{v:.2f},50,0.99,{v - 20:.2f},{50 + rng.normal():.2f},0.98" for i, v in enumerate(x)]
    (folder / "tracks.csv").write_text("\n".join(rows) + "\n")
    pd.DataFrame({"frame": np.arange(len(fast)), "run": fast.astype(int)}).to_csv(folder / "labels.csv", index=False)
    keys = f'poses = "{folder / "tracks.csv"}"\nfps = 25\nblocks_s = 2\nguard_s = 0.2\ncolumn = "run"'
    return make(folder / "study", labels=folder / "labels.csv", by="block", keys=keys, settings="folds = 0")


def test_frames_are_judged_on_blocks_of_time(frames, tmp_path, capsys):
    assert execute(["train", str(frames), "--run", "r", "--quiet"]) == 0
    run = frames / "runs" / "arena" / "r"
    metrics = json.loads((run / "scores.json").read_text())["metrics"]
    assert metrics["accuracy"]["value"] > 0.85
    for name in ("segment_f1_50", "edit_score", "onset_error_s", "bout_count_ratio"):
        assert metrics[name]["value"] is not None
    split = pd.read_csv(run / "split.csv")
    table = pd.read_csv(run / "predictions.csv")
    assert set(table["sample"]) == set(split[split["part"] == "test"]["sample"])
    bouts = pd.read_csv(run / "bouts.csv")
    assert {"behavior", "start_s", "stop_s", "cut_start"} <= set(bouts.columns)
    capsys.readouterr()
    out = tmp_path / "new.csv"
    assert execute(["predict", str(run), str(frames.parent / "tracks.csv"), "--out", str(out), "--quiet"]) == 0
    assert len(pd.read_csv(out)) == 600 and (tmp_path / "new-bouts.csv").is_file()
    argv = ["measure", "bouts", str(tmp_path / "new-bouts.csv"), "--out", str(tmp_path / "b.csv"), "--json"]
    capsys.readouterr()
    assert execute(argv) == 0
    shares = {row["behavior"]: row["share_of_observed"] for row in json.loads(capsys.readouterr().out)["budget"]}
    assert sum(shares.values()) == pytest.approx(1, abs=1e-3)


def test_frames_near_another_part_do_not_train(frames):
    task = open_task(Study(frames))
    parts = ["train" if i % 2 else "test" for i in range(len(task.samples))]
    (train,) = task.part(parts, "train")
    (test,) = task.part(parts, "test")
    mine, other = (np.flatnonzero(r.labels != "") for r in (train, test))
    assert not set(mine) & set(other)
    assert np.abs(mine[:, None] - other).min() > 0.2 * 25


def test_one_animal_cannot_be_split_by_animal(frames, tmp_path):
    text = (frames / "study.toml").read_text().replace('by = "block"', 'by = "specimen"')
    (tmp_path / "study.toml").write_text(text)
    with pytest.raises(SplitError, match="set \\[split\\] by = 'block'"):
        open_task(Study(tmp_path))


def test_classes_that_live_in_one_group_are_told_with_their_score():
    from ethomorph.behavior.evaluate import few_groups_told

    truth, groups = np.array([0, 0, 0, 0, 1, 1]), np.array(list("abcddd"))
    (said,) = few_groups_told(truth, np.array([0, 0, 0, 0, 0, 0]), groups, ["dig", "spawn"])
    assert "1 of 2 classes live in fewer than 3 groups (spawn (1))" in said
    assert "mean F1 is 0.00, that of the other classes 0.80" in said
    assert few_groups_told(truth, truth, np.array(list("abcabc")), ["dig", "spawn"])
    assert few_groups_told(np.array([0, 1] * 3), np.array([0, 1] * 3), np.array(list("aabbcc")), ["x", "y"]) == []

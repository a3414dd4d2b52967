"""Footprints as a study: every verb on a small table, leakage, and how bad settings are refused."""

import json

import numpy as np
import pandas as pd
import pytest

from ethomorph.cli.app import execute
from ethomorph.core.errors import InputError
from ethomorph.identity.estimator import Identifier
from ethomorph.identity.health import judge, weak_pairs
from ethomorph.identity.task_score import plain_distance
from ethomorph.phantoms.prints import simulate_prints
from ethomorph.study.config import Study
from ethomorph.study.task import open_task
from ethomorph.workflow.train import split_task


@pytest.fixture(scope="module")
def study(tables, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prints") / "study"
    assert execute(["new", str(folder), "--kind", "identity", "--labels", str(tables / "known.csv")]) == 0
    text = (folder / "study.toml").read_text()
    (folder / "study.toml").write_text(text.replace("test = 0.25", "test = 0.45"))
    return folder


@pytest.fixture(scope="module")
def run(study):
    assert execute(["train", str(study), "--run", "a", "--set", "settings.replicas=2"]) == 0
    return study / "runs" / "known" / "a"


def test_a_run_leaves_what_the_contract_says(run):
    names = {path.name for path in run.iterdir()}
    assert names >= {"config.toml", "split.csv", "model", "history.csv", "health.json", "scores.json",
                     "predictions.csv", "per_sample.csv", "report.html", "provenance.json"}  # fmt: skip
    scores = json.loads((run / "scores.json").read_text())
    assert scores["kind"] == "identity"
    assert scores["metrics"]["balanced_accuracy"]["value"] > 0.85
    assert scores["metrics"]["balanced_accuracy"]["low"] is not None
    assert "plain_distance" in scores["baselines"]
    assert scores["metrics"]["auc"]["value"] > scores["baselines"]["plain_distance"]["auc"]["value"]
    truth = scores["groups"]
    assert scores["metrics"]["individuals"]["low"] <= truth <= scores["metrics"]["individuals"]["high"]
    assert {row["group"] for row in scores["by_group"]} == {
        group for group, part in _split(run) if part == "test"
    }  # fmt: skip
    assert json.loads((run / "health.json").read_text())["verdict"] in ("healthy", "warning")
    assert len(pd.read_csv(run / "history.csv")) == 12


def _split(run):
    table = pd.read_csv(run / "split.csv")
    return {*zip(table["group"], table["part"], strict=True)}


def test_animals_stay_whole_and_only_training_animals_teach(run):
    split = _split(run)
    assert len({group for group, _ in split}) == len(split)
    model = Identifier.load(run / "model")
    assert set(model.reference_.animal) == {group for group, part in split if part == "train"}


def test_audit_split_score_report_and_compare(study, run, tables, capsys):
    assert execute(["audit", str(study), "--quiet"]) == 0
    assert execute(["split", str(study)]) == 0
    assert execute(["report", str(run)]) == 0
    assert execute(["score", str(run), "--json"]) == 0
    assert execute(["score", str(run), "--labels", str(tables / "known.csv")]) == 0
    assert "animals are in both" in capsys.readouterr().err
    assert execute(["train", str(study), "--run", "b", "--set", "method=fit"]) == 0
    capsys.readouterr()
    assert execute(["compare", str(run), str(study / "runs" / "known" / "b"), "--json"]) == 0
    difference = json.loads(capsys.readouterr().out)
    assert difference["metric"] == "balanced_accuracy"
    assert -0.2 < difference["difference"]["value"] < 0.3


def test_predict_writes_a_table_or_a_folder(run, tables, tmp_path, capsys):
    survey, out = str(tables / "survey.csv"), tmp_path / "who.csv"
    assert execute(["predict", str(run), survey, "--out", str(out), "--sheet", str(tmp_path / "tree.png")]) == 0
    assert "individuals: " in capsys.readouterr().err
    assert list(pd.read_csv(out).columns) == ["trail", "individual", "probability"]
    assert execute(["predict", str(run), survey, "--out", str(tmp_path / "all")]) == 0
    result = json.loads((tmp_path / "all" / "identity.json").read_text())
    assert result["learned_from"] == "run a"
    assert result["individuals"]["low"] <= 6 <= result["individuals"]["high"]
    for bad in (["--out", str(tmp_path / "x.tps")], ["--out", str(out), "--distances", "d.csv"]):
        assert execute(["predict", str(run), survey, *bad]) == 2
    assert execute(["predict", str(run), survey, survey, "--out", str(out)]) == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('method = "plda"', 'method = "lda"', "use plda or fit"),
        ("# [task.known.settings]", "[task.known.settings]\nleaves = 3\n#", "leaves: unknown key"),
        ("# [task.known.settings]", '[task.known.settings]\nspecies = "yeti"\n#', "'yeti'"),
        ("# [task.known.settings]", "[task.known.settings]\nreplicas = -1\n#", "found -1"),
        ("# [task.known.settings]", '[task.known.settings.columns]\nbeast = "A"\n#', "roles: animal"),
        ("# [task.known.settings]", '[task.known.settings.columns]\nanimal = "A"\n#', "no column 'A'"),
        ('by = "specimen"', 'by = "sample"', "both sides"),
        ('by = "specimen"', 'by = "colour"', "no column 'colour'"),
    ],
)
def test_bad_studies_are_refused_in_one_line(study, tmp_path, old, new, message):
    text = (study / "study.toml").read_text()
    assert old in text
    labels = study / Study(study).config.task["known"].labels
    text = text.replace(str(Study(study).config.task["known"].labels), str(labels.resolve()))
    (tmp_path / "study.toml").write_text(text.replace(old, new))
    with pytest.raises(InputError, match=message) as caught:
        open_task(Study(tmp_path))
    assert "\n" not in str(caught.value)


def test_sites_can_be_groups(study):
    text = (study / "study.toml").read_text()
    other = study.parent / "by_site"
    other.mkdir()
    (other / "study.toml").write_text(text.replace('by = "specimen"', 'by = "site"').replace("0.45", "0.3"))
    task = open_task(Study(other))
    parts = split_task(task)
    assert len({site for site, part in zip(task.table.attributes["site"], parts, strict=True) if part == "test"}) == 1


def test_health_says_what_is_wrong():
    table = simulate_prints(animals=6, prints=(2, 3), trails=(1, 2))
    assert {f.rule for f in judge(table)} == {"few_prints", "one_session", "few_animals"}
    noise = simulate_prints(animals=16, shares=(0.0, 0.0, 1.0), variables=20, seed=1)
    assert [f.severity for f in weak_pairs(Identifier(replicas=0).fit(noise))] == ["sick"]
    assert weak_pairs(Identifier(replicas=0).fit(simulate_prints(animals=16, variables=40))) == []


def test_plain_distance_is_the_spreadsheet_one():
    train, survey = simulate_prints(animals=8, variables=6, seed=1), simulate_prints(animals=4, variables=6, seed=2)
    score, together = plain_distance(survey, train)
    z = (survey.values - train.values.mean(0)) / train.values.std(0)
    means = np.array([z[survey.trail == name].mean(0) for name in survey.trails])
    gap = np.linalg.norm(means[0] - means[3]) / np.sqrt(6)
    other = np.linalg.norm(means[1] - means[2]) / np.sqrt(6)
    assert score[0, 3] - score[1, 2] == pytest.approx(other - gap)
    assert len(together) == len(survey.trails)

"""Sweeps go on where they stood, never look at the test part, cut short what falls behind and mark what is sick."""

from __future__ import annotations

import json
import sqlite3

import pytest

from ethomorph.cli.app import execute
from ethomorph.core.errors import SplitError, StudyError
from ethomorph.workflow.space import read_space
from ethomorph.workflow.sweep import sweep

SPACE = """
["settings.learning_rate"]
low = 1e-5
high = 2.0
log = true

[settings.width]
low = 4
high = 16
step = 4

["settings.scaled"]
choices = [true, false]
"""


@pytest.fixture
def space(tmp_path):
    path = tmp_path / "rates.toml"
    path.write_text(SPACE)
    return path


def test_sweep_resumes_and_judges_on_the_validation_part(toy_study, space):
    study = toy_study("max_epochs = 4\n")
    first = sweep(study, space, trials=3, progress=False)
    assert len(first.table) == 3
    again = sweep(study, space, trials=7, progress=False)
    assert len(again.table) == 7 and set(first.table["trial"]) <= set(again.table["trial"])
    tried = again.table["settings.learning_rate"].tolist()
    assert len(set(tried)) == 7  # the first trials' settings are not drawn again
    assert again.folder == study / "sweeps" / "toy" / "rates"
    assert not list(again.folder.rglob("seen_test.json")) and list(again.folder.rglob("seen_validation.json"))
    best = again.table[again.table["trial"] == again.best].iloc[0]
    healthy = again.table[(again.table["state"] == "complete") & (again.table["health"] != "sick")]
    assert best["accuracy"] == healthy["accuracy"].max() and best["health"] != "sick"
    sick = again.table[again.table["health"] == "sick"]
    assert len(sick) and sick["findings"].str.len().min() > 0
    assert (again.folder / "sweep.png").stat().st_size > 10_000
    assert sqlite3.connect(again.folder / "sweep.sqlite").execute("select count(*) from trials").fetchone()[0] >= 7
    assert json.loads((again.folder / "sweep.json").read_text())["best"] == again.best
    assert not list(again.folder.rglob("*.ckpt"))


def test_a_trial_that_was_killed_is_made_first(toy_study, space):
    import optuna

    study = toy_study("max_epochs = 2\n")
    place = sweep(study, space, trials=1, progress=False).folder
    storage = f"sqlite:///{place / 'sweep.sqlite'}"
    broken = optuna.load_study(study_name="toy", storage=storage).ask()
    rate = broken.suggest_float("settings.learning_rate", 1e-5, 2.0, log=True)
    broken.suggest_int("settings.width", 4, 16, step=4)
    broken.suggest_categorical("settings.scaled", [True, False])
    found = sweep(study, space, trials=2, progress=False)
    assert len(found.table) == 2 and rate in found.table["settings.learning_rate"].tolist()


def test_pruning_and_settings_that_do_not_fit(toy_study, space, tmp_path):
    study = toy_study("max_epochs = 6\n")
    found = sweep(study, space, trials=10, progress=False, seed=3)
    assert "pruned" in set(found.table["state"])
    assert found.table.loc[found.table["state"] == "pruned", "epochs"].max() < 6
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('["gaps"]\nchoices = ["refuse", "guess"]\n')
    table = sweep(study, wrong, trials=4, progress=False).table
    failed = table[table["state"] == "fail"]
    assert len(failed) and failed["reason"].str.contains("gaps").all()


def test_refusals(toy_study, space, tmp_path):
    study = toy_study()
    sweep(study, space, trials=1, progress=False)
    space.write_text(SPACE.replace("2.0", "1.0"))
    with pytest.raises(StudyError, match="another space"):
        sweep(study, space, trials=1, progress=False)
    (study / "study.toml").write_text((study / "study.toml").read_text().replace("[split]", "[split]\nvalidation = 0"))
    with pytest.raises(SplitError, match="no validation part"):
        sweep(study, space, trials=1, progress=False)


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "empty space"),
        ("[rate]\nlow = 1\n", "low and high must be numbers"),
        ("[rate]\nlow = 2\nhigh = 1\n", "2 to 1 is no range"),
        ("[rate]\nlow = 0\nhigh = 1\nlog = true\n", "logarithmic scale is no range"),
        ("[rate]\nlow = 1\nhigh = 2\nsteps = 1\n", "unknown key 'steps'"),
        ("[rate]\nchoices = []\n", "choices must be a list"),
        ("rate = 3", "not a table"),
        ("[rate", "not valid TOML"),
    ],
)
def test_a_space_that_is_none(tmp_path, text, said):
    path = tmp_path / "space.toml"
    path.write_text(text)
    with pytest.raises(StudyError, match=said):
        read_space(path)


def test_the_verb(toy_study, space, capsys):
    study = toy_study("max_epochs = 2\n")
    assert execute(["sweep", str(study), "--space", str(space), "--trials", "2", "--quiet", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["trials"]) == 2
    assert execute(["sweep", str(study), "--space", str(space), "--trials", "2", "--quiet"]) == 0
    assert "sweep.png" in capsys.readouterr().out
    assert execute(["sweep", str(study), "--space", "nowhere.toml", "--trials", "2"]) == 2

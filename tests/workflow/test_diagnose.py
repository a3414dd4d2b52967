"""A planted sick run is explained, tested by experiment and brought back by named changes; a healthy one is left."""

from __future__ import annotations

import json

import pytest

from ethomorph.cli.app import execute
from ethomorph.core.errors import StudyError
from ethomorph.study.run import Run
from ethomorph.workflow.diagnose import diagnose_run
from ethomorph.workflow.train import train

SICK = "learning_rate = 0.9\nscaled = false\n"


def accuracy(folder) -> float:
    return Run(folder).read_json("scores.json")["metrics"]["accuracy"]["value"]


def test_healing_brings_a_collapsed_run_back(toy_study):
    """Raw pixels and a rate of 0.9: each is one named change, and the score comes back within 5 points."""
    study = toy_study(SICK)
    sick = train(study, run="sick", progress=False)
    healthy = train(study, run="healthy", overrides={"settings.learning_rate": 0.02, "settings.scaled": True},
                    progress=False)  # fmt: skip
    assert Run(healthy.folder).read_json("health.json")["verdict"] == "healthy"
    assert accuracy(sick.folder) < accuracy(healthy.folder) - 0.3
    report = diagnose_run(sick.folder, heal=True, progress=False)
    assert {one.cause.name for one in report.diagnosis.suspects[:2]} == {"input_scale", "rate_high"}
    assert sorted(one.change for one in report.rounds) == ["scaled_input", "usual_rate"]
    last = report.rounds[-1]
    assert last.verdict == "healthy" and accuracy(last.run) > accuracy(healthy.folder) - 0.05
    config = Run(last.run).config()
    assert config["healed"]["from"] == "sick" and config["healed"]["change"] == last.change
    assert config["section"]["settings"] == {"scaled": True}  # the method's own rate holds again
    assert Run(last.run).read_split() == Run(sick.folder).read_split()
    assert json.loads((sick.folder / "diagnosis.json").read_text())["healed"][-1]["verdict"] == "healthy"
    with pytest.raises(StudyError, match="this healing exists"):
        diagnose_run(sick.folder, heal=True, progress=False)


def test_experiments_tell_the_rate_from_the_input(toy_study):
    study = toy_study("learning_rate = 0.9\n")
    run = train(study, run="fast", progress=False)
    report = diagnose_run(run.folder, experiments=True, steps=100, progress=False)
    gains = {one.change: one.gain for one in report.diagnosis.experiments}
    assert gains["lower_rate"] > gains["as_it_was"] + 0.1
    first = report.diagnosis.suspects[0]
    assert first.cause.name == "rate_high" and first.standing == "confirmed" and "divided by 10" in first.tested
    standing = {one.cause.name: one.standing for one in report.diagnosis.suspects}
    assert standing.get("input_scale", "unlikely") == "unlikely"
    assert not any((study / "runs" / "toy").glob("*/trial*"))


def test_controls_of_a_healthy_run_fail_as_they_should(toy_study):
    run = train(toy_study(), run="good", progress=False)
    report = diagnose_run(run.folder, experiments=True, steps=120, progress=False)
    gains = {one.change: one.gain for one in report.diagnosis.experiments}
    assert gains["as_it_was"] > 0.5 and gains["one_batch"] > 0.5
    assert gains["shuffled_labels"] < 0.1 and gains["zero_input"] < 0.1
    assert report.diagnosis.health.verdict == "healthy" and not report.diagnosis.suspects


def test_nothing_to_heal(toy_study):
    run = train(toy_study(), run="good", progress=False)
    assert diagnose_run(run.folder, heal=True, progress=False).rounds == []


def test_a_rate_alone_resumes_from_the_last_healthy_epoch(toy_study):
    """The weights of the best epoch before the sickness are what healing goes on from."""
    from ethomorph.training.evidence import Evidence
    from ethomorph.workflow.diagnose import healthy_checkpoint

    run = train(toy_study("max_epochs = 6\n"), run="late", progress=False)
    seen = Evidence.read(run.folder)
    seen.epochs[-1].gradient_norm_high = 1e9
    seen.best_epoch = 4
    seen.write(run.folder)
    report = diagnose_run(run.folder, heal=True, progress=False)
    assert report.diagnosis.health.verdict == "sick"
    assert healthy_checkpoint(run) is not None
    assert report.rounds[0].change == "lower_rate" and report.rounds[0].start == "epoch 4 of late"
    assert Run(report.rounds[0].run).config()["healed"]["start"] == "epoch 4"


def test_the_verb(toy_study, capsys):
    run = train(toy_study(SICK), run="sick", progress=False)
    capsys.readouterr()
    assert execute(["diagnose", str(run.folder), "--json"]) == 0
    block = json.loads(capsys.readouterr().out)
    assert block["verdict"] == "sick" and block["suspects"][0]["cause"] in ("input_scale", "rate_high")
    assert execute(["diagnose", str(run.folder), "--quiet"]) == 0
    said = capsys.readouterr().out
    assert "sick" in said and "likely cause" in said
    assert execute(["diagnose", str(run.folder / "nothing")]) == 2


def test_a_method_without_steps_shows_its_own_findings(toy_study):
    run = train(toy_study("max_epochs = 2\n"), run="trees", progress=False)
    (run.folder / "evidence.json").unlink()
    report = diagnose_run(run.folder, progress=False)
    assert report.diagnosis.health.verdict == Run(run.folder).read_json("health.json")["verdict"]
    assert report.diagnosis.suspects == []

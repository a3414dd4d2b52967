"""The verbs in one process, on a tiny phantom study: what they print, what they leave, how they fail."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ethomorph.cli.app import execute
from ethomorph.phantoms.radiograph import simulate_radiographs

STUDY = """\
[study]
name = "Tiny lizards"
specimens = "specimens.csv"
[split]
test = 0.3
validation = 0.15
[task.bones]
kind = "landmarks"
labels = "landmarks.tps"
images = "images"
repeat = "repeat.tps"
names = {names}
method = "ert"
[task.bones.settings]
cascade_depth = 3
num_trees_per_cascade_level = 20
oversampling_amount = 5
[task.bones.grades]
train = ["good"]
[task.bones.scale]
landmarks = ["scale_start", "scale_end"]
mm = 27.0
[task.bones.distances]
femur = ["hip_left", "knee_left"]
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study of 14 individuals, two small radiographs each, 8 of them landmarked twice."""
    folder = tmp_path_factory.mktemp("study")
    sample = simulate_radiographs(14, size=(160, 210), images_per_individual=2, repeats=8, seed=3)
    sample.write(folder, labels="coded")
    (folder / "study.toml").write_text(STUDY.format(names=sample.landmarks.names))
    return folder


@pytest.fixture(scope="module")
def run(study):
    assert execute(["train", str(study), "--run", "first", "--quiet"]) == 0
    return study / "runs" / "bones" / "first"


def test_a_run_leaves_what_the_contract_says(run):
    left = {path.name for path in run.iterdir()}
    assert {
        "config.toml", "split.csv", "model", "history.csv", "health.json", "scores.json", "predictions.tps",
        "report.html", "provenance.json", "per_sample.csv",
    } <= left  # fmt: skip
    scores = json.loads((run / "scores.json").read_text())
    assert (scores["task"], scores["kind"], scores["part"]) == ("bones", "landmarks", "test")
    assert set(scores) >= {"samples", "groups", "metrics", "baselines", "by_group", "warnings"}
    error = scores["metrics"]["mean_error"]
    assert error["unit"] == "px" and error["n"] > 0
    assert error["value"] < 0.5 * scores["baselines"]["mean_shape"]["mean_error"]["value"]
    assert scores["metrics"]["mean_error_mm"]["unit"] == "mm"
    health = json.loads((run / "health.json").read_text())
    assert health["verdict"] in ("healthy", "warning", "sick")
    provenance = json.loads((run / "provenance.json").read_text())
    assert {"landmarks.tps", "specimens.csv", "repeat.tps"} <= set(provenance["inputs"])


def test_individuals_stay_on_one_side_and_bad_pictures_do_not_train(run, study):
    rows = [line.split(",") for line in (run / "split.csv").read_text().splitlines()[1:]]
    parts = {}
    for _, group, part in rows:
        parts.setdefault(group, set()).add(part)
    assert len(parts) == 14
    assert all(len(found) == 1 for found in parts.values())


def test_split_and_audit_print_json_alone(study, capsys):
    capsys.readouterr()
    assert execute(["split", str(study), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert {row["part"] for row in shown["parts"]} == {"train", "validation", "test"}
    assert execute(["audit", str(study), "--json", "--quiet"]) == 0
    audit = json.loads(capsys.readouterr().out)
    assert audit["verdict"] in ("healthy", "warning", "sick")
    assert json.loads((study / "audit.json").read_text())["findings"] == audit["findings"]
    assert (study / "audit.html").stat().st_size > 5000


def test_predict_new_pictures_measures_and_draws(run, study, tmp_path, capsys):
    capsys.readouterr()
    out = tmp_path / "new.csv"
    code = execute([
        "predict", str(run), str(study / "images"), "--out", str(out), "--sheet", str(tmp_path / "sheet.png"),
        "--distances", str(tmp_path / "d.csv"), "--quiet", "--json",
    ])  # fmt: skip
    told = json.loads(capsys.readouterr().out)
    assert code == 0
    assert told["images"] == 28
    assert told["found"] + told["not_found"] >= 28
    assert out.stat().st_size > 1000
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    header, first = (tmp_path / "d.csv").read_text().splitlines()[:2]
    assert "mm" in header
    assert "femur" in first


def test_measure_from_predictions(run, study, tmp_path):
    out = tmp_path / "shape.csv"
    assert (
        execute(
            [
                "measure",
                "shape",
                str(run / "predictions.tps"),
                "--images",
                str(study / "images"),
                "--out",
                str(out),
                "--gaps",
                "missing",
            ]
        )
        == 0
    )
    assert "procrustes_distance" in out.read_text().splitlines()[0]


def test_compare_with_itself_is_no_difference(run, capsys):
    capsys.readouterr()
    assert execute(["compare", str(run), str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["difference"]["value"] == 0


def test_score_on_other_labels(run, study, tmp_path, capsys):
    capsys.readouterr()
    out = tmp_path / "s.json"
    code = execute(
        [
            "score",
            str(run),
            "--labels",
            str(study / "repeat.tps"),
            "--images",
            str(study / "images"),
            "--out",
            str(out),
            "--quiet",
            "--json",
        ]
    )
    assert code == 0
    assert json.loads(out.read_text())["part"] == "other"


def test_report_is_one_file_that_needs_nothing(run):
    assert execute(["report", str(run)]) == 0
    page = (run / "report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page
    assert "<script" not in page
    assert page.count("data:image/png;base64") >= 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "{study}/nowhere"], "no study.toml here"),
        (["train", "{study}", "--task", "eyes"], "choose one of: bones"),
        (["train", "{study}", "--set", "method=forest"], "there is no method 'forest'"),
        (["train", "{study}", "--set", "settings.depth=3"], "depth"),
        (["train", "{study}", "--set", "nonsense"], "not key=value"),
        (["train", "{study}", "--run", "../x"], "cannot name a run"),
        (["predict", "{study}/runs/bones/first", "{study}/nothing.png", "--out", "x.tps"], "nothing.png"),
        (["predict", "{study}/runs/bones/first", "{study}/images", "--out", "x.unknown"], "x.unknown"),
        (["convert", "{study}/landmarks.tps", "{study}/out.xml"], "--images"),
        (["convert", "{study}/absent.tps", "{study}/out.xml"], "absent.tps"),
        (["measure", "distances", "{study}/landmarks.tps"], "no distances were named"),
        (["measure", "distances", "{study}/landmarks.tps", "--pair", "a=b"], "name=landmark,landmark"),
        (["new", "{study}", "--kind", "landmarks", "--labels", "{study}/landmarks.tps"], "a study is here already"),
        (["new", "{study}/n", "--kind", "fish", "--labels", "{study}/landmarks.tps"], "not a kind"),
        (["compare", "{study}/runs/bones/first", "{study}/images"], "no run here"),
    ],
)
def test_bad_input_ends_with_two_and_one_line(run, study, arguments, said, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    assert execute([a.format(study=study) for a in arguments]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith(("note:", "warning:"))]
    assert len(lines) == 1
    assert said in lines[0]
    assert not list(tmp_path.iterdir())


def test_a_failure_of_ours_is_one_and_shows_no_traceback(monkeypatch, study, capsys):
    monkeypatch.delenv("ETHOMORPH_DEBUG", raising=False)
    monkeypatch.setattr("ethomorph.study.task.assign_parts", None)
    assert execute(["split", str(study)]) == 1
    said = capsys.readouterr().err
    assert "internal failure" in said
    assert "Traceback" not in said


def test_help_is_light():
    code = (
        "import sys, ethomorph.cli.app as a; a.execute(['--help']);"
        "heavy = {'torch', 'lightning', 'pandas', 'cv2', 'sklearn'};"
        "print(','.join(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == ""
    assert "train" in done.stdout

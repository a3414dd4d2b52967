"""A study of volumes from the command line: new, audit, split, train, predict, score, report."""

import json
import shutil

import numpy as np
import pytest

from ethomorph.cli.app import execute
from ethomorph.formats.volumes import read_labels
from ethomorph.phantoms.head import simulate_head

CLASSES = """
[task.teeth.classes]
jaw = ["LowerJaw*", "Replacement_lower*"]
tooth = { match = "Tooth_*", instances = true }
bone = ["OtherBone", "Replacement_upper*"]

[task.teeth.settings]
steps = 25
patch_voxels = 8000
channels = 6
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    for seed in range(4):
        simulate_head(seed=seed, spacing=0.55, teeth=20).write(folder / "data")
    code = execute(["new", str(folder / "s"), "--kind", "segmentation", "--labels", str(folder / "data/labels"),
                    "--images", str(folder / "data/images")])  # fmt: skip
    assert code == 0
    file = folder / "s" / "study.toml"
    file.write_text(
        file.read_text().replace("[task.labels]", "[task.teeth]").replace("# [task.labels.", "# [task.teeth.") + CLASSES
    )
    assert execute(["train", str(folder / "s"), "--run", "r", "--quiet"]) == 0
    return folder


def test_a_run_leaves_what_the_contract_says(study):
    run = study / "s/runs/teeth/r"
    scores = json.loads((run / "scores.json").read_text())
    assert scores["kind"] == "segmentation" and scores["part"] == "test" and scores["samples"] == 1
    assert {"tooth_pq", "tooth_sq", "tooth_count_error", "jaw_dice", "bone_nsd_1_voxel"} <= set(scores["metrics"])
    assert "tooth_pq" in scores["baselines"]["intensity_only"]
    assert any(w.startswith("class tooth: Tooth_lower_left_#") for w in scores["warnings"])
    name = next((run / "predictions").iterdir()).name
    found = read_labels(run / "predictions" / name)
    image_grid = read_labels(study / "data/labels" / name).grid
    assert found.grid.is_same(image_grid) and found.reference.is_same(image_grid)
    assert "missed" in read_labels(run / "disagreement" / name).names
    for file in ("plan.toml", "per_sample.csv", "things.csv", "model/model.safetensors", "health.json"):
        assert (run / file).is_file(), file
    page = (run / "report.html").read_text()
    assert "Volumes, worst first" in page and "data:image/png" in page and "mirroring on" in page


def test_predict_writes_one_file_or_a_folder(study, tmp_path, capfd):
    images = study / "data/images"
    assert execute(["predict", str(study / "s"), str(images), "--out", str(tmp_path / "many"), "--quiet"]) == 0
    assert len(list((tmp_path / "many").glob("*.seg.nrrd"))) == 4
    one = sorted(images.iterdir())[0]
    assert execute(["predict", str(study / "s"), str(one), "--out", str(tmp_path / "one.nii.gz"), "--quiet"]) == 0
    assert np.array_equal(
        read_labels(tmp_path / "one.nii.gz").array, read_labels(tmp_path / "many" / "head_0000.seg.nrrd").array
    )
    assert execute(["predict", str(study / "s"), str(images), "--out", str(tmp_path / "x.seg.nrrd"), "--quiet"]) == 2
    assert "cannot go into one file" in capfd.readouterr().err


def test_score_again_and_on_other_volumes(study, capfd):
    before = json.loads((study / "s/runs/teeth/r/scores.json").read_text())
    capfd.readouterr()
    assert execute(["score", str(study / "s"), "--quiet", "--json"]) == 0
    again = json.loads(capfd.readouterr().out)
    # a run's copy of the settings lists classes in another order, which must not number them anew
    assert again["metrics"] == before["metrics"] and again["baselines"] == before["baselines"]
    code = execute(["score", str(study / "s"), "--labels", str(study / "data/labels"), "--images",
                    str(study / "data/images"), "--quiet", "--json"])  # fmt: skip
    assert code == 0
    assert json.loads(capfd.readouterr().out)["samples"] == 4


def test_audit_and_split(study, capfd):
    assert execute(["audit", str(study / "s"), "--quiet", "--json"]) == 0
    rules = {f["rule"] for f in json.loads(capfd.readouterr().out)["findings"]}
    assert "thin_things" in rules and "copies" not in rules
    assert execute(["split", str(study / "s")]) == 0


def test_audit_finds_copies_and_pieces(tmp_path, head_cases, classes):
    from dataclasses import replace

    from ethomorph.volumes.audit import audit_volumes

    array = head_cases[0].labels.array.copy()
    value = next(s.value for s in head_cases[0].labels if s.name.startswith("Tooth_"))
    array[0, 0, 0] = value
    broken = replace(head_cases[0], name="b", labels=replace(head_cases[0].labels, layers=array[None]))
    found = {f.rule: f for f in audit_volumes([head_cases[0], broken], classes)}
    assert found["copies"].severity == "sick" and "head_0000, b" in found["copies"].evidence
    assert "b (" in found["things_in_pieces"].evidence


def test_damaged_volumes_end_predict_and_train_in_one_line(study, tmp_path, capfd):
    good = (study / "data/images/head_0000.nrrd").read_bytes()
    head, data = good.split(b"\n\n", 1)
    damage = {
        "cut": good[:-500],
        "sizes": head.replace(b"sizes: ", b"sizes: 9") + b"\n\n" + data,
        "spacing": b"\n".join(x for x in head.split(b"\n") if b"space directions" not in x) + b"\n\n" + data,
    }
    for name, content in damage.items():
        path = tmp_path / f"{name}.nrrd"
        path.write_bytes(content)
        code = execute(["predict", str(study / "s"), str(path), "--out", str(tmp_path / "out.seg.nrrd"), "--quiet"])
        told = capfd.readouterr().err.strip()
        assert code == 2 and len(told.splitlines()) == 1 and path.name in told, (name, told)
    assert not (tmp_path / "out.seg.nrrd").exists()
    for part in ("images", "labels"):
        shutil.copytree(study / "data" / part, tmp_path / part)
    (tmp_path / "images/head_0002.nrrd").write_bytes(damage["cut"])
    assert execute(["new", str(tmp_path / "s"), "--kind", "segmentation", "--labels", str(tmp_path / "labels"),
                    "--images", str(tmp_path / "images")]) == 0  # fmt: skip
    capfd.readouterr()
    assert execute(["train", str(tmp_path / "s"), "--quiet"]) == 2
    told = capfd.readouterr().err.strip()
    assert len(told.splitlines()) == 1 and "head_0002.nrrd" in told
    assert not list((tmp_path / "s").glob("runs/*/*/model"))


@pytest.mark.parametrize(
    ("change", "word"),
    [('method = "unet3d"', "method"), ("steps = 25", "settings.stepz"), ('"LowerJaw*"', "fits the classes")],
)
def test_a_study_that_makes_no_sense_is_refused_in_one_line(study, tmp_path, capfd, change, word):
    wrong = {'method = "unet3d"': 'method = "unet4d"', "steps = 25": "stepz = 25", '"LowerJaw*"': '"*"'}[change]
    text = (study / "s/study.toml").read_text().replace(change, wrong)
    (tmp_path / "study.toml").write_text(text.replace('"../data', f'"{study}/data'))
    assert execute(["train", str(tmp_path), "--quiet"]) == 2
    told = capfd.readouterr().err.strip()
    assert word in told and len(told.splitlines()) == 1


def test_a_study_becomes_a_data_set_of_slices(study, tmp_path):
    datasets = pytest.importorskip("datasets")
    code = execute(["convert", str(study / "s"), str(tmp_path / "slices"), "--axis", "x", "--every", "5"])
    assert code == 0
    found = datasets.load_from_disk(str(tmp_path / "slices"))
    assert set(found) == {"train", "validation", "test"}
    assert execute(["convert", str(study / "s"), str(tmp_path / "slices")]) == 2

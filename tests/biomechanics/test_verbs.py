"""``measure teeth`` and ``measure sections`` on a simulated head: tables, pictures, the page, the Slicer folder."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ethomorph.biomechanics.levers import POINT_NAMES
from ethomorph.cli.app import execute
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.formats.registry import read_landmarks
from ethomorph.formats.seg_nrrd import write_seg_nrrd
from ethomorph.formats.slicer_markups import write_mrk_json
from ethomorph.formats.volumes import read_labels
from ethomorph.phantoms.head import simulate_head

ROWS = """\
specimen = "phantom"
[[row]]
jaw = "lower"
side = "left"
points = "left.mrk.json"
teeth = "Tooth_lower_left_*"
muscles = [{ volume = 30, pennation = 20, fmax = 0.25 }, { volume = 12 }]
[[row]]
jaw = "upper"
side = "right"
points = "right.mrk.json"
teeth = "Tooth_upper_right_*"
muscles = [{ volume = 30, pennation = 20, fmax = 0.25 }, { volume = 12 }]
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("teeth")
    head = simulate_head(seed=5, spacing=0.25, pose=2, gape_deg=20)
    write_seg_nrrd(head.labels, folder / "head.seg.nrrd")
    marks = head.landmarks
    for side in ("left", "right"):
        points = [marks[f"jaw_joint_{side}"], marks["jaw_tip"]]
        points += [marks[f"muscle_{k}_{end}_{side}"] for k in (1, 2, 3) for end in ("insertion", "origin")]
        write_mrk_json(LandmarkSet([Specimen(np.array(points), id=side)], list(POINT_NAMES), frame="lps"),
                       folder / f"{side}.mrk.json")  # fmt: skip
    (folder / "rows.toml").write_text(ROWS)
    return folder, head


def test_teeth_of_two_rows(files):
    folder, head = files
    assert execute([
        "measure", "teeth", str(folder / "head.seg.nrrd"), "--rows", str(folder / "rows.toml"), "--out",
        str(folder / "teeth.csv"), "--picture", str(folder / "teeth.png"), "--page", str(folder / "jaw.html"),
        "--scene", str(folder / "scene"),
    ]) == 0  # fmt: skip
    table = pd.read_csv(folder / "teeth.csv")
    wanted = [t for t in head.teeth if t.name.startswith(("Tooth_lower_left", "Tooth_upper_right"))]
    assert sorted(table["Tooth ID"]) == sorted(t.name for t in wanted)
    assert set(table["Jaw ID"]) == {"Lower Jaw", "Upper Jaw"}
    assert table["Stress (N/m^2)"].gt(0).all()
    # tips and bases are the right way round on every tooth, in both jaws
    tips = table[[f"Tip {a} (LPS mm)" for a in "LPS"]].to_numpy()
    bases = table[[f"Base {a} (LPS mm)" for a in "LPS"]].to_numpy()
    by_name = {t.name: t for t in wanted}
    for name, tip, base in zip(table["Tooth ID"], tips, bases, strict=True):
        axis = by_name[name].base - by_name[name].tip  # the truth calls the ends of its solid the other way
        assert abs((tip - base) @ axis) > 0.7 * np.linalg.norm(tip - base) * np.linalg.norm(axis)
    assert (folder / "teeth.png").stat().st_size > 20_000
    page = (folder / "jaw.html").read_text()
    assert "http" not in page.replace("http-equiv", "") and wanted[0].name in page
    alike = pd.read_csv(folder / "teeth_homodonty.csv")
    assert len(alike) == 2 and alike["CV stress"].between(0, 2).all()


def test_the_slicer_folder(files):
    folder, head = files
    scene = folder / "scene"
    assert read_labels(scene / "segmentation.seg.nrrd").is_same(head.labels)
    points = read_landmarks(scene / "lower_left_points.mrk.json")
    assert points.names == list(POINT_NAMES)
    tips = read_landmarks(scene / "lower_left_tips.mrk.json")
    table = pd.read_csv(scene / "teeth.csv")
    assert tips.names == table["Tooth ID"][table["Jaw ID"] == "Lower Jaw"].tolist()
    compile((scene / "open_in_slicer.py").read_text(), "open_in_slicer.py", "exec")


def test_the_loading_script_hands_tips_and_bases_to_dental_dynamics(files, monkeypatch):
    """Run beside a stand-in for 3D Slicer: every file it asks for is there, and both references are set."""
    folder, _ = files
    scene = folder / "scene"
    loaded: list[str] = []
    references: dict[str, str] = {}

    class Node:
        def __init__(self, path):
            assert Path(path).is_file(), path
            loaded.append(Path(path).name)

            self.name = Path(path).name

        def GetID(self):
            return self.name

    parameters = types.SimpleNamespace(SetNodeReferenceID=lambda role, node: references.__setitem__(role, node))
    util = types.SimpleNamespace(
        loadSegmentation=Node, loadMarkups=Node, loadTransform=Node, loadTable=Node,
        getModuleLogic=lambda name: types.SimpleNamespace(getParameterNode=lambda: parameters),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "slicer", types.SimpleNamespace(util=util))
    script = scene / "open_in_slicer.py"
    exec(compile(script.read_text(), str(script), "exec"), {"__file__": str(script), "__name__": "__main__"})
    assert references == {"TipPoints": "lower_left_tips.mrk.json", "PosPoints": "lower_left_bases.mrk.json"}
    assert {"segmentation.seg.nrrd", "teeth.csv", "upper_right_points.mrk.json"} <= set(loaded)


def test_one_row_and_json(files, capsys):
    folder, _ = files
    assert execute([
        "measure", "teeth", str(folder / "head.seg.nrrd"), "--points", str(folder / "left.mrk.json"), "--teeth",
        "Tooth_lower_left_*", "--muscle", "force=10,angle=70", "--out", str(folder / "one.csv"), "--json",
        "--slicer-compat",
    ]) == 0  # fmt: skip
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert rows[0]["M1 In Force (N)"] == 10 and "Tip L (LPS mm)" not in rows[0]


def test_sections(files):
    folder, _ = files
    assert execute([
        "measure", "sections", str(folder / "head.seg.nrrd"), "--segment", "LowerJaw_*", "--interval", "5", "--out",
        str(folder / "sections.csv"), "--picture", str(folder / "sections.png"),
    ]) == 0  # fmt: skip
    assert (folder / "sections.png").stat().st_size > 20_000
    table = pd.read_csv(folder / "sections.csv")
    assert set(table["Segment"]) == {"LowerJaw_left", "LowerJaw_right"}
    assert (table["Iminor (mm^4)"] >= table["Imajor (mm^4)"] - 1e-9).all()


@pytest.mark.parametrize(("arguments", "words"), [
    (["--teeth", "Fang*"], "no segment is called 'Fang*'"),
    (["--muscle", "strength=3"], "force and angle"),
    (["--muscle", "force=a"], "write force=1,angle=90"),
    (["--jaw", "lower", "--tips", "x.mrk.json"], "tips without bases"),
])  # fmt: skip
def test_bad_input_is_one_line(files, capsys, arguments, words):
    folder, _ = files
    base = ["measure", "teeth", str(folder / "head.seg.nrrd"), "--points", str(folder / "left.mrk.json")]
    assert execute([*base, *arguments, "--out", str(folder / "no.csv")]) == 2
    said = capsys.readouterr().err
    assert words in said and "Traceback" not in said
    assert not (folder / "no.csv").exists()

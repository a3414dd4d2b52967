"""Many heads aligned in one call: each with what lies beside it, and one that cannot be read fails alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ethomorph.cli.app import execute
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.formats.nrrd import write_nrrd
from ethomorph.formats.registry import write_landmarks
from ethomorph.formats.seg_nrrd import write_seg_nrrd
from ethomorph.phantoms.head import simulate_head

ANCHORS = ["--origin", "jaw_joint_left", "--origin", "jaw_joint_right", "--anterior", "snout_tip"]


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    """Two heads with landmarks, one without, and one whose file was cut short."""
    folder = tmp_path_factory.mktemp("heads")
    for seed, name in ((1, "a"), (2, "b"), (3, "bare")):
        head = simulate_head(seed=seed, spacing=0.6, pose=seed)
        write_nrrd(head.image, folder / f"{name}.nrrd")
        if name == "bare":
            continue
        names = [n for n in head.landmarks if not n.startswith(("jaw_tip", "muscle"))]
        points = np.array([head.landmarks[n] for n in names])
        write_landmarks(LandmarkSet([Specimen(points)], names, frame="lps"), folder / f"{name}.mrk.json")
    write_seg_nrrd(head.labels, folder / "bare.seg.nrrd")
    (folder / "cut.nrrd").write_bytes((folder / "a.nrrd").read_bytes()[:5000])
    return folder


def test_each_head_gets_a_folder_and_a_row(heads, tmp_path, capsys):
    out = tmp_path / "aligned"
    command = ["align", str(heads), "--out", str(out), "--method", "landmarks", *ANCHORS, "--quiet"]
    assert execute(command) == 0
    said = capsys.readouterr().err
    assert "2 of 4 heads aligned" in said and "cut.nrrd" in said and "bare.nrrd" in said
    rows = pd.read_csv(out / "heads.csv")
    assert list(rows["head"]) == ["a", "b"] and set(rows["method"]) == {"landmarks"}
    assert (out / "a" / "a_head.mrk.json").exists() and (out / "b" / "to_head.tfm").exists()
    before = (out / "a" / "a_head.nrrd").stat().st_mtime_ns
    assert execute(command) == 0
    assert (out / "a" / "a_head.nrrd").stat().st_mtime_ns == before, "a second call did it again"
    assert execute([*command[:-1], "--spacing", "0.5"]) == 2
    assert "other options of align" in capsys.readouterr().err


def test_files_of_one_head_are_refused_for_many(heads, tmp_path, capsys):
    out = ["--out", str(tmp_path / "out")]
    assert execute(["align", str(heads), *out, "--landmarks", str(heads / "a.mrk.json")]) == 2
    assert "--landmarks is of one scan" in capsys.readouterr().err
    assert execute(["align", str(heads), *out, "--on", "slurm"]) == 2
    assert "give --study" in capsys.readouterr().err
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.nrrd").write_bytes(b"")
    assert execute(["align", str(heads), str(tmp_path / "other" / "a.nrrd"), *out]) == 2
    assert "has the name of" in capsys.readouterr().err

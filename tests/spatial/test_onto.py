"""A scan laid on another image: B-splines, CT on the MRI of the same head through the verb, starts, refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import ndimage

from ethomorph.core.errors import LabelError
from ethomorph.core.grid import Grid
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.phantoms.head import simulate_head
from ethomorph.spatial.onto import register_onto, shared_information, start_of
from ethomorph.spatial.overlap import dice
from ethomorph.spatial.register import register_spline
from ethomorph.spatial.rigid import turn_angle_deg
from ethomorph.spatial.surface import surface_of
from ethomorph.spatial.transform import Transform, Warp, folded_share


def turned_ct(ct, degrees: float) -> tuple:
    """The CT and its labels as if the head had lain otherwise in the scanner, and the true way from MRI to CT."""
    turn = np.eye(4)
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turn[:2, :2] = [[c, -s], [s, c]]
    turn[:3, 3] = [0.8, -0.6, 0.5]
    moved = Transform.linear(turn, "mri", "ct")
    corners = moved.points(ct.image.grid.corners, frame="mri")
    counts = np.ceil(np.ptp(corners, axis=0) / 0.4).astype(int) + 1
    grid = Grid(tuple(counts[::-1]), (0.4,) * 3, tuple(corners.min(axis=0)))
    image = moved.image(ct.image, grid, frame="mri", outside=float(np.median(ct.image.array)))
    return image, moved.labels(ct.labels, grid, frame="mri"), moved


def test_a_spline_undoes_a_known_bend_and_does_not_fold():
    head = simulate_head(seed=6, spacing=0.4, pose=0, gape_deg=8)
    grid = head.image.grid
    field = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(*grid.shape, 3)), (9, 9, 9, 0))
    bend = Transform((Warp(grid, (2.5 * field / np.abs(field).max()).astype(np.float32)),), "straight", "bent")
    bent = bend.image(head.image, grid, frame="straight", outside=float(head.image.array.min()))
    found = register_spline(bent, head.image, Transform.linear(np.eye(4), "straight", "bent"))
    bone = grid.to_lps(np.argwhere(head.labels.mask("OtherBone"))[::20, ::-1])
    truth = bend.points(bone, frame="straight")
    apart = np.linalg.norm(found.points(bone, frame="straight") - truth, axis=1).mean()
    assert apart < 0.45 * np.linalg.norm(truth - bone, axis=1).mean()
    assert folded_share(found.parts[-1]) == 0


def test_ct_surfaces_and_labels_onto_the_mri_by_the_verb(tmp_path, capsys):
    from ethomorph.cli.app import execute
    from ethomorph.formats.mesh import read_mesh, write_mesh
    from ethomorph.formats.nrrd import write_nrrd
    from ethomorph.formats.registry import write_landmarks
    from ethomorph.formats.seg_nrrd import write_seg_nrrd
    from ethomorph.formats.volumes import read_image, read_labels

    ct, mri = (simulate_head(seed=3, spacing=s, pose=0, contrast=c) for s, c in ((0.4, "ct"), (0.45, "mri")))
    image, labels, moved = turned_ct(ct, 7)
    write_nrrd(image, tmp_path / "ct.nrrd")
    write_nrrd(mri.image, tmp_path / "mri.nrrd")
    write_seg_nrrd(labels, tmp_path / "ct.seg.nrrd")
    write_seg_nrrd(mri.labels, tmp_path / "mri.seg.nrrd")
    write_mesh(surface_of(labels.mask("OtherBone"), labels.grid), tmp_path / "skull.ply")
    names = ["snout_tip", "occipital", "orbit_left", "orbit_right"]
    for name, points in (
        ("mri", [mri.landmarks[n] for n in names]),
        ("ct", [moved.points(ct.landmarks[n], frame="mri") for n in names]),
    ):
        write_landmarks(LandmarkSet([Specimen(np.array(points))], names, frame="lps"), tmp_path / f"{name}.mrk.json")
    arguments = ["align", f"{tmp_path}/ct.nrrd", "--method", "image", "--template", f"{tmp_path}/mri.nrrd",
                 "--template-labels", f"{tmp_path}/mri.seg.nrrd", "--template-landmarks", f"{tmp_path}/mri.mrk.json",
                 "--segmentation", f"{tmp_path}/ct.seg.nrrd", "--landmarks", f"{tmp_path}/ct.mrk.json",
                 "--surface", f"{tmp_path}/skull.ply", "--start", "header", "--out", f"{tmp_path}/out"]  # fmt: skip
    assert execute(arguments) == 0
    record = json.loads((tmp_path / "out/align.json").read_text())
    assert turn_angle_deg(np.array(record["matrix_lps"]) @ moved.matrix) < 1.0
    assert record["checks"]["target_registration_error"]["value"] < 0.45
    assert record["checks"]["overlap/OtherBone"]["value"] > 0.75
    brought = read_labels(tmp_path / "out/ct_head.seg.nrrd")
    assert brought.grid.is_same(mri.image.grid) and brought.grid.is_same(read_image(tmp_path / "out/ct_head.nrrd").grid)
    assert brought.names == labels.names
    back = read_labels(tmp_path / "out/ct_from_template.seg.nrrd")
    assert back.grid.is_same(image.grid) and dice(back.mask("OtherBone"), labels.mask("OtherBone")) > 0.7
    # the surface, voxelised on the MRI, is a training label of the MRI
    convert = ["convert", f"{tmp_path}/out/skull_head.ply", f"{tmp_path}/skull.seg.nrrd", "--unit", "mm", "--grid",
               f"{tmp_path}/mri.nrrd"]  # fmt: skip
    assert read_mesh(tmp_path / "out/skull_head.ply", unit="mm").volume_mm3 > 0 and execute(convert) == 0
    assert dice(read_labels(tmp_path / "skull.seg.nrrd").mask("skull_head"), mri.labels.mask("OtherBone")) > 0.75
    assert (tmp_path / "out/align.png").stat().st_size > 10_000
    capsys.readouterr()
    assert execute([*arguments[:4], "--out", f"{tmp_path}/no"]) == 2
    assert "needs a volume to lay the scan on" in capsys.readouterr().err
    assert execute([*arguments, "--bend", "spline", "--check"]) == 2
    assert "check --bend affine" in capsys.readouterr().err
    assert execute([*arguments, "--check"]) == 2
    assert "--start bone or landmarks" in capsys.readouterr().err


def test_starts_and_what_is_refused():
    rng = np.random.default_rng(0)
    theirs = {f"p{i}": p for i, p in enumerate(rng.normal(size=(6, 3)) * 8)}
    turn = np.eye(4)
    turn[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    turn[:3, 3] = [4, 5, 6]
    ours = {n: (turn @ np.append(p, 1))[:3] for n, p in theirs.items()}
    head = simulate_head(seed=3, spacing=0.6, pose=0)
    common = {"bend": "rigid", "reference_landmarks": theirs, "source": "a", "target": "b"}
    found = start_of(head.image, head.image, "landmarks", landmarks=ours, **common)
    assert np.allclose(found.matrix @ turn, np.eye(4), atol=1e-9)
    with pytest.raises(LabelError, match="a start needs 4"):
        start_of(head.image, head.image, "landmarks", landmarks={"p0": ours["p0"]}, **common)
    with pytest.raises(LabelError, match="left and right are swapped"):
        mirrored = {n: p * [-1, 1, 1] for n, p in ours.items()}
        start_of(head.image, head.image, "landmarks", landmarks=mirrored, **common)
    with pytest.raises(LabelError, match="bend 'far'"):
        register_onto(head.image, head.image, found, bend="far")


def test_shared_information_of_equal_and_of_unrelated_pictures():
    rng = np.random.default_rng(0)
    a = ndimage.gaussian_filter(rng.normal(size=(40, 40, 40)), 1)
    assert shared_information(a, a) == pytest.approx(1)
    assert shared_information(a, np.exp(-a)) > 0.5  # another meaning of grey, the same thing
    assert shared_information(a, rng.normal(size=a.shape)) < 0.05

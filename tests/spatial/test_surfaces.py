"""Surfaces through ``convert``, registration of images, and the traps in published data."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from ethomorph.cli.app import execute
from ethomorph.core.errors import FormatError, LabelError
from ethomorph.core.grid import Grid
from ethomorph.core.mesh import Mesh
from ethomorph.core.volume import LabelVolume, ScalarVolume
from ethomorph.formats.mesh import read_mesh, write_mesh
from ethomorph.formats.nrrd import write_nrrd
from ethomorph.formats.volumes import read_image, read_labels
from ethomorph.phantoms.head import simulate_head
from ethomorph.spatial.overlap import dice, surface_dice
from ethomorph.spatial.register import register_elastic, register_linear, start_by_bone
from ethomorph.spatial.rigid import applied, turn_angle_deg
from ethomorph.spatial.surface_icp import register_piece, surface_distance
from ethomorph.spatial.transform import Transform, Warp, folded_share


def test_surface_to_labels_and_back(tmp_path, capsys):
    ball = trimesh.creation.icosphere(4, 6.0)
    write_mesh(Mesh(ball.vertices + [1, 2, 3], ball.faces), tmp_path / "skull.stl")
    grid = Grid((40, 42, 44), (0.5, 0.5, 0.5), (-10, -8, -7))
    write_nrrd(ScalarVolume(np.zeros(grid.shape, np.uint8), grid), tmp_path / "mri.nrrd")
    assert (
        execute(
            ["convert", str(tmp_path / "skull.stl"), str(tmp_path / "a.seg.nrrd"), "--grid", str(tmp_path / "mri.nrrd")]
        )
        == 2
    )
    assert "unit" in capsys.readouterr().err
    arguments = ["--grid", str(tmp_path / "mri.nrrd"), "--unit", "mm"]
    assert execute(["convert", str(tmp_path / "skull.stl"), str(tmp_path / "a.seg.nrrd"), *arguments]) == 0
    labels = read_labels(tmp_path / "a.seg.nrrd")
    assert labels.names == ["skull"] and labels.grid.is_same(grid)
    assert labels.mask("skull").sum() * 0.125 == pytest.approx(4 / 3 * np.pi * 216, rel=0.02)
    assert execute(["convert", str(tmp_path / "skull.stl"), str(tmp_path / "p.nrrd"), *arguments, "--partial"]) == 0
    assert read_image(tmp_path / "p.nrrd").array.sum() * 0.125 == pytest.approx(4 / 3 * np.pi * 216, rel=0.01)
    assert execute(["convert", str(tmp_path / "a.seg.nrrd"), str(tmp_path / "b.ply"), "--segment", "skull"]) == 0
    assert read_mesh(tmp_path / "b.ply", unit="mm").volume_mm3 == pytest.approx(4 / 3 * np.pi * 216, rel=0.03)


def test_ct_surfaces_become_labels_of_the_mri_of_the_same_head():
    """The skull chain: CT found again in the MRI by mutual information, its skull laid on the MRI's voxels."""
    ct = simulate_head(seed=3, spacing=0.4, pose=0)
    mri = simulate_head(seed=3, spacing=0.45, pose=0, contrast="mri")
    turn = np.eye(4)
    angle = np.deg2rad(7)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    turn[:3, 3] = [0.8, -0.6, 0.5]
    moved = Transform.linear(turn, "mri", "ct")  # the head lay otherwise in the CT scanner
    corners = moved.points(ct.image.grid.corners, frame="mri")
    grid = Grid(
        tuple(np.ceil(np.ptp(corners, axis=0) / 0.4).astype(int)[::-1] + 1), (0.4,) * 3, tuple(corners.min(axis=0))
    )
    scan = moved.image(ct.image, grid, frame="mri", outside=float(np.median(ct.image.array)))
    found = register_linear(mri.image, scan, Transform.linear(np.eye(4), "ct", "mri"), seed=0)
    assert turn_angle_deg(found.matrix @ turn) < 1.0
    points = ct.labels.grid.to_lps(np.argwhere(ct.labels.mask("OtherBone"))[::50, ::-1])
    there = found.points(moved.points(points, frame="mri"), frame="ct")
    assert np.linalg.norm(there - points, axis=1).mean() < 0.45


def test_elastic_registration_undoes_a_known_bend_and_does_not_fold():
    from scipy import ndimage

    head = simulate_head(seed=6, spacing=0.4, pose=0, gape_deg=8)
    grid = head.image.grid
    rng = np.random.default_rng(0)
    field = ndimage.gaussian_filter(rng.normal(size=(*grid.shape, 3)), (9, 9, 9, 0))
    warp = Warp(grid, (2.5 * field / np.abs(field).max()).astype(np.float32))
    bend = Transform((warp,), "straight", "bent")
    bent = bend.image(head.image, grid, frame="straight", outside=float(head.image.array.min()))
    found = register_elastic(bent, head.image, Transform.linear(np.eye(4), "straight", "bent"))
    bone = head.labels.grid.to_lps(np.argwhere(head.labels.mask("OtherBone"))[::20, ::-1])
    truth = bend.points(bone, frame="straight")
    before = np.linalg.norm(truth - bone, axis=1).mean()
    after = np.linalg.norm(found.points(bone, frame="straight") - truth, axis=1).mean()
    assert after < 0.5 * before
    assert folded_share(found.parts[-1]) == 0
    there = found.points(bone, frame="straight")
    assert np.abs(found.inverse.points(there, frame="bent") - bone).max() < 0.5 * 0.4  # inverse consistency


def test_a_bone_finds_its_own_piece_and_another_persons(shared_data):
    """A piece cut from the bone itself, turned: found to a fraction of a millimetre. A piece of another bone: near."""
    whole = read_mesh(shared_data / "humerus-meshes/O35_M_humerus_source.stl", unit="mm", frame="lps")
    along = (whole.vertices - whole.vertices.mean(axis=0)) @ np.linalg.svd(
        whole.vertices - whole.vertices.mean(axis=0), full_matrices=False
    )[2][0]
    kept = (along > np.quantile(along, 0.35)) & (along < np.quantile(along, 0.75))
    faces = whole.faces[kept[whole.faces].all(axis=1)]
    used = np.unique(faces)
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", [120, -50, 200], degrees=True).as_matrix()
    turn[:3, 3] = [40, -70, 15]
    piece = Mesh(applied(turn, whole.vertices[used]), np.searchsorted(used, faces))
    found = register_piece(whole, piece)
    assert turn_angle_deg(found.transform.matrix, turn) < 0.2
    assert np.abs(found.transform.points(whole.vertices[used], frame="whole") - piece.vertices).max() < 0.5
    other = read_mesh(shared_data / "humerus-meshes/U35_F_humerus_partial_target.stl", unit="mm", frame="lps")
    fit = register_piece(whole, other, scaled=True)
    assert not fit.is_tie and 0.75 < np.cbrt(np.linalg.det(fit.transform.matrix[:3, :3])) < 1
    assert surface_distance(other.vertices, fit.transform.mesh(whole, frame="whole")).mean() < 1.2


def test_overlap():
    a, b = np.zeros((12, 12, 12), bool), np.zeros((12, 12, 12), bool)
    a[3:9, 3:9, 3:9], b[3:9, 3:9, 4:10] = True, True
    assert dice(a, b) == pytest.approx(5 / 6)
    assert surface_dice(a, b, (1, 1, 1), 1.0) == 1
    assert surface_dice(a, b, (1, 1, 1), 0.5) < 0.8
    assert dice(~a & a, b & ~b) is None and surface_dice(a, a & ~a, (1, 1, 1), 1.0) == 0


def test_a_mouse_atlas_finds_a_strain_that_lies_the_other_way(shared_data):
    from ethomorph.api import read

    data = shared_data / "mouse-skull-ct"
    atlas = read_image(data / "atlas/low_res_template_UCHAR.nii.gz")
    scan = read_image(data / "volumes/BTBR_T_Itpr3tf_j_.nii.gz")
    start = start_by_bone(atlas, scan, source="scan", target="atlas")
    assert turn_angle_deg(start.matrix) > 150 and np.linalg.det(start.matrix[:3, :3]) > 0
    common = np.array([*range(1, 23), 24, 25, *range(27, 34), *range(36, 45), 46, 47, 49, 50, 51]) - 1
    marks = read(data / "atlas/Skull_LMs.fcsv")[0].points[common]
    human = read(data / "landmarks/BTBR_T_Itpr3tf_j_.mrk.json")[0].points
    apart = np.linalg.norm(start.inverse.points(marks, frame="atlas") - human, axis=1)
    assert apart.mean() < 1.0


def test_voxel_indices_called_millimetres_are_named_and_can_be_scaled(shared_data, tmp_path, capsys):
    """Mouse landmarks that say mm and are voxel indices: every verb that reads them says so; a volume refuses them."""
    from ethomorph.api import read
    from ethomorph.spatial.traps import refuse_elsewhere

    files = sorted((shared_data / "mouse-skull-landmarks/adult_126").glob("*.mrk.json"))
    assert sum("voxel indices" in " ".join(read(f).notes) for f in files) == len(files) == 126
    first, spacing = files[0], 0.01734
    arguments = ["measure", "distances", str(first), "--pair", "a=F_1,F_2", "--out", str(tmp_path / "d.csv")]
    assert execute(arguments) == 0 and "are they voxel indices?" in capsys.readouterr().err
    scaled = tmp_path / "mm.mrk.json"
    assert execute(["convert", str(first), str(scaled), "--spacing", str(spacing)]) == 0
    points, again = read(first)[0].points, read(scaled)[0].points
    assert np.allclose(again, points * spacing)
    assert np.ptp(again, axis=0).max() < 12 and not any("voxel indices" in n for n in read(scaled).notes)
    high = np.abs(again).max(axis=0)
    grid = Grid(tuple(np.ceil((high + 1) / spacing / 8).astype(int)[::-1]), (8 * spacing,) * 3)
    with pytest.raises(LabelError, match="outside of the volume"):
        refuse_elsewhere(points, grid)
    flat = tmp_path / "wing.tps"
    flat.write_text("LM=1\n1 2\nID=a\n")
    assert execute(["convert", str(flat), str(tmp_path / "b.tps"), "--spacing", "0.1"]) == 2
    assert "not in space" in capsys.readouterr().err


def test_the_apes_two_files_say_one_thing_in_two_frames(shared_data, tmp_path, capsys):
    """RAS in the .fcsv, LPS in the .json: both are read to the same points, and those lie on the template's surface."""
    from ethomorph.api import read

    folder = shared_data / "ape-skulls/template"
    lps, ras = (read(folder / f"Gorilla_template_LM1.{kind}")[0].points for kind in ("json", "fcsv"))
    assert np.abs(lps - ras).max() < 0.01
    path = folder / "Gor_template_low_res.ply"
    skull = read_mesh(path, unit="mm")
    assert np.median(surface_distance(lps, skull)) < 1.5
    assert np.median(surface_distance(lps * [-1, -1, 1], skull)) > 50
    with pytest.raises(FormatError, match="its header says LPS, not RAS"):
        read_mesh(path, unit="mm", frame="ras")
    # the skull has holes: voxels are refused with the place, never guessed
    assert execute(["convert", str(path), str(tmp_path / "s.seg.nrrd"), "--unit", "mm", "--spacing", "3"]) == 2
    assert "holes" in capsys.readouterr().err and not (tmp_path / "s.seg.nrrd").exists()


def test_labels_on_another_grid_are_not_paired_by_index():
    grid = Grid((10, 10, 10), (1, 1, 1))
    labels = LabelVolume.of(np.ones(grid.shape, np.uint8), grid)
    moved = Transform.linear(np.eye(4), "a", "b").labels(labels, Grid((5, 5, 5), (2, 2, 2), (0.5,) * 3), frame="a")
    assert (moved.array == 1).all() and moved.grid.shape == (5, 5, 5)

"""Surface files: round trips, frames and units that must be said, real surfaces, damage."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from ethomorph.core.errors import FormatError, LabelError
from ethomorph.core.mesh import Mesh, boundary_loops
from ethomorph.formats.mesh import read_mesh, write_mesh


def sphere(scale: float = 1.0) -> Mesh:
    found = trimesh.creation.icosphere(2, 10 * scale)
    return Mesh(found.vertices + [3, 4, 5], found.faces)


@pytest.mark.parametrize("suffix", [".stl", ".ply", ".obj"])
@settings(max_examples=10, deadline=None)
@given(scale=st.floats(0.01, 50))
def test_round_trip(tmp_path_factory, suffix, scale):
    mesh = sphere(scale)
    path = write_mesh(mesh, tmp_path_factory.mktemp("mesh") / f"m{suffix}")
    again = read_mesh(path, unit="mm")  # the frame stands in the header
    assert len(again.faces) == len(mesh.faces)
    assert len(again.vertices) == len(mesh.vertices)
    assert again.volume_mm3 == pytest.approx(mesh.volume_mm3, rel=1e-5)
    assert np.allclose(np.sort(again.vertices, axis=0), np.sort(mesh.vertices, axis=0), atol=1e-5 * (1 + scale))
    assert boundary_loops(again) == []


def test_frame_and_unit_are_asked_for(tmp_path):
    trimesh.Trimesh(sphere().vertices, sphere().faces).export(tmp_path / "m.stl")
    with pytest.raises(FormatError, match="LPS or RAS"):
        read_mesh(tmp_path / "m.stl", unit="mm")
    lps, ras = (read_mesh(tmp_path / "m.stl", unit="cm", frame=f) for f in ("lps", "ras"))
    assert np.allclose(lps.vertices.mean(axis=0), [30, 40, 50], atol=0.01)
    assert np.allclose(ras.vertices.mean(axis=0), [-30, -40, 50], atol=0.01)
    assert ras.volume_mm3 == pytest.approx(lps.volume_mm3)  # two axes turned: no mirror image
    write_mesh(sphere(), tmp_path / "n.ply")
    with pytest.raises(FormatError, match="header says LPS"):
        read_mesh(tmp_path / "n.ply", unit="mm", frame="ras")
    with pytest.raises(LabelError, match="no unit"):
        read_mesh(tmp_path / "n.ply", unit="furlong")


def test_ascii_stl(tmp_path):
    trimesh.Trimesh(sphere().vertices, sphere().faces).export(tmp_path / "a.stl", file_type="stl_ascii")
    again = read_mesh(tmp_path / "a.stl", unit="mm", frame="lps")
    assert again.volume_mm3 == pytest.approx(sphere().volume_mm3, rel=1e-4)


@pytest.mark.parametrize("suffix", [".stl", ".ply", ".obj"])
def test_damage_is_refused(tmp_path, suffix):
    data = write_mesh(sphere(), tmp_path / f"m{suffix}").read_bytes()
    for number, damaged in enumerate(
        [data[: len(data) // 2], b"", b"solid nothing\nSPACE=LPS", bytes(200) + b"SPACE=LPS"]
    ):
        path = tmp_path / f"{number}{suffix}"
        path.write_bytes(damaged)
        if suffix == ".obj" and number == 0:
            continue  # half of an OBJ file's lines may be a whole file
        with pytest.raises(FormatError):
            read_mesh(path, unit="mm", frame="lps")
    with pytest.raises(FormatError, match="suffix"):
        write_mesh(sphere(), tmp_path / "m.vtk")


def test_real_surfaces(shared_data):
    whole = read_mesh(shared_data / "humerus-meshes/O35_M_humerus_source.stl", unit="mm", frame="lps")
    assert boundary_loops(whole) == [] and len(whole.vertices) == 4542
    assert np.ptp(whole.vertices, axis=0).max() == pytest.approx(322, abs=3)
    gorilla = read_mesh(shared_data / "ape-skulls/template/Gor_template_low_res.ply", unit="mm", frame="lps")
    assert len(gorilla.faces) == 159_551 and len(boundary_loops(gorilla)) > 100


def test_the_gorilla_landmarks_lie_on_their_surface_from_either_file(shared_data):
    """The same points as JSON in LPS and FCSV in RAS: both come to LPS, and to the surface."""
    from scipy.spatial import cKDTree

    from ethomorph.api import read

    folder = shared_data / "ape-skulls/template"
    tree = cKDTree(read_mesh(folder / "Gor_template_low_res.ply", unit="mm", frame="lps").vertices)
    for name in ("Gorilla_template_LM1.json", "Gorilla_template_LM1.fcsv"):
        points = read(folder / name, format="slicer" if name.endswith("json") else None)[0].points
        assert tree.query(points)[0].max() < 3

"""Surfaces to voxels and back: boxes exact, balls and rings, any order of triangles, holes by their place."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from ethomorph.core.errors import LabelError
from ethomorph.core.grid import Grid
from ethomorph.core.mesh import Mesh, boundary_loops, box_mesh
from ethomorph.spatial.surface import repaired, surface_of
from ethomorph.spatial.voxelize import coverage, grid_around, labels_from, voxelize


def ball(radius: float, centre=(0.0, 0.0, 0.0)) -> Mesh:
    found = trimesh.creation.icosphere(5, radius)
    return Mesh(found.vertices + np.array(centre), found.faces)


@settings(max_examples=25, deadline=None)
@given(st.tuples(*[st.integers(0, 5)] * 3), st.tuples(*[st.integers(1, 6)] * 3))
def test_boxes_on_voxel_edges_are_exact(low, size):
    grid = Grid((12, 12, 12), (0.5, 0.25, 2.0), (0.25, 0.125, 1.0))
    step = np.array(grid.spacing)
    box = box_mesh(tuple(np.array(low) * step), tuple((np.array(low) + size) * step))
    inside = voxelize(box, grid)
    expected = np.zeros(grid.shape, bool)
    (x, y, z), (dx, dy, dz) = low, size
    expected[z : z + dz, y : y + dy, x : x + dx] = True
    assert np.array_equal(inside, expected)
    assert np.allclose(coverage(box, grid), expected)


@pytest.mark.parametrize("seed", range(6))
def test_ball_and_ring_within_one_percent_wherever_they_lie(seed):
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    if np.linalg.det(turn) < 0:
        turn[:, 0] *= -1
    grid = Grid((30, 30, 30), (1, 1, 1), tuple(-14.5 + rng.random(3)), tuple(turn))
    sphere = ball(10.0, grid.centre)
    assert voxelize(sphere, grid).sum() == pytest.approx(4 / 3 * np.pi * 1000, rel=0.01)
    assert coverage(sphere, grid).sum() == pytest.approx(sphere.volume_mm3, rel=0.002)
    ring = trimesh.creation.torus(25, 10, 128, 96)
    torus = Mesh(ring.vertices + rng.random(3), ring.faces)
    assert voxelize(torus, grid_around([torus], (1, 1, 1))).sum() == pytest.approx(2 * np.pi**2 * 25 * 100, rel=0.01)


def test_order_of_triangles_and_of_corners_does_not_matter():
    sphere = ball(8.0, (0.3, 0.2, 0.1))
    grid = grid_around([sphere], (1, 1, 1))
    rng = np.random.default_rng(0)
    faces = sphere.faces[rng.permutation(len(sphere.faces))]
    faces = np.stack([np.roll(f, k) for f, k in zip(faces, rng.integers(0, 3, len(faces)), strict=True)])
    assert np.array_equal(voxelize(sphere, grid), voxelize(Mesh(sphere.vertices, faces), grid))


def test_against_the_definition():
    """An irregular closed surface: voxels as trimesh's containment says them, away from the surface itself."""
    rng = np.random.default_rng(1)
    points = rng.normal(size=(40, 3)) * 5
    hull = trimesh.convex.convex_hull(points)
    mesh = Mesh(hull.vertices, hull.faces)
    grid = grid_around([mesh], (0.7, 0.9, 1.1))
    z, y, x = np.indices(grid.shape)
    world = grid.to_lps(np.stack([x, y, z], axis=-1))
    planes = np.array([np.append(n, -n @ o) for n, o in zip(hull.face_normals, hull.triangles[:, 0], strict=True)])
    inside = (world @ planes[:, :3].T + planes[:, 3] < 0).all(axis=-1)
    assert np.array_equal(voxelize(mesh, grid), inside)


def test_a_cavity_is_empty_and_overlapping_shells_count_once():
    outer, inner = ball(9.0), ball(5.0)
    hollow = Mesh(
        np.concatenate([outer.vertices, inner.vertices]),
        np.concatenate([outer.faces, inner.faces[:, ::-1] + len(outer.vertices)]),
    )
    grid = Grid((30, 30, 30), (1, 1, 1), (-14.3, -14.4, -14.6))
    assert voxelize(hollow, grid).sum() == voxelize(outer, grid).sum() - voxelize(inner, grid).sum()
    left, right = ball(7.0, (-3, 0, 0)), ball(7.0, (3, 0, 0))
    both = Mesh(
        np.concatenate([left.vertices, right.vertices]),
        np.concatenate([left.faces, right.faces + len(left.vertices)]),
    )
    assert np.array_equal(voxelize(both, grid), voxelize(left, grid) | voxelize(right, grid))


def test_open_surfaces_are_refused_with_the_place_and_can_be_closed():
    sphere = ball(10.0)
    top = sphere.vertices[sphere.faces].mean(axis=1)[:, 2] > 9.9
    cut = Mesh(sphere.vertices, sphere.faces[~top])
    grid = grid_around([sphere], (1, 1, 1))
    with pytest.raises(LabelError, match=r"1 holes .* at LPS \((-?0\.\d+, ){2}9\.\d+\)"):
        voxelize(cut, grid)
    assert boundary_loops(repaired(cut, fill_holes_mm=1.0)) != []
    closed = repaired(cut, fill_holes_mm=5.0)
    assert boundary_loops(closed) == []
    assert any("1 holes were closed" in note for note in closed.notes)
    assert closed.volume_mm3 == pytest.approx(sphere.volume_mm3, rel=0.001)


def test_faces_that_disagree_and_an_inside_out_surface_are_turned():
    box = box_mesh((0, 0, 0), (3, 4, 5))
    mixed = Mesh(box.vertices, np.where((np.arange(12) % 3 == 0)[:, None], box.faces[:, ::-1], box.faces))
    out = repaired(mixed)
    assert out.volume_mm3 == pytest.approx(60)
    assert any("turned over" in note for note in out.notes)
    assert repaired(Mesh(box.vertices, box.faces[:, ::-1])).volume_mm3 == pytest.approx(60)


def test_a_wrong_frame_is_named():
    with pytest.raises(LabelError, match="LPS or RAS"):
        voxelize(ball(3.0, (-50, -50, 0)), Grid((20, 20, 20), (1, 1, 1), (40, 40, -10)))
    with pytest.raises(LabelError, match="no voxel centre"):
        labels_from({"speck": ball(0.05, (0.5, 0.5, 0.5))}, Grid((5, 5, 5), (1, 1, 1)))


@pytest.mark.parametrize("mirrored", [False, True])
def test_segment_to_surface_and_back(mirrored):
    direction = np.diag([-1.0 if mirrored else 1.0, 1, 1])
    grid = Grid((40, 44, 48), (0.3, 0.3, 0.3), (2, 3, 4), tuple(direction))
    z, y, x = np.indices(grid.shape)
    mask = ((x - 20) / 14) ** 2 + ((y - 22) / 12) ** 2 + ((z - 19) / 15) ** 2 < 1
    mesh = surface_of(mask, grid)
    assert boundary_loops(mesh) == []
    assert mesh.volume_mm3 == pytest.approx(mask.sum() * grid.voxel_mm3, rel=0.03)
    again = voxelize(mesh, grid)
    assert 2 * (again & mask).sum() / (again.sum() + mask.sum()) > 0.98
    with pytest.raises(LabelError, match="vanishes"):
        surface_of(np.pad(np.ones((1, 1, 1), bool), 4), Grid((9, 9, 9), (1, 1, 1)))


@pytest.mark.parametrize("thick", [1, 2, 6])
def test_thin_bone_keeps_its_volume_on_the_way_to_a_surface(thick):
    """At a level of one half a plate of one voxel would lose most of itself under the smoothing."""
    mask = np.zeros((20, 40, 40), bool)
    mask[7 : 7 + thick, 8:30, 10:32] = True
    grid = Grid(mask.shape, (0.4, 0.4, 0.4))
    mesh = surface_of(mask, grid)
    assert mesh.volume_mm3 == pytest.approx(mask.sum() * grid.voxel_mm3, rel=0.02)
    assert voxelize(mesh, grid).sum() == pytest.approx(mask.sum(), rel=0.08)


def test_surfaces_become_named_segments():
    grid = Grid((30, 30, 30), (1, 1, 1), (-14.3, -14.4, -14.6))
    labels = labels_from({"Skull": ball(9.0), "Tooth": ball(3.0, (4, 0, 0))}, grid)
    assert labels.names == ["Skull", "Tooth"]
    assert labels.mask("Tooth").sum() == voxelize(ball(3.0, (4, 0, 0)), grid).sum()

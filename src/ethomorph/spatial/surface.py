"""Segments to smooth surfaces in LPS mm, and the repair of surfaces that came from elsewhere, said aloud."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.core.grid import Grid
from ethomorph.core.mesh import Mesh, boundary_loops

SMOOTHING = 0.7
"""Standard deviation of the blur before the surface is drawn, in voxels: steps vanish."""
LEVELS = (0.1, 0.7)
"""Where the surface is drawn in the blurred mask, at the least and at the most: plates a voxel thick are low."""
LEVEL_ROUNDS, VOLUME_SHARE = 7, 0.01
LEAST_PEAK = 0.25
"""A mask whose blur rises no higher is a voxel or two."""


def surface_of(mask: np.ndarray, grid: Grid, *, smoothing: float = SMOOTHING, source: str = "") -> Mesh:
    """The closed surface of a mask, by marching cubes on the slightly blurred mask, at the level that keeps its volume.

    At a level of one half thin bone would lose a quarter of its volume; the level is moved until the surface encloses
    what the mask's voxels hold, within 1 %.

    Parameters
    ----------
    mask : (z, y, x) bool.
    smoothing : standard deviation of the blur in voxels; 0 keeps the steps.

    Raises
    ------
    LabelError : an empty mask, or one that vanishes under the blur.
    """
    from scipy import ndimage

    if not mask.any():
        raise LabelError("an empty segment has no surface", place=source, fix="leave it out")
    pad = int(np.ceil(3 * smoothing)) + 1
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    solid = np.pad(mask[box], pad).astype(np.float32)
    if smoothing > 0:
        solid = ndimage.gaussian_filter(solid, smoothing)
    if solid.max() <= LEAST_PEAK:
        raise LabelError(f"a segment of {int(mask.sum())} voxels vanishes when smoothed", place=source,
                         fix="choose a smaller smoothing")  # fmt: skip
    vertices, faces = _of_volume(solid, int(mask.sum()))
    index = vertices[:, ::-1] + np.array([b.start for b in box][::-1]) - pad
    # marching cubes turns faces by rising values in (z, y, x); LPS points are (x, y, z), perhaps on a mirrored grid
    if np.linalg.det(np.array(grid.direction)) > 0:
        faces = faces[:, ::-1]
    mesh = Mesh(grid.to_lps(index), faces, source)
    return mesh if mesh.volume_mm3 > 0 else replace(mesh, faces=mesh.faces[:, ::-1])


def _of_volume(solid: np.ndarray, voxels: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and faces, (z, y, x), of the level at which a blurred mask encloses so many voxels; by halving."""
    from skimage import measure

    def drawn(level: float) -> tuple[np.ndarray, np.ndarray, float]:
        vertices, faces, _, _ = measure.marching_cubes(solid, level)
        corners = vertices[faces]
        volume = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
        return vertices, faces, abs(float(volume)) / voxels - 1

    low, high = LEVELS[0], min(LEVELS[1], 0.95 * float(solid.max()))
    level, best = min(0.5, high), None
    for _ in range(LEVEL_ROUNDS):
        vertices, faces, excess = drawn(level)
        if best is None or abs(excess) < abs(best[2]):
            best = vertices, faces, excess
        if abs(excess) < VOLUME_SHARE:
            break
        # a lower level encloses more
        low, high = (level, high) if excess > 0 else (low, level)
        level = (low + high) / 2
    assert best is not None
    return best[0], best[1]


def repaired(mesh: Mesh, *, fill_holes_mm: float = 0.0) -> Mesh:
    """A surface whose faces agree about the outside, with small holes closed; `notes` says what was done.

    Parameters
    ----------
    fill_holes_mm : holes up to this width are closed by a fan of triangles around their middle; 0 closes none.
    """
    import trimesh

    notes = list(mesh.notes)
    solid = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    if not solid.is_winding_consistent:
        trimesh.repair.fix_winding(solid)
        notes.append("faces that disagreed about the outside were turned over")
    out = replace(mesh, faces=np.asarray(solid.faces))
    filled = [ring for ring in boundary_loops(out) if np.ptp(ring, axis=0).max() <= fill_holes_mm]
    if filled:
        out = _with_fans(out, filled)
        widest = max(float(np.ptp(ring, axis=0).max()) for ring in filled)
        notes.append(f"{len(filled)} holes were closed, the widest {widest:.3g} mm")
    if not boundary_loops(out) and out.volume_mm3 < 0:
        out = replace(out, faces=out.faces[:, ::-1])
        notes.append("the surface was inside out and was turned over")
    return replace(out, notes=tuple(notes))


def _with_fans(mesh: Mesh, rings: list[np.ndarray]) -> Mesh:
    place = {tuple(v): i for i, v in enumerate(mesh.vertices)}
    vertices, faces = [mesh.vertices], [mesh.faces]
    count = len(mesh.vertices)
    for ring in rings:
        index = np.array([place[tuple(v)] for v in ring])
        vertices.append(ring.mean(axis=0, keepdims=True))
        # the hole's edge runs as its face does, so the fan runs against it
        faces.append(np.stack([np.roll(index, -1), index, np.full(len(index), count)], axis=1))
        count += 1
    return replace(mesh, vertices=np.concatenate(vertices), faces=np.concatenate(faces))

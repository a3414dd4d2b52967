"""Surfaces onto the voxels of any grid: inside by winding number at voxel centres, or the part of each voxel inside.

A ray runs through every row of voxel centres; each triangle adds its sign where the ray enters or leaves. Whether a ray
hits a triangle is decided edge by edge with values that are the same, bit by bit, for both triangles on an edge: no ray
slips through between two triangles, and the order of the triangles does not matter. Segments to surfaces is
`spatial.surface`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.core.grid import Grid
from ethomorph.core.mesh import Mesh, refuse_open
from ethomorph.core.volume import LabelVolume, ScalarVolume, Segment, color_of

PAIRS = 4_000_000
"""Pairs of a triangle and a ray worked on at once: about 300 MB."""
RAYS = 4
"""Rays across a voxel, each way, for partial volume."""


def voxelize(mesh: Mesh, grid: Grid) -> np.ndarray:
    """(z, y, x) bool: voxels whose centre is inside; a centre exactly on the surface counts on the low side only.

    Raises
    ------
    LabelError : an open surface, with the places of its holes; a surface that lies outside of the grid.
    """
    refuse_open(mesh)
    corners = grid.to_index(mesh.corners)
    _refuse_outside(corners, grid, mesh.source)
    z, y, x = grid.shape
    change = np.zeros((z, y, x + 1), np.int8)
    flat = change.reshape(-1)
    for row, at, sign in _crossings(corners, (z, y)):
        first = np.clip(np.ceil(at), 0, x).astype(np.intp)
        np.add.at(flat, row * (x + 1) + first, sign)
    inside = np.empty(grid.shape, bool)
    for plane in range(z):
        inside[plane] = np.cumsum(change[plane], axis=-1, dtype=np.int32)[:, :x] != 0
    return inside


def coverage(mesh: Mesh, grid: Grid, *, rays: int = RAYS) -> np.ndarray:
    """(z, y, x) float32 in 0..1: how much of each voxel is inside; exact along x, by `rays` x `rays` lines across.

    Where shells overlap a voxel counts once. Raises as `voxelize` does.
    """
    refuse_open(mesh)
    corners = grid.to_index(mesh.corners)
    _refuse_outside(corners, grid, mesh.source)
    z, y, x = grid.shape
    change = np.zeros((z, y, x + 2), np.float32)
    flat = change.reshape(-1)
    for dz in (np.arange(rays) + 0.5) / rays - 0.5:
        for dy in (np.arange(rays) + 0.5) / rays - 0.5:
            for row, at, sign in _crossings(corners - np.array([0, dy, dz]), (z, y)):
                place = np.clip(at + 0.5, 0, x)
                voxel = np.minimum(np.floor(place), x).astype(np.intp)
                part = (1 - (place - voxel)) * sign
                np.add.at(flat, row * (x + 2) + voxel, part.astype(np.float32))
                np.add.at(flat, row * (x + 2) + voxel + 1, (sign - part).astype(np.float32))
    out = np.cumsum(change, axis=-1, out=change)[..., :x] / rays**2
    return np.clip(np.abs(out), 0, 1)


def labels_from(meshes: dict[str, Mesh], grid: Grid) -> LabelVolume:
    """Surfaces by name as the segments of one volume; where two overlap, the later one has the voxel.

    Raises
    ------
    LabelError : as `voxelize`; a surface too small to hold a voxel's centre.
    """
    array = np.zeros(grid.shape, np.uint8 if len(meshes) < 256 else np.uint16)
    segments = []
    for value, (name, mesh) in enumerate(meshes.items(), start=1):
        inside = voxelize(mesh, grid)
        if not inside.any():
            raise LabelError(
                f"surface {name!r} holds no voxel centre ({mesh.volume_mm3:.3g} mm3, a voxel has {grid.voxel_mm3:.3g})",
                place=mesh.source, fix="check its unit, or choose a finer grid",
            )  # fmt: skip
        array[inside] = value
        segments.append(Segment(name, value, color=color_of(value - 1)))
    return LabelVolume.of(array, grid, segments)


def grid_around(meshes: Sequence[Mesh], spacing: tuple[float, float, float], *, margin: int = 2) -> Grid:
    """An axis-aligned grid that holds surfaces with `margin` voxels around them; voxel edges start at their low end."""
    points = np.concatenate([mesh.vertices for mesh in meshes])
    step = np.array(spacing)
    low, high = points.min(axis=0), points.max(axis=0)
    count = np.ceil((high - low) / step - 1e-9).astype(int) + 2 * margin
    return Grid(tuple(count[::-1]), spacing, tuple(low - (margin - 0.5) * step))


def coverage_volume(mesh: Mesh, grid: Grid) -> ScalarVolume:
    """`coverage` as an image."""
    return ScalarVolume(coverage(mesh, grid), grid, source=mesh.source)


def _crossings(corners: np.ndarray, shape: tuple[int, int]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Where rays along x meet triangles.

    Parameters
    ----------
    corners : (faces, 3, 3) in (x, y, z) indices.
    shape : rays in (z, y).

    Yields
    ------
    (row, at, sign) : the ray's number in C order, the x index where it meets the surface, +1 entering or -1 leaving.
    """
    y, z = corners[..., 1], corners[..., 2]
    low_y = np.clip(np.ceil(y.min(axis=1)), 0, None).astype(np.int64)
    low_z = np.clip(np.ceil(z.min(axis=1)), 0, None).astype(np.int64)
    count_y = np.clip(np.minimum(np.floor(y.max(axis=1)), shape[1] - 1).astype(np.int64) - low_y + 1, 0, None)
    count_z = np.clip(np.minimum(np.floor(z.max(axis=1)), shape[0] - 1).astype(np.int64) - low_z + 1, 0, None)
    counts = count_y * count_z
    wanted = np.flatnonzero(counts)
    ends = np.cumsum(counts[wanted])
    start = 0
    while start < len(wanted):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + PAIRS, side="right")))
        faces = wanted[start:stop]
        yield from _hits(corners[faces], low_y[faces], low_z[faces], count_y[faces], counts[faces], shape[1])
        start = stop


def _hits(
    corners: np.ndarray, low_y: np.ndarray, low_z: np.ndarray, count_y: np.ndarray, counts: np.ndarray, width: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    face = np.repeat(np.arange(len(corners)), counts)
    place = np.arange(len(face)) - np.repeat(np.cumsum(counts) - counts, counts)
    py = low_y[face] + place % count_y[face]
    pz = low_z[face] + place // count_y[face]
    inside = np.zeros(len(face), bool)
    for a, b in ((0, 1), (1, 2), (2, 0)):
        inside ^= _left_of_edge(corners[:, a, 1:], corners[:, b, 1:], face, py, pz)
    face, py, pz = face[inside], py[inside], pz[inside]
    a, b, c = np.moveaxis(corners, 1, 0)
    normal = np.cross(b - a, c - a)
    # outward faces have a negative x of their normal where a ray along +x enters
    n = normal[face]
    at = a[face, 0] - (n[:, 1] * (py - a[face, 1]) + n[:, 2] * (pz - a[face, 2])) / np.where(n[:, 0] == 0, 1, n[:, 0])
    low, high = corners[..., 0].min(axis=1)[face], corners[..., 0].max(axis=1)[face]
    sign = np.where(n[:, 0] < 0, 1, -1).astype(np.int8)
    keep = n[:, 0] != 0
    yield (pz * width + py)[keep], np.clip(at, low, high)[keep], sign[keep]


def _left_of_edge(a: np.ndarray, b: np.ndarray, face: np.ndarray, py: np.ndarray, pz: np.ndarray) -> np.ndarray:
    """Whether a line from the point towards +y meets the edge; both triangles on an edge compute the same numbers."""
    swap = (a[:, 1] > b[:, 1]) | ((a[:, 1] == b[:, 1]) & (a[:, 0] > b[:, 0]))
    low, high = np.where(swap[:, None], b, a), np.where(swap[:, None], a, b)
    rise = high[:, 1] - low[:, 1]
    slope = (high[:, 0] - low[:, 0]) / np.where(rise == 0, 1, rise)
    spans = (low[face, 1] <= pz) & (pz < high[face, 1])
    return spans & (py < low[face, 0] + (pz - low[face, 1]) * slope[face])


def _refuse_outside(corners: np.ndarray, grid: Grid, place: str) -> None:
    low, high = corners.min(axis=(0, 1)), corners.max(axis=(0, 1))
    if (high < -0.5).any() or (low > np.array(grid.shape[::-1]) - 0.5).any():
        raise LabelError(
            f"the surface lies outside of the grid: indices {np.round(low).astype(int).tolist()} to "
            f"{np.round(high).astype(int).tolist()}, grid {grid}",
            place=place, fix="check its frame (LPS or RAS) and its unit",
        )  # fmt: skip

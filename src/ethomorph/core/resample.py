"""Bringing an array from one grid to another by their headers: labels by nearest voxel or by share, images linearly.

One interpolation at most, a slab of the target at a time. No registration is done here.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ethomorph.core.grid import Grid

SLAB_VOXELS = 2_000_000
"""Voxels of the target worked on at once where axes are turned: about 100 MB of coordinates."""


def resample_labels(array: np.ndarray, source: Grid, target: Grid) -> np.ndarray:
    """(z, y, x) labels of `target`: the label of the nearest voxel of `source`, 0 outside of it.

    Where a point is equally near to two voxels the one of the higher index is taken.
    """
    matrix = source.index_from(target)
    lines = _axis_lines(matrix, target.shape)
    if lines is not None:
        order, coordinates = lines
        return _looked_up(array, order, coordinates)
    out = np.zeros(target.shape, array.dtype)
    for span, points in _slabs(matrix, target.shape):
        index = np.floor(points + 0.5 + 1e-6).astype(np.int64)
        inside = np.all((index >= 0) & (index < np.array(array.shape)[:, None, None, None]), axis=0)
        z, y, x = (np.where(inside, i, 0) for i in index)
        out[span] = np.where(inside, array[z, y, x], 0)
    return out


def resample_shapes(array: np.ndarray, source: Grid, target: Grid) -> np.ndarray:
    """(z, y, x) labels of `target`, each voxel of the label with the largest share there, linearly interpolated.

    Surfaces come out between voxels instead of on steps: on simulated heads brought from 0.2 to 0.15 mm overlap with
    the truth is three points of Dice higher than by nearest voxel. What is thinner than a voxel may vanish, so a
    person's own segmentation goes by `resample_labels`.
    """
    from scipy import ndimage

    out = np.zeros(target.shape, array.dtype)
    best, total = np.zeros(target.shape, np.float32), np.zeros(target.shape, np.float32)
    around = np.pad(array, 1, mode="edge")  # what the volume's edge cuts goes on outside
    wide = Grid(around.shape, source.spacing, tuple(source.to_lps([-1, -1, -1])), source.direction)  # type: ignore[arg-type]
    for value, found in enumerate(ndimage.find_objects(around.astype(np.int32, copy=False)), start=1):
        if found is None:
            continue
        z, y, x = (slice(max(0, s.start - 1), s.stop + 1) for s in found)
        box = wide.cropped((z, y, x))
        places = target.to_index(box.corners)[:, ::-1]
        low = np.maximum(np.floor(places.min(axis=0)), 0).astype(int)
        high = np.minimum(np.ceil(places.max(axis=0)) + 1, target.shape).astype(int)
        if (high <= low).any():
            continue
        window = (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))
        share = resample_image(around[z, y, x] == value, box, target.cropped(window))
        total[window] += share
        better = share > best[window]
        out[window][better] = value
        best[window][better] = share[better]
    out[best < 1 - total] = 0
    return out


def resample_image(array: np.ndarray, source: Grid, target: Grid) -> np.ndarray:
    """(z, y, x) float32 of `target`, linear, 0 outside. Voxels of coarser targets are the mean of what they cover."""
    from scipy import ndimage

    matrix = source.index_from(target)
    array = np.asarray(array, dtype=np.float32)
    steps = np.linalg.norm(matrix[:3, :3], axis=1)[::-1]
    if (steps > 1.5).any():
        # a box as wide as the step, so that a coarse voxel is the mean over its own extent
        widths = [max(1, round(step)) for step in steps]
        array = ndimage.uniform_filter(array, widths, mode="nearest", origin=[-((w + 1) % 2) for w in widths])
        shift = np.array([0.5 * ((w + 1) % 2) for w in widths])
    else:
        shift = np.zeros(3)
    flipped = _zyx(matrix)
    out = ndimage.affine_transform(
        array, flipped[:3, :3], offset=flipped[:3, 3] - shift, output_shape=target.shape, order=1, mode="constant"
    )
    return np.asarray(out, dtype=np.float32)


def _axis_lines(matrix: np.ndarray, shape: tuple[int, ...]) -> tuple[list[int], list[np.ndarray]] | None:
    """Where grids are turned by quarter turns only: for each source axis its target axis and coordinates along it."""
    flipped = _zyx(matrix)
    linear = flipped[:3, :3]
    order = np.abs(linear).argmax(axis=1)
    rest = linear.copy()
    rest[np.arange(3), order] = 0
    if sorted(order.tolist()) != [0, 1, 2] or np.abs(rest @ np.array(shape)).max() > 0.01:
        return None
    coordinates = [linear[a, order[a]] * np.arange(shape[order[a]]) + flipped[a, 3] for a in range(3)]
    return order.tolist(), coordinates


def _looked_up(array: np.ndarray, order: list[int], coordinates: list[np.ndarray]) -> np.ndarray:
    taken = np.asarray(array)
    for axis, line in enumerate(coordinates):
        index = np.floor(line + 0.5 + 1e-6).astype(np.int64)
        inside = (index >= 0) & (index < array.shape[axis])
        taken = np.take(taken, np.where(inside, index, 0), axis=axis)
        shape = [1, 1, 1]
        shape[axis] = len(inside)
        if not inside.all():
            taken = np.where(inside.reshape(shape), taken, np.zeros((), array.dtype))
    return np.ascontiguousarray(np.transpose(taken, np.argsort(order)))


def _slabs(matrix: np.ndarray, shape: tuple[int, ...]) -> Iterator[tuple[slice, np.ndarray]]:
    """Source coordinates (3, z, y, x) of the target, some planes at a time."""
    flipped = _zyx(matrix)
    planes = max(1, SLAB_VOXELS // max(1, shape[1] * shape[2]))
    for start in range(0, shape[0], planes):
        stop = min(shape[0], start + planes)
        index = np.stack(np.meshgrid(np.arange(start, stop), np.arange(shape[1]), np.arange(shape[2]), indexing="ij"))
        points = np.tensordot(flipped[:3, :3], index, axes=1) + flipped[:3, 3][:, None, None, None]
        yield slice(start, stop), points


def _zyx(matrix: np.ndarray) -> np.ndarray:
    """A 4x4 of (x, y, z) coordinates as one of (z, y, x) coordinates."""
    swap = np.eye(4)[[2, 1, 0, 3]]
    return swap @ matrix @ swap

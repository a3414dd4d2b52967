"""Pictures of volumes without a screen: the first surface that each ray meets, shaded. No graphics driver needed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ethomorph.core.grid import Grid

BONE = (0.97, 0.94, 0.88)
LIGHT = np.array([-0.45, 0.65, -0.62])  # from the upper left, towards the picture
AMBIENT, SHINE = 0.42, 0.08
MOST_PIXELS = 260
OVERSAMPLED = 3.0


@dataclass(frozen=True)
class View:
    """Where the camera is: it looks along `forward`, with `up` upwards in the picture (LPS directions)."""

    forward: tuple[float, float, float]
    up: tuple[float, float, float]

    @property
    def axes(self) -> np.ndarray:
        """(3, 3) rows: right, up and forward."""
        forward = np.array(self.forward) / np.linalg.norm(self.forward)
        up = np.array(self.up) - np.array(self.up) @ forward * forward
        up /= np.linalg.norm(up)
        return np.stack([np.cross(forward, up), up, forward])


LEFT_SIDE = View((-1, 0, 0), (0, 0, 1))
FROM_ABOVE = View((0, 0, -1), (0, -1, 0))
FROM_FRONT = View((0, 1, 0), (0, 0, 1))
OBLIQUE = View((-0.78, 0.42, -0.46), (0, 0, 1))


@dataclass(frozen=True)
class Picture:
    """A rendered view.

    Attributes
    ----------
    rgba : (height, width, 4) in 0..1.
    origin_mm, pixel_mm, axes : where the picture lies: pixel (column, row) is at right = origin[0] + column * pixel and
        up = origin[1] - row * pixel, along the view's axes.
    """

    rgba: np.ndarray
    origin_mm: tuple[float, float]
    pixel_mm: float
    axes: np.ndarray

    def place(self, points: np.ndarray) -> np.ndarray:
        """(n, 2) column and row of (n, 3) LPS mm."""
        flat = points @ self.axes[:2].T
        return np.stack([flat[:, 0] - self.origin_mm[0], self.origin_mm[1] - flat[:, 1]], axis=1) / self.pixel_mm


def render(
    values: np.ndarray,
    grid: Grid,
    view: View,
    *,
    colors: dict[int, tuple[float, float, float]] | None = None,
    smoothing: float = 0.7,
    pixels: int = MOST_PIXELS,
) -> Picture:
    """The surface of labelled voxels seen from one side, orthographic.

    Parameters
    ----------
    values : (z, y, x) bool or labels; 0 is nothing.
    colors : label to red, green, blue in 0..1; bone colour where left out.
    smoothing : blur of the surface in voxels.
    pixels : longest side of the picture.
    """
    from scipy import ndimage

    box = ndimage.find_objects((values > 0).astype(np.uint8))
    if not box:
        return Picture(np.zeros((pixels, pixels, 4)), (0, 0), 1.0, view.axes)
    cut = np.pad(values[box[0]].astype(np.int32), 2)
    near = grid.cropped(box[0])
    place = Grid(tuple(n + 4 for n in near.shape), near.spacing, tuple(near.to_lps([-2, -2, -2])), near.direction)  # type: ignore[arg-type]
    solid = ndimage.gaussian_filter((cut > 0).astype(np.float32), smoothing)
    axes = view.axes
    low, high = _extent(place, axes)
    pixel = max(float((high[:2] - low[:2]).max()) / pixels, min(place.spacing) / OVERSAMPLED)
    counts = np.ceil((high - low) / pixel).astype(int) + 1
    # rows of the view volume: (depth, row, column); row 0 is on top
    step = np.stack([axes[2], -axes[1], axes[0]], axis=1) * pixel
    start = axes[0] * low[0] + axes[1] * high[1] + axes[2] * low[2]
    to_index = np.linalg.inv(place.matrix)
    matrix = (to_index[:3, :3] @ step)[::-1]
    offset = (to_index[:3, :3] @ start + to_index[:3, 3])[::-1]
    shape = (counts[2], counts[1], counts[0])
    seen = ndimage.affine_transform(solid, matrix, offset, output_shape=shape, order=1)
    filled = seen > 0.5
    hit = filled.any(axis=0)
    depth = filled.argmax(axis=0)
    rows, columns = np.nonzero(hit)
    deep = depth[rows, columns]
    normal = _normals(seen, deep, rows, columns)
    inside = (matrix @ np.stack([deep + 0.6, rows, columns]) + offset[:, None]).round().astype(int)
    inside = np.clip(inside, 0, np.array(cut.shape)[:, None] - 1)
    label = _nearest_label(cut)[tuple(inside)]
    color = np.array([(colors or {}).get(int(v), BONE) for v in range(int(cut.max()) + 1)])[label]
    light = LIGHT / np.linalg.norm(LIGHT)
    diffuse = np.clip(normal @ light, 0, 1)
    mirrored = 2 * diffuse[:, None] * normal - light
    shade = (AMBIENT + (1 - AMBIENT) * diffuse)[:, None] * color + SHINE * np.clip(-mirrored[:, 2:], 0, 1) ** 12
    far = (deep - deep.min()) / max(1, np.ptp(deep))
    shade = shade * (1 - 0.22 * far[:, None])
    rgba = np.zeros((*hit.shape, 4))
    rgba[rows, columns, :3] = np.clip(shade, 0, 1)
    rgba[rows, columns, 3] = 1
    rgba = _outlined(rgba, depth, hit)
    top, left = int(rows.min()), int(columns.min())
    rgba = rgba[top : int(rows.max()) + 1, left : int(columns.max()) + 1]
    return Picture(rgba, (float(low[0]) + left * pixel, float(high[1]) - top * pixel), pixel, axes)


def _extent(grid: Grid, axes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    seen = grid.corners @ axes.T
    return seen.min(axis=0), seen.max(axis=0)


def _normals(seen: np.ndarray, deep: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(n, 3) unit normals (right, up, forward) out of the surface, by central differences where rays hit it."""
    top = np.array(seen.shape) - 1
    slopes = []
    for axis, sign in ((2, -1.0), (1, 1.0), (0, -1.0)):
        ahead, behind = np.stack([deep, rows, columns]), np.stack([deep, rows, columns])
        ahead[axis] = np.minimum(ahead[axis] + 1, top[axis])
        behind[axis] = np.maximum(behind[axis] - 1, 0)
        slopes.append(sign * (seen[tuple(ahead)] - seen[tuple(behind)]))
    normal = np.stack(slopes, axis=1)
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    return np.where(length > 1e-6, normal / np.maximum(length, 1e-6), np.array([0, 0, -1.0]))


def _nearest_label(cut: np.ndarray) -> np.ndarray:
    """Labels grown by two voxels, so that a hit just outside of a label finds it."""
    from scipy import ndimage

    distance, index = ndimage.distance_transform_edt(cut == 0, return_indices=True)
    return np.where(distance < 3, cut[tuple(index)], cut)


def _outlined(rgba: np.ndarray, depth: np.ndarray, hit: np.ndarray) -> np.ndarray:
    """Edges where the depth jumps, a little darker: shapes stay readable in print."""
    from scipy import ndimage

    deep = np.where(hit, depth, depth.max() + 30).astype(float)
    jump = ndimage.maximum_filter(deep, 3) - deep
    dark = np.clip(jump / 25, 0, 1) * 0.45
    rgba[..., :3] *= (1 - dark * hit)[..., None]
    return rgba

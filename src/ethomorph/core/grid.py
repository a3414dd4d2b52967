"""`Grid`: where the voxels of an array lie in the world, in LPS millimetres.

Two things on different grids are never paired by index: `refuse_other_grid` says so, `index_from` brings one to the
other. It reads no files and holds no voxels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ethomorph.core.errors import LabelError

ORTHOGONAL = 1e-3
"""How far the axes may be from right angles (dot product), and their lengths from one: headers are often rounded."""

SAME_VOXELS = 0.02
"""Grids are the same where no corner lies farther apart than this share of a voxel."""


@dataclass(frozen=True)
class Grid:
    """Shape and place of a volume.

    Parameters
    ----------
    shape : (z, y, x) numbers of voxels, the order of arrays.
    spacing : (x, y, z) mm between voxel centres, the order of points; all positive.
    origin : (x, y, z) LPS mm of the centre of voxel (0, 0, 0).
    direction : 3x3 rows; its columns are the world directions of the x, y and z index axes, as in ITK. Mirrored
        (left-handed) directions are kept as they are.

    Raises
    ------
    LabelError : an empty shape, a spacing that is not positive and finite, axes that are not orthogonal.

    Examples
    --------
    >>> grid = Grid((10, 20, 30), (0.1, 0.1, 0.2), origin=(1.0, 2.0, 3.0))
    >>> grid.to_lps([[10, 0, 5]])
    array([[2., 2., 4.]])
    >>> grid.size_mm
    (3.0, 2.0, 2.0)
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[tuple[float, float, float], ...] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))

    def __post_init__(self) -> None:
        put: Any = object.__setattr__
        put(self, "shape", tuple(int(n) for n in self.shape))
        put(self, "spacing", tuple(float(s) for s in self.spacing))
        put(self, "origin", tuple(float(o) for o in self.origin))
        axes = np.asarray(self.direction, dtype=float).reshape(3, 3)
        put(self, "direction", tuple(tuple(float(v) + 0.0 for v in row) for row in axes))
        refuse_impossible(self)

    @classmethod
    def from_matrix(cls, matrix: np.ndarray, shape: tuple[int, ...]) -> Self:
        """From a 4x4 matrix that takes (x, y, z) indices to LPS mm; `shape` is (z, y, x).

        Raises
        ------
        LabelError : an axis of length zero, axes that are not orthogonal.
        """
        matrix = np.asarray(matrix, dtype=float)
        lengths = np.linalg.norm(matrix[:3, :3], axis=0)
        if not np.isfinite(matrix).all() or (lengths <= 0).any():
            raise LabelError(
                f"the header's spacing is {' x '.join(f'{v:g}' for v in lengths)} mm",
                fix="give the true spacing with --spacing X,Y,Z",
            )
        direction = matrix[:3, :3] / lengths
        return cls(shape, tuple(lengths), tuple(matrix[:3, 3]), tuple(map(tuple, direction)))  # type: ignore[arg-type]

    @property
    def matrix(self) -> np.ndarray:
        """(4, 4) from (x, y, z) indices, 1 to LPS mm, 1."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.array(self.direction) * np.array(self.spacing)
        matrix[:3, 3] = self.origin
        return matrix

    @property
    def spacing_zyx(self) -> tuple[float, float, float]:
        """Spacing in the order of the array's axes."""
        return self.spacing[2], self.spacing[1], self.spacing[0]

    @property
    def voxel_mm3(self) -> float:
        return float(np.prod(self.spacing))

    @property
    def voxels(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def size_mm(self) -> tuple[float, float, float]:
        """(x, y, z) extent from voxel edge to voxel edge."""
        x, y, z = (n * s for n, s in zip(self.shape[::-1], self.spacing, strict=True))
        return x, y, z

    @property
    def centre(self) -> np.ndarray:
        """(3,) LPS mm of the middle."""
        return self.to_lps((np.array(self.shape[::-1]) - 1) / 2)

    @property
    def corners(self) -> np.ndarray:
        """(8, 3) LPS mm of the corner voxels' centres."""
        x, y, z = (np.array([0, n - 1]) for n in self.shape[::-1])
        return self.to_lps(np.stack(np.meshgrid(x, y, z, indexing="ij"), axis=-1).reshape(-1, 3))

    def to_lps(self, indices: Any) -> np.ndarray:
        """(..., 3) LPS mm of (..., 3) indices in (x, y, z) order, which may be fractions."""
        return np.asarray(indices, dtype=float) @ self.matrix[:3, :3].T + np.array(self.origin)

    def to_index(self, points: Any) -> np.ndarray:
        """(..., 3) indices in (x, y, z) order, as fractions, of (..., 3) LPS mm."""
        inverse = np.linalg.inv(self.matrix[:3, :3])
        return (np.asarray(points, dtype=float) - np.array(self.origin)) @ inverse.T

    def index_from(self, other: Grid) -> np.ndarray:
        """(4, 4) from (x, y, z) indices of `other` to (x, y, z) indices of this grid."""
        return np.linalg.inv(self.matrix) @ other.matrix

    def cropped(self, box: tuple[slice, slice, slice]) -> Grid:
        """The grid of ``array[box]``; slices in (z, y, x) order with step 1."""
        starts, stops, _ = zip(*(b.indices(n) for b, n in zip(box, self.shape, strict=True)), strict=True)
        shape = tuple(b - a for a, b in zip(starts, stops, strict=True))
        origin = self.to_lps(np.array(starts[::-1]))
        return Grid(shape, self.spacing, tuple(origin), self.direction)  # type: ignore[arg-type]

    def resized(self, spacing: tuple[float, float, float]) -> Grid:
        """The same box, from voxel edge to voxel edge, in voxels as near to `spacing` (x, y, z, mm) as fill it."""
        counts = [max(1, round(size / wanted)) for size, wanted in zip(self.size_mm, spacing, strict=True)]
        new = tuple(size / n for size, n in zip(self.size_mm, counts, strict=True))
        shift = (np.array(new) / np.array(self.spacing) - 1) / 2
        return Grid(tuple(counts[::-1]), new, tuple(self.to_lps(shift)), self.direction)  # type: ignore[arg-type]

    def is_same(self, other: Grid) -> bool:
        """Equal shapes, and corners within `SAME_VOXELS` of a voxel."""
        if self.shape != other.shape:
            return False
        apart = np.linalg.norm(self.corners - other.corners, axis=1).max()
        return bool(apart <= SAME_VOXELS * min(self.spacing))

    def __str__(self) -> str:
        x, y, z = self.shape[::-1]
        turned = "" if np.allclose(self.direction, np.eye(3), atol=1e-6) else f", direction {_rounded(self.direction)}"
        return (
            f"{x} x {y} x {z} voxels of {' x '.join(f'{s:.6g}' for s in self.spacing)} mm "
            f"from ({', '.join(f'{o:.6g}' for o in self.origin)}){turned}"
        )


def refuse_impossible(grid: Grid) -> None:
    """Raise LabelError for a shape, spacing or direction that no volume has."""
    if len(grid.shape) != 3 or min(grid.shape) < 1:
        raise LabelError(f"a volume of shape {grid.shape}", fix="give one with three axes and at least one voxel")
    if not all(np.isfinite(s) and s > 0 for s in grid.spacing):
        raise LabelError(
            f"a spacing of {' x '.join(f'{s:g}' for s in grid.spacing)} mm",
            fix="spacing is positive, flips belong into the direction; give the true one with --spacing X,Y,Z",
        )
    if not np.isfinite(grid.origin).all():
        raise LabelError("an origin that is not a number", fix="export the volume again")
    axes = np.array(grid.direction)
    if not np.isfinite(axes).all() or np.abs(axes.T @ axes - np.eye(3)).max() > ORTHOGONAL:
        raise LabelError(
            f"axes that are not at right angles (direction {_rounded(grid.direction)})",
            fix="resample the volume onto an orthogonal grid, in 3D Slicer with Resample Image",
        )


def refuse_other_grid(
    image: Grid, labels: Grid, *, place: str = "", names: tuple[str, str] = ("image", "labels")
) -> None:
    """Raise LabelError that shows both grids and says what to do, unless they are the same."""
    if image.is_same(labels):
        return
    raise LabelError(
        f"{names[1]} are not on the {names[0]}'s grid: {names[0]} {image}; {names[1]} {labels}",
        place=place,
        fix="resample labels by their header: `labels.on(image.grid)` or `ethomorph convert LABELS OUT --grid IMAGE`",
    )


def _rounded(direction: tuple[tuple[float, float, float], ...]) -> str:
    return "[" + "; ".join(" ".join(f"{v:.4g}" for v in row) for row in direction) + "]"

"""`Transform`: from one named frame to another. Points and volumes go the same way with the same object.

A transform is told by where it takes *points*. A volume is resampled with the inverse, which happens in here and
nowhere else, and whoever moves something says in which frame it is: the wrong direction is refused by name.
Files are read and written by `formats.itk_transform`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from ethomorph.core.errors import InputError
from ethomorph.core.grid import Grid
from ethomorph.core.landmarks import LandmarkSet
from ethomorph.core.mesh import Mesh
from ethomorph.core.volume import GRID_BOUND, LabelVolume, ScalarVolume

SLAB_VOXELS = 2_000_000
INVERSE_MM = 1e-4
"""A warp is inverted until no point moves farther than this."""
INVERSE_ROUNDS = 60
FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])
"""LPS to RAS and back."""


class FrameError(InputError):
    """Something is in another frame than the one a transform starts from."""


@dataclass(frozen=True)
class Warp:
    """Displacements on a grid: p goes to p + mm(p), linearly interpolated; outside of the grid it stays, as in ITK.

    Attributes
    ----------
    grid : where the displacements are given.
    mm : (z, y, x, 3) LPS mm.
    backward : whether p lies in the target and p + mm(p) in the source, as a resampling filter wants it.
    """

    grid: Grid
    mm: np.ndarray
    backward: bool = True

    def points(self, points: np.ndarray) -> np.ndarray:
        """(n, 3) source points in the target."""
        return _undisplaced(self, points) if self.backward else points + self.at(points)

    @property
    def inverse(self) -> Warp:
        return replace(self, backward=not self.backward)

    def at(self, points: np.ndarray) -> np.ndarray:
        """(n, 3) displacements at (n, 3) points."""
        from scipy import ndimage

        index = self.grid.to_index(points)[:, ::-1].T
        found = np.stack(
            [ndimage.map_coordinates(self.mm[..., a], index, order=1, mode="nearest") for a in range(3)], axis=-1
        ).astype(np.float64)
        inside = np.all((index >= -0.5) & (index <= np.array(self.grid.shape)[:, None] - 0.5), axis=0)
        return np.where(inside[:, None], found, 0.0)


Part = np.ndarray | Warp


@dataclass(frozen=True)
class Transform:
    """Takes points from frame `source` to frame `target`.

    Parameters
    ----------
    parts : 4x4 matrices (LPS mm) and warps, applied to a source point in this order; neighbouring matrices are
        multiplied when the transform is made, so a chain of transforms is resampled once.
    source, target : names of the frames, such as ``"scan"`` and ``"head"``.

    Raises
    ------
    FrameError : a matrix without an inverse, frames that are called the same.

    Examples
    --------
    >>> shift = np.eye(4)
    >>> shift[0, 3] = 5
    >>> into_head = Transform((shift,), "scan", "head")
    >>> into_head.points([[1, 2, 3]], frame="scan")
    array([[6., 2., 3.]])
    >>> into_head.inverse.points([[6, 2, 3]], frame="head")
    array([[1., 2., 3.]])
    """

    parts: tuple[Part, ...]
    source: str
    target: str
    notes: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if self.source == self.target:
            raise FrameError(f"a transform from frame {self.source!r} to itself", fix="name the two frames apart")
        parts = tuple(part if isinstance(part, Warp) else refuse_singular(part) for part in self.parts)
        object.__setattr__(self, "parts", tuple(_merged(parts)))

    @classmethod
    def linear(cls, matrix: np.ndarray, source: str, target: str) -> Transform:
        """From one 4x4 matrix that takes source points to target points."""
        return cls((np.asarray(matrix, dtype=float),), source, target)

    @property
    def is_linear(self) -> bool:
        return not any(isinstance(part, Warp) for part in self.parts)

    @property
    def matrix(self) -> np.ndarray:
        """(4, 4) source to target, LPS mm; raises FrameError where there is a warp."""
        if not self.is_linear:
            raise FrameError("a warp has no matrix", fix="move points with `points`, volumes with `image` or `labels`")
        return self.parts[0].copy() if self.parts else np.eye(4)  # type: ignore[union-attr]

    @property
    def slicer_matrix(self) -> np.ndarray:
        """(4, 4) as 3D Slicer's Transforms module shows it: RAS mm, to parent."""
        return FLIP @ self.matrix @ FLIP

    @property
    def inverse(self) -> Transform:
        """The way back. Exact for matrices; for a warp the same displacements, solved for the other side."""
        parts = tuple(p.inverse if isinstance(p, Warp) else inverted(p) for p in reversed(self.parts))
        return Transform(parts, self.target, self.source, self.notes)

    def __matmul__(self, inner: Transform) -> Transform:
        """``outer @ inner``: first inner, then outer; raises FrameError unless inner ends where outer starts."""
        if inner.target != self.source:
            raise FrameError(
                f"the first takes {inner.source!r} to {inner.target!r}, the second {self.source!r} to {self.target!r}",
                fix="turn the order round, or use an inverse",
            )
        return Transform((*inner.parts, *self.parts), inner.source, self.target, (*inner.notes, *self.notes))

    # what moves

    def points(self, points: object, *, frame: str) -> np.ndarray:
        """(..., 3) points of the target frame; NaN stays NaN.

        Parameters
        ----------
        points : (..., 3) LPS mm.
        frame : the frame they are in, which must be `source`.
        """
        self._refuse_other(frame, "points are")
        array = np.asarray(points, dtype=float)
        flat = array.reshape(-1, 3)
        known = np.isfinite(flat).all(axis=1)
        moved = flat[known]
        for part in self.parts:
            moved = part.points(moved) if isinstance(part, Warp) else moved @ part[:3, :3].T + part[:3, 3]
        out = np.full_like(flat, np.nan)
        out[known] = moved
        return out.reshape(array.shape)

    def landmarks(self, landmarks: LandmarkSet, *, frame: str) -> LandmarkSet:
        """Landmarks and curves of the target frame; raises FrameError for a set that is not in LPS mm."""
        self._refuse_other(frame, "landmarks are")
        if landmarks.frame != "lps" or landmarks.dim != 3:
            raise FrameError("landmarks are not in LPS mm", place=landmarks.source, fix="give three-dimensional ones")
        moved = [
            replace(
                s,
                points=self.points(s.points, frame=frame),
                curves=[self.points(curve, frame=frame) for curve in s.curves],
            )
            for s in landmarks
        ]
        return replace(landmarks, specimens=moved, notes=list(landmarks.notes))

    def mesh(self, mesh: Mesh, *, frame: str) -> Mesh:
        """The surface in the target frame; a mirroring transform turns its faces over."""
        mirrored = sum(np.linalg.det(p[:3, :3]) < 0 for p in self.parts if not isinstance(p, Warp)) % 2 == 1
        return mesh.moved(self.points(mesh.vertices, frame=frame), mirrored=mirrored)

    def image(self, volume: ScalarVolume, grid: Grid, *, frame: str, outside: float = 0.0) -> ScalarVolume:
        """The image on a grid of the target frame, linearly interpolated once, as float32.

        Parameters
        ----------
        outside : the value where the source does not reach.
        """
        self._refuse_other(frame, "the image is")
        array = np.asarray(volume.array, dtype=np.float32)
        out = np.empty(grid.shape, np.float32)
        from scipy import ndimage

        if self.is_linear:
            step = _zyx(self._index_matrix(volume.grid, grid))
            ndimage.affine_transform(
                array, step[:3, :3], step[:3, 3], output=out, order=1, mode="constant", cval=outside
            )
        else:
            for span, index in self._source_indices(volume.grid, grid):
                out[span] = ndimage.map_coordinates(array, index, order=1, mode="constant", cval=outside)
        return replace(volume, array=out, grid=grid, header={})

    def labels(self, labels: LabelVolume, grid: Grid, *, frame: str) -> LabelVolume:
        """The segmentation on a grid of the target frame, nearest voxel; nothing where the source does not reach."""
        self._refuse_other(frame, "labels are")
        layers = np.zeros((len(labels.layers), *grid.shape), labels.layers.dtype)
        top = np.array(labels.grid.shape)[:, None, None, None]
        for span, index in self._source_indices(labels.grid, grid):
            near = np.floor(index + 0.5).astype(np.intp)
            inside = ((near >= 0) & (near < top)).all(axis=0)
            z, y, x = near[:, inside]
            for layer, out in zip(labels.layers, layers, strict=True):
                out[span][inside] = layer[z, y, x]
        header = {k: v for k, v in labels.header.items() if k not in GRID_BOUND}
        return replace(labels, layers=layers, grid=grid, reference=None, header=header)

    # how

    def _refuse_other(self, frame: str, what: str) -> None:
        if frame == self.source:
            return
        fix = "use its inverse" if frame == self.target else f"bring it to {self.source!r} first"
        raise FrameError(f"{what} in frame {frame!r}, this transform takes {self.source!r} to {self.target!r}", fix=fix)

    def _index_matrix(self, source: Grid, target: Grid) -> np.ndarray:
        """(4, 4) from (x, y, z) indices of the target grid to those of the source grid."""
        return np.linalg.inv(source.matrix) @ inverted(self.matrix) @ target.matrix

    def _source_indices(self, source: Grid, target: Grid) -> Iterator[tuple[slice, np.ndarray]]:
        """Where each voxel of the target lies in the source: (3, planes, y, x) indices in (z, y, x) order, by slabs."""
        planes = max(1, SLAB_VOXELS // max(1, target.shape[1] * target.shape[2]))
        back = self.inverse
        step = _zyx(self._index_matrix(source, target)) if self.is_linear else None
        for start in range(0, target.shape[0], planes):
            stop = min(target.shape[0], start + planes)
            index = np.stack(
                np.meshgrid(np.arange(start, stop), np.arange(target.shape[1]), np.arange(target.shape[2]),
                            indexing="ij")
            ).astype(float)  # fmt: skip
            if step is not None:
                found = np.tensordot(step[:3, :3], index, axes=1) + step[:3, 3][:, None, None, None]
            else:
                world = target.to_lps(index.reshape(3, -1)[::-1].T)
                found = source.to_index(back.points(world, frame=back.source))[:, ::-1].T.reshape(index.shape)
            yield slice(start, stop), found


def backward(warp: Warp) -> Warp:
    """The same displacement told from the other side, on the same grid; a backward warp is returned as it is."""
    if warp.backward:
        return warp
    mm = np.empty_like(warp.mm)
    y, x = np.indices(warp.grid.shape[1:])
    for z in range(warp.grid.shape[0]):
        world = warp.grid.to_lps(np.stack([x.ravel(), y.ravel(), np.full(x.size, z)], axis=1))
        mm[z] = (_undisplaced(warp, world) - world).reshape(*x.shape, 3)
    return Warp(warp.grid, mm)


def folded_share(warp: Warp) -> float:
    """Share of voxels where the warp turns space inside out: the Jacobian's determinant is not positive."""
    jacobian = np.empty((*warp.grid.shape, 3, 3))
    spacing = warp.grid.spacing_zyx
    for a in range(3):
        for b, axis in enumerate((2, 1, 0)):
            jacobian[..., a, b] = np.gradient(warp.mm[..., a], spacing[axis], axis=axis)
    # derivatives run along the grid's axes; the direction matrix brings them into world axes
    world = jacobian @ np.array(warp.grid.direction).T + np.eye(3)
    return float((np.linalg.det(world) <= 0).mean())


def inverted(matrix: np.ndarray) -> np.ndarray:
    """(4, 4) inverse of a matrix whose last row is 0 0 0 1."""
    out = np.eye(4)
    out[:3, :3] = np.linalg.inv(matrix[:3, :3])
    out[:3, 3] = -out[:3, :3] @ matrix[:3, 3]
    return out


def refuse_singular(matrix: np.ndarray) -> np.ndarray:
    """The matrix as (4, 4) floats; FrameError unless it is affine and can be undone."""
    matrix = np.asarray(matrix, dtype=float)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise FrameError(f"a transform matrix of shape {matrix.shape}, or with values that are not numbers",
                         fix="give 4 x 4 numbers")  # fmt: skip
    if not np.allclose(matrix[3], [0, 0, 0, 1]):
        raise FrameError(f"the matrix's last row is {matrix[3].tolist()}", fix="give an affine matrix, 0 0 0 1")
    if abs(np.linalg.det(matrix[:3, :3])) < 1e-12 or np.linalg.cond(matrix[:3, :3]) > 1e9:
        raise FrameError("the matrix flattens space and has no inverse", fix="give one that can be undone")
    return matrix


def _merged(parts: Iterable[Part]) -> Iterator[Part]:
    held: np.ndarray | None = None
    for part in parts:
        if isinstance(part, Warp):
            if held is not None:
                yield held
            held = None
            yield part
        else:
            held = part if held is None else part @ held
    if held is not None:
        yield held


def _undisplaced(warp: Warp, points: np.ndarray) -> np.ndarray:
    """Solve q + mm(q) = p for q by damped fixed-point steps; a step that makes a point worse is halved."""
    q = points.copy()
    rest = points - (q + warp.at(q))
    damping = np.ones(len(q))
    for _ in range(INVERSE_ROUNDS):
        size = np.linalg.norm(rest, axis=1)
        active = np.flatnonzero(size > INVERSE_MM)
        if not len(active):
            break
        trial = q[active] + damping[active, None] * rest[active]
        trial_rest = points[active] - (trial + warp.at(trial))
        better = np.linalg.norm(trial_rest, axis=1) < size[active]
        q[active[better]], rest[active[better]] = trial[better], trial_rest[better]
        damping[active[~better]] /= 2
    return q


def _zyx(matrix: np.ndarray) -> np.ndarray:
    """A 4x4 of (x, y, z) coordinates as one of (z, y, x) coordinates."""
    swap = np.eye(4)[[2, 1, 0, 3]]
    return swap @ matrix @ swap

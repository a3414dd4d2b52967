"""`Mesh`: a triangle surface in LPS millimetres, and what can be said about its holes.

The container of surface models. It reads no files and repairs nothing; `spatial.repair` does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ethomorph.core.errors import LabelError


@dataclass(frozen=True)
class Mesh:
    """A surface of triangles.

    Attributes
    ----------
    vertices : (vertices, 3) LPS mm.
    faces : (faces, 3) indices of vertices, counter-clockwise seen from outside.
    source : the file, for messages.
    notes : what reading had to decide, one sentence each.

    Raises
    ------
    LabelError : shapes that are not (n, 3), coordinates that are not finite, indices of vertices that are not there.

    Examples
    --------
    >>> box_mesh((0, 0, 0), (1, 2, 3)).volume_mm3
    6.0
    """

    vertices: np.ndarray
    faces: np.ndarray
    source: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "vertices", np.asarray(self.vertices, dtype=np.float64).reshape(-1, 3))
        object.__setattr__(self, "faces", np.asarray(self.faces, dtype=np.int64).reshape(-1, 3))
        refuse_broken(self)

    @property
    def corners(self) -> np.ndarray:
        """(faces, 3, 3): the three points of each triangle."""
        return self.vertices[self.faces]

    @property
    def volume_mm3(self) -> float:
        """Enclosed volume by the divergence theorem; it has a meaning only for a closed surface."""
        a, b, c = np.moveaxis(self.corners - self.vertices.mean(axis=0), 1, 0)
        return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)

    @property
    def area_mm2(self) -> float:
        a, b, c = np.moveaxis(self.corners, 1, 0)
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)

    def moved(self, points: np.ndarray, *, mirrored: bool = False) -> Mesh:
        """The same triangles on moved vertices; `mirrored` turns the faces over, so that outside stays outside."""
        return replace(self, vertices=points, faces=self.faces[:, ::-1] if mirrored else self.faces)


def refuse_broken(mesh: Mesh) -> None:
    """Raise LabelError for coordinates that are not numbers and faces that point nowhere."""
    if not len(mesh.faces):
        raise LabelError("a surface without a triangle", place=mesh.source, fix="export it again")
    if not np.isfinite(mesh.vertices).all():
        raise LabelError("a vertex that is not a number", place=mesh.source, fix="export the surface again")
    if mesh.faces.min() < 0 or mesh.faces.max() >= len(mesh.vertices):
        raise LabelError(
            f"a face of vertex {int(mesh.faces.max())}, where there are {len(mesh.vertices)}",
            place=mesh.source, fix="export the surface again",
        )  # fmt: skip


def box_mesh(low: tuple[float, float, float], high: tuple[float, float, float]) -> Mesh:
    """An axis-aligned box between two corners, in LPS mm."""
    x, y, z = (np.array([a, b], dtype=float) for a, b in zip(low, high, strict=True))
    vertices = np.stack(np.meshgrid(x, y, z, indexing="ij"), axis=-1).reshape(-1, 3)
    faces = [
        (0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1),
        (2, 3, 7), (2, 7, 6), (0, 2, 6), (0, 6, 4), (1, 5, 7), (1, 7, 3),
    ]  # fmt: skip
    return Mesh(vertices, np.array(faces))


def boundary_loops(mesh: Mesh) -> list[np.ndarray]:
    """Holes: each a (points, 3) ring of the vertices around it, the longest first; empty for a closed surface.

    An edge belongs to a hole where the faces on it do not cancel in direction.
    """
    edges = mesh.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    low, high = edges.min(axis=1), edges.max(axis=1)
    key = low * len(mesh.vertices) + high
    found, inverse = np.unique(key, return_inverse=True)
    balance = np.bincount(inverse, weights=np.where(edges[:, 0] < edges[:, 1], 1, -1), minlength=len(found))
    open_edges = np.flatnonzero(np.round(balance) != 0)
    follow: dict[int, list[int]] = {}
    for edge in open_edges:
        a, b = divmod(int(found[edge]), len(mesh.vertices))
        if balance[edge] < 0:
            a, b = b, a
        follow.setdefault(a, []).append(b)
    loops = []
    while follow:
        start = next(iter(follow))
        ring, here = [start], start
        while here in follow:
            onward = follow[here]
            here_next = onward.pop()
            if not onward:
                del follow[here]
            here = here_next
            if here == start:
                break
            ring.append(here)
        loops.append(mesh.vertices[ring])
    return sorted(loops, key=len, reverse=True)


def refuse_open(mesh: Mesh) -> None:
    """Raise LabelError that says where the holes of a surface are, if it has any."""
    loops = boundary_loops(mesh)
    if not loops:
        return
    around = "; ".join(
        f"{len(ring)} edges, {np.ptp(ring, axis=0).max():.3g} mm wide, at LPS "
        f"({', '.join(f'{v:.3f}' for v in ring.mean(axis=0))}) mm"
        for ring in loops[:3]
    )
    more = f" and {len(loops) - 3} more" if len(loops) > 3 else ""
    raise LabelError(
        f"the surface is open, inside and outside are not defined: {len(loops)} holes ({around}{more})",
        place=mesh.source,
        fix="close it in your surface program, or fill holes up to a width with --fill-holes MM",
    )

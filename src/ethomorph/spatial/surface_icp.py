"""A surface laid on another by trimmed ICP from every orientation; one of the two may be only a piece of the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ethomorph.core.mesh import Mesh
from ethomorph.spatial.cloud import normals_of, thinned
from ethomorph.spatial.pose import DISTINCT_DEG, TIE
from ethomorph.spatial.rigid import applied, fit_map, nearest_rotation, turn_angle_deg
from ethomorph.spatial.transform import Transform, inverted

COARSE_POINTS, FINE_POINTS, WHOLE_POINTS = 220, 3000, 12000
TURNS, PLACES = 12, 5
KEEP = 0.9
ROUNDS_COARSE, ROUNDS_FINE = 12, 60
SIZES = (0.7, 1.4)
"""How much smaller or larger another individual's bone may be."""


@dataclass(frozen=True)
class SurfaceFit:
    """A surface on another.

    Attributes
    ----------
    transform : moving to fixed.
    residual_mm : trimmed mean distance of the piece's points to the whole.
    second_best : residual of the next distinct pose, divided by this one; near 1 it is a tie.
    """

    transform: Transform
    residual_mm: float
    second_best: float

    @property
    def is_tie(self) -> bool:
        return self.second_best < TIE


def register_piece(
    whole: Mesh, piece: Mesh, *, source: str = "whole", target: str = "piece", scaled: bool = False, seed: int = 0
) -> SurfaceFit:
    """Lay a whole bone on a piece of one, from any orientation.

    Every point of the piece must lie on the whole, not the other way round. Starts lay the whole's long axis along the
    piece's either way, turned about it and shifted along it.

    Parameters
    ----------
    scaled : whether the size may differ, as between individuals.
    """
    goal = thinned(_spread(piece), FINE_POINTS, seed=seed)
    tree_points = thinned(_spread(whole), WHOLE_POINTS, seed=seed)
    tree = cKDTree(tree_points)
    few = thinned(goal, COARSE_POINTS, seed=seed)
    rough = [_improved(start, few, tree_points, tree, rounds=ROUNDS_COARSE) for start in _starts(goal, tree_points)]
    rough.sort(key=lambda one: one[1])
    distinct: list[tuple[np.ndarray, float]] = []
    for matrix, residual in rough:
        if all(turn_angle_deg(matrix, other[0]) > DISTINCT_DEG for other in distinct):
            distinct.append((matrix, residual))
        if len(distinct) == 4:
            break
    normals = normals_of(tree_points, tree)
    fine = [_polished(matrix, goal, tree_points, tree, normals, scaled) for matrix, _ in distinct]
    fine.sort(key=lambda one: one[1])
    best, residual = fine[0]
    others = [r for matrix, r in fine[1:] if turn_angle_deg(matrix, best) > DISTINCT_DEG]
    second = others[0] / residual if others and residual > 0 else np.inf
    # found from piece to whole, since every point of the piece has its place there
    return SurfaceFit(Transform.linear(inverted(best), source, target), residual, float(second))


def surface_distance(points: np.ndarray, mesh: Mesh) -> np.ndarray:
    """(n,) mm from points to the nearest of a dense set of points on a surface."""
    return np.asarray(cKDTree(_spread(mesh)).query(points)[0])


def _spread(mesh: Mesh) -> np.ndarray:
    """Vertices, edges' middles and faces' middles."""
    corners = mesh.corners
    middles = [(corners[:, a] + corners[:, b]) / 2 for a, b in ((0, 1), (1, 2), (2, 0))]
    return np.concatenate([mesh.vertices, *middles, corners.mean(axis=1)])


def _starts(piece: np.ndarray, whole: np.ndarray) -> list[np.ndarray]:
    a, b = (np.linalg.svd(p - p.mean(axis=0), full_matrices=False)[2] for p in (piece, whole))
    a, b = (axes * np.array([1, 1, np.sign(np.linalg.det(axes))])[:, None] for axes in (a, b))
    along = (whole - whole.mean(axis=0)) @ b[0]
    reach = max(0.0, (np.ptp(along) - np.ptp((piece - piece.mean(axis=0)) @ a[0])) / 2)
    out = []
    for sign in (1.0, -1.0):
        for turn in np.arange(TURNS) * 2 * np.pi / TURNS:
            c, s = np.cos(turn), np.sin(turn)
            axes = np.diag([sign, 1, sign]) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ a
            for place in np.linspace(-reach, reach, PLACES if reach > 0 else 1):
                matrix = np.eye(4)
                matrix[:3, :3] = nearest_rotation(b.T @ axes)
                matrix[:3, 3] = whole.mean(axis=0) + place * b[0] - matrix[:3, :3] @ piece.mean(axis=0)
                out.append(matrix)
    return out


def _improved(
    start: np.ndarray, piece: np.ndarray, whole: np.ndarray, tree: cKDTree, *, rounds: int
) -> tuple[np.ndarray, float]:
    matrix, count = start, max(6, int(KEEP * len(piece)))
    for _ in range(rounds):
        distance, partner = tree.query(applied(matrix, piece))
        near = np.argpartition(distance, count - 1)[:count]
        matrix = fit_map(piece[near], whole[partner[near]], "rigid")
    distance = np.sort(tree.query(applied(matrix, piece))[0])
    return matrix, float(distance[:count].mean())


def _polished(
    start: np.ndarray, piece: np.ndarray, whole: np.ndarray, tree: cKDTree, normals: np.ndarray, scaled: bool
) -> tuple[np.ndarray, float]:
    """Point to plane, so that the piece slides along the whole; a change of size is part of the step where allowed."""
    from scipy.spatial.transform import Rotation

    matrix, count = start, int(KEEP * len(piece))
    for _ in range(ROUNDS_FINE):
        moved = applied(matrix, piece)
        distance, partner = tree.query(moved)
        near = np.argpartition(distance, count - 1)[:count]
        p, q, n = moved[near], whole[partner[near]], normals[partner[near]]
        middle = p.mean(axis=0)
        columns = [np.cross(p - middle, n), n]
        if scaled:
            columns.append(((p - middle) * n).sum(axis=1, keepdims=True))
        rows = np.concatenate(columns, axis=1)
        step = np.linalg.lstsq(rows, ((q - p) * n).sum(axis=1), rcond=None)[0]
        turn = np.eye(4)
        size = np.exp(np.clip(step[6], -0.05, 0.05)) if scaled else 1.0
        turn[:3, :3] = size * Rotation.from_rotvec(step[:3]).as_matrix()
        turn[:3, 3] = middle + step[3:6] - turn[:3, :3] @ middle
        trial = turn @ matrix
        if not SIZES[0] < np.cbrt(np.linalg.det(trial[:3, :3])) < SIZES[1]:
            break
        matrix = trial
        if np.linalg.norm(step[:6]) < 1e-7:
            break
    distance = np.sort(tree.query(applied(matrix, piece))[0])
    return matrix, float(distance[:count].mean() / np.cbrt(np.linalg.det(matrix[:3, :3])))

"""The mid-sagittal plane of a cloud of points: where its mirror image fits it best.

Candidate planes from the principal axes and from all around are improved by mirrored trimmed ICP. A plane of symmetry
fixes three of the six degrees of freedom of a pose; `spatial.pose` finds the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

KEEP = 0.75
"""Share of mirrored pairs that count; the rest may be asymmetry, damage or a crop."""
COARSE_POINTS, FINE_POINTS = 450, 6000
DIRECTIONS = 26
SAME_PLANE_DEG = 12.0
HOPELESS = 1.8
"""A candidate plane this many times less symmetric than the best is not followed."""
ROUNDS_COARSE, ROUNDS_FINE = 12, 16
WIDE, NARROW = 0.1, 0.05
"""Distances, as shares of the cloud's radius, beyond which a mirrored pair has no weight: at first and at last."""


@dataclass(frozen=True)
class Plane:
    """A plane ``normal . p = offset`` and how well it mirrors the cloud.

    Attributes
    ----------
    normal : (3,) unit vector; its sign means nothing.
    offset : mm.
    asymmetry : trimmed mean distance of the mirrored cloud to the cloud, mm.
    """

    normal: np.ndarray
    offset: float
    asymmetry: float

    def mirrored(self, points: np.ndarray) -> np.ndarray:
        """(n, 3) mirror images."""
        return points - 2 * np.outer(points @ self.normal - self.offset, self.normal)

    def distance(self, point: np.ndarray) -> float:
        """Signed mm of a point from the plane."""
        return float(point @ self.normal - self.offset)


def symmetry_planes(points: np.ndarray, *, keep: float = KEEP) -> list[Plane]:
    """Distinct planes of symmetry of (n, 3) points, the best first.

    A cloud cut at the rim of the scan still has its plane, since pairs without a partner are trimmed.
    """
    from ethomorph.spatial.cloud import thinned

    few = thinned(points, COARSE_POINTS)
    tree = cKDTree(few)
    centre = few.mean(axis=0)
    _, _, axes = np.linalg.svd(few - centre, full_matrices=False)
    normals = np.concatenate([axes, half_sphere(DIRECTIONS)])
    # a cropped head's centroid lies beside its plane: the middle of its extent is tried as well
    found = []
    for normal in normals:
        along = few @ normal
        found += [
            mirrored_icp(few, tree, normal, float(offset), rounds=ROUNDS_COARSE, keep=keep)
            for offset in (normal @ centre, (along.min() + along.max()) / 2)
        ]
    found.sort(key=lambda plane: plane.asymmetry)
    distinct: list[Plane] = []
    for plane in found:
        if all(angle_deg(plane.normal, other.normal) > SAME_PLANE_DEG for other in distinct):
            distinct.append(plane)
        if len(distinct) == 4:
            break
    refined = [refined_plane(points, p, keep=keep) for p in distinct if p.asymmetry < HOPELESS * distinct[0].asymmetry]
    return sorted(refined, key=lambda plane: plane.asymmetry)


def refined_plane(points: np.ndarray, plane: Plane, *, keep: float = KEEP) -> Plane:
    """The plane improved on all points, point to plane; pairs fade out with distance, so a side cut off has no say."""
    from ethomorph.spatial.cloud import normals_of, thinned

    many = thinned(points, FINE_POINTS)
    tree = cKDTree(many)
    normals = normals_of(many, tree)
    radius = float(np.linalg.norm(many - many.mean(axis=0), axis=1).mean())
    out = mirrored_icp(many, tree, plane.normal, plane.offset, rounds=6, keep=keep)
    for cutoff in np.geomspace(WIDE, NARROW, ROUNDS_FINE) * radius:
        distance, partner = tree.query(out.mirrored(many), distance_upper_bound=cutoff)
        near = np.isfinite(distance)
        if near.sum() < len(many) // 5:
            break
        weights = (1 - (distance[near] / cutoff) ** 2) ** 2
        out = _stepped(out, many[near], many[partner[near]], normals[partner[near]], weights)
    distance = np.sort(tree.query(out.mirrored(many))[0])
    return Plane(out.normal, out.offset, float(distance[: int(keep * len(many))].mean()))


def _stepped(plane: Plane, p: np.ndarray, s: np.ndarray, normals: np.ndarray, weights: np.ndarray) -> Plane:
    """One Gauss-Newton step: turn and shift the plane so that mirrored p come nearer to the surface at s."""
    across = np.eye(3)[np.abs(plane.normal).argmin()]
    u = np.cross(plane.normal, across)
    u /= np.linalg.norm(u)
    v = np.cross(plane.normal, u)
    far = p @ plane.normal - plane.offset
    gap = ((plane.mirrored(p) - s) * normals).sum(axis=1)
    head_on = normals @ plane.normal
    columns = [-2 * (far * (normals @ t) + (p @ t) * head_on) for t in (u, v)]
    rows = np.stack([*columns, 2 * head_on], axis=1)
    step = np.linalg.lstsq(rows * np.sqrt(weights)[:, None], -gap * np.sqrt(weights), rcond=None)[0]
    normal = plane.normal + step[0] * u + step[1] * v
    length = float(np.linalg.norm(normal))
    return Plane(normal / length, (plane.offset + float(step[2])) / length, plane.asymmetry)


def _halving(p: np.ndarray, s: np.ndarray, weights: np.ndarray | None = None) -> tuple[np.ndarray, float]:
    """The plane whose reflection takes points p nearest to points s.

    Its normal is the eigenvector of least eigenvalue of ``sum w ((p - pm)(s - sm)^T + (s - sm)(p - pm)^T)``, and it
    passes through ``(pm + sm) / 2``.
    """
    w = np.full(len(p), 1 / len(p)) if weights is None else weights / weights.sum()
    pm, sm = w @ p, w @ s
    cross = ((p - pm) * w[:, None]).T @ (s - sm)
    normal = np.linalg.eigh(cross + cross.T)[1][:, 0]
    return normal, float(normal @ (pm + sm) / 2)


def mirrored_icp(
    points: np.ndarray, tree: cKDTree, normal: np.ndarray, offset: float, *, rounds: int, keep: float
) -> Plane:
    """Improve a plane: pair each mirrored point with its nearest, keep the nearest share, solve for the plane."""
    count = max(8, int(keep * len(points)))
    plane = Plane(normal / np.linalg.norm(normal), offset, np.inf)
    for _ in range(rounds):
        distance, partner = tree.query(plane.mirrored(points))
        chosen = np.argpartition(distance, count - 1)[:count]
        new, shift = _halving(points[chosen], points[partner[chosen]])
        moved = angle_deg(new, plane.normal)
        rest = float(distance[chosen].mean())
        done = moved < 1e-3 and abs(plane.asymmetry - rest) < 1e-6 * max(rest, 1e-9)
        plane = Plane(new, shift, rest)
        if done:
            break
    return plane


def plane_stability_deg(points: np.ndarray, plane: Plane, *, rounds: int = 20, seed: int = 0) -> float:
    """The plane's angle, in degrees, that 95 % of fits to random halves of the points stay within."""
    rng = np.random.default_rng(seed)
    angles = []
    for _ in range(rounds):
        half = points[rng.random(len(points)) < 0.5]
        again = mirrored_icp(half, cKDTree(half), plane.normal, plane.offset, rounds=12, keep=KEEP)
        angles.append(angle_deg(again.normal, plane.normal))
    return float(np.quantile(angles, 0.95))


def half_sphere(count: int) -> np.ndarray:
    """(count, 3) directions spread evenly over half of a sphere (Fibonacci's lattice)."""
    k = np.arange(count) + 0.5
    z, turn = k / count, np.pi * (1 + np.sqrt(5)) * k
    ring = np.sqrt(1 - z**2)
    return np.stack([ring * np.cos(turn), ring * np.sin(turn), z], axis=1)


def angle_deg(a: np.ndarray, b: np.ndarray) -> float:
    """Angle between two lines, 0 to 90 degrees."""
    return float(np.rad2deg(np.arctan2(np.linalg.norm(np.cross(a, b)), abs(float(a @ b)))))

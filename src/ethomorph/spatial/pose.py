"""The pose of a head against a template's cloud: every orientation tried, the good ones improved, a tie refused.

Symmetry planes fix three degrees of freedom; the pitch and the side are searched all the way round. The last stage
stretches the head along the template's own axes, point to plane and with far pairs fading out, so that another
individual's proportions, an open jaw or a crop do not tilt the frame. No pose is ever a mirror image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ethomorph.core.errors import LabelError
from ethomorph.spatial.cloud import normals_of, thinned
from ethomorph.spatial.rigid import Kind, applied, fit_map, nearest_rotation, turn_angle_deg
from ethomorph.spatial.symmetry import Plane
from ethomorph.spatial.transform import inverted

PITCHES = 20
COARSE_POINTS, MIDDLE_POINTS, FINE_POINTS = 220, 800, 4000
KEEP_CLOUD, KEEP_TEMPLATE = 0.55, 0.8
"""Shares of pairs that count: of the specimen, which has an open jaw, a neck and soft parts the template may lack, and
of the template, of which a crop or damage may leave something out."""
WIDE, NARROW = 0.12, 0.09
"""Distances, as shares of the template's radius, beyond which a pair has no weight: at first and at last."""
POLISH_ROUNDS = 24
POINT_SHARE = 0.05
"""Weight of distances between points beside those along normals; it keeps smooth parts from sliding."""
MOST_BEND = 0.15
FOLLOWED, POLISHED = 16, 3
NEAR_DEG, DISTINCT_DEG = 10.0, 20.0
"""How many rough poses, at least so far apart, are followed, and how many of those to the end. After a few rounds with
few points the right pose is seldom the first of its side, so many are followed."""
TIE = 1.05
"""Two distinct poses whose residuals differ by less than this ratio cannot be told apart."""


@dataclass(frozen=True)
class Pose:
    """A pose of a cloud in a template's frame.

    Attributes
    ----------
    matrix : (4, 4) cloud to template: a rotation, then a stretch along the template's axes, then a shift.
    residual : trimmed mean distance both ways, as a share of the template's radius.
    """

    matrix: np.ndarray
    residual: float

    @property
    def rotation(self) -> np.ndarray:
        """(3, 3) without the stretch."""
        linear = self.matrix[:3, :3]
        return nearest_rotation(linear / np.linalg.norm(linear, axis=1, keepdims=True))


def find_poses(points: np.ndarray, template: np.ndarray, planes: list[Plane]) -> list[Pose]:
    """Distinct poses of (n, 3) points against (m, 3) template points, the best first; the template's plane is x = 0.

    Parameters
    ----------
    planes : the cloud's candidate planes of symmetry.
    """
    trial = _Fit(points, template, COARSE_POINTS)
    rough = [trial.improved(start, "similarity", 7) for plane in planes for start in _starts(points, template, plane)]
    chosen = _distinct(rough, FOLLOWED, NEAR_DEG)
    trial = _Fit(points, template, MIDDLE_POINTS)
    better = [trial.improved(pose.matrix, "similarity", 25) for pose in chosen]
    chosen = _distinct(better, POLISHED, DISTINCT_DEG)
    trial = _Fit(points, template, FINE_POINTS)
    best = []
    for pose in chosen:
        similar = trial.improved(pose.matrix, "similarity", 15)
        best.append(trial.stretched(similar.matrix))
    # two that ended in one place are one pose, not a tie
    return _distinct(best, POLISHED, DISTINCT_DEG)


def head_matrix(pose: Pose, plane: Plane) -> np.ndarray:
    """(4, 4) rigid map into the head frame: pitch and origin of the template, mid-plane of the specimen itself."""
    turn = pose.rotation
    normal = plane.normal * np.sign(plane.normal @ turn[0])
    back = turn[1] - (turn[1] @ normal) * normal
    back /= np.linalg.norm(back)
    origin = applied(inverted(pose.matrix), np.zeros((1, 3)))[0]
    origin = origin - plane.distance(origin) * plane.normal
    return frame_matrix(normal, back, origin)


def frame_matrix(left: np.ndarray, back: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """(4, 4) into the frame whose x points left, y back and z up, with this origin; `back` is made square to `left`."""
    x = left / np.linalg.norm(left)
    y = back - (back @ x) * x
    y /= np.linalg.norm(y)
    out = np.eye(4)
    out[:3, :3] = np.stack([x, y, np.cross(x, y)])
    out[:3, 3] = -out[:3, :3] @ origin
    return out


class _Fit:
    """ICP both ways between a thinned cloud and a thinned template."""

    def __init__(self, points: np.ndarray, template: np.ndarray, count: int) -> None:
        self.points, self.template = thinned(points, count), thinned(template, count)
        self.own, self.tree = cKDTree(self.points), cKDTree(self.template)
        self.radius = float(np.linalg.norm(template - template.mean(axis=0), axis=1).mean())
        self._normals: np.ndarray | None = None

    def improved(self, start: np.ndarray, kind: Kind, rounds: int) -> Pose:
        pose, before = Pose(start, np.inf), np.inf
        for _ in range(rounds):
            source, target, residual = self._pairs(pose.matrix)
            pose = Pose(pose.matrix, residual)
            if abs(before - residual) < 1e-5 * max(residual, 1e-9):
                break
            before = residual
            try:
                trial = fit_map(source, target, kind)
            except (LabelError, np.linalg.LinAlgError):
                return Pose(pose.matrix, np.inf)
            if not 0.25 < abs(np.linalg.det(trial[:3, :3])) ** (1 / 3) < 4 or np.linalg.det(trial[:3, :3]) < 0:
                return Pose(pose.matrix, np.inf)
            pose = Pose(trial, residual)
        return Pose(pose.matrix, self._pairs(pose.matrix)[2])

    def stretched(self, start: np.ndarray) -> Pose:
        """Rotation, stretch and shift of least weighted distance to the template's planes (Gauss-Newton)."""
        if self._normals is None:
            self._normals = normals_of(self.template, self.tree)
        scale = abs(np.linalg.det(start[:3, :3])) ** (1 / 3)
        turn, stretch, shift = nearest_rotation(start), np.full(3, scale), start[:3, 3].copy()
        bend = 0.0
        for cutoff in np.geomspace(WIDE, NARROW, POLISH_ROUNDS) * self.radius:
            matrix = stretched_matrix(turn, stretch, shift)
            forth, to = self.tree.query(self._bent(applied(matrix, self.points), bend), distance_upper_bound=cutoff)
            back, of = self.own.query(applied(inverted(matrix), self._unbent(self.template, bend)))
            back = back * stretch.mean()
            near, far = np.flatnonzero(np.isfinite(forth)), np.flatnonzero(back < cutoff)
            if len(near) + len(far) < 60:
                return Pose(matrix, np.inf)
            source = self.points[np.concatenate([near, of[far]])]
            hit = np.concatenate([to[near], far])
            distance = np.concatenate([forth[near], back[far]])
            weight = (1 - (distance / cutoff) ** 2) ** 2
            turned = source @ turn.T
            laid = turned * stretch
            gap = self._bent(laid + shift, bend) - self.template[hit]
            normal = self._normals[hit]
            along = ((laid + shift)[:, 1] / self.radius) ** 2
            step = _solved(gap, normal, weight, turned, laid, stretch, along)
            turn = _turn(step[:3]) @ turn
            stretch, shift = stretch * np.exp(np.clip(step[3:6], -0.2, 0.2)), shift + step[6:9]
            bend = float(np.clip(bend + step[9], -MOST_BEND * self.radius, MOST_BEND * self.radius))
        matrix = stretched_matrix(turn, stretch, shift)
        return Pose(matrix, self._pairs(matrix)[2])

    def _bent(self, points: np.ndarray, bend: float) -> np.ndarray:
        """Points shifted along y by the square of their y: front and back stretched by different amounts."""
        out = points.copy()
        out[:, 1] += bend * (points[:, 1] / self.radius) ** 2
        return out

    def _unbent(self, points: np.ndarray, bend: float) -> np.ndarray:
        out = points.copy()
        for _ in range(3):
            out[:, 1] = points[:, 1] - bend * (out[:, 1] / self.radius) ** 2
        return out

    def _pairs(self, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        scale = abs(np.linalg.det(matrix[:3, :3])) ** (1 / 3)
        forth, to = self.tree.query(applied(matrix, self.points))
        back, of = self.own.query(applied(inverted(matrix), self.template))
        back = back * scale
        near = np.argsort(forth)[: int(KEEP_CLOUD * len(forth))]
        far = np.argsort(back)[: int(KEEP_TEMPLATE * len(back))]
        source = np.concatenate([self.points[near], self.points[of[far]]])
        target = np.concatenate([self.template[to[near]], self.template[far]])
        return source, target, float((forth[near].mean() + back[far].mean()) / 2 / self.radius)


def stretched_matrix(turn: np.ndarray, stretch: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """(4, 4) of a rotation, then a stretch along the axes, then a shift."""
    out = np.eye(4)
    out[:3, :3] = stretch[:, None] * turn
    out[:3, 3] = shift
    return out


def _solved(
    gap: np.ndarray, normal: np.ndarray, weight: np.ndarray, turned: np.ndarray, laid: np.ndarray, stretch: np.ndarray,
    along: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """The step (turn, log stretch, shift, bend) that closes gaps along normals, and by a little the gaps themselves."""

    def rows(direction: np.ndarray) -> np.ndarray:
        bend = (direction[:, 1] * along)[:, None]
        return np.concatenate([np.cross(turned, direction * stretch), direction * laid, direction, bend], axis=1)

    left, right = np.zeros((10, 10)), np.zeros(10)
    directions = [(normal, 1.0), *((np.broadcast_to(e, normal.shape), POINT_SHARE) for e in np.eye(3))]
    for direction, share in directions:
        jacobian = rows(direction)
        left += share * (jacobian * weight[:, None]).T @ jacobian
        right -= share * (jacobian * weight[:, None]).T @ (direction * gap).sum(axis=1)
    return np.linalg.solve(left + 1e-9 * np.trace(left) * np.eye(10), right)


def _turn(vector: np.ndarray) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    return Rotation.from_rotvec(vector).as_matrix()


def _starts(points: np.ndarray, template: np.ndarray, plane: Plane) -> list[np.ndarray]:
    """Poses that lay the plane on x = 0, either side up, at all pitches."""
    centre, goal = points.mean(axis=0), template.mean(axis=0)
    centre = centre - plane.distance(centre) * plane.normal
    goal = goal * np.array([0.0, 1, 1])
    size = np.linalg.norm(template - template.mean(axis=0), axis=1).mean()
    scale = size / np.linalg.norm(points - points.mean(axis=0), axis=1).mean()
    aside = np.eye(3)[np.abs(plane.normal).argmin()]
    out = []
    for sign in (1.0, -1.0):
        base = frame_matrix(sign * plane.normal, aside, np.zeros(3))[:3, :3]
        for pitch in np.arange(PITCHES) * 2 * np.pi / PITCHES:
            c, s = np.cos(pitch), np.sin(pitch)
            matrix = np.eye(4)
            matrix[:3, :3] = scale * np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ base
            matrix[:3, 3] = goal - matrix[:3, :3] @ centre
            out.append(matrix)
    return out


def _distinct(poses: list[Pose], count: int, apart_deg: float) -> list[Pose]:
    """The best so many that are at least so far apart, the best first."""
    out: list[Pose] = []
    for pose in sorted(poses, key=lambda pose: pose.residual):
        if np.isfinite(pose.residual) and all(turn_angle_deg(pose.matrix, o.matrix) > apart_deg for o in out):
            out.append(pose)
        if len(out) == count:
            break
    return out

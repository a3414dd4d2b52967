"""Best rigid, similar or affine map between paired points (Kabsch, Horn), and a check for points that do not belong."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ethomorph.core.errors import LabelError

Kind = Literal["rigid", "similarity", "affine"]
OUTLIER = 2.5
"""A point is an outlier this many robust standard deviations from where the others put it, and beyond `LEAST_SHARE`."""
LEAST_SHARE = 0.04
"""Share of the configuration's size below which no point is an outlier."""


def fit_map(
    source: np.ndarray, target: np.ndarray, kind: Kind = "rigid", weights: np.ndarray | None = None
) -> np.ndarray:
    """(4, 4) map from paired points (n, 3) to (n, 3) with least weighted squared distance; never a mirror image.

    Raises
    ------
    LabelError : fewer points than the map needs, or all on one line.
    """
    w = np.ones(len(source)) if weights is None else weights
    needed = 4 if kind == "affine" else 3
    if len(source) < needed:
        raise LabelError(f"{len(source)} points in common, a {kind} map needs {needed}", fix="give more landmarks")
    w = w / w.sum()
    a, b = w @ source, w @ target
    p, q = source - a, target - b
    out = np.eye(4)
    spread = np.linalg.svd(p * np.sqrt(w)[:, None], compute_uv=False)
    if spread[1] < 1e-6 * max(spread[0], 1e-300) or (kind == "affine" and spread[2] < 1e-6 * spread[0]):
        raise LabelError("the points lie on one line or plane and fix no pose", fix="add one beside it")
    if kind == "affine":
        linear = np.linalg.solve((p * w[:, None]).T @ p, (p * w[:, None]).T @ q).T
    else:
        u, s, vt = np.linalg.svd((p * w[:, None]).T @ q)
        flip = np.diag([1, 1, np.sign(np.linalg.det(vt.T @ u.T))])
        linear = vt.T @ flip @ u.T
        if kind == "similarity":
            linear = linear * float((s * np.diag(flip)).sum() / (w @ (p**2).sum(axis=1)))
    out[:3, :3] = linear
    out[:3, 3] = b - linear @ a
    return out


def applied(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(n, 3) points through a 4x4."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def without_outliers(source: np.ndarray, target: np.ndarray, kind: Kind = "rigid") -> tuple[np.ndarray, np.ndarray]:
    """The map of the points that agree, and (n,) bool which ones do.

    From every triple (or 300 of them) a map is made; the one with the least median distance tells the points that
    belong, which then make the map (least median of squares, Rousseeuw 1984). Every triple lies on itself, so the
    median is that of rank ``(n + 4) / 2``, and the spread is made larger by ``1 + 5 / (n - 3)`` for few points
    (Rousseeuw and Leroy 1987): of six landmarks, two ordinary ones must not be thrown out.
    """
    from itertools import combinations

    n = len(source)
    first = fit_map(source, target, kind)
    if n < 5:
        return first, np.ones(n, bool)
    triples = list(combinations(range(n), 3))
    if len(triples) > 300:
        chosen = np.random.default_rng(0).permutation(len(triples))[:300]
        triples = [triples[i] for i in chosen]
    best, least = first, np.inf
    for triple in triples:
        index = list(triple)
        try:
            trial = fit_map(source[index], target[index], "rigid")
        except LabelError:
            continue
        middle = _middle(np.linalg.norm(applied(trial, source) - target, axis=1))
        if middle < least:
            best, least = trial, middle
    keep = np.ones(n, bool)
    for _ in range(4):
        rest = np.linalg.norm(applied(best, source) - target, axis=1)
        size = float(np.linalg.norm(target - target.mean(axis=0), axis=1).max())
        limit = max(LEAST_SHARE * size, OUTLIER * 1.4826 * (1 + 5 / (n - 3)) * _middle(rest))
        keep = rest <= limit
        if keep.sum() < max(4, (n + 1) // 2):
            return first, np.ones(n, bool)
        best = fit_map(source[keep], target[keep], kind)
    return best, keep


def _middle(distances: np.ndarray) -> float:
    """The median beyond the three points that lie on their own map anyway."""
    return float(np.sort(distances)[(len(distances) + 4) // 2 - 1])


def turn_uncertainty_deg(source: np.ndarray, target: np.ndarray, kind: Kind = "rigid") -> float:
    """Expected error of the rotation fitted to paired points, in degrees, from what is left after the fit.

    ``s^2 (sum |p|^2 I - p p^T)^-1`` is the covariance of the turn about the points' middle, with ``s^2`` the squared
    residuals over their degrees of freedom; returned is the square root of its trace. Infinite where none are left.
    """
    freedom = 3 * len(source) - {"rigid": 6, "similarity": 7, "affine": 12}[kind]
    if freedom < 1:
        return float("inf")
    laid = applied(fit_map(source, target, kind), source)
    spread = float(((laid - target) ** 2).sum()) / freedom
    p = laid - laid.mean(axis=0)
    return float(np.rad2deg(np.sqrt(spread * np.trace(np.linalg.inv((p**2).sum() * np.eye(3) - p.T @ p)))))


def held_out_errors(source: np.ndarray, target: np.ndarray, kind: Kind = "rigid") -> np.ndarray:
    """(n,) mm: how far each point lies from where the map of all the *others* puts it (target registration error)."""
    errors = np.empty(len(source))
    for i in range(len(source)):
        others = np.arange(len(source)) != i
        trial = fit_map(source[others], target[others], kind)
        errors[i] = np.linalg.norm(applied(trial, source[i : i + 1])[0] - target[i])
    return errors


def turn_angle_deg(a: np.ndarray, b: np.ndarray | None = None) -> float:
    """Angle between two rotations (3x3, or the rotation in a 4x4): ``acos((tr(a b^T) - 1) / 2)``, numerically safe."""
    turn = nearest_rotation(a) @ (np.eye(3) if b is None else nearest_rotation(b)).T
    sine = np.linalg.norm([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]]) / 2
    return float(np.rad2deg(np.arctan2(sine, (np.trace(turn) - 1) / 2)))


def nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    """(3, 3) the rotation nearest to a linear map (polar decomposition)."""
    u, _, vt = np.linalg.svd(np.asarray(matrix, dtype=float)[:3, :3])
    return u @ np.diag([1, 1, np.sign(np.linalg.det(u @ vt))]) @ vt

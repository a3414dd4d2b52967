"""A head frame from named landmarks alone: pairs tell left from right, a front and a back point tell the pitch."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.spatial.pose import frame_matrix
from ethomorph.spatial.rigid import applied, fit_map, held_out_errors, turn_uncertainty_deg, without_outliers

_LEFT = re.compile(r"(?<![a-z])(left|l|sin)(?![a-z])|_left|left_|Left", re.I)
_RIGHT = re.compile(r"(?<![a-z])(right|r|dex)(?![a-z])|_right|right_|Right", re.I)
MIRRORED = 0.6
"""Landmarks fit the mirror image where its residual is below this share of the proper one."""


@dataclass(frozen=True)
class LandmarkPose:
    """A pose from landmarks.

    Attributes
    ----------
    matrix : (4, 4) rigid, scan to head.
    used : names that took part.
    outliers : names that did not fit the others.
    held_out_mm : for each used landmark, its distance from where the map of the others puts it.
    unsure_deg : expected error of the rotation, by what is left after the fit; None where it cannot be told.
    """

    matrix: np.ndarray
    used: list[str]
    outliers: list[str]
    held_out_mm: np.ndarray
    unsure_deg: float | None = None


def pose_by_reference(found: dict[str, np.ndarray], reference: dict[str, np.ndarray]) -> LandmarkPose:
    """The pose that lays landmarks on those of a template, of any size (Horn), without those that do not belong.

    Raises
    ------
    LabelError : under 4 names in common, all on a line, or left and right swapped.
    """
    names = [name for name in found if name in reference]
    if len(names) < 4:
        raise LabelError(
            f"{len(names)} landmarks have names that the template has too, 4 are needed",
            fix=f"the template's are {', '.join(list(reference)[:12])}",
        )
    source, target = (np.array([points[n] for n in names]) for points in (found, reference))
    matrix, keep = without_outliers(source, target, "similarity")
    refuse_mirrored(source[keep], target[keep])
    scale = np.cbrt(np.linalg.det(matrix[:3, :3]))
    rigid = np.eye(4)
    rigid[:3, :3] = matrix[:3, :3] / scale
    # the head frame's origin goes to its own place in the specimen, without the change of size
    origin = applied(np.linalg.inv(matrix), np.zeros((1, 3)))[0]
    rigid[:3, 3] = -rigid[:3, :3] @ origin
    apart = held_out_errors(source[keep], target[keep], "similarity") / scale if keep.sum() > 4 else np.array([])
    return LandmarkPose(
        rigid, [n for n, k in zip(names, keep, strict=True) if k],
        [n for n, k in zip(names, keep, strict=True) if not k], apart,
        turn_uncertainty_deg(source[keep], target[keep], "similarity"),
    )  # fmt: skip


def pose_by_pairs(
    found: dict[str, np.ndarray], *, origin: list[str], anterior: list[str], posterior: list[str] | None = None
) -> LandmarkPose:
    """The pose from left and right landmarks: the plane halves the pairs, y runs from `anterior` back.

    Parameters
    ----------
    origin : names whose middle is the frame's origin, such as both jaw joints.
    anterior : names whose middle lies in front, such as the snout's tip.
    posterior : names whose middle lies behind; the origin where left out.

    Raises
    ------
    LabelError : no pair, names that are not there, points that fix no frame.
    """
    pairs = paired_names(list(found))
    if not pairs:
        raise LabelError("no landmark has 'left' and a partner with 'right' in its name", fix="name the pairs so")
    left, right = (np.array([found[p[side]] for p in pairs]) for side in (0, 1))
    start, front = (middle_of(found, names) for names in (origin, anterior))
    behind = start if posterior is None else middle_of(found, posterior)
    middles = (left + right) / 2
    apart = (left - right) / np.linalg.norm(left - right, axis=1, keepdims=True)
    across = np.average(apart, axis=0, weights=np.linalg.norm(left - right, axis=1))
    if np.linalg.norm(across) < 0.5:
        raise LabelError("pairs of landmarks contradict each other about left and right", fix="check their names")
    back = behind - front
    if np.linalg.norm(np.cross(back, across)) < 1e-3 * np.linalg.norm(back) or not np.linalg.norm(back):
        raise LabelError("front and back lie on one line with left and right", fix="choose other points")
    plane_point = middles.mean(axis=0)
    x = across / np.linalg.norm(across)
    centre = start - ((start - plane_point) @ x) * x
    matrix = frame_matrix(across, back, centre)
    off = np.abs((middles - plane_point) @ x)
    limit = max(0.04 * float(np.linalg.norm(back)), 5 * float(np.median(off)))
    odd = [name for pair, d in zip(pairs, off, strict=True) for name in pair if d > limit]
    if odd and len(odd) // 2 < len(pairs) - 1:
        kept = {k: v for k, v in found.items() if k not in odd or k in (*origin, *anterior)}
        again = pose_by_pairs(kept, origin=origin, anterior=anterior, posterior=posterior)
        return LandmarkPose(
            again.matrix, again.used, [*again.outliers, *(n for n in odd if n not in kept)], again.held_out_mm
        )
    used = sorted({n for p in pairs for n in p} | set(origin) | set(anterior))
    return LandmarkPose(matrix, used, [], np.array([]))


def paired_names(names: list[str]) -> list[tuple[str, str]]:
    """Names that differ by left and right, (left, right).

    >>> paired_names(["jaw_joint_left", "jaw_joint_right", "snout_tip", "L orbit", "R orbit"])
    [('jaw_joint_left', 'jaw_joint_right'), ('L orbit', 'R orbit')]
    """
    by_stem = {_RIGHT.sub("#", n): n for n in names if _RIGHT.search(n) and not _LEFT.search(n)}
    out = []
    for name in names:
        if _LEFT.search(name) and not _RIGHT.search(name):
            partner = by_stem.get(_LEFT.sub("#", name))
            if partner:
                out.append((name, partner))
    return out


def middle_of(found: dict[str, np.ndarray], names: list[str]) -> np.ndarray:
    """(3,) mean of landmarks; LabelError for a name that is not there."""
    missing = next((n for n in names if n not in found), None)
    if missing is not None or not names:
        raise LabelError(f"no landmark {missing!r}", fix=f"the landmarks are {', '.join(list(found)[:20])}")
    return np.mean([found[n] for n in names], axis=0)


def refuse_mirrored(source: np.ndarray, target: np.ndarray) -> None:
    """Raise LabelError where landmarks fit the template's mirror image much better than the template."""
    flip = np.diag([-1.0, 1, 1])

    def rest(points: np.ndarray) -> float:
        return float(np.linalg.norm(applied(fit_map(points, target, "similarity"), points) - target, axis=1).mean())

    proper, mirrored = rest(source), rest(source @ flip)
    size = float(np.linalg.norm(target - target.mean(axis=0), axis=1).mean())
    if mirrored < MIRRORED * proper and proper > 0.05 * size:
        raise LabelError(
            f"left and right are swapped: the landmarks fit the mirror image ({mirrored:.3g} mm) and not the template "
            f"({proper:.3g} mm)",
            fix="check the landmarks' names, and whether one file is RAS and called LPS",
        )

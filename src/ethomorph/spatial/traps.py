"""Landmarks that are not where they say: RAS called LPS, voxel indices called mm. Named, never passed through."""

from __future__ import annotations

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.core.grid import Grid

NEAR_SHARE = 0.05
"""Landmarks may lie outside of a volume by this share of its size."""


def refuse_elsewhere(points: np.ndarray, grid: Grid, *, place: str = "") -> None:
    """Raise LabelError unless (n, 3) landmarks lie in the volume, saying as what they would.

    Raises
    ------
    LabelError : most of them lie outside, or all within a voxel.
    """
    points = points[np.isfinite(points).all(axis=1)]
    # landmarks in metres shrink to a point, which may lie in the volume when its origin does
    shrunk = len(points) >= 3 and float(np.ptp(points, axis=0).max()) < min(grid.spacing)
    if not len(points) or (share_inside(points, grid) >= 0.5 and not shrunk):
        return
    as_ras = points * np.array([-1.0, -1.0, 1.0])
    readings = {
        "RAS, with x and y the other way round: convert them with x and y negated": as_ras,
        "voxel indices, not millimetres: multiply them by the spacing": grid.to_lps(np.abs(points)),
        "millimetres from the volume's corner, not from the scanner's origin": points + np.array(grid.origin),
        "metres: multiply them by 1000": points * 1000,
        "micrometres: multiply them by 0.001": points / 1000,
    }
    fitting = [words for words, moved in readings.items() if share_inside(moved, grid) >= 0.9]
    low, high = points.min(axis=0), points.max(axis=0)
    likely = f"they would lie inside if they were {', or '.join(fitting)}"
    what = "all landmarks lie within a voxel" if shrunk else "landmarks lie outside of the volume"
    raise LabelError(
        f"{what}: they reach from ({_three(low)}) to ({_three(high)}) mm, the volume from "
        f"({_three(grid.corners.min(axis=0))}) to ({_three(grid.corners.max(axis=0))}) mm LPS",
        place=place,
        fix=likely if fitting else "give the landmarks of this volume",
    )


def share_inside(points: np.ndarray, grid: Grid) -> float:
    """Share of (n, 3) points inside a volume, or beside it by no more than `NEAR_SHARE`."""
    index = grid.to_index(points)
    count = np.array(grid.shape[::-1])
    margin = NEAR_SHARE * count
    return float(((index >= -margin) & (index <= count - 1 + margin)).all(axis=1).mean())


def _three(point: np.ndarray) -> str:
    return ", ".join(f"{v:.4g}" for v in point)

"""From poses to motion: gaps filled and tracks smoothed, then speed, heading, angles and distances, a row a frame.

Also written as NetCDF in the layout of the package movement, so that its tools go on from here. Coordinates are px;
seconds come from the frame rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ethomorph.core.errors import LabelError, MissingPart
from ethomorph.core.files import atomic_path
from ethomorph.keypoints.pose.data import Scheme, centre_of, scheme_of
from ethomorph.keypoints.pose.table import tables_of


@dataclass
class Motion:
    """Every animal's nodes over time.

    Attributes
    ----------
    points : (frames, animals, nodes, 2) px, NaN where not known.
    scores : (frames, animals, nodes).
    names : of the animals.
    start : number of the first frame.
    fps : frames a second.
    """

    points: np.ndarray
    scores: np.ndarray
    names: list[str]
    scheme: Scheme
    start: int
    fps: float


def read_motion(labels: str | Path, *, fps: float, least_score: float = 0.0, video: int = 0) -> Motion:
    """The poses of one video of a label file; instances without a track are numbered within their frame."""
    from ethomorph.formats.poses import read_poses

    read, _ = read_poses(labels)
    tables, names = tables_of(read)
    scheme = scheme_of(read)
    if not len(tables[video]):
        raise LabelError("no animal in it", place=labels, fix="predict or label first")
    table = tables[video]
    tracks = table.tracks.astype(int).copy()
    for _, rows in table.by_frame():
        loose = rows[tracks[rows] < 0]
        tracks[loose] = len(names) + np.arange(len(loose))
    used = np.unique(tracks)
    names = [*names, *(f"animal {i + 1}" for i in range(max(0, int(used.max()) + 1 - len(names))))]
    place = {int(track): i for i, track in enumerate(used)}
    count = table.stop - table.start
    points = np.full((count, len(used), len(scheme), 2), np.nan)
    scores = np.zeros((count, len(used), len(scheme)))
    at = (table.frames - table.start, np.array([place[int(t)] for t in tracks]))
    points[at], scores[at] = table.points, table.scores
    points[scores < least_score] = np.nan
    return Motion(points, scores, [names[int(t)] for t in used], scheme, table.start, fps)


def filled(points: np.ndarray, longest: int) -> np.ndarray:
    """Gaps of at most `longest` frames filled linearly along the first axis; longer ones and ends stay open.

    >>> filled(np.array([0.0, np.nan, 2.0, np.nan, np.nan, 5.0]), 1).tolist()
    [0.0, 1.0, 2.0, nan, nan, 5.0]
    """
    flat = points.reshape(len(points), -1).copy()
    frames = np.arange(len(flat))
    for column in flat.T:
        known = np.isfinite(column)
        if known.sum() < 2:
            continue
        seen = frames[known]
        after = np.searchsorted(seen, frames)
        inside = (after > 0) & (after < len(seen)) & ~known
        width = seen[np.minimum(after, len(seen) - 1)] - seen[np.maximum(after - 1, 0)] - 1
        fill = inside & (width <= longest)
        column[fill] = np.interp(frames[fill], seen, column[known])
    return flat.reshape(points.shape)


def smoothed(points: np.ndarray, window: int) -> np.ndarray:
    """Savitzky-Golay smoothing (order 2) over `window` frames along the first axis; gaps stay gaps.

    Each unbroken stretch is smoothed by itself; one shorter than the window stays as it is.
    """
    if window < 3:
        return points
    from scipy.signal import savgol_filter

    window += 1 - window % 2
    flat = points.reshape(len(points), -1).copy()
    for column in flat.T:
        known = np.isfinite(column).astype(int)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], known, [0]])))
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            if stop - start >= window:
                column[start:stop] = savgol_filter(column[start:stop], window, 2)
    return flat.reshape(points.shape)


def kinematics_table(
    motion: Motion, *, front: str = "", back: str = "", angles: Sequence[tuple[str, str, str]] = (),
    mm_per_px: float | None = None,
) -> pd.DataFrame:  # fmt: skip
    """A row an animal and frame.

    Parameters
    ----------
    front, back : nodes that heading runs to and from; the first and last of the skeleton where left out.
    angles : (a, b, c): the angle at b between a and c.
    mm_per_px : adds columns in mm.

    Returns
    -------
    frame, time_s, animal, x_px, y_px (middle), speed_px_s, heading_deg (0 to the right, growing clockwise on screen),
    turn_deg_s, length_px, ``angle_..._deg``, nearest (animal) and nearest_px where there are several.
    """
    names = motion.scheme.names
    for node in [front, back, *(n for three in angles for n in three)]:
        if node and node not in names:
            raise LabelError(f"no node {node!r}", fix=f"the nodes are {', '.join(names)}")
    head, tail = names.index(front or names[0]), names.index(back or names[-1])
    points = motion.points
    middle = centre_of(points, None)
    speed = np.linalg.norm(gradient(middle), axis=-1) * motion.fps
    along = points[:, :, head] - points[:, :, tail]
    heading = np.degrees(np.arctan2(along[..., 1], along[..., 0]))
    turn = ((gradient(heading[..., None], circular=True))[..., 0]) * motion.fps
    frames, animals = points.shape[:2]
    columns: dict[str, Any] = {
        "frame": np.repeat(np.arange(frames) + motion.start, animals),
        "time_s": np.repeat((np.arange(frames) + motion.start) / motion.fps, animals),
        "animal": np.tile(motion.names, frames),
        "x_px": middle[..., 0].ravel(), "y_px": middle[..., 1].ravel(), "speed_px_s": speed.ravel(),
        "heading_deg": heading.ravel(), "turn_deg_s": turn.ravel(),
        "length_px": np.linalg.norm(along, axis=-1).ravel(),
    }  # fmt: skip
    for a, b, c in angles:
        one = points[:, :, names.index(a)] - points[:, :, names.index(b)]
        other = points[:, :, names.index(c)] - points[:, :, names.index(b)]
        columns[f"angle_{a}_{b}_{c}_deg"] = angle_between(one, other).ravel()
    if animals > 1:
        away = np.linalg.norm(middle[:, :, None] - middle[:, None], axis=-1)
        away[:, np.arange(animals), np.arange(animals)] = np.nan
        none = ~np.isfinite(away).any(2)
        nearest = np.where(np.isfinite(away), away, np.inf).argmin(2)
        columns["nearest"] = np.where(none, "", np.array(motion.names)[nearest]).ravel()
        columns["nearest_px"] = np.where(none, np.nan, np.where(np.isfinite(away), away, np.inf).min(2)).ravel()
    if mm_per_px is not None:
        for name in [n for n in columns if n.endswith(("_px", "_px_s"))]:
            columns[name.replace("_px", "_mm")] = columns[name] * mm_per_px
    return pd.DataFrame(columns)


def gradient(values: np.ndarray, *, circular: bool = False) -> np.ndarray:
    """Change a frame along the first axis, by central differences, one-sided beside gaps; `circular` in degrees."""
    step = np.diff(values, axis=0)
    if circular:
        step = (step + 180) % 360 - 180
    edge = np.full((1, *values.shape[1:]), np.nan)
    before, after = np.concatenate([edge, step]), np.concatenate([step, edge])
    both = np.stack([before, after])
    known = np.isfinite(both)
    total = np.where(known, both, 0).sum(0)
    return np.where(known.any(0) & np.isfinite(values), total / np.maximum(known.sum(0), 1), np.nan)


def angle_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angle in degrees, 0 to 180, between vectors (..., 2).

    >>> round(float(angle_between(np.array([1.0, 0.0]), np.array([0.0, 2.0]))), 6)
    90.0
    """
    cross = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return np.degrees(np.abs(np.arctan2(cross, (a * b).sum(-1))))


def write_movement(motion: Motion, path: str | Path) -> Path:
    """Write NetCDF that ``movement`` opens: position and confidence over time, space, keypoints, individuals.

    Raises
    ------
    MissingPart : xarray and h5netcdf are not installed.
    """
    try:
        import h5netcdf  # noqa: F401
        import xarray
    except ImportError as error:
        raise MissingPart("xarray and h5netcdf are not installed", fix="pip install 'ethomorph[movement]'") from error
    data = xarray.Dataset(
        {
            "position": (("time", "space", "keypoints", "individuals"), motion.points.transpose(0, 3, 2, 1)),
            "confidence": (("time", "keypoints", "individuals"), motion.scores.transpose(0, 2, 1)),
        },
        coords={
            "time": (np.arange(len(motion.points)) + motion.start) / motion.fps,
            "space": ["x", "y"],
            "keypoints": list(motion.scheme.names),
            "individuals": [name.replace(" ", "_") for name in motion.names],
        },
        attrs={"fps": motion.fps, "time_unit": "seconds", "source_software": "ethomorph", "ds_type": "poses"},
    )
    with atomic_path(path) as temporary:
        data.to_netcdf(temporary, engine="h5netcdf")
    return Path(path)

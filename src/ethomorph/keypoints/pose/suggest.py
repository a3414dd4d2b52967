"""Which frames to label next: where the model is unsure, where motion is odd, and frames unlike each other.

The answer is a label file whose suggestions SLEAP's labelling window opens; predictions go along as a start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ethomorph.core.errors import InputError
from ethomorph.formats.video import Film
from ethomorph.keypoints.pose.data import centre_of
from ethomorph.keypoints.pose.oks import lengths
from ethomorph.keypoints.pose.table import PoseTable

THUMB = 16
"""Side in px of the small grey pictures by which frames are compared."""
POOL = 400
"""Frames at most that are compared with each other."""


@dataclass
class Suggestion:
    """A frame worth labelling, and why in a few words."""

    frame: int
    reason: str
    worth: float


def uncertainty(table: PoseTable, expected: int) -> np.ndarray:
    """(frames,) 0 to 1: one minus the mean node confidence, and for each animal that is missing a whole share."""
    count = table.stop - table.start
    total = np.zeros(count)
    np.add.at(total, table.frames - table.start, table.scores.mean(1) if len(table) else np.zeros(0))
    return 1 - np.clip(total / max(1, expected), 0, 1)


def jumps(table: PoseTable) -> np.ndarray:
    """(frames,) how far, in animal lengths, the nearest animal of the frame before is from each animal, at most."""
    count = table.stop - table.start
    found = np.zeros(count)
    typical = float(np.median(lengths(table.points.astype(float)))) if len(table) else 1.0
    before: np.ndarray | None = None
    for frame, rows in table.by_frame():
        middles = centre_of(table.points[rows].astype(float), None) if len(rows) else np.empty((0, 2))
        if before is not None and len(before) and len(middles):
            away = np.linalg.norm(middles[:, None] - before[None], axis=-1).min(1)
            found[frame - table.start] = float(away.max()) / max(typical, 1.0)
        if len(middles):
            before = middles
    return found


def suggest(
    table: PoseTable, film: Film, count: int, *, expected: int = 1, labelled: Sequence[int] = (), apart: int = 10
) -> list[Suggestion]:
    """Frames to label, the most useful first.

    Half of the worth is uncertainty, a quarter odd motion (a jump by more than the video's 99th percentile counts in
    full); among the worthiest, frames are taken greedily farthest from those taken already by their small pictures.

    Parameters
    ----------
    expected : animals in a frame.
    labelled : frames that are labelled already.
    apart : least distance between suggestions, in frames.

    Raises
    ------
    InputError : nothing was predicted in any frame that could be suggested.
    """
    unsure, jump = uncertainty(table, expected), jumps(table)
    limit = max(float(np.percentile(jump, 99)), 1e-6) if len(jump) else 1.0
    odd = np.clip(jump / limit, 0, 1)
    worth = 0.5 * unsure + 0.25 * odd
    near = [f for f in labelled if table.start <= f < table.stop]
    for frame in near:
        worth[max(0, frame - table.start - apart) : frame - table.start + apart + 1] = -1
    order = [int(i) for i in np.argsort(-worth, kind="stable") if worth[i] >= 0]
    if not order:
        raise InputError("no frame is left to suggest", place=film.name, fix="give a longer video")
    pool: list[int] = []
    for index in order:
        if all(abs(index - other) >= apart for other in pool):
            pool.append(index)
        if len(pool) >= min(POOL, 8 * count):
            break
    seen = {index: thumb(film, table.start + index) for index in [*pool, *(f - table.start for f in near)]}
    taken = [f - table.start for f in near]
    chosen: list[Suggestion] = []
    while pool and len(chosen) < count:
        unlike = np.array([min([1.0, *(float(np.abs(seen[i] - seen[t]).mean()) * 8 for t in taken)]) for i in pool])
        best = int(np.argmax(worth[pool] + 0.25 * unlike))
        index = pool.pop(best)
        taken.append(index)
        parts = {"unsure": unsure[index], "jumps": odd[index] if odd[index] > 0.9 else 0.0, "unlike": unlike[best]}
        reason = ", ".join(f"{name} {value:.2f}" for name, value in parts.items() if value > 0.05)
        chosen.append(Suggestion(table.start + index, reason, float(worth[index] + 0.25 * unlike[best])))
    return chosen


def thumb(film: Film, frame: int) -> np.ndarray:
    """A frame as a small grey picture in 0..1; zeros where it cannot be decoded."""
    pixels = film.frame(frame, grey=True)
    if pixels is None:
        return np.zeros((THUMB, THUMB), np.float32)
    return cv2.resize(pixels, (THUMB, THUMB), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def write_suggestions(
    labels: str | Path, film: Film, target: str | Path, count: int, *, expected: int = 0
) -> list[Suggestion]:
    """Suggest frames of a predicted video and write them, with their predictions, as a ``.slp`` for SLEAP."""
    import sleap_io

    from ethomorph.formats.poses import read_poses, write_poses
    from ethomorph.keypoints.pose.predict import name_of
    from ethomorph.keypoints.pose.render import video_of
    from ethomorph.keypoints.pose.table import tables_of

    read, _ = read_poses(labels)
    at = video_of(read, film)
    table = tables_of(read)[0][at]
    per_frame = np.bincount(table.frames - table.start) if len(table) else np.zeros(1, int)
    chosen = suggest(
        table, film, count, expected=expected or int(np.median(per_frame[per_frame > 0])) if len(table) else 1
    )
    wanted = {one.frame for one in chosen}
    video = read.videos[at]
    video.filename = name_of(film)
    frames = [f for f in read.labeled_frames if f.video is video and f.frame_idx in wanted]
    kept = sleap_io.Labels(frames, [video], read.skeletons, read.tracks)
    kept.suggestions = [sleap_io.SuggestionFrame(video=video, frame_idx=one.frame) for one in chosen]
    write_poses(kept, target)
    return chosen

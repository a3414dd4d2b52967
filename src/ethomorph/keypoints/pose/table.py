"""`PoseTable`: what was found in a stretch of a video, as plain arrays, a row an animal in a frame.

A million animals fit where a million objects would not. Labels are made of it for short videos; long ones are written
from tables, see `ethomorph.formats.slp_tables`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ethomorph.keypoints.pose.data import Scheme
from ethomorph.keypoints.pose.decode import FoundPose

if TYPE_CHECKING:
    import sleap_io


@dataclass
class PoseTable:
    """Animals found in frames ``start`` to ``stop`` of one video.

    Attributes
    ----------
    frames : (n,) frame of each row, ascending.
    points : (n, nodes, 2) float32 px, NaN where not given.
    scores : (n, nodes) float32 confidence in 0..1.
    score : (n,) float32 of the animal.
    tracks : (n,) number of the track, -1 where none.
    start, stop : frames that were looked at; frames without an animal have no row.
    lost : frames that could not be decoded.
    """

    frames: np.ndarray
    points: np.ndarray
    scores: np.ndarray
    score: np.ndarray
    tracks: np.ndarray
    start: int
    stop: int
    lost: np.ndarray

    def __len__(self) -> int:
        return len(self.frames)

    @classmethod
    def of(cls, found: Sequence[tuple[int, list[FoundPose] | None]], nodes: int, start: int) -> PoseTable:
        """A table of consecutive frames; None marks one that could not be decoded."""
        rows = [(index, animal) for index, animals in found for animal in animals or ()]
        lost = [index for index, animals in found if animals is None]
        return cls(
            np.array([index for index, _ in rows], dtype=np.int64),
            np.array([a.points for _, a in rows], dtype=np.float32).reshape(-1, nodes, 2),
            np.array([a.scores for _, a in rows], dtype=np.float32).reshape(-1, nodes),
            np.array([a.score for _, a in rows], dtype=np.float32),
            np.full(len(rows), -1, dtype=np.int32),
            start,
            start + len(found),
            np.array(lost, dtype=np.int64),
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything as arrays, for saving."""
        whole = {name: getattr(self, name) for name in ("frames", "points", "scores", "score", "tracks", "lost")}
        return whole | {"span": np.array([self.start, self.stop])}

    @classmethod
    def from_arrays(cls, arrays: Any) -> PoseTable:
        start, stop = (int(v) for v in arrays["span"])
        whole = {name: arrays[name] for name in ("frames", "points", "scores", "score", "tracks", "lost")}
        return cls(**whole, start=start, stop=stop)

    def by_frame(self) -> Iterable[tuple[int, np.ndarray]]:
        """Every frame from start to stop with its rows."""
        edges = np.searchsorted(self.frames, np.arange(self.start, self.stop + 1))
        for frame in range(self.start, self.stop):
            yield frame, np.arange(edges[frame - self.start], edges[frame - self.start + 1])


def concatenate(tables: Sequence[PoseTable]) -> PoseTable:
    """Tables of stretches that follow each other as one."""
    names = ("frames", "points", "scores", "score", "tracks", "lost")
    whole = {name: np.concatenate([getattr(table, name) for table in tables]) for name in names}
    return PoseTable(**whole, start=tables[0].start, stop=tables[-1].stop)


def labels_of(
    tables: Sequence[PoseTable], videos: Sequence[sleap_io.Video], scheme: Scheme, names: Sequence[str] = ()
) -> sleap_io.Labels:
    """Labels with a frame for every frame that was looked at, a video a table; for videos of moderate length.

    Parameters
    ----------
    names : of the tracks.
    """
    import sleap_io

    from ethomorph.formats.poses import instance_of

    skeleton = scheme.skeleton()
    tracks = [sleap_io.Track(name) for name in names]
    frames = []
    for table, video in zip(tables, videos, strict=True):
        for index, rows in table.by_frame():
            instances = []
            for row in rows:
                track = tracks[table.tracks[row]] if table.tracks[row] >= 0 else None
                score = float(table.score[row])
                instances.append(instance_of(table.points[row], table.scores[row], skeleton, track, score=score))
            frames.append(sleap_io.LabeledFrame(video=video, frame_idx=index, instances=instances))
    return sleap_io.Labels(frames, list(videos), [skeleton], tracks)


def tables_of(labels: sleap_io.Labels) -> tuple[list[PoseTable], list[str]]:
    """A table for each video of labels, and the names of the tracks. Labelled instances have score 1."""
    import sleap_io

    track_at = {id(track): i for i, track in enumerate(labels.tracks)}
    nodes = len(labels.skeletons[0].nodes)
    tables = []
    for video in labels.videos:
        mine = sorted((f for f in labels.labeled_frames if f.video is video), key=lambda f: f.frame_idx)
        rows = [(int(frame.frame_idx), one) for frame in mine for one in frame.instances]
        points = np.array([np.asarray(one.numpy())[:, :2] for _, one in rows], dtype=np.float32).reshape(-1, nodes, 2)
        seen = np.isfinite(points).all(-1)
        scores: Any = seen.astype(np.float32)
        score: Any = np.ones(len(rows), np.float32)
        for i, (_, one) in enumerate(rows):
            if isinstance(one, sleap_io.PredictedInstance):
                scores[i], score[i] = np.nan_to_num(one.points["score"]), one.score or 0.0
        tracks = [track_at.get(id(one.track), -1) if one.track is not None else -1 for _, one in rows]
        start = int(mine[0].frame_idx) if mine else 0
        stop = int(mine[-1].frame_idx) + 1 if mine else 0
        tables.append(
            PoseTable(
                np.array([index for index, _ in rows], dtype=np.int64), points, scores, score,
                np.array(tracks, dtype=np.int32), start, stop, np.empty(0, np.int64),
            )
        )  # fmt: skip
    return tables, [track.name for track in labels.tracks]

"""A SLEAP file of predictions written from arrays, piece by piece, so that a day of video needs no more memory than an
hour. The layout is whatever sleap-io writes: a small file by it is the model, whose data sets are then filled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ethomorph.core.files import atomic_path

if TYPE_CHECKING:
    import sleap_io


class Rows(Protocol):
    """A stretch of frames; see `ethomorph.keypoints.pose.table.PoseTable`."""

    frames: np.ndarray
    points: np.ndarray
    scores: np.ndarray
    score: np.ndarray
    tracks: np.ndarray
    start: int
    stop: int


def write_slp_tables(
    path: str | Path, tables: Iterable[tuple[int, Rows]], videos: Sequence[sleap_io.Video],
    skeleton: sleap_io.Skeleton, tracks: Sequence[str] = (),
) -> dict[str, int]:  # fmt: skip
    """Write predictions; every frame that was looked at gets a row, also without an animal.

    Parameters
    ----------
    tables : (number of the video, stretch) in order; each is let go of before the next is asked for.
    tracks : names of the tracks by number.

    Returns
    -------
    ``frames`` and ``instances`` written.
    """
    import h5py
    import sleap_io

    counts = {"frames": 0, "instances": 0, "points": 0}
    with atomic_path(path) as temporary:
        temporary.unlink()
        names = [sleap_io.Track(name) for name in tracks]
        model = sleap_io.PredictedInstance.from_numpy(
            np.ones((len(skeleton.nodes), 2)), skeleton=skeleton, point_scores=np.ones(len(skeleton.nodes)), score=1.0,
            track=names[0] if names else None,
        )  # fmt: skip
        frame = sleap_io.LabeledFrame(video=videos[0], frame_idx=0, instances=[model])
        labels = sleap_io.Labels([frame], list(videos), [skeleton], names)
        sleap_io.save_slp(labels, str(temporary), embed=False, verbose=False)
        with h5py.File(temporary, "r+") as file:
            kinds = {name: file[name].dtype for name in ("frames", "instances", "pred_points")}
            models = {name: file[name][:1] for name in kinds}
            for name, kind in kinds.items():
                del file[name]
                file.create_dataset(name, shape=(0,), maxshape=(None,), dtype=kind, chunks=(4096,), compression="lzf")
            for video, table in tables:
                _append(file, models, video, table, counts)
    return {"frames": counts["frames"], "instances": counts["instances"]}


def _append(file: Any, models: dict[str, np.ndarray], video: int, table: Rows, counts: dict[str, int]) -> None:
    numbers = np.arange(table.start, table.stop)
    first = np.searchsorted(table.frames, numbers)
    last = np.searchsorted(table.frames, numbers, side="right")
    frames = np.repeat(models["frames"], len(numbers))
    frames["frame_id"] = counts["frames"] + np.arange(len(numbers))
    frames["video"] = video
    frames["frame_idx"] = numbers
    frames["instance_id_start"], frames["instance_id_end"] = counts["instances"] + first, counts["instances"] + last
    animals, nodes = table.points.shape[:2]
    instances = np.repeat(models["instances"], animals)
    instances["instance_id"] = counts["instances"] + np.arange(animals)
    instances["frame_id"] = counts["frames"] + (table.frames - table.start)
    instances["track"] = table.tracks
    instances["score"] = table.score
    instances["point_id_start"] = counts["points"] + nodes * np.arange(animals)
    instances["point_id_end"] = instances["point_id_start"] + nodes
    points = np.repeat(models["pred_points"], animals * nodes)
    flat = table.points.reshape(-1, 2).astype(float)
    points["x"], points["y"] = flat[:, 0], flat[:, 1]
    points["visible"] = np.isfinite(flat).all(axis=1)
    points["score"] = table.scores.ravel()
    for name, rows in (("frames", frames), ("instances", instances), ("pred_points", points)):
        data = file[name]
        size = len(data)
        data.resize((size + len(rows),))
        data[size:] = rows
    counts["frames"] += len(numbers)
    counts["instances"] += animals
    counts["points"] += animals * nodes

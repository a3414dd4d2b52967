"""Poses written as NWB (Neurodata Without Borders) with the ndx-pose extension: a series a node, a row a frame.

Frames without an animal keep their rows, as NaN with confidence 0, so that every series is aligned with the video by
its rate alone. Reading is sleap-io's.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ethomorph.core.errors import MissingPart
from ethomorph.core.files import atomic_path

if TYPE_CHECKING:
    import sleap_io

REFERENCE = "px from the centre of the top left pixel, x to the right, y down"
UNKNOWN_RATE = 1.0
"""Frames a second where the video is not there to ask: the times are then frame numbers."""


def write_nwb(labels: sleap_io.Labels, path: Path) -> list[str]:
    """Write tracked poses; returns what had to be decided, one sentence each.

    Raises
    ------
    MissingPart : pynwb or ndx-pose is not installed.
    """
    try:
        from ndx_pose import PoseEstimation, PoseEstimationSeries, Skeleton, Skeletons
        from pynwb import NWBHDF5IO, NWBFile
    except ImportError as error:
        raise MissingPart("pynwb and ndx-pose are not installed", fix="pip install pynwb ndx-pose") from error
    skeleton = labels.skeletons[0]
    names = [str(node) for node in skeleton.node_names]
    edges = np.array(skeleton.edge_inds, dtype="uint8").reshape(-1, 2)
    shared = Skeleton(name=skeleton.name or "animal", nodes=names, edges=edges)
    # when a video was filmed is not known here; NWB wants some moment
    file = NWBFile(
        session_description="animal poses", identifier=str(uuid.uuid4()),
        session_start_time=datetime(1970, 1, 1, tzinfo=UTC), source_script="ethomorph", source_script_file_name="",
    )  # fmt: skip
    notes = ["NWB does not hold symmetries, and asks for a time of recording: 1970-01-01 was written"]
    file.create_processing_module(name="behavior", description="skeletons").add(Skeletons(skeletons=[shared]))
    for number, video in enumerate(labels.videos):
        rate, known = rate_of(video)
        if not known:
            notes.append(f"{name_of(video)} is not there: its times are frame numbers")
        module = file.create_processing_module(name=f"SLEAP_VIDEO_{number:03d}_{name_of(video)}", description="poses")
        for place, (points, scores) in enumerate(series(labels, video, len(names))):
            every = [
                PoseEstimationSeries(
                    name=name, description=f"places of {name}", data=points[:, i], unit="pixels",
                    reference_frame=REFERENCE, rate=rate, starting_time=0.0, confidence=scores[:, i],
                    confidence_definition="of the network, 0 to 1; 1 for labels by hand",
                )
                for i, name in enumerate(names)
            ]  # fmt: skip
            estimation: Any = PoseEstimation(
                name=f"track{place}", pose_estimation_series=every, skeleton=shared,
                description=labels.tracks[place].name if labels.tracks else "animal", scorer="ethomorph",
                original_videos=[filename_of(video)], source_software="ethomorph",
            )  # fmt: skip
            module.add(estimation)
    with atomic_path(path) as temporary, NWBHDF5IO(str(temporary), "w") as io:
        io.write(file)
    return notes


def series(labels: sleap_io.Labels, video: sleap_io.Video, nodes: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Points (frames, nodes, 2) and confidence (frames, nodes) of each track; one for all where there are no tracks."""
    frames = [frame for frame in labels.labeled_frames if frame.video is video]
    count = max((int(frame.frame_idx) + 1 for frame in frames), default=0)
    place = {id(track): i for i, track in enumerate(labels.tracks)}
    points = np.full((max(1, len(place)), count, nodes, 2), np.nan, np.float32)
    scores = np.zeros(points.shape[:3], np.float32)
    for frame in frames:
        for instance in frame.instances:
            row = place.get(id(instance.track), 0), int(frame.frame_idx)
            points[row] = instance.numpy()[:, :2]
            given = instance.points["score"] if hasattr(instance, "score") else np.ones(nodes)
            scores[row] = np.where(np.isfinite(points[row]).all(-1), given, 0.0)
    return list(zip(points, scores, strict=True))


def rate_of(video: sleap_io.Video) -> tuple[float, bool]:
    """Frames a second of a video, and whether that is known."""
    from ethomorph.core.errors import InputError
    from ethomorph.formats.video import open_film

    if isinstance(video.filename, list) or not Path(str(video.filename)).is_file():
        return UNKNOWN_RATE, False
    try:
        return float(open_film(str(video.filename)).fps), True
    except InputError:
        return UNKNOWN_RATE, False


def filename_of(video: sleap_io.Video) -> str:
    """The video's path, of pictures that of the first."""
    return str(video.filename[0] if isinstance(video.filename, list) else video.filename)


def name_of(video: sleap_io.Video) -> str:
    """The last part of a video's name, of letters that NWB allows."""
    return Path(filename_of(video)).stem.replace("/", "_").replace(":", "_")

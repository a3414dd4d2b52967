"""Truth and prediction, frame by frame: the one thing that every score is computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.keypoints.pose.data import LabelledFrame, Scheme, labelled_frames, scheme_of

if TYPE_CHECKING:
    import sleap_io

    from ethomorph.keypoints.pose.decode import FoundPose


@dataclass
class ScoredFrame:
    """A labelled frame beside what was predicted in it.

    Attributes
    ----------
    name : how messages and tables call it.
    group : its unit of independence.
    truth : (animals, nodes, 2) px, NaN where hidden.
    predicted : (found, nodes, 2) px, NaN where not given; None where the prediction does not know the frame at all.
    scores : (found,) of the predicted animals.
    tracks, predicted_tracks : names, "" where there is none.
    """

    name: str
    group: str
    truth: np.ndarray
    predicted: np.ndarray | None
    scores: np.ndarray
    tracks: list[str] = field(default_factory=list)
    predicted_tracks: list[str] = field(default_factory=list)

    @property
    def found(self) -> np.ndarray:
        """The predictions, none where the frame is absent."""
        return np.empty((0, *self.truth.shape[1:])) if self.predicted is None else self.predicted


def scored_frames(
    frames: Sequence[LabelledFrame],
    found: Sequence[list[FoundPose] | None],
    names: Sequence[str],
    groups: Sequence[str],
) -> list[ScoredFrame]:
    """Labelled frames beside the animals that a model found in each."""
    rows = []
    for frame, animals, name, group in zip(frames, found, names, groups, strict=True):
        nodes = frame.points.shape[1]
        points = None if animals is None else np.array([a.points for a in animals], dtype=float).reshape(-1, nodes, 2)
        scores = np.array([a.score for a in animals or []], dtype=float)
        rows.append(ScoredFrame(name, group, frame.points, points, scores, frame.tracks))
    return rows


def paired_labels(
    truth: sleap_io.Labels, predicted: sleap_io.Labels, *, blocks: int = 20
) -> tuple[list[ScoredFrame], Scheme]:
    """Every labelled frame of `truth` beside the frame of `predicted` with the same video and number.

    Videos are paired by the last part of their names, one with one whatever its name. Nodes are paired by name. Groups
    are videos, or where there is one, `blocks` stretches of it.

    Raises
    ------
    LabelError : a node that the prediction does not have, or videos that cannot be told apart.
    """
    scheme, other = scheme_of(truth), scheme_of(predicted)
    missing = [name for name in scheme.names if name not in other.names]
    if missing:
        raise LabelError(f"the prediction has no node {missing[0]!r}", fix=f"its nodes are {', '.join(other.names)}")
    order = [other.names.index(name) for name in scheme.names]
    frames, _ = labelled_frames(truth)
    partner = matched_videos(truth.videos, predicted.videos)
    lookup: dict[tuple[int, int], sleap_io.LabeledFrame] = {}
    place = {id(video): i for i, video in enumerate(predicted.videos)}
    for one in predicted.labeled_frames:
        lookup[place[id(one.video)], int(one.frame_idx)] = one
    last = max((frame.frame for frame in frames), default=0) + 1
    rows = []
    for frame in frames:
        name = f"{file_name(truth.videos[frame.video])}#{frame.frame}"
        single = len(truth.videos) == 1
        group = f"block {frame.frame * blocks // last}" if single else file_name(truth.videos[frame.video])
        match = lookup.get((partner.get(frame.video, -1), frame.frame))
        if match is None:
            rows.append(ScoredFrame(name, group, frame.points, None, np.zeros(0), frame.tracks))
            continue
        animals = [i for i in match.instances if np.isfinite(i.numpy()).all(1).any()]
        points = np.array([np.asarray(i.numpy())[order, :2] for i in animals], dtype=float)
        scores = np.array([getattr(i, "score", 1.0) or 0.0 for i in animals], dtype=float)
        tracks = [i.track.name if i.track is not None else "" for i in animals]
        nodes = len(scheme)
        rows.append(ScoredFrame(name, group, frame.points, points.reshape(-1, nodes, 2), scores, frame.tracks, tracks))
    return rows, scheme


def matched_videos(truth: Sequence[sleap_io.Video], predicted: Sequence[sleap_io.Video]) -> dict[int, int]:
    """Which predicted video each labelled one is; videos without a partner are left out."""
    if len(truth) == len(predicted) == 1:
        return {0: 0}
    names = [file_name(video) for video in predicted]
    doubled = [name for name in set(names) if names.count(name) > 1]
    if doubled:
        raise LabelError(f"{doubled[0]} is predicted twice", fix="give videos different names")
    return {i: names.index(file_name(v)) for i, v in enumerate(truth) if file_name(v) in names}


def file_name(video: sleap_io.Video) -> str:
    """The last part of a video's name; of an embedded one, that of the video it was taken from."""
    source = video.source_video or video
    name = source.filename[0] if isinstance(source.filename, list) else source.filename
    text = str(name).replace("\\", "/")
    return text.rsplit("/", 2)[-2] if isinstance(source.filename, list) and "/" in text else text.rsplit("/", 1)[-1]

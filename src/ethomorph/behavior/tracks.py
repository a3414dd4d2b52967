"""Pose files as recordings: a row a frame, an animal a track, whatever program tracked them.

Files are read by `formats.poses` (SLEAP, DeepLabCut, JABS, NWB ...) or `formats.frame_labels` (SimBA, CalMS21).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ethomorph.core.errors import FormatError, LabelError
from ethomorph.core.recordings import Recording

if TYPE_CHECKING:
    import sleap_io

MOST_ANIMALS = 12
"""Tracks beyond this are fragments of animals, which have to be joined before anyone can say what each did."""


def read_tracks(path: str | Path, *, fps: float, group: str = "") -> list[Recording]:
    """Read every video of a pose file.

    Parameters
    ----------
    fps : frames per second; pose files seldom say.
    group : the animal or session that the file is of; the recording's name where left out.

    Raises
    ------
    FormatError : no pose file.
    LabelError : more tracks than animals can be, or no frame rate.
    """
    from ethomorph.formats.poses import read_poses

    path = Path(path)
    labels, notes = read_poses(path)
    many = len(labels.videos) > 1
    found = []
    for video in labels.videos:
        name = path.stem if not many else f"{path.stem}:{Path(str(video.filename)).stem}"
        one = recording_of(labels, video, name=name, fps=fps, group=group or name)
        one.notes += notes
        found.append(one)
    return found


def recording_of(labels: sleap_io.Labels, video: sleap_io.Video, *, name: str, fps: float, group: str) -> Recording:
    """One video of pose labels; instances without a track take the places of animals in their order."""
    frames = [frame for frame in labels.labeled_frames if frame.video is video]
    if not frames:
        raise LabelError("no frame has a pose", place=name)
    tracks = [t for t in labels.tracks if any(i.track is t for f in frames for i in f.instances)]
    loose = max((sum(i.track is None for i in f.instances) for f in frames), default=0)
    animals = [t.name for t in tracks] + [f"animal {len(tracks) + i + 1}" for i in range(loose)]
    if len(animals) > MOST_ANIMALS:
        raise LabelError(
            f"{len(animals)} tracks: these are fragments, not animals", place=name, fix="join the tracks first"
        )
    nodes = list(labels.skeletons[0].node_names)
    count = max(int(f.frame_idx) for f in frames) + 1
    points = np.full((count, max(1, len(animals)), len(nodes), 2), np.nan)
    confidence = np.full(points.shape[:3], np.nan)
    place = {id(track): i for i, track in enumerate(tracks)}
    scored = False
    for frame in frames:
        free = len(tracks)
        for instance in frame.instances:
            if instance.track is None:
                slot, free = free, free + 1
            else:
                slot = place[id(instance.track)]
            points[frame.frame_idx, slot] = np.asarray(instance.numpy(), float)[:, :2]
            if hasattr(instance, "score"):
                scored = True
                confidence[frame.frame_idx, slot] = instance.points["score"]
            else:
                confidence[frame.frame_idx, slot] = 1.0
    return Recording(
        name, points, fps, nodes, animals or ["animal 1"], group=group, confidence=confidence if scored else None
    )


def read_labelled(
    poses: str | Path | None,
    labels: str | Path,
    *,
    fps: float | None,
    column: str | None = None,
    group: str = "",
    subject: str | None = None,
) -> list[Recording]:
    """Recordings with a label a frame.

    Parameters
    ----------
    poses : pose file; None where `labels` holds the poses too (CalMS21, SimBA).
    labels : table of frames, BORIS project or export, SimBA targets, CalMS21 JSON.
    fps : frames per second.
    column : of a table of frames; of BORIS, the observation.
    group : the animal or session.
    subject : of BORIS.

    Raises
    ------
    InputError : files that cannot be read, or that do not fit each other.
    """
    from ethomorph.formats.frame_labels import read_calms21, read_frame_labels, read_simba

    labels = Path(labels)
    if poses is None:
        if labels.suffix.lower() == ".json":
            return read_calms21(labels)
        rate = fps_or_refuse(fps, labels)
        one = read_simba(labels, behaviors=[column] if column else None, fps=rate)
        one.group = group or one.name
        return [one]
    rate = fps_or_refuse(fps, poses)
    recordings = read_tracks(poses, fps=rate, group=group)
    if len(recordings) != 1:
        raise LabelError(f"{len(recordings)} videos for one file of labels", place=poses, fix="give a file a video")
    recording = recordings[0]
    if is_events(labels):
        scored = subjects_of(labels, column)
        if subject is None and (len(scored) > 1 or scored[0] in recording.animals):
            return of_subjects(recording, labels, scored, observation=column, apart=not group)
        codes = event_labels(labels, len(recording), rate, observation=column, subject=subject)
        notes: list[str] = []
    else:
        codes, notes = read_frame_labels(labels, column=column)
    if len(codes) != len(recording):
        raise LabelError(
            f"{len(codes)} scored frames for {len(recording)} tracked ones", place=labels,
            fix="score and track the same video, from frame 0",
        )  # fmt: skip
    recording.labels = codes
    recording.notes += notes
    if len(recording.animals) > 1:
        recording.notes.append(
            f"{len(recording.animals)} animals are tracked: the labels are taken to be those of {recording.animals[0]}"
        )
    return [recording]


def of_subjects(
    recording: Recording, labels: Path, subjects: list[str], *, observation: str | None, apart: bool
) -> list[Recording]:
    """A recording for each scored subject, its own pose first; `apart` where each is a unit of independence.

    Raises
    ------
    LabelError : subjects that no track is named after.
    """
    views = dict(zip(recording.animals, recording.of_each_animal(), strict=True))
    strange = [name for name in subjects if name not in views]
    if strange:
        raise LabelError(
            f"subject {strange[0]!r} is none of the tracks {', '.join(recording.animals)}", place=labels,
            fix="name subjects and tracks alike",
        )  # fmt: skip
    found = []
    for subject in subjects:
        codes = event_labels(labels, len(recording), recording.fps, observation=observation, subject=subject)
        group = subject if apart else recording.group
        found.append(replace(views[subject], labels=codes, group=group, attributes={"focal": subject}))
    silent = [name for name in views if name not in subjects]
    if silent:
        found[0].notes.append(f"tracked and not scored: {', '.join(silent)}")
    return found


def is_events(path: Path) -> bool:
    """Whether a file is BORIS's."""
    if path.name.lower().endswith((".boris", ".boris.gz")):
        return True
    if path.suffix.lower() not in (".csv", ".tsv", ".txt"):
        return False
    with path.open("rb") as stream:
        head = stream.read(4096)
    return b"Observation id" in head and b"Start (s)" in head


def subjects_of(path: Path, observation: str | None) -> list[str]:
    """Who was scored in an observation, or in all of them where none is named; "" stands for nobody in particular."""
    from ethomorph.formats.boris import read_boris

    return sorted({e.subject for e in read_boris(path) if observation in (None, e.observation)}) or [""]


def event_labels(path: Path, frames: int, fps: float, *, observation: str | None, subject: str | None) -> np.ndarray:
    """(frames,) labels of one subject in one observation of BORIS; moments without any state are the rest."""
    from ethomorph.core.events import frame_labels
    from ethomorph.formats.boris import read_boris
    from ethomorph.formats.frame_labels import REST

    log = read_boris(path)
    names = list(log.observations)
    chosen = observation or (names[0] if len(names) == 1 else None)
    if chosen not in log.observations:
        raise LabelError(
            f"{len(names)} observations, {observation!r} is not among them" if observation else
            f"{len(names)} observations", place=path, fix=f"choose one by `column`: {', '.join(names[:6])}",
        )  # fmt: skip
    subjects = sorted({e.subject for e in log.of(chosen)})
    if subject is None and len(subjects) > 1:
        raise LabelError(f"{len(subjects)} subjects: {', '.join(subjects)}", place=path, fix="score a file a subject")
    labels, several = frame_labels(log.of(chosen, subject), frames, fps, rest=REST, order=log.behaviors)
    if several:
        raise LabelError(
            f"{several} frames have several states at once", place=path, fix="keep states that exclude each other"
        )
    return labels


def fps_or_refuse(fps: float | None, place: str | Path) -> float:
    """The frame rate; raises FormatError where it is not known."""
    if fps is None:
        raise FormatError(
            "the file does not say how many frames a second it has", place=place, fix="set `fps`, or give --fps"
        )
    return fps


def blocks_of(recording: Recording, seconds: float) -> np.ndarray:
    """(frames,) name of the block of time that each frame lies in; a short last block joins the one before."""
    length = max(1, round(seconds * recording.fps))
    which = np.arange(len(recording)) // length
    last = len(recording) - length * int(which[-1])
    if which[-1] > 0 and last < length / 2:
        which[which == which[-1]] -= 1
    starts = [f"{recording.name}@{int(i) * seconds:g}s" for i in range(int(which[-1]) + 1)]
    return np.array(starts)[which]

"""From label files to the samples of a study: clips, or blocks of recordings, each with its unit of independence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ethomorph.behavior.tracks import blocks_of, is_events, read_labelled
from ethomorph.core.clips import Clip, ClipSet
from ethomorph.core.errors import LabelError, SplitError
from ethomorph.core.events import EventLog, Observation
from ethomorph.core.recordings import Recording
from ethomorph.formats.record import listed
from ethomorph.study.config import TaskSection
from ethomorph.study.split import warn_if_by_sample

POINT_REACH_S = 1.0  # what is shown before and after a point event
BLOCK = "block"
DEFAULT_BLOCK_S = 10.0


def read_behavior(
    labels: str | Path,
    *,
    videos: str | Path | None = None,
    poses: str | Path | None = None,
    fps: float | None = None,
    column: str | None = None,
) -> ClipSet | list[Recording]:
    """Labelled behaviour from any known file, for use without a study.

    Parameters
    ----------
    labels : table of clips, folder with a folder for each class, BORIS project or export, SimBA targets, CalMS21 JSON,
        or a table of labels frame by frame.
    videos : folder of the videos that the labels are of.
    poses : pose file whose frames the labels score.
    fps, column : frames a second, and the column (or BORIS observation) that holds the labels, where needed.

    Raises
    ------
    InputError : files that cannot be read or do not fit each other.
    """
    section = TaskSection(kind="behavior", labels=Path(labels), fps=fps, column=column)  # type: ignore[call-arg]
    where = [Path(one) if one is not None else None for one in (videos, poses)]
    return read_samples(section, Path(labels), *where)


def read_samples(
    section: TaskSection, labels: Path, images: Path | None, poses: Path | None
) -> ClipSet | list[Recording]:
    """Whatever a task's labels are of: clips in a table, in folders or scored in BORIS; recordings with poses.

    Raises
    ------
    InputError : files that cannot be read or do not fit each other.
    """
    from ethomorph.formats.clip_table import read_clip_table

    if labels.is_dir() and poses is None:
        return read_folder(section, labels)
    if poses is not None or labels.suffix.lower() == ".json" or holds_poses(labels):
        return read_recordings(section, labels, poses)
    if is_events(labels):
        from ethomorph.formats.boris import read_boris

        return clips_of_events(read_boris(labels), images)
    return read_clip_table(labels, videos=images)


def read_folder(section: TaskSection, labels: Path) -> ClipSet | list[Recording]:
    """A folder with a folder of clips for each class; or one of files that hold poses and labels (SimBA, CalMS21)."""
    from ethomorph.formats.clip_table import read_clip_folders

    files = [p for p in sorted(labels.iterdir()) if p.is_file() and (p.suffix.lower() == ".json" or holds_poses(p))]
    if files:
        return [one for file in files for one in read_recordings(section, file, None)]
    return read_clip_folders(labels)


def read_recordings(section: TaskSection, labels: Path, poses: Path | None) -> list[Recording]:
    """One labelled recording, or one for each pair of files of the same stem where both are folders."""
    if poses is not None and poses.is_dir():
        by_stem = {p.stem: p for p in sorted(labels.iterdir()) if p.is_file()} if labels.is_dir() else {}
        pairs = [(p, by_stem[p.stem]) for p in sorted(poses.iterdir()) if p.stem in by_stem]
        if not pairs:
            raise LabelError(
                "no pose file has a label file of its name", place=poses, fix=f"name them alike in {labels}"
            )
        return [
            one for pose, label in pairs
            for one in read_labelled(pose, label, fps=section.fps, column=section.column, group=pose.stem)
        ]  # fmt: skip
    return read_labelled(poses, labels, fps=section.fps, column=section.column)


def holds_poses(path: Path) -> bool:
    """Whether a table holds poses beside its labels, as SimBA's do."""
    if path.suffix.lower() != ".csv":
        return False
    with path.open(encoding="utf-8-sig", errors="replace") as stream:
        names = {cell.strip().lower() for cell in stream.readline().split(",")}
    return any(n.endswith("_x") and {n[:-2] + "_y", n[:-2] + "_p"} <= names for n in names)


def clips_of_events(log: EventLog, folder: Path | None) -> ClipSet:
    """Every scored bout as a clip of its video, and every point event with a second on either side.

    Raises
    ------
    LabelError : observations whose video is not in the folder.
    """
    from ethomorph.formats.clip_table import VIDEOS
    from ethomorph.formats.pictures import PictureIndex

    index = PictureIndex(folder) if folder is not None else None
    clips, lost = [], set()
    for event in log.events:
        seen = log.observations[event.observation]
        found = index.find(media_name(seen)) if index else []
        if index and not found:
            found = [p for n in VIDEOS for p in index.find(event.observation + n)]
        if folder is not None and not found:
            lost.add(event.observation)
            continue
        reach = POINT_REACH_S if event.point else 0.0
        start, stop = max(0.0, event.start_s - seen.start_s - reach), event.stop_s - seen.start_s + reach
        name = f"{event.observation}/{event.subject or 'no subject'}/{event.behavior}@{start:g}"
        clips.append(
            Clip(name, event.behavior, event.subject or event.observation, found[0] if found else None, start, stop,
                 attributes={"observation": event.observation, **seen.attributes})
        )  # fmt: skip
    if lost:
        raise LabelError(
            f"{len(lost)} observations without their video: {listed(sorted(lost))}", place=log.source,
            fix="give the folder of the videos as `images`",
        )  # fmt: skip
    names: dict[str, int] = {}
    unique = []
    for clip in clips:
        names[clip.name] = names.get(clip.name, 0) + 1
        unique.append(clip if names[clip.name] == 1 else replace(clip, name=f"{clip.name}#{names[clip.name]}"))
    return ClipSet(unique, log.source, list(log.notes))


def media_name(seen: Observation) -> str:
    """File name of an observation's video; BORIS may write it as ``player #1:C:\\films\\a.mp4``."""
    named = re.sub(r"^player #\d+:", "", seen.attributes.get("Source") or seen.name)
    return Path(named.replace("\\", "/")).name


def clip_groups(clips: ClipSet, by: str) -> list[str]:
    """Each clip's unit of independence: its animal, or another of its attributes; its own name for ``sample``.

    Raises
    ------
    SplitError : clips whose group is not known.
    """
    warn_if_by_sample(by)
    if by == "sample":
        return [clip.name for clip in clips]
    found = [(clip.group if by == "specimen" else "") or clip.attributes.get(by, "") for clip in clips]
    unknown = [clip.name for clip, group in zip(clips, found, strict=True) if not group]
    if unknown:
        raise SplitError(
            f"{len(unknown)} of {len(clips)} clips have no {by!r}, such as {unknown[0]}", place=clips.source,
            fix="add a column of that name to the labels, or name another column in [split] by",
        )  # fmt: skip
    return found


def clip_samples(clips: ClipSet, groups: Sequence[str]) -> pd.DataFrame:
    """A row a clip: sample, group, label, and its attributes."""
    rows = [
        {**clip.attributes, "sample": clip.name, "group": group, "label": clip.label}
        for clip, group in zip(clips, groups, strict=True)
    ]
    table = pd.DataFrame(rows)
    first = ["sample", "group", "label"]
    return table[[*first, *(c for c in table.columns if c not in first)]]


@dataclass
class Blocks:
    """Recordings cut into blocks, which are the samples.

    Attributes
    ----------
    recordings : whole, with `units` naming the unit of independence of each frame.
    of_frame : for each recording, (frames,) name of the block, that is the sample, of each frame.
    table : a row a block: sample, group, label (its commonest), recording, start_s, frames.
    """

    recordings: list[Recording]
    of_frame: list[np.ndarray]
    table: pd.DataFrame


def blocked(recordings: list[Recording], *, by: str, blocks_s: float | None) -> Blocks:
    """Cut recordings into samples: whole recordings where the animal is the unit, blocks of time where `by` is "block".

    Raises
    ------
    SplitError : one animal only, which cannot be split unless by blocks.
    """
    if by not in ("specimen", BLOCK, "sample"):
        raise SplitError(f"recordings have no {by!r}", fix="split by 'specimen' or by 'block' (of time)")
    seconds = blocks_s or DEFAULT_BLOCK_S
    whole = by == "specimen" and blocks_s is None
    new, of_frame, rows = [], [], []
    for recording in recordings:
        names = np.full(len(recording), recording.name) if whole else blocks_of(recording, seconds)
        units = names if by in (BLOCK, "sample") else np.full(len(recording), recording.group or recording.name)
        new.append(replace(recording, units=units))
        of_frame.append(names)
        for name in dict.fromkeys(names.tolist()):
            here = np.flatnonzero(names == name)
            labels = recording.labels[here] if recording.labels is not None else np.full(len(here), "")
            known, counts = np.unique(labels[labels != ""], return_counts=True)
            commonest = str(known[counts.argmax()]) if len(known) else ""
            rows.append(
                {
                    "sample": name, "group": str(units[here[0]]), "label": commonest,
                    "recording": recording.name, "start_s": here[0] / recording.fps, "frames": len(here),
                    **recording.attributes,
                }
            )  # fmt: skip
    table = pd.DataFrame(rows)
    if table["group"].nunique() < 2:
        raise SplitError(
            "all recordings are of one animal, so there is no other to judge on", place=recordings[0].name,
            fix="set [split] by = 'block' to judge on stretches of time that training never saw",
        )  # fmt: skip
    return Blocks(new, of_frame, table)


def of_parts(blocks: Blocks, part_of: dict[str, str], wanted: str, *, guard_s: float = 0.0) -> list[Recording]:
    """The recordings with labels only in the blocks of one part, and none within `guard_s` of another part's blocks."""
    found = []
    for recording, names in zip(blocks.recordings, blocks.of_frame, strict=True):
        parts = np.array([part_of[name] for name in names.tolist()])
        mine = parts == wanted
        if not mine.any():
            continue
        guard = round(guard_s * recording.fps)
        keep = mine & ~near_others(mine, guard) if guard else mine
        labels = recording.labels if recording.labels is not None else np.full(len(recording), "")
        found.append(recording.with_labels(np.where(keep, labels, "")))
    return found


def near_others(mine: np.ndarray, guard: int) -> np.ndarray:
    """(frames,) whether a frame lies within `guard` frames of one that is not `mine`."""
    others = np.concatenate([[0], np.cumsum(~mine)])
    low = np.clip(np.arange(len(mine)) - guard, 0, len(mine))
    high = np.clip(np.arange(len(mine)) + guard + 1, 0, len(mine))
    return others[high] - others[low] > 0

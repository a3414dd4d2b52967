"""Tables of labelled clips, a row a clip: ``clip,label,group,observer,start_s,stop_s,...``.

Columns are known by name in any case; further columns become attributes. The lab's ManualLabels files and the names of
cichlid clips are understood. Videos are looked up by exact file name, never by a part of it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

from ethomorph.core.clips import Clip, ClipSet
from ethomorph.core.errors import FormatError, LabelError
from ethomorph.formats.cichlid import parse_name
from ethomorph.formats.record import listed
from ethomorph.formats.tables import even, read_rows
from ethomorph.formats.text import number

NAMES = {
    "clip": ("clip", "clipname", "videofile", "location", "video", "file", "filename", "sample", "bout", "name"),
    "label": ("label", "manuallabel", "behavior", "behaviour", "class"),
    "group": ("specimen", "animal", "individual", "group", "subject", "meanid", "projectid", "project"),
    "observer": ("observer", "mlabeler", "annotator", "coder"),
    "start_s": ("start_s", "start", "start (s)"),
    "stop_s": ("stop_s", "stop", "end", "end_s", "stop (s)"),
}
"""Role to the column names that mean it, the first that a table has is taken."""
VIDEOS = frozenset({".mp4", ".avi", ".mov", ".mkv", ".mpg", ".mpeg", ".wmv", ".webm", ".m4v"})
_SIGNAL = re.compile(r"([A-Za-z_]+?)_?(\d+)")
MIN_SIGNAL = 8  # samples that make columns such as x00, x01 ... a signal
STUB_PREFIX = "._"  # what macOS writes beside each file on foreign disks: the name of a clip, and no video


def read_clip_table(path: str | Path, *, videos: str | Path | None = None) -> ClipSet:
    """Read a table of clips.

    Parameters
    ----------
    path : CSV, or with semicolons or tabs.
    videos : folder with the videos below it; without it clips have no path.

    Raises
    ------
    FormatError : no column for clips or labels, a damaged row, a start after its stop.
    LabelError : a clip without its video, or with several of that name.
    """
    path = Path(path)
    rows = read_rows(path)
    header = rows[0][1]
    even(rows, len(header), path)
    columns = roles(header, path)
    channels, places = signal_columns(header, set(columns.values()))
    used = set(columns.values()) | {c for row in places for c in row}
    clips = []
    for line, cells in rows[1:]:
        attributes = {h: v for i, (h, v) in enumerate(zip(header, cells, strict=True)) if i not in used and v}
        cell = {role: cells[c] for role, c in columns.items()}
        where = f"{path}, line {line}"
        start, stop = (number(cell.get(role, ""), where) for role in ("start_s", "stop_s"))
        if stop <= start:
            raise FormatError(f"the clip ends at {stop:g} s and starts at {start:g} s", place=where)
        signal = np.array([[number(cells[c], where) for c in row] for row in places]) if places else None
        if cell.get("observer"):
            attributes["observer"] = cell["observer"]
        clips.append(
            Clip(
                name=cell["clip"], label=cell.get("label", ""), group=cell.get("group", ""),
                start_s=None if np.isnan(start) else start, stop_s=None if np.isnan(stop) else stop,
                signal=signal, attributes=attributes,
            )
        )  # fmt: skip
    if not clips:
        raise FormatError("has a header and no rows", place=path)
    clips, notes = once(named(clips))
    clips, said = with_cichlid_names(clips)
    found = ClipSet(clips, str(path), notes + said, channels)
    return with_videos(found, videos) if videos is not None else found


def read_clip_folders(folder: str | Path) -> ClipSet:
    """Clips sorted into one folder for each class, ``folder/<label>/<clip>.mp4``.

    Raises
    ------
    FormatError : no folder, or none in it that holds videos.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FormatError("is not a folder", place=folder, fix="give the folder that holds a folder for each class")
    clips, stubs = [], 0
    for path in sorted(p for p in folder.glob("*/*") if p.suffix.lower() in VIDEOS):
        if path.name.startswith(STUB_PREFIX):
            stubs += 1
            continue
        clips.append(Clip(f"{path.parent.name}/{path.name}", path.parent.name, path=path))
    if not clips:
        raise FormatError("no folder in it holds videos", place=folder, fix="put the clips into <folder>/<class>/")
    clips, said = with_cichlid_names(clips)
    notes = [f"{stubs} files beginning with ._ are no videos and were passed over"] if stubs else []
    return ClipSet(clips, str(folder), notes + said)


def roles(header: list[str], path: Path) -> dict[str, int]:
    """Which column plays which role; FormatError without clips and labels."""
    lower = [h.strip().lower() for h in header]
    found: dict[str, int] = {}
    for role, names in NAMES.items():
        column = next((lower.index(n) for n in names if n in lower), None)
        if column is not None and column not in found.values():
            found[role] = column
    if "clip" not in found:
        raise FormatError(f"no column of clips among {listed(header)}", place=path, fix="name one column 'clip'")
    if "label" not in found:
        raise FormatError(f"no column of labels among {listed(header)}", place=path, fix="name one column 'label'")
    return found


def signal_columns(header: list[str], taken: set[int]) -> tuple[list[str], list[list[int]]]:
    """Names of the channels and, for each sample, their columns, where the header counts x00, y00, x01, y01 ...

    Examples
    --------
    >>> signal_columns(["clip", "label"] + [f"{a}{i:02d}" for i in range(8) for a in "xy"], {0, 1})[0]
    ['x', 'y']
    """
    by_channel: dict[str, dict[int, int]] = defaultdict(dict)
    for column, name in enumerate(header):
        match = _SIGNAL.fullmatch(name.strip())
        if match and column not in taken:
            by_channel[match[1]][int(match[2])] = column
    channels = [c for c, samples in by_channel.items() if len(samples) >= MIN_SIGNAL]
    if not channels or len({frozenset(by_channel[c]) for c in channels}) != 1:
        return [], []
    return channels, [[by_channel[c][i] for c in channels] for i in sorted(by_channel[channels[0]])]


def named(clips: list[Clip]) -> list[Clip]:
    """Clips that are stretches of one video get the stretch into their name."""
    return [c if c.start_s is None else replace(c, name=f"{c.name}@{c.start_s:g}") for c in clips]


def once(clips: list[Clip]) -> tuple[list[Clip], list[str]]:
    """Each clip once; a second label of the same clip is kept as the attribute ``second_label``."""
    kept: dict[str, Clip] = {}
    agree = disagree = 0
    for clip in clips:
        first = kept.get(clip.name)
        if first is None:
            kept[clip.name] = clip
            continue
        agree += first.label == clip.label
        disagree += first.label != clip.label
        kept[clip.name] = replace(first, attributes={**first.attributes, "second_label": clip.label})
    notes = []
    if agree + disagree:
        twice = agree + disagree
        notes.append(f"{twice} clips are labelled twice, {disagree} of them differently; the first label counts")
    return list(kept.values()), notes


def with_cichlid_names(clips: list[Clip]) -> tuple[list[Clip], list[str]]:
    """What the names of cichlid clips say, as attributes, where all have such names; the project is the group."""
    said = [parse_name(clip.name) for clip in clips]
    if not all(said):
        return clips, []
    new = [
        replace(c, group=c.group or (s or {})["project"], attributes={**c.attributes, **(s or {})})
        for c, s in zip(clips, said, strict=True)
    ]
    return new, ["project, video, second and place were read from the names of the clips"]


def with_videos(clips: ClipSet, folder: str | Path) -> ClipSet:
    """The clips with their videos, each the one file of exactly that name below `folder`.

    Raises
    ------
    LabelError : clips without a video, or with several, by name.
    """
    from ethomorph.formats.pictures import PictureIndex

    index = PictureIndex(folder)
    new: list[Clip] = []
    missing: list[str] = []
    doubled: list[str] = []
    for clip in clips:
        name = clip.name.split("@")[0] if clip.start_s is not None else clip.name
        wanted = name if Path(name).suffix.lower() in VIDEOS else f"{name}.mp4"
        files = [f for f in index.find(wanted) if f.suffix.lower() in VIDEOS and not f.name.startswith(STUB_PREFIX)]
        if len(files) == 1:
            new.append(replace(clip, path=files[0]))
        else:
            (missing if not files else doubled).append(clip.name)
    if doubled:
        raise LabelError(
            f"{len(doubled)} clips have several videos of their name below {folder}: {listed(doubled)}",
            place=clips.source, fix="keep one of each, or write the folder into the clip's name",
        )  # fmt: skip
    if missing:
        raise LabelError(
            f"{len(missing)} of {len(clips)} clips have no video below {folder}: {listed(missing)}",
            place=clips.source, fix="copy the videos there, or take these rows out of the table",
        )  # fmt: skip
    return clips.with_clips(new)

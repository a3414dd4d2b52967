"""The table of landmark formats, and reading, writing and converting by it.

Adding a format is one file with a `Format` in it, and one line in `FORMATS`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ethomorph.core.errors import FormatError, LabelError
from ethomorph.core.landmarks import LandmarkSet
from ethomorph.formats import (
    coco,
    csv_landmarks,
    deeplabcut,
    deeplabcut_h5,
    dlib_xml,
    morphologika,
    nts,
    sleap_slp,
    slicer_markups,
    tidy,
    tps,
)
from ethomorph.formats.frames import to_frame
from ethomorph.formats.pictures import find_pictures, outside
from ethomorph.formats.record import Format, listed
from ethomorph.formats.scheme import Gaps, assemble
from ethomorph.formats.text import check_file

# Where several formats share a suffix and fit the content, the first is taken.
FORMATS: tuple[Format, ...] = (
    tps.FORMAT,
    dlib_xml.FORMAT,
    deeplabcut.FORMAT,
    tidy.FORMAT,
    csv_landmarks.FORMAT,
    nts.FORMAT,
    morphologika.FORMAT,
    slicer_markups.MRK_JSON,
    slicer_markups.FCSV,
    coco.FORMAT,
    sleap_slp.FORMAT,
    deeplabcut_h5.FORMAT,
)
# What a new file of a shared suffix is, unless the format is named.
WRITTEN = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".json": "coco"}
HEAD = 64 * 2**10  # bytes that formats are told by

Unmatched = Literal["refuse", "leave_out"]


def formats() -> tuple[Format, ...]:
    """Every landmark format."""
    return FORMATS


def format_named(name: str) -> Format:
    """The format of that name; FormatError with the list of names where there is none.

    Examples
    --------
    >>> format_named("tps").suffixes
    ('.tps',)
    """
    found = next((f for f in FORMATS if f.name == name.lower()), None)
    if found is None:
        raise FormatError(f"there is no format {name!r}", fix=f"use one of {', '.join(f.name for f in FORMATS)}")
    return found


def detect_format(path: str | Path) -> Format:
    """The format of an existing file, by its content, else by its suffix; FormatError where neither tells."""
    path = Path(path)
    check_file(path)
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        head = head[: len(head) // 2 * 2].decode("utf-16", "replace").encode("utf-8", "replace")
    head = head.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if not head.startswith(b"\x89HDF") else head
    named = _by_suffix(path)
    for candidate in (*named, *FORMATS):
        if candidate.sniff(head):
            return candidate
    if len(named) == 1:
        return named[0]
    raise FormatError(
        "is in no landmark format that is known",
        place=path,
        fix=f"name its format: {', '.join(f.name for f in FORMATS)}",
    )


def format_for_writing(path: str | Path) -> Format:
    """The format of a new file by its suffix; FormatError with the known suffixes where it is not known."""
    path = Path(path)
    named = _by_suffix(path)
    if not named:
        suffixes = sorted({suffix for f in FORMATS for suffix in f.suffixes})
        raise FormatError(
            f"no landmark format has the suffix {path.suffix!r}", place=path, fix=f"use one of {', '.join(suffixes)}"
        )
    usual = WRITTEN.get(path.suffix.lower())
    return named[0] if len(named) == 1 or usual is None or _compound(path, named[0]) else format_named(usual)


def read_landmarks(
    path: str | Path,
    *,
    images: str | Path | list[str | Path] | None = None,
    gaps: Gaps = "refuse",
    format: str | None = None,
    unmatched: Unmatched = "refuse",
    **options: Any,
) -> LandmarkSet:
    """Read landmarks in any format.

    Parameters
    ----------
    path : a file, or a folder of Slicer files, each a specimen.
    images : folder(s) with the pictures. Each is found by its file name; 2-D sets with y up are then brought into the
        image frame, ``y_image = height - y``. Without pictures such sets stay in frame "y_up".
    gaps : "refuse" raises LabelError naming every specimen of another landmark count, "missing" keeps it with all its
        landmarks missing.
    format : the format's name, where it should not be told from the file.
    unmatched : what to do with specimens whose picture is not found where their frame depends on it: refuse, or leave
        them out and list them in the notes.
    options : passed to the format's reader, e.g. ``negative="missing"`` for TPS.

    Returns
    -------
    LandmarkSet
        `notes` says what had to be decided or could not be kept.

    Raises
    ------
    FormatError, LabelError, ImageError
        Naming the file and the place in it.
    """
    path = Path(path)
    if path.is_dir():
        landmarks = _read_folder(path, gaps, format, options)
    else:
        chosen = format_named(format) if format else detect_format(path)
        landmarks = _call(chosen.read, path, chosen, gaps=gaps, **options)
    if images is None:
        return landmarks
    landmarks = find_pictures(landmarks, images)
    if landmarks.frame == "y_up":
        landmarks = to_frame(_with_sizes(landmarks, unmatched), "image")
    if landmarks.frame == "image":
        landmarks.notes.extend(outside(landmarks))
    return landmarks


def write_landmarks(
    landmarks: LandmarkSet, path: str | Path, *, format: str | None = None, **options: Any
) -> list[str]:
    """Write landmarks in the format of the suffix, or the named one.

    Returns a sentence for everything that the format cannot hold and that is therefore not in the file. Raises
    LabelError where the points themselves do not fit: 3-D points in a 2-D format, or the other y direction with the
    heights of the pictures unknown.
    """
    chosen = format_named(format) if format else format_for_writing(path)
    return _call(chosen.write, landmarks, chosen, path, **options)


def convert(
    source: str | Path,
    target: str | Path,
    *,
    images: str | Path | list[str | Path] | None = None,
    gaps: Gaps = "refuse",
    from_: str | None = None,
    to: str | None = None,
    unmatched: Unmatched = "refuse",
    spacing: tuple[float, float, float] | None = None,
) -> list[str]:
    """Read `source` and write it to `target`; returns the reader's notes and what the target does not hold.

    Parameters
    ----------
    spacing : (x, y, z) mm, for landmarks in space whose file holds voxel indices and calls them mm.
    """
    writer = format_named(to) if to else format_for_writing(target)
    landmarks = read_landmarks(source, images=images, gaps=gaps, format=from_, unmatched=unmatched)
    if spacing is not None:
        landmarks = in_millimetres(landmarks, spacing)
    return [*landmarks.notes, *writer.write(landmarks, target)]


def in_millimetres(landmarks: LandmarkSet, spacing: tuple[float, float, float]) -> LandmarkSet:
    """Landmarks in space whose numbers are voxel indices, times the voxel size; raises FormatError for flat ones."""
    if landmarks.frame != "lps" or landmarks.dim != 3:
        raise FormatError("landmarks are not in space, so a voxel size says nothing about them",
                          place=landmarks.source, fix="leave --spacing out")  # fmt: skip
    size = np.array(spacing)
    moved = [replace(s, points=s.points * size, curves=[c * size for c in s.curves]) for s in landmarks]
    shown = " x ".join(f"{v:g}" for v in spacing)
    return replace(landmarks, specimens=moved, notes=[f"coordinates were multiplied by the voxel size, {shown} mm"])


def _by_suffix(path: Path) -> list[Format]:
    """Formats whose suffix the name has, those with the longest suffix only."""
    name = path.name.lower()
    lengths = {f.name: max((len(s) for s in f.suffixes if name.endswith(s)), default=0) for f in FORMATS}
    longest = max(lengths.values())
    return [f for f in FORMATS if longest and lengths[f.name] == longest]


def _compound(path: Path, chosen: Format) -> bool:
    return any(path.name.lower().endswith(s) and s.count(".") > 1 for s in chosen.suffixes)


def _call(function: Any, what: Any, chosen: Format, *arguments: Any, **options: Any) -> Any:
    """Call a reader or writer; an option that it does not know is the caller's mistake."""
    unknown = [key for key in options if key not in function.__kwdefaults__] if options else []
    if unknown:
        known = listed(sorted(function.__kwdefaults__ or {})) or "none"
        raise FormatError(f"{chosen.title} has no option {listed(unknown)}", fix=f"its options are {known}")
    return function(what, *arguments, **options)


def _read_folder(folder: Path, gaps: Gaps, format: str | None, options: dict[str, Any]) -> LandmarkSet:
    """Every Slicer file in a folder, in order of names, as one set."""
    wanted = [format_named(format)] if format else [slicer_markups.MRK_JSON, slicer_markups.FCSV]
    found = {
        f.name: [p for p in sorted(folder.iterdir()) if p.is_file() and p.name.lower().endswith(f.suffixes[0])]
        for f in wanted
    }
    present = [name for name, paths in found.items() if paths]
    if not present:
        raise FormatError("holds no Slicer files (.mrk.json, .fcsv)", place=folder, fix="give a landmark file")
    if len(present) > 1:
        raise FormatError("holds .mrk.json and .fcsv files", place=folder, fix="name one format of them")
    chosen = format_named(present[0])
    sets = [_call(chosen.read, path, chosen, gaps=gaps, **options) for path in found[chosen.name]]
    if len({(one.frame, one.dim) for one in sets}) > 1:
        raise LabelError("its files are in different coordinate frames", place=folder)
    notes = list(dict.fromkeys(note for one in sets for note in one.notes))
    names = sets[0].names
    lengths = {len(one.names) for one in sets}
    if len(lengths) > 1 or any(one.names != names for one in sets):
        same = slicer_markups.common_names([one.names for one in sets], notes) if len(lengths) == 1 else None
        names = same  # type: ignore[assignment]
    return assemble([s for one in sets for s in one], names, path=folder, frame=sets[0].frame, gaps=gaps, notes=notes)


def _with_sizes(landmarks: LandmarkSet, unmatched: Unmatched) -> LandmarkSet:
    """The specimens whose picture's height is known; LabelError listing the others unless they may be left out."""
    absent = [s.image or s.label for s in landmarks if s.image_size is None]
    if not absent:
        return landmarks
    if unmatched == "refuse":
        raise LabelError(
            f"{len(absent)} of {len(landmarks)} pictures not found, and turning y needs heights: {listed(absent)}",
            place=landmarks.source,
            fix="give the folder that holds them all, or leave these specimens out (unmatched='leave_out')",
        )
    kept = landmarks.where(lambda s: s.image_size is not None)
    return replace(
        kept,
        notes=[*kept.notes, f"{len(absent)} specimens are left out, their pictures were not found: {listed(absent)}"],
    )

"""Finding the pictures that a label file names, by exact file name, in folders on this disk.

A name is never joined to a path, so no label file can point outside the folders it was given.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from ethomorph.core.errors import ImageError, LabelError
from ethomorph.core.landmarks import LandmarkSet
from ethomorph.formats.record import listed

MAX_FILES = 1_000_000  # files in a folder tree; more means that a whole disk was given
PICTURE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".dcm", ".dicom", ".pgm", ".ppm", ".jp2"}
)
VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".mpg", ".mpeg", ".wmv", ".webm", ".m4v", ".slp"})


class PictureIndex:
    """All files below some folders, to be asked for by the names that label files use.

    Parameters
    ----------
    folders : a folder or picture, or several; folders are searched with everything below them.
    """

    def __init__(self, folders: str | Path | Iterable[str | Path]) -> None:
        self.folders = [Path(folders)] if isinstance(folders, (str, Path)) else [Path(f) for f in folders]
        self.by_name: dict[str, list[Path]] = defaultdict(list)
        self.by_lower: dict[str, list[Path]] = defaultdict(list)
        self.by_stem: dict[str, list[Path]] = defaultdict(list)
        for path in sorted({path for folder in self.folders for path in _files(folder)}):
            self.by_name[path.name].append(path)
            self.by_lower[path.name.lower()].append(path)
            if path.suffix.lower() in PICTURE_SUFFIXES:
                self.by_stem[path.stem.lower()].append(path)

    def find(self, name: str) -> list[Path]:
        """The files that `name` may mean: none, the one, or several that cannot be told apart.

        Folders in the name (with either slash) choose between files of one name; then case is ignored; last, a picture
        with another suffix is taken.
        """
        parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
        if not parts:
            return []
        stem = Path(parts[-1]).stem if Path(parts[-1]).suffix.lower() in PICTURE_SUFFIXES else parts[-1]
        for table, key in ((self.by_name, parts[-1]), (self.by_lower, parts[-1].lower()), (self.by_stem, stem.lower())):
            if key in table:
                return _closest(table[key], parts)
        return []


def find_pictures(landmarks: LandmarkSet, folders: str | Path | Iterable[str | Path]) -> LandmarkSet:
    """The set with `image_path` and `image_size` where a specimen's picture (or its id, where none is named) was found.

    Pictures that were not found are listed in the notes. Raises LabelError where a name fits several files, or no
    picture at all was found.
    """
    from ethomorph.formats.images import image_size

    index = PictureIndex(folders)
    place = ", ".join(str(folder) for folder in index.folders)
    found: dict[str, Path | None] = {}
    sizes: dict[Path, tuple[int, int]] = {}
    specimens, absent, videos = [], [], 0
    for specimen in landmarks:
        name = specimen.image or specimen.id
        if Path(name).suffix.lower() in VIDEO_SUFFIXES:
            videos += 1
            specimens.append(specimen)
            continue
        if name not in found:
            paths = index.find(name)
            refuse_ambiguous(name, paths, landmarks.source)
            found[name] = paths[0] if paths else None
        path = found[name]
        if path is None:
            absent.append(name or "(no name)")
            specimens.append(specimen)
            continue
        if path not in sizes:
            sizes[path] = image_size(path)
        specimens.append(replace(specimen, image_path=path, image_size=sizes[path]))
    absent = list(dict.fromkeys(absent))
    notes = list(landmarks.notes)
    if absent and not sizes:
        raise LabelError(
            f"none of the {len(absent)} pictures was found in {place}: {listed(absent)}",
            place=landmarks.source,
            fix="give the folder that holds them",
        )
    if absent:
        notes.append(f"{len(absent)} pictures were not found in {place}: {listed(absent)}")
    if videos:
        notes.append(f"{videos} specimens are frames of videos, which are not searched for among pictures")
    return replace(landmarks, specimens=specimens, notes=notes)


def outside(landmarks: LandmarkSet) -> list[str]:
    """A sentence about landmarks that lie outside their pictures (image frame): wrong picture size or flip."""
    who, points = [], 0
    for index, specimen in enumerate(landmarks, 1):
        if specimen.image_size is None:
            continue
        height, width = specimen.image_size
        x, y = specimen.points[:, 0], specimen.points[:, 1]
        count = int(np.sum((x < -0.5) | (y < -0.5) | (x > width) | (y > height)))
        if count:
            who.append(f"specimen {index} ({specimen.label})")
            points += count
    return [f"{points} landmarks lie outside their pictures: {listed(who)}"] if who else []


def refuse_ambiguous(name: str, paths: list[Path], source: str) -> None:
    """LabelError where a picture name fits several files."""
    if len(paths) > 1:
        raise LabelError(
            f"image {name!r} fits {len(paths)} files: {listed([str(p) for p in paths], 3)}",
            place=source,
            fix="give a folder that holds only one of them",
        )


def _closest(paths: list[Path], parts: list[str]) -> list[Path]:
    """Of files with one name, those whose folders agree longest with the folders in the label file's name."""

    def agreement(path: Path) -> int:
        count = 0
        for mine, theirs in zip(reversed(path.parts[:-1]), reversed(parts[:-1]), strict=False):
            if mine.lower() != theirs.lower():
                break
            count += 1
        return count

    best = max(agreement(path) for path in paths)
    return [path for path in paths if agreement(path) == best]


def _files(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise ImageError("there is no such folder", place=folder, fix="give the folder of the images")
    files: list[Path] = []
    for root, _, names in os.walk(folder):
        files.extend(Path(root, name) for name in names if not name.startswith("."))
        if len(files) > MAX_FILES:
            raise ImageError(f"holds more than {MAX_FILES:,} files", place=folder, fix="give the folder of the images")
    return files

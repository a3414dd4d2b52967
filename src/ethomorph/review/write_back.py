"""Corrections into files, on request only: the study's own label file, or a download in any landmark format.

A file is replaced whole or not at all, and what it was before is kept under ``review/before``.
"""

from __future__ import annotations

import io
import shutil
import tempfile
import zipfile
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ethomorph.core.errors import InputError
from ethomorph.core.files import write_text
from ethomorph.core.landmarks import LandmarkSet
from ethomorph.formats.registry import FORMATS, detect_format, format_named, read_landmarks, write_landmarks
from ethomorph.review.need import grade_of
from ethomorph.review.source import Source, file_version, text_or_none

if TYPE_CHECKING:
    from ethomorph.review.landmarks import LandmarkSource


@dataclass
class Written:
    """What a write-back did: files replaced, copies of what they were, and what the formats could not hold."""

    files: list[str] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def corrected_set(source: LandmarkSource) -> LandmarkSet:
    """Every specimen with its corrections; pictures that have no landmark yet are left out."""
    held = source.store.values()
    specimens = [source.current_specimen(item, held.get(item, {})) for item in source.items()]
    kept = [s for i, s in enumerate(specimens) if i < source.labelled or s.visible.any()]
    return replace(source.landmarks, specimens=kept, notes=[])


def write_back(source: LandmarkSource) -> Written:
    """Replace the study's label file, and its grades where there are some, by the corrected ones."""
    labels = source.study.path(source.section.labels)
    written = Written()
    chosen = detect_format(labels)
    landmarks = corrected_set(source)
    if source.section.names:
        landmarks = landmarks.renamed(read_landmarks(labels, gaps=source.section.gaps).names)
    refuse_changed_file(source, labels)
    written.copies.append(keep_copy(source, labels))
    written.notes += write_landmarks(landmarks, labels, format=chosen.name)
    written.files.append(_shown(source, labels))
    _write_grades(source, written)
    return written


def export(source: LandmarkSource, format: str) -> tuple[str, bytes, list[str]]:
    """The corrected landmarks as a download: file name, bytes, and what the format cannot hold.

    `format` is a landmark format's name, or ``all`` for a zip with every format that can hold them and the grades.

    Raises
    ------
    FormatError, LabelError : no such format, or the landmarks do not fit it.
    """
    landmarks = corrected_set(source)
    with tempfile.TemporaryDirectory() as scratch:
        if format != "all":
            path = Path(scratch) / f"{source.name}{format_named(format).suffixes[0]}"
            notes = write_landmarks(landmarks, path, format=format)
            return path.name, path.read_bytes(), notes
        return f"{source.name}.zip", *_everything(source, landmarks, Path(scratch))


def _everything(source: LandmarkSource, landmarks: LandmarkSet, scratch: Path) -> tuple[bytes, list[str]]:
    notes, stream = [], io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for one in FORMATS:
            path = scratch / one.name / f"{source.name}{one.suffixes[0]}"
            path.parent.mkdir()
            try:
                said = write_landmarks(landmarks, path, format=one.name)
            except InputError as error:
                notes.append(f"{one.title}: {error}")
                continue
            notes += [f"{one.title}: {line}" for line in said]
            archive.write(path, f"{one.name}/{path.name}")
        archive.writestr("grades.csv", grades_table(source).to_csv(index=False))
        archive.writestr("notes.txt", "\n".join(notes) + "\n")
    return stream.getvalue(), notes


def grades_table(source: LandmarkSource) -> pd.DataFrame:
    """``filename, grade, id, note``: a row an item that has a grade."""
    held = source.store.values(fields=["grade", "note"])
    rows = []
    for item, i in source.index.items():
        mine, specimen = held.get(item, {}), source.landmarks[i]
        grade = text_or_none(mine, "grade", grade_of(specimen))
        if grade is not None:
            note = text_or_none(mine, "note") or specimen.attributes.get("grade_note", "")
            rows.append((specimen.image or specimen.id, grade, specimen.attributes.get("specimen", specimen.id), note))
    return pd.DataFrame(rows, columns=["filename", "grade", "id", "note"]).drop_duplicates("filename")


def refuse_changed_file(source: LandmarkSource, labels: Path) -> None:
    """Raise InputError where the label file is not the one that was read, so that nothing in it is lost by writing."""
    if file_version(labels) != source.read_at:
        raise InputError(
            "was changed by another program since it was opened", place=labels, fix="look at it and repeat"
        )


def _write_grades(source: LandmarkSource, written: Written) -> None:
    """Grades go where the study reads them: its grading file, else the specimens table's column, else grades.csv."""
    table = grades_table(source)
    if not any("grade" in fields for fields in source.store.values(fields=["grade"]).values()):
        return
    section, specimens = source.section.grades, source.study.config.study.specimens
    if section is not None and section.file is not None:
        path = source.study.path(section.file)
        written.copies.append(keep_copy(source, path))
        write_text(path, table.to_csv(index=False))
    elif specimens is not None and (found := _in_specimens(source.study.path(specimens), table)) is not None:
        path = source.study.path(specimens)
        written.copies.append(keep_copy(source, path))
        write_text(path, found.to_csv(index=False))
    else:
        path = source.study.folder / "grades.csv"
        if path.exists():
            written.copies.append(keep_copy(source, path))
        write_text(path, table.to_csv(index=False))
        written.notes.append(f'grades: add `file = "grades.csv"` under [task.{source.name}.grades] to train by them')
    written.files.append(_shown(source, path))


def _in_specimens(path: Path, grades: pd.DataFrame) -> pd.DataFrame | None:
    """The specimens table with the new grades, where it has the columns image and grade."""
    table = pd.read_csv(path, dtype=str, sep=None, engine="python", encoding="utf-8-sig", keep_default_na=False)
    if not {"image", "grade"} <= set(table.columns):
        return None
    new = dict(zip(grades["filename"], grades["grade"], strict=True))
    return table.assign(grade=[new.get(image, old) for image, old in zip(table["image"], table["grade"], strict=True)])


def keep_copy(source: Source, path: Path) -> str:
    """Copy a file that is about to be replaced into ``review/before``; returns the copy as shown."""
    folder = source.study.folder / "review" / "before"
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / f"{datetime.now():%Y-%m-%d_%H%M%S_%f}_{path.name}"
    shutil.copy2(path, copy)
    return _shown(source, copy)


def _shown(source: Source, path: Path) -> str:
    try:
        return str(path.resolve().relative_to(source.study.folder.resolve()))
    except ValueError:
        return str(path)

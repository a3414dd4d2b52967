"""Grading files: what a person thought of each picture, joined to specimens by the exact file name.

Read with or without a header, separated by comma, semicolon, tab or blanks. What does not match is reported, never
dropped in silence; nothing is matched by guess.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from ethomorph.core.errors import FormatError
from ethomorph.core.landmarks import LandmarkSet, Specimen

MAX_BYTES = 20_000_000
_FILE_WORDS = {"filename", "file", "file_name", "image", "image_name", "img", "picture", "photo", "name"}
_GRADE_WORDS = {"grade", "quality", "rating", "class", "score"}
_ID_WORDS = {"id", "specimen", "specimen_id", "individual"}
_PICTURE = re.compile(r"\.(jpe?g|png|tiff?|bmp|dcm|dicom|gif|webp)$", re.IGNORECASE)
_BLANKS = re.compile(r"^(.*?\.(?:jpe?g|png|tiff?|bmp|dcm|dicom|gif|webp))\s+(\S+)(?:\s+(.*))?$", re.IGNORECASE)


@dataclass(frozen=True)
class Grade:
    """One row: `filename` exactly as written, `grade` in lower case, and the rest as text."""

    filename: str
    grade: str
    id: str = ""
    note: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"line {self.line}: {self.filename} ({self.grade})"


@dataclass
class GradeJoin:
    """What became of every row and every specimen.

    Attributes
    ----------
    matched : how many specimens got a grade.
    unmatched_rows : rows whose file name no specimen has.
    unmatched_specimens : labels of the specimens without a grade.
    repeated_rows : rows beyond the first for a file name, all of one grade.
    contradicting_rows : rows for a file name that was graded differently; none of them is used.
    shared_rows : rows that several specimens matched.
    near : how many unmatched rows differ from a specimen's image only in letter case, folder or suffix.
    counts : specimens a grade.
    """

    matched: int = 0
    unmatched_rows: list[Grade] = field(default_factory=list)
    unmatched_specimens: list[str] = field(default_factory=list)
    repeated_rows: list[Grade] = field(default_factory=list)
    contradicting_rows: list[Grade] = field(default_factory=list)
    shared_rows: list[Grade] = field(default_factory=list)
    near: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def sentences(self) -> list[str]:
        """What a person should know; empty where every row met exactly one specimen and the reverse."""
        said = []
        for rows, what in (
            (self.unmatched_rows, "no specimen has this image"),
            (self.repeated_rows, "graded again with the same grade"),
            (self.contradicting_rows, "graded differently in several rows, so not graded"),
            (self.shared_rows, "matches several specimens, all of which get the grade"),
        ):
            if rows:
                said.append(f"{len(rows)} grading row(s): {what}: {_listed(rows)}.")
        if self.near:
            said.append(
                f"{self.near} of the unmatched rows would match if letter case, folder and suffix were ignored."
            )
        if self.unmatched_specimens:
            said.append(
                f"{len(self.unmatched_specimens)} specimen(s) without a grade: {_listed(self.unmatched_specimens)}."
            )
        return said


def read_grades(path: str | Path) -> list[Grade]:
    """Read a grading file.

    A header names the columns (``filename,grade,id`` and the like). Without one, the first column is the file name and
    the second the grade; a third column is the specimen's id where most rows fill it with a single word, else a note.

    Raises
    ------
    FormatError
        cannot be opened, is no text, or has a row without file name or grade.
    """
    path = Path(path)
    rows = _cells(_text(path), path)
    if not rows:
        raise FormatError("holds no rows", place=path, fix="write 'filename,grade,id' and one row a picture")
    header = [cell.casefold().replace(" ", "_") for cell in rows[0][1]]
    if set(header) & _GRADE_WORDS and not any(_PICTURE.search(cell) for cell in header):
        rows = rows[1:]
        grade = next(i for i, word in enumerate(header) if word in _GRADE_WORDS)
        name = next((i for i, word in enumerate(header) if word in _FILE_WORDS and i != grade), None)
        if name is None:
            name = next((i for i in range(len(header)) if any(_is_picture(row, i) for _, row in rows)), 0)
        ids = next((i for i, word in enumerate(header) if word in _ID_WORDS and i != name), None)
    else:
        name, grade = 0, 1
        ids = 2 if _mostly_single_words([row[2] if len(row) > 2 else "" for _, row in rows]) else None
    refuse_incomplete(rows, name, grade, path)
    return [
        Grade(
            row[name],
            row[grade].casefold(),
            row[ids] if ids is not None and ids < len(row) else "",
            " ".join(cell for i, cell in enumerate(row) if i not in (name, grade, ids) and cell),
            line,
        )
        for line, row in rows
    ]


def join_grades(landmarks: LandmarkSet, grades: list[Grade]) -> tuple[LandmarkSet, GradeJoin]:
    """A copy of the set with ``attributes["grade"]`` where a row has exactly the specimen's image file name.

    Folders are compared only where the row names one. A row's note goes to ``attributes["grade_note"]``, its id to
    ``attributes["grade_id"]``.

    Examples
    --------
    >>> wings = LandmarkSet([Specimen([[0, 0]], image=name) for name in ("a.jpg", "b.jpg")], ["p"])
    >>> graded, join = join_grades(wings, [Grade("a.jpg", "good"), Grade("c.jpg", "bad")])
    >>> graded[0].attributes["grade"], join.unmatched_specimens, [g.filename for g in join.unmatched_rows]
    ('good', ['b.jpg'], ['c.jpg'])
    """
    by_name: dict[str, list[Grade]] = defaultdict(list)
    for row in grades:
        by_name[_path(row.filename)].append(row)
    join = GradeJoin()
    used: Counter[str] = Counter()
    specimens = []
    for specimen in landmarks:
        keys = {key for key in _keys(specimen) if key in by_name}
        found = next((by_name[key][0] for key in sorted(keys, key=len, reverse=True) if _agree(by_name[key])), None)
        used.update(keys)
        if found is None:
            join.unmatched_specimens.append(specimen.label)
            specimens.append(specimen)
            continue
        extra = {"grade": found.grade, "grade_note": found.note, "grade_id": found.id}
        kept = specimen.attributes | {key: value for key, value in extra.items() if value}
        specimens.append(replace(specimen, attributes=kept))
        join.matched += 1
        join.counts[found.grade] = join.counts.get(found.grade, 0) + 1
    for name, rows in by_name.items():
        if not used[name]:
            join.unmatched_rows.extend(rows)
        elif not _agree(rows):
            join.contradicting_rows.extend(rows)
        else:
            join.repeated_rows.extend(rows[1:])
            if used[name] > 1:
                join.shared_rows.append(rows[0])
    loose = {_loose(specimen.image or "") for specimen in landmarks}
    join.near = sum(_loose(row.filename) in loose for row in join.unmatched_rows)
    return replace(landmarks, specimens=specimens, notes=[*landmarks.notes, *join.sentences()]), join


def refuse_incomplete(rows: list[tuple[int, list[str]]], name: int, grade: int, path: Path) -> None:
    """Raise FormatError naming every row that lacks its file name or grade."""
    bad = [line for line, row in rows if len(row) <= max(name, grade) or not row[name] or not row[grade]]
    if bad:
        raise FormatError(
            f"no file name or no grade in line(s) {_listed(bad)}",
            place=path,
            fix="write one row a picture: filename,grade,id",
        )


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise FormatError("is too large for a grading file", place=path, fix="check which file was given")
        content = path.read_bytes()
    except OSError as error:
        raise FormatError(f"cannot be opened ({error.strerror})", place=path, fix="check the path") from None
    encodings = ("utf-16",) if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1252")
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise FormatError("is no text", place=path, fix="save the table as CSV")


def _cells(text: str, path: Path) -> list[tuple[int, list[str]]]:
    """Line number and stripped cells of every row that is neither blank nor a comment."""
    lines = [(i, line) for i, line in enumerate(text.splitlines(), 1) if line.strip() and not line.startswith("#")]
    counts = {mark: sum(mark in line for _, line in lines) for mark in "\t;,"}
    mark = max(counts, key=lambda m: counts[m])
    if counts[mark] < max(1, 0.9 * len(lines)):
        return [
            (i, [(g or "").strip() for g in m.groups()] if (m := _BLANKS.match(s.strip())) else s.split())
            for i, s in lines
        ]
    try:
        return [(i, [c.strip() for c in next(csv.reader(io.StringIO(line), delimiter=mark))]) for i, line in lines]
    except csv.Error as error:
        raise FormatError(f"cannot be read as a table ({error})", place=path, fix="save it as CSV") from None


def _keys(specimen: Specimen) -> set[str]:
    """The names a row may use: the file name, and every longer tail of the path."""
    given = specimen.image or (specimen.image_path.name if specimen.image_path else "")
    parts = [part for part in _path(given).split("/") if part]
    return {"/".join(parts[i:]) for i in range(len(parts))}


def _path(name: str) -> str:
    return name.replace("\\", "/").removeprefix("./")


def _loose(name: str) -> str:
    return PurePosixPath(_path(name)).stem.casefold()


def _agree(rows: list[Grade]) -> bool:
    return len({row.grade for row in rows}) == 1


def _is_picture(row: list[str], column: int) -> bool:
    return column < len(row) and bool(_PICTURE.search(row[column]))


def _mostly_single_words(cells: list[str]) -> bool:
    return sum(bool(cell) and " " not in cell for cell in cells) > len(cells) / 2


def _listed(things: list, most: int = 8) -> str:
    more = f" and {len(things) - most} more" if len(things) > most else ""
    return ", ".join(str(thing) for thing in things[:most]) + more

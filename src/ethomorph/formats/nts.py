"""NTSYS-pc rectangular matrices (.nts, .dta): one row a specimen, coordinates x1 y1 (z1) x2 ... in free form."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ethomorph.core.errors import FormatError
from ethomorph.core.files import write_text
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.formats.record import Format, Holds, fitted
from ethomorph.formats.scheme import Gaps, assemble
from ethomorph.formats.text import number, one_line, read_text, shown, whole

TITLE = "NTS"
HOLDS = Holds(dims=(2, 3), frames=("y_up", "lps"), ids=True)
MISSING = -999.0
_HEADER = re.compile(
    r"\s*1\s+(\d+)([LBE]?)\s+(\d+)([LBE]?)\s+([01])(?:\s+(\S+))?\s+DIM\s*=\s*([23])\s*", re.I | re.ASCII
)


def read_nts(path: str | Path, *, gaps: Gaps = "refuse") -> LandmarkSet:
    """Read an NTS file in frame "y_up" (3-D: "lps"), landmarks named from "1".

    The header is ``1 rows[L] columns[L] missing [code] DIM=k``; L puts all labels before the numbers, B at the
    beginning and E at the end of each row. Comment lines (``"`` or ``'``) are not kept, which the notes say. Every row
    has the same count, so `gaps` has no effect.

    Raises FormatError where the header or a number is wrong or numbers are too few or too many.
    """
    path = Path(path)
    lines = read_text(path).split("\n")
    comments = sum(line.lstrip()[:1] in ('"', "'") for line in lines)
    numbered = [(i, line) for i, line in enumerate(lines, 1) if line.strip() and line.lstrip()[:1] not in ('"', "'")]
    header = _HEADER.fullmatch(numbered[0][1]) if numbered else None
    if header is None:
        found = shown(numbered[0][1].strip()) if numbered else "nothing"
        raise FormatError(
            f"line {numbered[0][0] if numbered else 1} is {found}, expected a header such as '1 10L 24 1 -999 DIM=2'",
            place=path,
        )
    rows, columns, dim = whole(header[1], f"{path}, rows"), whole(header[3], f"{path}, columns"), int(header[7])
    row_labels, column_labels = header[2].upper(), header[4].upper()
    code = _code(header[6], header[5] == "1", path)
    if rows == 0 or columns == 0 or columns % dim:
        raise FormatError(f"the header gives {rows} rows of {columns} columns in {dim} dimensions", place=path)
    body = numbered[1:]
    ids: list[str] = []
    if row_labels == "L":
        ids, body = _labels(body, rows)
    if column_labels:
        _, body = _labels(body, columns)
    tokens = [(token, line) for line, text in body for token in text.split()]
    width = columns + (row_labels in ("B", "E") and 1)
    if len(tokens) != rows * width or (row_labels == "L" and len(ids) != rows):
        raise FormatError(f"the header promises {rows} x {width} values, the file has {len(tokens)}", place=path)
    if row_labels in ("B", "E"):
        at = 0 if row_labels == "B" else columns
        ids = [tokens[row * width + at][0] for row in range(rows)]
        tokens = [token for i, token in enumerate(tokens) if i % width != at]
    values = np.array([number(token, f"{path}, line {line}") for token, line in tokens])
    if code is not None:
        values[values == code] = np.nan
    specimens = [
        Specimen(values[i * columns : (i + 1) * columns].reshape(-1, dim).copy(), id=ids[i] if ids else "")
        for i in range(rows)
    ]
    notes = [f"{comments} comment lines are not kept"] if comments else []
    if dim == 3:
        notes.append("3-D coordinates are taken as they stand: NTS does not say its axes")
    return assemble(specimens, None, path=path, frame="lps" if dim == 3 else "y_up", gaps=gaps, notes=notes)


def write_nts(landmarks: LandmarkSet, path: str | Path) -> list[str]:
    """Write an NTS file, y up in 2-D; returns a sentence for everything that it cannot hold.

    Missing points get the code -999, or the next smaller power of ten less one that no coordinate has. White space in
    ids becomes ``_``, for labels are split at it.
    """
    landmarks, sentences = fitted(landmarks, TITLE, HOLDS)
    array = landmarks.array()
    code = MISSING
    while (array == code).any():
        code = code * 10 - 9
    ids = (
        ["_".join(one_line(s.id).split()) or f"specimen_{i}" for i, s in enumerate(landmarks, 1)]
        if _any_id(landmarks)
        else []
    )
    changed = sum(new != s.id for new, s in zip(ids, landmarks, strict=False))
    ids = [f"_{label}" if label[0] in "\"'" else label for label in ids]
    missing = f"1 {code!r}" if np.isnan(array).any() else "0"
    out = [f"1 {len(array)}{'L' if ids else ''} {array.shape[1] * array.shape[2]} {missing} DIM={array.shape[2]}", *ids]
    filled = np.where(np.isnan(array).any(axis=2, keepdims=True), code, array)
    out += [" ".join(map(repr, row)) for specimen in filled.tolist() for row in specimen]
    write_text(path, "\n".join(out) + "\n")
    if changed:
        sentences.append(
            f"{changed} specimen ids are empty or have white space, which NTS cannot hold: written another way"
        )
    return sentences


def sniff_nts(head: bytes) -> bool:
    """Whether the first line that is no comment is an NTS header."""
    lines = (line for line in head.decode("latin-1").splitlines() if line.strip() and line.lstrip()[0] not in "\"'")
    return _HEADER.fullmatch(next(lines, "").removeprefix("\xef\xbb\xbf")) is not None


def _labels(body: list[tuple[int, str]], count: int) -> tuple[list[str], list[tuple[int, str]]]:
    """The next `count` words, and the lines after the one that the last of them ends."""
    words: list[str] = []
    for index, (_, line) in enumerate(body):
        words += line.split()
        if len(words) >= count:
            rest = words[count:]
            remaining = body[index + 1 :]
            return words[:count], ([(body[index][0], " ".join(rest)), *remaining] if rest else remaining)
    return words, []


def _code(text: str | None, used: bool, path: Path) -> float | None:
    if not used:
        return None
    if text is None:
        return MISSING
    return number(text, f"{path}, missing code")


def _any_id(landmarks: LandmarkSet) -> bool:
    return any(specimen.id for specimen in landmarks)


FORMAT = Format("nts", TITLE, (".nts", ".dta"), sniff_nts, read_nts, write_nts, HOLDS)

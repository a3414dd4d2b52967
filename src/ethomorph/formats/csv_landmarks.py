"""Wide landmark tables, as MorphoJ and geomorph exchange them: one row a specimen, ``id, x1, y1[, z1], x2, ...``.

Columns before, between and after the coordinates become attributes. Such tables have y up. DeepLabCut's tables and
tables with one row a landmark have files of their own here.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ethomorph.core.errors import FormatError
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.formats.record import Format, Holds, fitted, listed
from ethomorph.formats.scheme import Gaps, assemble
from ethomorph.formats.tables import digits, even, read_rows, write_rows
from ethomorph.formats.text import number, one_line, shown

TITLE = "wide table"
HOLDS = Holds(
    dims=(2, 3), frames=("y_up", "lps"), names=True, ids=True, pictures=True, scale=True, unit=True, attributes=True
)
ID_COLUMNS = ("specimen", "id", "specimen_id", "name", "label", "ind", "individual_id", "")
IMAGE_COLUMNS = ("image", "file", "filename", "file_name", "picture")
_AXIS_FIRST = re.compile(r"(?:raw|proc)?([xyz])[ ._]?(\d+)", re.I | re.ASCII)  # x1, X.1, rawx1
_AXIS_LAST = re.compile(r"(.+?)[ ._]([xyz])", re.I)  # 1.X, tip_x, nose.y
_QUICK = re.compile(rb"(?:^|[,;\t\"])(?:(?:raw|proc)?x[ ._]?\d+|[^,;\t\n\"]+[ ._]x)\"?[,;\t]", re.I)


def read_csv(path: str | Path, *, gaps: Gaps = "refuse") -> LandmarkSet:
    """Read a wide table in frame "y_up" (3-D: "lps").

    Coordinate columns are ``x1, y1, z1`` (any case, also ``X.1``) or ``name_x, name_y`` (also ``1.X``), in any place.
    Empty cells and NA are missing. A table without header has its id first and then x and y in turn. A column named
    image, scale or unit fills that field; every other column is an attribute. Rows have one width, so `gaps` has no
    effect.

    Raises FormatError where a landmark lacks an axis, a row has another width, or a cell is no number.
    """
    path = Path(path)
    rows = read_rows(path)
    header = rows[0][1]
    columns, names, dim = coordinate_columns(header, path)
    notes = []
    if not columns:
        header, columns, names, dim = _headerless(header, path)
        notes.append("the table has no header: its columns are taken as id, x1, y1, x2, y2, ...")
    else:
        rows = rows[1:]
    even(rows, len(header), path)
    taken = {column for group in columns for column in group}
    others = [(i, name) for i, name in enumerate(header) if i not in taken]
    lower = {name.lower(): i for i, name in reversed(others)}
    id_column = next((lower[name] for name in ID_COLUMNS if name in lower), None)
    if id_column is None and others and others[0][0] == 0 and len({row[0] for _, row in rows}) == len(rows):
        id_column = 0  # a first column in which every row differs
    image_column = next((lower[name] for name in IMAGE_COLUMNS if name in lower), None)
    specimens = []
    for line, row in rows:
        place = f"{path}, line {line}"
        points = np.array([[number(row[c], f"{place}, column {header[c]}") for c in group] for group in columns])
        specimen = Specimen(points.reshape(len(columns), dim), id=row[id_column] if id_column is not None else "")
        for i, name in others:
            if i == id_column or not row[i]:
                continue
            if i == image_column:
                specimen.image = row[i]
            elif name.lower() == "scale":
                scale = number(row[i], f"{place}, scale")
                specimen.scale = scale if scale == scale else None
            elif name.lower() == "unit" and "scale" in lower:
                specimen.unit = row[i]
            else:
                specimen.attributes[name or f"column {i + 1}"] = row[i]
        specimens.append(specimen)
    if dim == 3:
        notes.append("3-D coordinates are taken as they stand: a table does not say its axes")
    return assemble(specimens, names, path=path, frame="lps" if dim == 3 else "y_up", gaps=gaps, notes=notes)


def write_csv(landmarks: LandmarkSet, path: str | Path) -> list[str]:
    """Write a wide table, y up in 2-D; returns a sentence for everything that it cannot hold."""
    landmarks, sentences = fitted(landmarks, TITLE, HOLDS)
    axes = "xyz"[: landmarks.dim]
    names = landmarks.names
    if names == [str(i) for i in range(1, len(names) + 1)]:
        heads = [f"{axis}{name}" for name in names for axis in axes]
    else:
        heads = [f"{one_line(name)}_{axis}" for name in names for axis in axes]
    if not _comes_back(heads, names, landmarks.dim):
        sentences.append(
            "landmark names are empty, repeat or read like columns: a wide table cannot hold them, they are numbered"
        )
        heads = [f"{axis}{i}" for i in range(1, len(names) + 1) for axis in axes]
    images = any(s.image for s in landmarks)
    scales = any(s.scale is not None for s in landmarks)
    units = any(s.scale is not None and s.unit != "mm" for s in landmarks)
    keys = list(dict.fromkeys(key for s in landmarks for key in s.attributes))
    unfit = [key for key in keys if _is_field(key) or one_line(key) != key]
    keys = [key for key in keys if key not in unfit]
    blank = sum(not s.attributes[key].strip() for s in landmarks for key in keys if key in s.attributes)
    header = ["id", *["image"] * images, *["scale"] * scales, *["unit"] * units, *keys, *heads]
    table = [header]
    changed = 0
    for s in landmarks:
        cells = [s.id, *[s.image or ""] * images, *[digits(float(s.scale)) if s.scale is not None else ""] * scales]
        cells += [*[s.unit if s.scale is not None else ""] * units, *(s.attributes.get(key, "") for key in keys)]
        clean = [one_line(cell) for cell in cells]
        changed += sum(a != b for a, b in zip(cells, clean, strict=True))
        gap = np.isnan(s.points).any(axis=1, keepdims=True)
        table.append(clean + [digits(value) or "NA" for value in np.where(gap, np.nan, s.points).ravel().tolist()])
    write_rows(table, path)
    if unfit:
        sentences.append(
            f"a wide table does not hold attributes that are named like its own columns: dropped {listed(unfit)}"
        )
    if blank:
        sentences.append(f"{blank} empty attributes are dropped: an empty cell is an absent attribute")
    if changed:
        sentences.append(f"{changed} texts lost line breaks, control characters or outer white space")
    return sentences


def sniff_csv(head: bytes) -> bool:
    """Whether the first line names coordinate columns, or is an id followed by four or more numbers."""
    first = head.removeprefix(b"\xef\xbb\xbf").lstrip().split(b"\n", 1)[0]
    if _QUICK.search(first):
        return True
    cells = re.split(rb"[,;\t]", first.strip())
    return len(cells) >= 5 and all(
        re.fullmatch(rb'"?[+-]?\d*[.,]?\d+(?:[eE][+-]?\d+)?"?', c.strip()) for c in cells[1:]
    )


def coordinate_columns(header: list[str], path: Path) -> tuple[list[list[int]], list[str], int]:
    """Column numbers of each landmark's axes, the landmarks' names, and the dimension; no columns where there are none.

    Raises FormatError where a landmark lacks an axis or has one twice.

    Examples
    --------
    >>> coordinate_columns(["id", "x1", "y1", "sex", "x2", "y2"], Path("a.csv"))
    ([[1, 2], [4, 5]], ['1', '2'], 2)
    """
    found: dict[str, dict[str, int]] = {}
    for column, cell in enumerate(header):
        matched = _named_axis(cell)
        if matched is None:
            continue
        name, axis = matched
        if axis in found.setdefault(name, {}):
            raise FormatError(f"column {shown(cell)} stands twice", place=path)
        found[name][axis] = column
    found = {
        name: axes for name, axes in found.items() if ("x" in axes and "y" in axes) or _AXIS_FIRST.fullmatch(f"x{name}")
    }
    if not found:
        return [], [], 2
    dim = 3 if any("z" in axes for axes in found.values()) else 2
    for name, axes in found.items():
        lacking = [axis for axis in "xyz"[:dim] if axis not in axes]
        if lacking:
            raise FormatError(f"landmark {shown(name)} has no column {lacking[0]}", place=path)
    return [[axes[axis] for axis in "xyz"[:dim]] for axes in found.values()], list(found), dim


def _named_axis(cell: str) -> tuple[str, str] | None:
    first = _AXIS_FIRST.fullmatch(cell)
    if first:
        return str(int(first[2][:9])), first[1].lower()
    last = _AXIS_LAST.fullmatch(cell)
    return (last[1], last[2].lower()) if last else None


def _headerless(first: list[str], path: Path) -> tuple[list[str], list[list[int]], list[str], int]:
    count = len(first) - 1
    try:
        values = [number(cell, "") for cell in first[1:]]
    except FormatError:
        values = []
    if count < 4 or count % 2 or len(values) != count:
        raise FormatError(
            "its header names no coordinate columns such as x1, y1", place=path, fix="name the columns id, x1, y1, ..."
        )
    names = [str(i) for i in range(1, count // 2 + 1)]
    header = ["id", *(f"{axis}{name}" for name in names for axis in "xy")]
    return header, [[2 * i + 1, 2 * i + 2] for i in range(len(names))], names, 2


def _is_field(key: str) -> bool:
    """Whether a column of this name would be read as something else than an attribute."""
    lower = key.strip().lower()
    return lower in (*ID_COLUMNS, *IMAGE_COLUMNS, "scale", "unit") or _named_axis(key.strip()) is not None


def _comes_back(heads: list[str], names: list[str], dim: int) -> bool:
    try:
        columns, found, found_dim = coordinate_columns(heads, Path())
    except FormatError:
        return False
    return found == names and found_dim == dim and len(columns) * dim == len(heads)


FORMAT = Format(
    "csv", "wide table (MorphoJ, geomorph)", (".csv", ".tsv", ".txt"), sniff_csv, read_csv, write_csv, HOLDS
)

"""Tables of repeated measurements per individual: one row a print, read from CSV, semicolon, tab or Excel files.

Finds who, which trail, where and when by column name, keeps every other numeric column as a variable, and says what it
left aside. Comparing and counting happen elsewhere.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from ethomorph.core.errors import FormatError, LabelError
from ethomorph.core.files import write_text
from ethomorph.core.prints import PrintTable
from ethomorph.identity.cells import as_number, read_cells
from ethomorph.identity.columns import ROLES, find_columns

NUMERIC_SHARE = 0.9
"""A column is a measurement where at least this share of its filled cells are numbers; the others are then errors."""

GAP_SHARE = 0.5
"""A variable missing in more than this share of the prints is left aside: imputing it would invent it."""


def read_prints(
    path: str | Path,
    *,
    animal: str | None = None,
    trail: str | None = None,
    sex: str | None = None,
    age: str | None = None,
    species: str | None = None,
    site: str | None = None,
    session: str | None = None,
    foot: str | None = None,
    substrate: str | None = None,
    classes: Sequence[str] = (),
    variables: Sequence[str] | None = None,
    ignore: Sequence[str] = (),
    needed: Sequence[str] = (),
    missing_trail: Literal["drop", "single"] = "drop",
) -> PrintTable:
    """Read a measurement table; decimal commas, semicolons, tabs, Excel and odd encodings are understood.

    Parameters
    ----------
    path : .csv, .tsv, .txt or .xlsx; one row a print.
    animal, trail, sex, age, species, site, session, foot, substrate : column names where the automatic choice (by
        name) should be overruled.
    classes : further columns, of any content, to keep as attributes under their own names.
    variables : columns to use; by default every numeric column that names nothing else.
    ignore : columns to leave aside.
    needed : variables that a reference has: kept where they would be left aside, as constant in a small survey.
    missing_trail : rows without trail in a table that has trails: left out ("drop", and counted in `notes`) or each a
        trail of its own ("single").

    Returns
    -------
    PrintTable
        `notes` says what was left aside: constant columns, running numbers, mostly empty variables, doubled rows.

    Raises
    ------
    FormatError
        For files that are no table, or columns that could both be the animal.
    LabelError
        For text in a measured column (with line and column), no variables, fewer than two prints.
    """
    header, body = read_cells(path)
    place = str(path)
    columns = {name: [row[i] for row in body] for i, name in enumerate(header) if name not in ignore}
    given = {
        "animal": animal, "trail": trail, "sex": sex, "age": age, "species": species, "site": site,
        "session": session, "foot": foot, "substrate": substrate,
    }  # fmt: skip
    found, notes = find_columns(columns, {role: name for role, name in given.items() if name}, place)
    kept = {name: columns[name] for name in classes if name in columns and name not in found}
    lines = np.arange(2, len(body) + 2)
    if len(body) < 2:
        raise LabelError("one print only", place=place, fix="comparing needs at least two")
    candidates = (
        list(variables) if variables else [name for name in columns if name not in found.values() and name not in kept]
    )
    absent = [name for name in candidates if name not in columns]
    if absent:
        raise FormatError(f"no column {absent[0]!r}", place=place)
    numbers: dict[str, np.ndarray] = {}
    if "embedding" in found:
        numbers |= _embedding(columns[found["embedding"]], found["embedding"], place)
    for name in candidates:
        vector = _numbers(name, columns[name], place, forced=variables is not None)
        if vector is None:
            notes.append(f"column {name!r} is text and was left aside")
        elif name not in needed and (why := _useless(vector)):
            notes.append(f"column {name!r} {why} and was left aside")
        else:
            numbers[name] = vector
    if not numbers:
        raise LabelError("no measured variables", place=place, fix="give at least one numeric column that varies")
    text = {
        role: np.array(columns[name], dtype=str)
        for role, name in found.items()
        if role in ROLES and role != "embedding"
    } | {name: np.array(cells, dtype=str) for name, cells in kept.items()}
    who = text.pop("animal", np.full(len(body), ""))
    table = PrintTable(
        values=np.column_stack(list(numbers.values())), variables=list(numbers),
        trail=text.pop("trail", np.full(len(body), "")),
        animal=who, attributes=text, rows=lines, source=place, notes=notes,
    )  # fmt: skip
    return _without_doubles(_with_trails(table, "trail" in found, missing_trail))


def write_prints(table: PrintTable, path: str | Path) -> Path:
    """Write prints as CSV that `read_prints` reads back: animal, trail, what else is known, then the measurements."""
    who = {"animal": table.animal} if table.known.any() else {}
    columns = {**who, "trail": table.trail, **table.attributes}
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*columns, *table.variables])
    for known, values in zip(zip(*columns.values(), strict=True), table.values, strict=True):
        writer.writerow([*known, *("" if np.isnan(v) else f"{v:.7g}" for v in values)])
    return write_text(path, stream.getvalue())


def pseudo_trails(table: PrintTable, size: int = 7) -> PrintTable:
    """Trails made of consecutive prints of one animal, for tables whose trail column was lost.

    Each animal's prints are cut, in file order, into stretches of about `size`. As consecutive prints share their walk
    and their ground, results are optimistic; a note says so.

    Raises
    ------
    LabelError
        Where a print has no known animal.
    """
    if not table.known.all():
        raise LabelError(
            "trails cannot be made up for prints of unknown animals", place=table.source, fix="add a trail column"
        )
    trail = np.empty(len(table), dtype=object)
    for name in np.unique(table.animal):
        rows = np.flatnonzero(table.animal == name)
        for number, stretch in enumerate(np.array_split(rows, max(1, round(len(rows) / size))), 1):
            trail[stretch] = f"{name}/{number}"
    note = f"no trails: consecutive prints of one animal were grouped by about {size}, so scores are optimistic"
    return replace(table, trail=trail.astype(str), notes=[*table.notes, note])


def _numbers(name: str, cells: list[str], place: str, *, forced: bool) -> np.ndarray | None:
    """A measured column as floats, or None where it is text; refuses text among numbers, naming the cells."""
    parsed = [as_number(cell) for cell in cells]
    filled = sum(1 for value in parsed if value is None or value == value)
    bad = [i for i, value in enumerate(parsed) if value is None]
    if bad and not forced and len(bad) > (1 - NUMERIC_SHARE) * filled:
        return None
    if bad:
        listed = ", ".join(f"line {i + 2}: {cells[i][:30]!r}" for i in bad[:4]) + (
            f" and {len(bad) - 4} more" if len(bad) > 4 else ""
        )
        raise LabelError(
            f"column {name!r} holds text among its numbers ({listed})",
            place=place,
            fix="correct the cells, or empty them if missing",
        )
    return np.array(parsed, dtype=np.float64)


def _useless(vector: np.ndarray) -> str:
    """Why a numeric column is no variable, or ""."""
    filled = vector[np.isfinite(vector)]
    if not len(filled):
        return "is empty"
    if np.ptp(filled) == 0:
        return "is constant"
    if len(filled) < (1 - GAP_SHARE) * len(vector):
        return f"is missing in {len(vector) - len(filled)} of {len(vector)} prints"
    if len(filled) == len(vector) > 4 and (np.diff(vector) == 1).all():
        return "is a running number"
    return ""


def _embedding(cells: list[str], name: str, place: str) -> dict[str, np.ndarray]:
    """A column of vectors written as text ("[0.1, 0.2]", spaces or semicolons too) as one variable an axis."""
    vectors = []
    for line, cell in enumerate(cells, 2):
        try:
            vectors.append([float(part) for part in cell.strip("[]() ").replace(";", " ").replace(",", " ").split()])
        except ValueError:
            raise LabelError(f"line {line}: {cell[:30]!r} is not a vector", place=f"{place}, column {name!r}") from None
        if len(vectors[-1]) != len(vectors[0]) or not vectors[-1]:
            raise LabelError(
                f"line {line} has {len(vectors[-1])} numbers, the first has {len(vectors[0])}", place=place
            )
    return {f"{name}_{i}": column for i, column in enumerate(np.array(vectors).T) if np.ptp(column) > 0}


def _with_trails(table: PrintTable, present: bool, missing: str) -> PrintTable:
    """Fill in, leave out or qualify trails, so that each has a name and one animal."""
    notes = list(table.notes)
    if not present:
        if table.known.all():
            return pseudo_trails(table)
        notes.append("no trail column: every print counts as a trail of its own")
        return replace(table, trail=np.array([f"print {row}" for row in table.rows]), notes=notes)
    trail, empty = table.trail.astype(object), table.trail == ""
    if empty.any() and missing == "drop":
        notes.append(
            f"{empty.sum()} prints without trail were left out (lines {', '.join(map(str, table.rows[empty][:8]))})"
        )
    for row in np.flatnonzero(empty):
        trail[row] = f"print {table.rows[row]}"
    owners = defaultdict(set)
    for name, animal in zip(trail, table.animal, strict=True):
        owners[name].add(animal)
    if any(len(animals) > 1 for animals in owners.values()):
        shared = next(name for name, animals in owners.items() if len(animals) > 1)
        if "" in owners[shared]:
            raise LabelError(
                f"trail {shared!r} has prints with and without animal", place=table.source, fix="name it in all or none"
            )
        trail = np.array([f"{animal} / {name}" for animal, name in zip(table.animal, trail, strict=True)])
        notes.append(f"trail names repeat between animals (such as {shared!r}): the animal's name was put before them")
    filled = replace(table, trail=trail.astype(str), notes=notes)
    filled = filled.where(~empty) if missing == "drop" else filled
    if len(filled) < 2:
        raise LabelError(f"{len(filled)} prints with a trail", place=table.source, fix="comparing needs at least two")
    return filled


def _without_doubles(table: PrintTable) -> PrintTable:
    """Leave out rows whose measurements repeat an earlier row of the same animal; refuse such rows between animals."""
    seen: dict[bytes, int] = {}
    doubled = []
    for i, row in enumerate(table.values):
        first = seen.setdefault(row.tobytes(), i)
        if first == i or len(row) < 4:
            continue
        if table.animal[first] != table.animal[i]:
            raise LabelError(
                f"lines {table.rows[first]} and {table.rows[i]} hold the same measurements but name "
                f"{table.animal[first]!r} and {table.animal[i]!r}",
                place=table.source, fix="remove the wrong one",
            )  # fmt: skip
        doubled.append(i)
    if not doubled:
        return table
    keep = np.ones(len(table), bool)
    keep[doubled] = False
    listed = ", ".join(str(table.rows[i]) for i in doubled[:8])
    kept = table.where(keep)
    kept.notes.append(f"{len(doubled)} doubled rows were left out (lines {listed})")
    return kept

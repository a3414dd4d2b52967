"""DeepLabCut tables: labelled frames and predictions, of one animal or several, as CSV.

The header has the rows scorer, (individuals,) bodyparts and coords; a row is a picture or a frame of a video. The same
table in HDF5 is read and written by `deeplabcut_h5`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ethomorph.core.errors import FormatError
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.formats.record import Format, Holds, fitted, listed, table_names
from ethomorph.formats.scheme import Gaps, assemble
from ethomorph.formats.tables import digits, even, read_rows, write_rows
from ethomorph.formats.text import number as parse_number
from ethomorph.formats.text import one_line, shown

TITLE = "DeepLabCut"
HOLDS = Holds(names=True, pictures=True, confidence=True)
LEVELS = ("scorer", "individuals", "bodyparts", "coords")
SCORER = "ethomorph"  # who marked a set that does not say so
FRAME = "frame"  # attribute: the number of the video frame, where rows are frames
MAX_INDIVIDUALS = 100  # more ids than this are specimens' ids, not animals seen again and again
# What `fitted` is told: ids and attributes are settled by `table_of`, which says what it drops.
_SETTLED = Holds(names=True, pictures=True, confidence=True, ids=True, attributes=True)


@dataclass
class Table:
    """A DeepLabCut table.

    Attributes
    ----------
    columns : (scorer, individual or "", bodypart, coord) of each column.
    index : picture or frame of each row.
    values : (rows, columns).
    several : whether there is a header row "individuals".
    notes : what reading had to decide.
    """

    columns: list[tuple[str, str, str, str]]
    index: list[str]
    values: np.ndarray
    several: bool
    notes: list[str] = field(default_factory=list)


def read_deeplabcut(path: str | Path, *, gaps: Gaps = "refuse") -> LandmarkSet:
    """Read a DeepLabCut CSV in frame "image".

    A row is a specimen for each individual that has a point in it (tables of one animal: a specimen a row). Where rows
    are pictures `image` is the path as written, where they are frames ``attributes["frame"]`` is the number. An
    individual is the specimen's id, likelihood its confidence. A point at (0, 0) with likelihood 0 is missing: that is
    how DeepLabCut writes animals that it did not find.

    Raises FormatError where header rows are wrong, a cell is no number, or a bodypart lacks x or y.
    """
    path = Path(path)
    return specimens_of(_table(path), path, gaps)


def write_deeplabcut(landmarks: LandmarkSet, path: str | Path) -> list[str]:
    """Write a DeepLabCut CSV; returns a sentence for everything that it cannot hold.

    Rows are pictures; specimens without one are frames by ``attributes["frame"]`` or counted. Where a picture has
    several specimens there is a header row "individuals".
    """
    table, sentences = table_of(landmarks)
    levels = [0, 1, 2, 3] if table.several else [0, 2, 3]
    rows = [[LEVELS[level], *(column[level] for column in table.columns)] for level in levels]
    rows += [[name, *map(digits, row)] for name, row in zip(table.index, table.values.tolist(), strict=True)]
    write_rows(rows, path)
    return sentences


def specimens_of(table: Table, path: Path, gaps: Gaps = "refuse") -> LandmarkSet:
    """The specimens of a table; `path` for messages."""
    parts = list(dict.fromkeys(column[2] for column in table.columns))
    animals = list(dict.fromkeys(column[1] for column in table.columns))
    if len(parts) * len(animals) * max(len(table.index), 1) > 50_000_000:
        raise FormatError(f"unfolds to {len(animals)} animals of {len(parts)} points in every row", place=path)
    cube = np.full((len(table.index), len(animals), len(parts), 3), np.nan)
    animal_at, part_at = {a: i for i, a in enumerate(animals)}, {p: i for i, p in enumerate(parts)}
    filled: set[tuple[str, str, str]] = set()
    for column, (_, animal, part, coord) in enumerate(table.columns):
        axis = {"x": 0, "y": 1, "likelihood": 2}.get(coord.lower())
        if axis is None:
            raise FormatError(f"coordinate {shown(coord)} is not x, y or likelihood", place=path)
        if (animal, part, coord.lower()) in filled:
            raise FormatError(f"{part} {coord} stands twice", place=path)
        filled.add((animal, part, coord.lower()))
        cube[:, animal_at[animal], part_at[part], axis] = table.values[:, column]
    for animal, part in dict.fromkeys(column[1:3] for column in table.columns):
        if not {(animal, part, "x"), (animal, part, "y")} <= filled:
            raise FormatError(f"bodypart {shown(part)} has no x or no y", place=path)
    if np.isinf(cube).any():
        raise FormatError("a coordinate is infinite", place=path)
    cube[..., :2][(cube == 0).all(axis=-1)] = np.nan
    said = {} if table.columns[0][0] == SCORER else {"scorer": table.columns[0][0]}
    specimens = []
    for row, name in enumerate(table.index):
        framed = re.fullmatch(r"\d+", name) is not None
        for i, animal in enumerate(animals):
            points, confidence = cube[row, i, :, :2].copy(), cube[row, i, :, 2].copy()
            if table.several and not np.isfinite(points).all(axis=1).any():
                continue
            specimens.append(
                Specimen(
                    points,
                    id=animal,
                    image=None if framed or not name else name,
                    confidence=confidence if np.isfinite(confidence).any() else None,
                    attributes=said | ({FRAME: name} if framed else {}),
                )
            )
    return assemble(specimens, parts, path=path, frame="image", gaps=gaps, notes=table.notes)


def table_of(landmarks: LandmarkSet) -> tuple[Table, list[str]]:
    """The set as a table, and a sentence for everything that it cannot hold."""
    landmarks, sentences = fitted(landmarks, TITLE, _SETTLED)
    names = table_names(landmarks.names, TITLE, sentences)
    keys = [_row_key(specimen, i) for i, specimen in enumerate(landmarks)]
    index = list(dict.fromkeys(keys))
    animals, several = _animals(landmarks, keys, sentences)
    order = list(dict.fromkeys(animals))
    likelihood = any(s.confidence is not None for s in landmarks)
    coords = ("x", "y", "likelihood") if likelihood else ("x", "y")
    cube = np.full((len(index), len(order), len(names), len(coords)), np.nan)
    row_at, animal_at = {key: i for i, key in enumerate(index)}, {animal: i for i, animal in enumerate(order)}
    for specimen, key, animal in zip(landmarks, keys, animals, strict=True):
        cell = cube[row_at[key], animal_at[animal]]
        cell[:, :2] = np.where(specimen.visible[:, None], specimen.points, np.nan)
        if specimen.confidence is not None:
            cell[:, 2] = specimen.confidence
    scorers = {s.attributes.get("scorer", SCORER) for s in landmarks}
    scorer = one_line(scorers.pop()) if len(scorers) == 1 else SCORER
    columns = [(scorer, animal, name, coord) for animal in order for name in names for coord in coords]
    _say_losses(landmarks, keys, animals, several, scorer, sentences)
    return Table(columns, index, cube.reshape(len(index), -1), several), sentences


def sniff_deeplabcut(head: bytes) -> bool:
    """Whether header rows follow that begin with scorer and bodyparts."""
    return re.match(
        rb"(?:\xef\xbb\xbf)?\"?scorer\"?,[^\n]*\n(?:\"?individuals\"?,[^\n]*\n)?\"?bodyparts\"?,", head
    ) is not None or (head.removeprefix(b"\xef\xbb\xbf").startswith(b"scorer,") and head.count(b"\n") < 2)


def _table(path: Path) -> Table:
    rows = read_rows(path)
    header: dict[str, list[str]] = {}
    while rows and rows[0][1][0].lower() in LEVELS and len(header) < 4:
        cells = rows.pop(0)[1]
        header[cells[0].lower()] = cells
    for level in ("scorer", "bodyparts", "coords"):
        if level not in header:
            raise FormatError(f"has no header row {level!r}", place=path, fix="export it from DeepLabCut again")
    coords = header["coords"]
    width = len(coords)
    first = next((i for i in range(1, width) if coords[i]), width)
    if first == width:
        raise FormatError("its header row 'coords' is empty", place=path)
    short = sum(len(row) < width for _, row in rows)
    for row in (*header.values(), *(row for _, row in rows)):
        row += [""] * (width - len(row))
    even([*((1, row) for row in header.values()), *rows], width, path)
    animals = header.get("individuals", [""] * width)
    columns = [(header["scorer"][first], animals[i], header["bodyparts"][i], coords[i]) for i in range(first, width)]
    index = ["/".join(cell for cell in row[:first] if cell) for _, row in rows]
    values = [[parse_number(cell, f"{path}, line {line}") for cell in row[first:]] for line, row in rows]
    array = np.array(values, dtype=np.float64).reshape(len(rows), width - first)
    notes = [f"{short} rows are shorter than the header: what they lack is missing"] if short else []
    return Table(columns, index, array, "individuals" in header, notes)


def _row_key(specimen: Specimen, position: int) -> str:
    image = one_line(specimen.image or "")
    if image.isdigit():
        image = f"./{image}"  # or it would be read as the number of a frame
    return image or one_line(specimen.attributes.get(FRAME, "")) or str(position)


def _animals(landmarks: LandmarkSet, keys: list[str], sentences: list[str]) -> tuple[list[str], bool]:
    """The individual of each specimen, and whether the table needs individuals at all."""
    turns: dict[str, int] = {}
    turn = [turns[key] for key in keys if turns.update({key: turns.get(key, 0) + 1}) is None]
    several = max(turn) > 1
    ids = [one_line(s.id) for s in landmarks]
    recurring = len(set(ids)) <= MAX_INDIVIDUALS and len(set(ids)) < len(ids)
    if all(ids) and len(set(zip(keys, ids, strict=True))) == len(ids) and recurring:
        return ids, True
    count = sum(bool(text) for text in ids)
    if count:
        sentences.append(f"DeepLabCut does not hold specimen ids: dropped from {count} of {len(ids)} specimens")
    if several:
        sentences.append("specimens in one picture are called individual1, individual2, ... in place of ids")
    return [f"individual{i}" if several else "" for i in turn], several


def _say_losses(
    landmarks: LandmarkSet, keys: list[str], animals: list[str], several: bool, scorer: str, sentences: list[str]
) -> None:
    kept = {FRAME} if any(not s.image for s in landmarks) else set()
    lost = list(dict.fromkeys(key for s in landmarks for key in s.attributes if key not in kept | {"scorer"}))
    if any("scorer" in s.attributes and s.attributes["scorer"] != scorer for s in landmarks):
        lost.append("scorer")
    if lost:
        sentences.append(f"DeepLabCut does not hold attributes: dropped {listed(lost)}")
    unnamed = sum(not s.image and FRAME not in s.attributes for s in landmarks)
    if unnamed:
        sentences.append(f"{unnamed} specimens without a picture are numbered as frames")
    spaced = sum(one_line(s.id) != s.id or s.id.strip() != s.id for s in landmarks)
    if spaced:
        sentences.append(f"{spaced} specimen ids lose outer white space or control characters")
    changed = sum(bool(s.image) and (one_line(s.image or "") != s.image or s.image.isdigit()) for s in landmarks)
    if changed:
        sentences.append(f"{changed} picture names are numbers or have outer white space: they are read in another way")
    empty = sum(several and not s.visible.any() for s in landmarks)
    if empty:
        sentences.append(
            f"{empty} specimens without any point are dropped: DeepLabCut knows only animals that are there"
        )
    order = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    columns = {animal: i for i, animal in enumerate(dict.fromkeys(animals))}
    places = [(order[key], columns[animal]) for key, animal in zip(keys, animals, strict=True)]
    if places != sorted(places):
        sentences.append("specimens are put in order of their pictures and individuals")
    zero = sum(
        int(((s.points == 0).all(axis=1) & (s.confidence == 0)).sum()) for s in landmarks if s.confidence is not None
    )
    if zero:
        sentences.append(f"{zero} points at (0, 0) with confidence 0 become missing points: DeepLabCut marks those so")


FORMAT = Format(
    "deeplabcut", "DeepLabCut CSV", (".dlc.csv", ".csv"), sniff_deeplabcut, read_deeplabcut, write_deeplabcut, HOLDS
)

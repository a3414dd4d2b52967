"""Tidy landmark tables: one row a landmark of a specimen, with the frame written in it; they hold nearly everything."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import numpy as np

from ethomorph.core.errors import FormatError
from ethomorph.core.landmarks import Frame, LandmarkSet, Specimen
from ethomorph.formats.record import Format, Holds, fitted, listed, table_names
from ethomorph.formats.scheme import Gaps, assemble
from ethomorph.formats.tables import digits, even, read_rows, write_rows
from ethomorph.formats.text import number, one_line, shown

TITLE = "tidy table"
HOLDS = Holds(
    dims=(2, 3),
    frames=get_args(Frame),
    names=True,
    ids=True,
    pictures=True,
    scale=True,
    unit=True,
    boxes=True,
    confidence=True,
    spread=True,
    attributes=True,
)
BOX = ("box_left", "box_top", "box_right", "box_bottom")
OWN = frozenset(
    [*"xyz", "sample", "specimen", "id", "image", "landmark", "frame", "image_height", "image_width", "scale", "unit"]
    + ["confidence", "spread_px", *BOX]
)

Row = tuple[int, dict[str, str]]


def read_tidy(path: str | Path, *, gaps: Gaps = "refuse") -> LandmarkSet:
    """Read a tidy table: columns ``specimen, landmark, x, y[, z]`` and any of `OWN`; other columns are attributes.

    Rows belong to one specimen while ``sample`` stays the same (where there is no such column: while specimen and image
    stay the same and no landmark repeats). A table of nothing but x, y (and z) is one
    specimen, called by the file. A landmark without a row is missing. Without a ``frame`` column, 2-D points
    have y up, as in wide tables. `gaps` has no effect, for a landmark's name says which is absent.

    Raises FormatError where a landmark stands twice in a specimen, frames are mixed or a cell is no number.
    """
    path = Path(path)
    rows = read_rows(path)
    lower = [name.lower() if name.lower() in OWN else name for name in rows[0][1]]
    lower = ["specimen" if name == "id" and "specimen" not in lower else name for name in lower]
    if {"x", "y"} <= set(lower) <= {"x", "y", "z"}:
        rows = [(line, [*row, path.stem, str(i)]) for i, (line, row) in enumerate(rows)]
        lower += ["specimen", "landmark"]
    for needed in ("landmark", "x", "y"):
        if needed not in lower:
            raise FormatError(f"has no column {needed}", place=path)
    if len(set(lower)) < len(lower):
        raise FormatError(f"column {next(n for n in lower if lower.count(n) > 1)} stands twice", place=path)
    even(rows[1:], len(lower), path)
    records: list[Row] = [(line, dict(zip(lower, row, strict=True))) for line, row in rows[1:]]
    names = list(dict.fromkeys(record["landmark"] for _, record in records))
    dim = 3 if "z" in lower else 2
    frames = {record.get("frame", "") for _, record in records} - {""} or {"lps" if dim == 3 else "y_up"}
    frame = frames.pop()
    if frames or frame not in HOLDS.frames:
        raise FormatError(
            f"column frame holds {shown(frame)} among others or only", place=path, fix=f"use one of {HOLDS.frames}"
        )
    position = {name: i for i, name in enumerate(names)}
    others = [name for name in lower if name not in OWN]
    specimens = [_specimen(group, position, dim, others, path) for group in _groups(records)]
    return assemble(specimens, names, path=path, frame=frame, gaps=gaps)  # type: ignore[arg-type]


def write_tidy(landmarks: LandmarkSet, path: str | Path) -> list[str]:
    """Write a tidy table in the set's own frame; returns a sentence for everything that it cannot hold."""
    landmarks, sentences = fitted(landmarks, TITLE, HOLDS)
    names = table_names(landmarks.names, "a tidy table", sentences)
    axes = "xyz"[: landmarks.dim]
    keys = list(dict.fromkeys(key for s in landmarks for key in s.attributes))
    unfit = [key for key in keys if key.lower() in OWN or one_line(key) != key or not key]
    keys = [key for key in keys if key not in unfit]
    optional = {
        "image": any(s.image for s in landmarks),
        "image_height": any(s.image_size for s in landmarks),
        "scale": any(s.scale is not None for s in landmarks),
        "box": any(s.box for s in landmarks),
        "confidence": any(s.confidence is not None for s in landmarks),
        "spread_px": any(s.spread is not None for s in landmarks),
    }
    header = ["sample", "specimen", *["image"] * optional["image"], "landmark", *axes, "frame"]
    header += ["confidence"] * optional["confidence"] + ["spread_px"] * optional["spread_px"]
    header += ["image_height", "image_width"] * optional["image_height"] + ["scale", "unit"] * optional["scale"]
    header += list(BOX) * optional["box"] + keys
    table = [header]
    changed = blank = 0
    for number_, s in enumerate(landmarks, 1):
        texts = {"specimen": s.id, "image": s.image or "", **{key: s.attributes.get(key, "") for key in keys}}
        changed += sum(one_line(text) != text for text in texts.values())
        blank += sum(s.attributes.get(key) == "" for key in keys)
        cells = {key: one_line(text) for key, text in texts.items()} | {
            "sample": str(number_),
            "frame": landmarks.frame,
        }
        if s.image_size:
            cells |= {"image_height": str(s.image_size[0]), "image_width": str(s.image_size[1])}
        if s.scale is not None:
            cells |= {"scale": digits(float(s.scale)), "unit": s.unit}
        if s.box:
            cells |= dict(zip(BOX, (digits(float(edge)) for edge in s.box), strict=True))
        for i, name in enumerate(names):
            gap = bool(np.isnan(s.points[i]).any())
            row = cells | {"landmark": name}
            row |= {axis: "" if gap else digits(value) for axis, value in zip(axes, s.points[i].tolist(), strict=True)}
            for key, values in (("confidence", s.confidence), ("spread_px", s.spread)):
                if values is not None:
                    row[key] = digits(float(values[i]))
            table.append([row.get(column, "") for column in header])
    write_rows(table, path)
    if unfit:
        sentences.append(
            f"a tidy table does not hold attributes that are named like its own columns: dropped {listed(unfit)}"
        )
    if blank:
        sentences.append(f"{blank} empty attributes are dropped: an empty cell is an absent attribute")
    if changed:
        sentences.append(f"{changed} texts lost line breaks, control characters or outer white space")
    return sentences


def sniff_tidy(head: bytes) -> bool:
    """Whether the first line names the columns landmark, x and y, or these axes alone."""
    first = head.removeprefix(b"\xef\xbb\xbf").lstrip().split(b"\n", 1)[0].lower()
    cells = {cell.strip().strip(b'"') for cell in re.split(rb"[,;\t]", first)}
    return {b"landmark", b"x", b"y"} <= cells or {b"x", b"y"} <= cells <= {b"x", b"y", b"z"}


def _groups(records: list[Row]) -> list[list[Row]]:
    """Rows of one specimen each, in order of first appearance."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    seen: dict[tuple[str, ...], set[str]] = {}
    turn: dict[tuple[str, ...], int] = {}
    for record in records:
        if "sample" in record[1]:
            groups.setdefault((record[1]["sample"],), []).append(record)
            continue
        key = (record[1].get("specimen", ""), record[1].get("image", ""))
        if record[1]["landmark"] in seen.setdefault(key, set()):
            turn[key] = turn.get(key, 0) + 1
            seen[key] = set()
        seen[key].add(record[1]["landmark"])
        groups.setdefault((*key, str(turn.get(key, 0))), []).append(record)
    return list(groups.values())


def _specimen(group: list[Row], position: dict[str, int], dim: int, others: list[str], path: Path) -> Specimen:
    points = np.full((len(position), dim), np.nan)
    values = {"confidence": np.full(len(position), np.nan), "spread_px": np.full(len(position), np.nan)}
    seen: set[str] = set()
    for line, record in group:
        name = record["landmark"]
        if name in seen:
            raise FormatError(f"landmark {shown(name)} stands twice in one specimen", place=f"{path}, line {line}")
        seen.add(name)
        place = f"{path}, line {line}, column "
        points[position[name]] = [number(record[axis], place + axis) for axis in "xyz"[:dim]]
        for key, array in values.items():
            array[position[name]] = number(record.get(key, ""), place + key)
    line, first = group[0]
    place = f"{path}, line {line}, column "
    box = [number(first.get(key, ""), place + key) for key in BOX]
    size = [number(first.get(key, ""), place + key) for key in ("image_height", "image_width")]
    if not all(edge != edge or 1 <= edge <= 10**6 for edge in size):
        raise FormatError(f"an image size of {size[0]:g} x {size[1]:g} cannot be", place=f"{path}, line {line}")
    scale = number(first.get("scale", ""), place + "scale")
    known = {key: array if np.isfinite(array).any() else None for key, array in values.items()}
    return Specimen(
        points,
        id=first.get("specimen", ""),
        image=first.get("image") or None,
        image_size=None if np.isnan(size).any() else (int(size[0]), int(size[1])),
        scale=None if np.isnan(scale) else scale,
        unit=first.get("unit") or "mm",
        box=None if np.isnan(box).any() else (box[0], box[1], box[2], box[3]),
        confidence=known["confidence"],
        spread=known["spread_px"],
        attributes={key: first[key] for key in others if first[key]},
    )


FORMAT = Format("tidy", TITLE, (".tidy.csv", ".csv", ".tsv"), sniff_tidy, read_tidy, write_tidy, HOLDS)

"""TPS files of tpsDig and its relatives, 2-D and 3-D, with curves, outlines, scale and everything else they say.

Coordinates stay as the file has them, y up; the flip to the picture's own frame needs the picture and is not made here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from ethomorph.core.errors import FormatError, LabelError
from ethomorph.core.files import write_text
from ethomorph.core.landmarks import Frame, LandmarkSet, Specimen
from ethomorph.formats.record import Format, Holds, fitted, listed
from ethomorph.formats.scheme import Gaps, assemble
from ethomorph.formats.text import number, one_line, read_text, shown, whole

TITLE = "TPS"
HOLDS = Holds(dims=(2, 3), frames=("y_up", "lps"), ids=True, pictures=True, scale=True, curves=True, attributes=True)
_KEY = re.compile(r"\s*([^\W\d][^=]{0,79}?)\s*=(.*)")
_OWN = frozenset({"LM", "LM3", "CURVES", "CURVES3", "OUTLINES", "POINTS", "POINTS3", "IMAGE", "ID", "SCALE"})
_UPPER = frozenset({"COMMENT", "VARIABLES", "OUTLINES"})
MISSING = "-1 -1"


@dataclass
class _Block:
    """One specimen while its lines are read."""

    line: int
    declared: int
    dim: int
    points: list[list[float]] = field(default_factory=list)
    curves: list[list[list[float]]] = field(default_factory=list)
    wanted: list[tuple[str, int, int]] = field(default_factory=list)  # CURVES or OUTLINES, how many, on which line
    lengths: list[int] = field(default_factory=list)  # declared POINTS of each curve
    keys: dict[str, str] = field(default_factory=dict)
    scale: float | None = None


def read_tps(path: str | Path, *, gaps: Gaps = "refuse", negative: Literal["keep", "missing"] = "keep") -> LandmarkSet:
    """Read a TPS file.

    Parameters
    ----------
    gaps : see `formats.scheme.assemble`.
    negative : "missing" takes every point with a negative coordinate as missing, as some programs write it. A point
        that is NA, NaN or exactly ``-1 -1`` is missing in any case.

    Returns
    -------
    LandmarkSet in frame "y_up" (3-D: "lps"), landmarks named from "1". SCALE is kept and not applied. Keys that are
    not known stay in `attributes`; a key that repeats has its values joined by line breaks. OUTLINES follow the
    curves in `curves`, and ``attributes["OUTLINES"]`` counts them.

    Raises
    ------
    FormatError
        With file, specimen and line, where the text is not TPS or counts disagree with the lines that follow.
    LabelError
        Where specimens differ in their number of landmarks and `gaps` is "refuse".
    """
    path = Path(path)
    if negative not in ("keep", "missing"):
        raise LabelError(f"negative is {negative!r}", place=path, fix="use 'keep' or 'missing'")
    blocks: list[_Block] = []
    for line_number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            _take_line(line, line_number, blocks, path)
    if not blocks:
        raise FormatError("has no LM= line, so it is not a TPS file", place=path)
    notes: list[str] = []
    specimens = []
    missing = 0
    for index, block in enumerate(blocks, 1):
        _check_counts(block, index, path)
        points = np.array(block.points, dtype=np.float64).reshape(len(block.points), block.dim)
        marked = (points == -1).all(axis=1)
        if negative == "missing":
            marked |= (points < 0).any(axis=1)
        missing += int(marked.sum())
        points[marked] = np.nan
        specimens.append(_specimen(block, points))
    if missing:
        rule = "a negative coordinate" if negative == "missing" else MISSING
        notes.append(f"{missing} points are missing: the file marks them with {rule}")
    frame: Frame = "lps" if blocks[0].dim == 3 else "y_up"
    if frame == "lps":
        notes.append("3-D coordinates are taken as they stand: TPS does not say its axes")
    return assemble(specimens, None, path=path, frame=frame, gaps=gaps, notes=notes)


def write_tps(landmarks: LandmarkSet, path: str | Path) -> list[str]:
    """Write a TPS file, y up; returns a sentence for everything that it cannot hold.

    A set in the image frame is flipped (``y = height - y``), for which every picture's height must be known. Missing
    points are written ``-1 -1``; attributes as ``KEY=value`` lines.
    """
    landmarks, sentences = fitted(landmarks, TITLE, HOLDS)
    lines: list[str] = []
    unfit: list[str] = []
    lost = changed = 0
    for specimen in landmarks:
        lost += int((specimen.points == -1).all(axis=1).sum())
        attributes = {}
        for key, value in specimen.attributes.items():
            if _fits(key):
                attributes[key] = value
            else:
                unfit.append(key)
        outlines = _outline_count(attributes, specimen)
        lines.append(f"{'LM3' if landmarks.dim == 3 else 'LM'}={len(specimen.points)}")
        lines += _rows(specimen.points)
        kept = len(specimen.curves) - outlines
        for key, group in (("CURVES", specimen.curves[:kept]), ("OUTLINES", specimen.curves[kept:])):
            if group:
                lines.append(f"{key}={len(group)}")
                for curve in group:
                    lines += [f"POINTS={len(curve)}", *_rows(curve)]
        for key, text in (("IMAGE", specimen.image), ("ID", specimen.id)):
            if text:
                lines.append(f"{key}={one_line(text)}")
                changed += one_line(text) != text
        for key, value in attributes.items():
            for part in value.split("\n"):
                lines.append(f"{key}={one_line(part)}")
                changed += one_line(part) != part
        if specimen.scale is not None:
            lines.append(f"SCALE={float(specimen.scale)!r}")
    write_text(path, "\n".join(lines) + "\n")
    if unfit:
        sentences.append(f"TPS does not hold attributes of these names: dropped {listed(list(dict.fromkeys(unfit)))}")
    if lost:
        sentences.append(f"{lost} points at exactly (-1, -1) become missing points: TPS marks those so")
    if changed:
        sentences.append(f"{changed} texts lost line breaks, control characters or outer white space")
    return sentences


def sniff_tps(head: bytes) -> bool:
    """Whether the first key of the text is LM= or LM3=."""
    return re.match(rb"(?:\xef\xbb\xbf)?(?:[^=\n]*\n){0,20}\s*LM3?\s*=", head, re.IGNORECASE) is not None


def _take_line(line: str, line_number: int, blocks: list[_Block], path: Path) -> None:
    """Put one line where it belongs: a key, or coordinates of the landmarks or of the curve begun last."""
    place = f"{path}, specimen {len(blocks)}, line {line_number}"
    match = _KEY.fullmatch(line)
    if match is None:
        if not blocks:
            first = shown(line.strip())
            raise FormatError(f"{first} stands before the first LM= line", place=f"{path}, line {line_number}")
        block = blocks[-1]
        rows = block.curves[-1] if block.curves else block.points
        rows.append(_row(line, block.dim, place))
        return
    key, value = " ".join(match[1].split()), match[2].strip()
    upper = key.upper()
    if upper in ("LM", "LM3"):
        place = f"{path}, specimen {len(blocks) + 1}, line {line_number}"
        blocks.append(_Block(line_number, whole(value, f"{place}, {upper}="), 3 if upper == "LM3" else 2))
        return
    if not blocks:
        raise FormatError(f"{key}= stands before the first LM= line", place=f"{path}, line {line_number}")
    block = blocks[-1]
    if upper in ("CURVES", "CURVES3", "OUTLINES"):
        block.wanted.append((upper.rstrip("3"), whole(value, f"{place}, {upper}="), line_number))
    elif upper in ("POINTS", "POINTS3"):
        if not block.wanted:
            raise FormatError("POINTS= without CURVES= or OUTLINES= before it", place=place)
        block.lengths.append(whole(value, f"{place}, POINTS="))
        block.curves.append([])
    elif upper == "SCALE":
        block.scale = _scale(value, place)
    else:
        name = upper if upper in _OWN | _UPPER else key
        old = block.keys.get(name)
        block.keys[name] = value if old is None or name in _OWN else f"{old}\n{value}"


def _row(line: str, dim: int, place: str) -> list[float]:
    tokens = line.split()
    if len(tokens) == 1:
        tokens = re.split(r"[,;]", tokens[0])
    if len(tokens) != dim:
        raise FormatError(f"{shown(line.strip())} is not {dim} coordinates", place=place)
    return [number(token, place) for token in tokens]


def _scale(value: str, place: str) -> float | None:
    scale = number(value, f"{place}, SCALE=")
    if scale <= 0:
        raise FormatError(f"SCALE={value} is not above 0", place=place)
    return None if np.isnan(scale) else scale


def _check_counts(block: _Block, index: int, path: Path) -> None:
    called = block.keys.get("ID") or block.keys.get("IMAGE") or "unnamed"
    place = f"{path}, specimen {index} ({called}), line {block.line}"
    if block.declared != len(block.points):
        raise FormatError(
            f"LM={block.declared}, but {len(block.points)} coordinate lines follow",
            place=place,
            fix="correct the count or the lines",
        )
    curves = sum(count for _, count, _ in block.wanted)
    if curves != len(block.curves):
        raise FormatError(f"{curves} curves and outlines are declared, {len(block.curves)} follow", place=place)
    for number_, (length, rows) in enumerate(zip(block.lengths, block.curves, strict=True), 1):
        if length != len(rows):
            raise FormatError(f"curve {number_}: POINTS={length}, but {len(rows)} coordinate lines follow", place=place)


def _specimen(block: _Block, points: np.ndarray) -> Specimen:
    attributes = {key: value for key, value in block.keys.items() if key not in ("IMAGE", "ID")}
    order: list[np.ndarray] = []
    outlines: list[np.ndarray] = []
    arrays = iter(_curve(rows, block.dim) for rows in block.curves)
    for kind, count, _ in block.wanted:
        (outlines if kind == "OUTLINES" else order).extend(next(arrays) for _ in range(count))
    if outlines:
        attributes["OUTLINES"] = str(len(outlines))
    return Specimen(
        points,
        id=block.keys.get("ID", ""),
        image=block.keys.get("IMAGE") or None,
        scale=block.scale,
        curves=order + outlines,
        attributes=attributes,
    )


def _curve(rows: list[list[float]], dim: int) -> np.ndarray:
    curve = np.array(rows, dtype=np.float64).reshape(len(rows), dim)
    curve[(curve == -1).all(axis=1)] = np.nan
    return curve


def _rows(points: np.ndarray) -> list[str]:
    """Coordinate lines with every digit that the numbers have."""
    gap = " ".join(["-1"] * points.shape[1])
    return [gap if any(v != v for v in row) else " ".join(map(repr, row)) for row in points.tolist()]


def _fits(key: str) -> bool:
    match = _KEY.fullmatch(f"{key}=")
    return match is not None and match[1] == key and key == " ".join(key.split()) and _readable(key)


def _readable(key: str) -> bool:
    upper = key.upper()
    return key == "OUTLINES" or (upper not in _OWN and (upper not in _UPPER or key == upper))


def _outline_count(attributes: dict[str, str], specimen: Specimen) -> int:
    """How many of the last curves are outlines, taking the attribute that says so out of the way."""
    text = attributes.pop("OUTLINES", "0")
    return min(int(text), len(specimen.curves)) if text.isascii() and text.isdigit() and len(text) < 10 else 0


FORMAT = Format("tps", TITLE, (".tps",), sniff_tps, read_tps, write_tps, HOLDS)

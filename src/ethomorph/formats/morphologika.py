"""Morphologika text files: sections in square brackets, labels as attributes, a wireframe as edges."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ethomorph.core.errors import FormatError
from ethomorph.core.files import write_text
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.formats.record import Format, Holds, fitted, listed
from ethomorph.formats.scheme import Gaps, assemble
from ethomorph.formats.text import number, one_line, read_text, shown, whole

TITLE = "Morphologika"
HOLDS = Holds(dims=(2, 3), frames=("y_up", "lps"), ids=True, attributes=True, edges=True)
MISSING = 9999.0
ABSENT = "NA"  # an attribute that a specimen does not have
_SECTION = re.compile(r"\s*\[\s*([A-Za-z ]+?)\s*\]\s*")
_KNOWN = frozenset(
    {"individuals", "landmarks", "dimensions", "names", "labels", "labelvalues", "rawpoints", "wireframe"}
)

Lines = list[tuple[int, str]]


def read_morphologika(path: str | Path, *, gaps: Gaps = "refuse") -> LandmarkSet:
    """Read a Morphologika file in frame "y_up" (3-D: "lps"), landmarks named from "1".

    A point with 9999 or NA in it is missing. ``[labels]`` and ``[labelvalues]`` become attributes, ``[wireframe]``
    edges; other sections are named in the notes. Counts are fixed by the file, so `gaps` has no effect.

    Raises FormatError where a section is missing or its number of lines contradicts the counts.
    """
    path = Path(path)
    sections = _sections(read_text(path), path)
    n, p, k = (_count(sections, key, path) for key in ("individuals", "landmarks", "dimensions"))
    if k not in (2, 3):
        raise FormatError(f"[dimensions] is {k}, expected 2 or 3", place=path)
    rows: list[list[float]] = []
    headings: list[str] = []
    for line_number, line in _needed(sections, "rawpoints", path):
        if line.lstrip().startswith("'"):
            headings.append(line.strip()[1:].strip().removesuffix("'").strip())
            continue
        tokens = line.replace(",", " ").split() if line.count(",") == k - 1 else line.split()
        if len(tokens) != k:
            raise FormatError(f"{shown(line.strip())} is not {k} coordinates", place=f"{path}, line {line_number}")
        rows.append([number(token, f"{path}, line {line_number}") for token in tokens])
    if len(rows) != n * p:
        raise FormatError(
            f"{n} individuals of {p} landmarks need {n * p} coordinate lines, there are {len(rows)}", place=path
        )
    points = np.array(rows, dtype=np.float64).reshape(n, p, k)
    points[points == MISSING] = np.nan
    names = [line.strip() for _, line in sections.get("names", [])] or (headings if len(headings) == n else [""] * n)
    if len(names) != n:
        raise FormatError(f"[names] has {len(names)} lines for {n} individuals", place=path)
    attributes = _attributes(sections, n, path)
    specimens = [Specimen(points[i].copy(), id=names[i], attributes=attributes[i]) for i in range(n)]
    other = [key for key in sections if key not in _KNOWN]
    notes = [f"sections that are not kept: {listed(other)}"] if other else []
    if k == 3:
        notes.append("3-D coordinates are taken as they stand: Morphologika does not say its axes")
    edges = _edges(sections.get("wireframe", []), p, path)
    return assemble(specimens, None, path=path, frame="lps" if k == 3 else "y_up", gaps=gaps, notes=notes, edges=edges)


def write_morphologika(landmarks: LandmarkSet, path: str | Path) -> list[str]:
    """Write a Morphologika file, y up in 2-D; returns a sentence for everything that it cannot hold.

    White space in attributes becomes ``_``, for labels are split at it; an absent attribute is written NA.
    """
    landmarks, sentences = fitted(landmarks, TITLE, HOLDS)
    array = landmarks.array()
    unlucky = int((array == MISSING).any(axis=2).sum())
    filled = np.where(np.isnan(array).any(axis=2, keepdims=True), MISSING, array)
    ids = [_name(s.id) or f"specimen {i}" for i, s in enumerate(landmarks, 1)]
    changed = sum(new != s.id for new, s in zip(ids, landmarks, strict=True))
    n, p, k = array.shape
    out = ["[individuals]", str(n), "[landmarks]", str(p), "[dimensions]", str(k), "[names]", *ids]
    keys = list(dict.fromkeys(key for specimen in landmarks for key in specimen.attributes))
    if keys:
        values = [[_word(s.attributes[key]) if key in s.attributes else ABSENT for key in keys] for s in landmarks]
        blanked = sum(
            _word(s.attributes[key]) != s.attributes[key] or s.attributes[key] == ABSENT
            for s in landmarks
            for key in s.attributes
        )
        blanked += sum(_word(key) != key for key in keys)
        out += ["[labels]", " ".join(_word(key) for key in keys), "[labelvalues]", *(" ".join(row) for row in values)]
        if blanked:
            sentences.append(
                f"{blanked} attributes are empty, 'NA' or have white space, which Morphologika cannot hold: changed"
            )
    if landmarks.edges:
        out += ["[wireframe]", *(f"{a + 1} {b + 1}" for a, b in landmarks.edges)]
    out.append("[rawpoints]")
    for name, rows in zip(ids, filled.tolist(), strict=True):
        out += ["", f"'{name}", *(" ".join(map(repr, row)) for row in rows)]
    write_text(path, "\n".join(out) + "\n")
    if changed:
        sentences.append(f"{changed} specimen ids are empty or begin like a section or quote: written another way")
    if unlucky:
        sentences.append(
            f"{unlucky} points with a coordinate of exactly 9999 become missing points: Morphologika marks those so"
        )
    return sentences


def sniff_morphologika(head: bytes) -> bool:
    """Whether the first section is [individuals], [landmarks] or [dimensions]."""
    return re.match(rb"(?:\xef\xbb\xbf)?\s*\[\s*(individuals|landmarks|dimensions)\s*\]", head, re.I) is not None


def _sections(text: str, path: Path) -> dict[str, Lines]:
    sections: dict[str, Lines] = {}
    current: Lines | None = None
    for line_number, line in enumerate(text.split("\n"), 1):
        match = _SECTION.fullmatch(line)
        if match:
            key = match[1].lower().replace(" ", "")
            if key in sections:
                raise FormatError(f"[{key}] stands twice", place=f"{path}, line {line_number}")
            current = sections.setdefault(key, [])
        elif line.strip():
            if current is None:
                raise FormatError(
                    f"{shown(line.strip())} stands before the first section", place=f"{path}, line {line_number}"
                )
            current.append((line_number, line))
    return sections


def _needed(sections: dict[str, Lines], key: str, path: Path) -> Lines:
    if not sections.get(key):
        raise FormatError(f"has no [{key}]", place=path)
    return sections[key]


def _count(sections: dict[str, Lines], key: str, path: Path) -> int:
    line_number, line = _needed(sections, key, path)[0]
    return whole(line, f"{path}, line {line_number}, [{key}]")


def _attributes(sections: dict[str, Lines], n: int, path: Path) -> list[dict[str, str]]:
    keys = [key for _, line in sections.get("labels", []) for key in line.split()]
    rows = sections.get("labelvalues", [])
    if not keys:
        return [{} for _ in range(n)]
    if len(rows) != n:
        raise FormatError(f"[labelvalues] has {len(rows)} lines for {n} individuals", place=path)
    found = []
    for line_number, line in rows:
        values = line.split()
        if len(values) != len(keys):
            raise FormatError(f"{len(values)} values for {len(keys)} labels", place=f"{path}, line {line_number}")
        found.append({key: value for key, value in zip(keys, values, strict=True) if value != ABSENT})
    return found


def _edges(lines: Lines, landmarks: int, path: Path) -> list[tuple[int, int]]:
    edges = []
    for line_number, line in lines:
        ends = [whole(token, f"{path}, line {line_number}, [wireframe]") for token in line.replace(",", " ").split()]
        if len(ends) != 2 or not all(1 <= end <= landmarks for end in ends):
            raise FormatError(f"{shown(line.strip())} is not a pair of landmarks", place=f"{path}, line {line_number}")
        edges.append((ends[0] - 1, ends[1] - 1))
    return edges


def _name(text: str) -> str:
    """An id as a line of [names]: not empty, not like a section, and the same without its quote."""
    text = one_line(text)
    return f"_{text}" if text[:1] in ("[", "'") else text


def _word(text: str) -> str:
    return "_".join(one_line(text).split()) or ABSENT


FORMAT = Format(
    "morphologika", TITLE, (".morphologika", ".txt"), sniff_morphologika, read_morphologika, write_morphologika, HOLDS
)

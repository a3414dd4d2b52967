"""From specimens as read to one `LandmarkSet`: equal counts, whole missing points, names.

It decides what `gaps` means, the same for every format.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.core.landmarks import Frame, LandmarkSet, Specimen
from ethomorph.formats.record import listed, numbered

Gaps = Literal["refuse", "missing"]


def assemble(
    specimens: list[Specimen],
    names: list[str] | None,
    *,
    path: Path,
    frame: Frame,
    gaps: Gaps = "refuse",
    notes: list[str] | None = None,
    **fields: Any,
) -> LandmarkSet:
    """One set of what a reader found.

    Parameters
    ----------
    names : None to number the landmarks from 1; the commonest count then makes the scheme.
    gaps : "refuse" raises LabelError naming every specimen of another count. "missing" keeps such specimens with all
        their landmarks missing, for nobody can know which of them the file left out, and says so in the notes.
    fields : further fields of `LandmarkSet`.
    """
    notes = list(notes or [])
    if gaps not in ("refuse", "missing"):
        raise LabelError(f"gaps is {gaps!r}", place=path, fix="use 'refuse' or 'missing'")
    if not specimens:
        raise LabelError("holds no specimen", place=path)
    expected = len(names) if names is not None else common_count(specimens)
    if expected == 0 and not any(specimen.curves for specimen in specimens):
        raise LabelError("no specimen has landmarks", place=path, fix="digitise it first")
    dim = specimens[0].points.shape[1]
    if gaps == "missing":
        odd = [(i, s) for i, s in enumerate(specimens, 1) if len(s.points) != expected]
        blank = np.full((expected, dim), np.nan)
        specimens = [s if len(s.points) == expected else replace(s, points=blank.copy()) for s in specimens]
        if odd:
            who = listed([f"specimen {i} ({s.label}) has {len(s.points)}" for i, s in odd])
            notes.append(f"of {expected} landmarks {who}: which are absent is not known, so all theirs are missing")
    for specimen in specimens:
        specimen.points[np.isnan(specimen.points).any(axis=1)] = np.nan
    return LandmarkSet(
        specimens,
        names if names is not None else numbered(expected),
        frame=frame,
        source=str(path),
        notes=notes,
        **fields,
    )


def common_count(specimens: list[Specimen]) -> int:
    """The commonest number of landmarks above 0, the earlier where two are equally common; 0 if there is none."""
    counts = Counter(len(s.points) for s in specimens if len(s.points))
    return counts.most_common(1)[0][0] if counts else 0

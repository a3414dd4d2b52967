"""`Format`: what a file format is called, how it is told from others, what it holds and what it loses.

Reading and writing stand in one file per format; this one knows none of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.core.landmarks import Frame, LandmarkSet, Specimen
from ethomorph.formats.frames import to_frame
from ethomorph.formats.text import one_line


@dataclass(frozen=True)
class Holds:
    """What survives writing and reading again.

    Attributes
    ----------
    dims : dimensions of the points, of 2 and 3.
    frames : coordinate frames; a set in another frame is brought into the first that fits before writing.
    missing, names, ids, pictures, scale, unit, boxes, curves, confidence, spread, attributes, edges, symmetry :
        whether the format has a place for it.
    """

    dims: tuple[int, ...] = (2,)
    frames: tuple[Frame, ...] = ("image",)
    missing: bool = True
    names: bool = False
    ids: bool = False
    pictures: bool = False
    scale: bool = False
    unit: bool = False
    boxes: bool = False
    curves: bool = False
    confidence: bool = False
    spread: bool = False
    attributes: bool = False
    edges: bool = False
    symmetry: bool = False


@dataclass(frozen=True)
class Format:
    """One file format.

    Attributes
    ----------
    name : what ``--from`` and ``--to`` call it.
    title : what people call it.
    suffixes : file name endings, lower case, the first for new files.
    sniff : whether a file's first bytes (at most 64 KiB) look like it.
    read : ``read(path, *, gaps, **options) -> LandmarkSet``.
    write : ``write(landmarks, path, **options) -> sentences`` about what the file cannot hold.
    holds : what survives.
    kind : what it is about.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    sniff: Callable[[bytes], bool]
    read: Callable[..., LandmarkSet]
    write: Callable[..., list[str]]
    holds: Holds = field(default_factory=Holds)
    kind: str = "landmarks"


def fitted(landmarks: LandmarkSet, title: str, holds: Holds) -> tuple[LandmarkSet, list[str]]:
    """The set in a frame that the format knows, and a sentence for everything that it cannot hold.

    Raises LabelError where the dimension does not fit (a landmark without its z is another landmark), a coordinate is
    infinite, the frame cannot be converted, or there is nothing to write.
    """
    if not landmarks.specimens:
        raise LabelError("there is no specimen to write", place=landmarks.source)
    if landmarks.dim not in holds.dims:
        dims = " or ".join(f"{dim}-D" for dim in holds.dims)
        raise LabelError(
            f"landmarks are {landmarks.dim}-D, {title} holds {dims}",
            place=landmarks.source,
            fix="choose another format",
        )
    refuse_infinite(landmarks)
    if landmarks.frame not in holds.frames:
        landmarks = to_frame(landmarks, holds.frames[0], what=title)
    return landmarks, losses(landmarks, title, holds)


def refuse_infinite(landmarks: LandmarkSet) -> None:
    """LabelError naming the first specimen with an infinite coordinate."""
    for index, specimen in enumerate(landmarks, 1):
        if np.isinf(specimen.points).any():
            raise LabelError(f"specimen {index} ({specimen.label}) has an infinite coordinate", place=landmarks.source)


def losses(landmarks: LandmarkSet, title: str, holds: Holds) -> list[str]:
    """One sentence for each thing in the set that the format has no place for."""
    sentences = []
    for field_name, what, present in _FEATURES:
        count = 0 if getattr(holds, field_name) else sum(present(specimen) for specimen in landmarks)
        if count:
            sentences.append(f"{title} does not hold {what}: dropped from {count} of {len(landmarks)} specimens")
    if not holds.attributes:
        keys = list(dict.fromkeys(key for specimen in landmarks for key in specimen.attributes))
        if keys:
            sentences.append(f"{title} does not hold attributes: dropped {listed(keys)}")
    if holds.scale and not holds.unit:
        units = sorted({s.unit for s in landmarks if s.scale is not None and s.unit != "mm"})
        if units:
            sentences.append(f"{title} does not hold the unit of the scale: dropped {listed(units)}")
    if not holds.names and landmarks.names != numbered(len(landmarks.names)):
        sentences.append(f"{title} does not hold landmark names: their order is kept, the names are dropped")
    if not holds.edges and landmarks.edges:
        sentences.append(f"{title} does not hold edges: {len(landmarks.edges)} dropped")
    if not holds.symmetry and landmarks.symmetry:
        sentences.append(f"{title} does not hold symmetric pairs: {len(landmarks.symmetry)} dropped")
    return sentences


def table_names(names: list[str], title: str, sentences: list[str]) -> list[str]:
    """The names, if each is one line, not empty and unlike the others; else numbers, and a sentence that says so."""
    if all(names) and len(set(names)) == len(names) and all(one_line(name) == name for name in names):
        return names
    sentences.append(
        f"landmark names are empty, repeat or have line breaks, which {title} cannot hold: they are numbered"
    )
    return numbered(len(names))


def numbered(count: int) -> list[str]:
    """Names of landmarks that have none: "1", "2", ..."""
    return [str(i) for i in range(1, count + 1)]


def listed(things: list[str], most: int = 8) -> str:
    """``a, b, c and 4 more``."""
    head = ", ".join(str(thing)[:80] for thing in things[:most])
    return head if len(things) <= most else f"{head} and {len(things) - most} more"


def _known(values: np.ndarray | None) -> bool:
    return values is not None and bool(np.isfinite(values).any())


_FEATURES: list[tuple[str, str, Callable[[Specimen], bool]]] = [
    ("ids", "specimen ids", lambda s: bool(s.id)),
    ("pictures", "picture names", lambda s: bool(s.image)),
    ("scale", "the scale", lambda s: s.scale is not None and not math.isnan(s.scale)),
    ("boxes", "boxes", lambda s: s.box is not None),
    ("curves", "curves", lambda s: bool(s.curves)),
    ("missing", "missing points", lambda s: not bool(s.visible.all())),
    ("confidence", "confidence", lambda s: _known(s.confidence)),
    ("spread", "the ensemble's spread", lambda s: _known(s.spread)),
]

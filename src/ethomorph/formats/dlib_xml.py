"""dlib and imglab XML, as ml-morph uses it: pictures, boxes, and named parts with the origin at the top left.

The file is read as a stream with line numbers, and a document type or entity declaration is refused before it can
expand. dlib sorts part names as text; names that are whole numbers are put in their numeric order on reading and padded
with zeros on writing, so that both orders are the same.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

import numpy as np

from ethomorph.core.errors import FormatError
from ethomorph.core.files import write_text
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.formats.record import Format, Holds, fitted, listed, table_names
from ethomorph.formats.scheme import Gaps, assemble
from ethomorph.formats.text import number, one_line, read_bytes, shown

TITLE = "dlib XML"
HOLDS = Holds(names=True, pictures=True, boxes=True)
# What dlib's own loader knows of a box beside its corners; the label stands in an element of its own.
BOX_KEYS = ("difficult", "truncated", "occluded", "pose", "angle", "detection_score", "gender", "age")
RARE = 0.05  # a landmark marked in fewer boxes than this share is pointed out


@dataclass
class _Box:
    image: str
    size: tuple[int, int] | None
    box: tuple[float, float, float, float]
    line: int
    ignored: bool
    parts: dict[str, tuple[float, float]] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)


class _Handler:
    """Collects boxes while expat walks through the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.boxes: list[_Box] = []
        self.images = self.empty = self.before = 0
        self.image: tuple[str, tuple[int, int] | None] | None = None
        self.box: _Box | None = None
        self.text: list[str] | None = None
        self.root = ""
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.characters
        self.parser.StartDoctypeDeclHandler = self.refuse_declarations
        self.parser.EntityDeclHandler = self.refuse_declarations

    @property
    def place(self) -> str:
        return f"{self.path}, line {self.parser.CurrentLineNumber}"

    def refuse_declarations(self, *_: object) -> None:
        raise FormatError("declares a document type or entities", place=self.place, fix="delete the declaration")

    def start(self, name: str, given: dict[str, str]) -> None:
        self.root = self.root or name
        if self.root != "dataset":
            raise FormatError(f"begins with <{self.root[:40]}>, expected <dataset>", place=self.place)
        if name == "image":
            self.images += 1
            self.image = (given.get("file", ""), _size(given, self.place))
            self.before = len(self.boxes)
        elif name == "box":
            self.start_box(given)
        elif name == "part":
            self.take_part(given)
        elif name == "label" and self.box is not None:
            self.text = []

    def start_box(self, given: dict[str, str]) -> None:
        if self.image is None or self.box is not None:
            raise FormatError("<box> stands outside <image>", place=self.place)
        left, top, width, height = (
            _needed(given, key, self.place, "box") for key in ("left", "top", "width", "height")
        )
        ignored = given.get("ignore", "0").strip().lower() not in ("0", "", "false")
        extra = {k: v for k, v in given.items() if k not in ("left", "top", "width", "height", "ignore")}
        box = (left, top, left + width - 1, top + height - 1)
        self.box = _Box(*self.image, box, self.parser.CurrentLineNumber, ignored, attributes=extra)

    def take_part(self, given: dict[str, str]) -> None:
        if self.box is None:
            raise FormatError("<part> stands outside <box>", place=self.place)
        name = given.get("name")
        if name is None:
            raise FormatError("<part> has no name", place=self.place)
        if name in self.box.parts:
            raise FormatError(f"part {shown(name)} stands twice in one box", place=self.place, fix="delete one")
        self.box.parts[name] = (_needed(given, "x", self.place, "part"), _needed(given, "y", self.place, "part"))

    def characters(self, data: str) -> None:
        if self.text is not None:
            self.text.append(data)

    def end(self, name: str) -> None:
        if name == "box" and self.box is not None:
            self.boxes.append(self.box)
            self.box = None
        elif name == "label" and self.text is not None:
            label, self.text = "".join(self.text).strip(), None
            if self.box is not None and label:
                self.box.attributes["label"] = label
        elif name == "image":
            self.empty += len(self.boxes) == self.before
            self.image = None


def read_dlib_xml(path: str | Path, *, gaps: Gaps = "refuse") -> LandmarkSet:
    """Read a dlib or imglab XML file: one specimen a box, in frame "image".

    A landmark that a box does not list is missing there. Whole-number names are sorted as numbers and lose leading
    zeros; other names keep the order in which the file first mentions them. Boxes with ``ignore='1'`` and pictures
    without boxes are left out and counted in the notes. `gaps` has no effect: a part's name says which is absent.

    Raises FormatError, with the line, for damaged XML, document type declarations, parts or boxes without a value.
    """
    path = Path(path)
    handler = _Handler(path)
    try:
        handler.parser.Parse(read_bytes(path), True)
    except expat.ExpatError as error:
        what = expat.ErrorString(error.code)
        raise FormatError(f"line {error.lineno} is not XML ({what})", place=path, fix="export it again") from None
    except (ValueError, LookupError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"is not XML that can be read ({error})", place=path) from None
    boxes = [box for box in handler.boxes if not box.ignored]
    notes = []
    if len(boxes) < len(handler.boxes):
        notes.append(f"{len(handler.boxes) - len(boxes)} boxes are marked ignore and left out")
    if handler.empty:
        notes.append(f"{handler.empty} of {handler.images} pictures have no box")
    names, original = _ordered_names(boxes, path)
    specimens = [_specimen(box, original) for box in boxes]
    partial = [
        f"specimen {i} ({s.label}) lacks {n}" for i, s in enumerate(specimens, 1) if (n := int((~s.visible).sum()))
    ]
    if partial:
        notes.append(f"{len(partial)} boxes lack landmarks, which are missing there: {listed(partial)}")
    visible = sum((s.visible.astype(int) for s in specimens), np.zeros(len(names), dtype=int))
    rare = [f"{name} in {n}" for name, n in zip(names, visible, strict=True) if n < RARE * len(boxes)]
    if rare:
        notes.append(f"landmarks marked in very few of {len(boxes)} boxes: {listed(rare)}")
    return assemble(specimens, names, path=path, frame="image", gaps=gaps, notes=notes)


def write_dlib_xml(landmarks: LandmarkSet, path: str | Path, *, whole_pixels: bool = False) -> list[str]:
    """Write dlib XML; returns a sentence for everything that it cannot hold.

    Parameters
    ----------
    whole_pixels : round coordinates and boxes, as dlib and ml-morph need it: they refuse to load decimals.

    A specimen without a box gets the smallest whole-pixel box around its points.
    """
    landmarks, sentences = fitted(landmarks, TITLE, Holds(names=True, pictures=True, boxes=True, attributes=True))
    names, padded = _written_names(landmarks.names, sentences)
    out = ["<?xml version='1.0' encoding='UTF-8'?>", "<dataset>", "<name>landmarks</name>", "<images>"]
    lost_keys: dict[str, None] = {}
    unboxed = dropped = ids = decimals = 0
    previous: tuple[str, tuple[int, int] | None] | None = None
    for specimen in landmarks:
        box = specimen.box
        if box is None:
            if not specimen.visible.any():
                dropped += 1
                continue
            unboxed += 1
            box = around(specimen.points)
        left, top, right, bottom = box
        edges = [left, top, right - left + 1, bottom - top + 1]
        points = specimen.points
        fractions = bool((np.mod(points[specimen.visible], 1) != 0).any()) or any(edge % 1 for edge in edges)
        decimals += fractions
        if whole_pixels:
            points, edges = np.rint(points), [float(round(edge)) for edge in edges]
        picture = (specimen.image or "", specimen.image_size)
        if picture != previous:
            if previous is not None:
                out.append("</image>")
            size = f" width='{picture[1][1]}' height='{picture[1][0]}'" if picture[1] else ""
            out.append(f"<image file={_quoted(picture[0])}{size}>")
            previous = picture
        flags = "".join(f" {key}={_quoted(value)}" for key, value in specimen.attributes.items() if key in BOX_KEYS)
        lost_keys |= dict.fromkeys(key for key in specimen.attributes if key not in BOX_KEYS and key != "label")
        ids += bool(specimen.id)
        corners = " ".join(
            f"{key}='{_digits(edge)}'" for key, edge in zip(("left", "top", "width", "height"), edges, strict=True)
        )
        out.append(f"<box {corners}{flags}>")
        if specimen.attributes.get("label"):
            out.append(f"<label>{_quoted(specimen.attributes['label'])[1:-1]}</label>")
        out += [
            f"<part name={_quoted(names[i])} x='{_digits(points[i, 0])}' y='{_digits(points[i, 1])}'/>"
            for i in padded
            if specimen.visible[i]
        ]
        out.append("</box>")
    if previous is not None:
        out.append("</image>")
    out += ["</images>", "</dataset>"]
    write_text(path, "\n".join(out) + "\n")
    if lost_keys:
        sentences.append(f"dlib XML does not hold attributes: dropped {listed(list(lost_keys))}")
    marked = [[names[i] for i in padded if s.visible[i]] for s in landmarks]
    absent = [name for i, name in enumerate(names) if not any(s.visible[i] for s in landmarks)]
    if absent:
        sentences.append(f"landmark names that are marked in no specimen are dropped from the list: {listed(absent)}")
    elif not all_digits(names) and merged_order(marked) != names:
        sentences.append("landmark names come back in another order: no specimen has all of them")
    changed = sum(one_line(text) != text for s in landmarks for text in (s.image or "", *s.attributes.values()))
    if changed:
        sentences.append(f"{changed} texts lost line breaks, control characters or outer white space")
    if unboxed:
        sentences.append(f"{unboxed} specimens without a box are given the smallest box around their points")
    if dropped:
        sentences.append(f"{dropped} specimens without a box and without any point are dropped")
    if decimals and whole_pixels:
        sentences.append(f"coordinates of {decimals} specimens are rounded to whole pixels (up to 0.5 px)")
    elif decimals:
        sentences.append(
            f"{decimals} specimens have decimals, which dlib and ml-morph refuse to load: for them, write whole pixels"
        )
    return sentences


def around(points: np.ndarray) -> tuple[float, float, float, float]:
    """The smallest whole-pixel (left, top, right, bottom), inclusive, that holds the points that are not missing."""
    low, high = np.floor(np.nanmin(points, axis=0)), np.ceil(np.nanmax(points, axis=0))
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def sniff_dlib_xml(head: bytes) -> bool:
    """Whether the root element is <dataset>."""
    return re.match(rb"(?:\xef\xbb\xbf)?\s*(?:<\?.*?\?>\s*|<!--.*?-->\s*)*<dataset\b", head, re.DOTALL) is not None


def _ordered_names(boxes: list[_Box], path: Path) -> tuple[list[str], list[str]]:
    """The scheme's names as shown, and the same as the file writes them, in scheme order."""
    found = merged_order([list(box.parts) for box in boxes])
    if all_digits(found):
        found.sort(key=int)
        shorn = [str(int(name)) for name in found]
        if len(set(shorn)) < len(shorn):
            twice = next(name for name in shorn if shorn.count(name) > 1)
            raise FormatError(f"part {twice} is written in two ways", place=path, fix="use one width for all numbers")
        return shorn, found
    return found, found


def all_digits(names: list[str]) -> bool:
    """Whether every name is a whole number."""
    return bool(names) and all(re.fullmatch(r"\d{1,9}", name, re.ASCII) for name in names)


def merged_order(lists: list[list[str]]) -> list[str]:
    """All names in one order: that of the longest list, each further name after the one it follows in its own list.

    Examples
    --------
    >>> merged_order([["a", "c"], ["a", "b", "c", "e"], ["c", "d"]])
    ['a', 'b', 'c', 'd', 'e']
    """
    longest: list[str] = max(lists, key=len, default=[])
    order = list(longest)
    known = set(order)
    for names in lists:
        for previous, name in zip(["", *names], names, strict=False):
            if name not in known:
                order.insert(order.index(previous) + 1 if previous else 0, name)
                known.add(name)
    return order


def _written_names(names: list[str], sentences: list[str]) -> tuple[list[str], list[int]]:
    """Names as they go into the file, and the order of parts."""
    order = list(range(len(names)))
    names = table_names(names, TITLE, sentences)
    if all_digits(names):
        values = [int(name) for name in names]
        if any(str(value) != name for value, name in zip(values, names, strict=True)):
            sentences.append("landmark names lose their leading zeros when dlib XML is read again")
        if values != sorted(values):
            sentences.append("landmarks are put in the order of their numbers, as every reader of dlib XML does")
        width = len(str(max(values)))
        return [f"{value:0{width}d}" for value in values], sorted(order, key=values.__getitem__)
    if names != sorted(names):
        sentences.append("dlib sorts named parts as text: its predictors give the landmarks in that order")
    return names, order


def _specimen(box: _Box, names: list[str]) -> Specimen:
    gap = (math.nan, math.nan)
    points = np.array([box.parts.get(name, gap) for name in names], dtype=np.float64).reshape(len(names), 2)
    return Specimen(points, image=box.image or None, image_size=box.size, box=box.box, attributes=box.attributes)


def _size(given: dict[str, str], place: str) -> tuple[int, int] | None:
    if "width" not in given or "height" not in given:
        return None
    width, height = (number(given[key], f"{place}, image {key}") for key in ("width", "height"))
    if not (1 <= width <= 10**6 and 1 <= height <= 10**6):
        raise FormatError(f"image size {given['width']} x {given['height']} cannot be", place=place)
    return int(height), int(width)


def _needed(given: dict[str, str], key: str, place: str, what: str) -> float:
    if key not in given:
        raise FormatError(f"<{what}> has no {key}", place=place)
    value = number(given[key], f"{place}, {what} {key}")
    if math.isnan(value) and what == "box":
        raise FormatError(f"<box> has no number in {key}", place=place)
    return value


def _digits(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _quoted(text: str) -> str:
    return quoteattr(one_line(text))


FORMAT = Format("dlib", TITLE, (".xml",), sniff_dlib_xml, read_dlib_xml, write_dlib_xml, HOLDS)

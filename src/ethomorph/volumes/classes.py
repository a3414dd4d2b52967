"""From the segments that people name to the classes that are learned: by name, never by label value.

``[task.NAME.classes]`` of study.toml gives each class patterns. What matched what is told, what matched nothing too.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.core.volume import LabelVolume, Segment, color_of

BACKGROUND, IGNORED = 0, 255
IGNORE = "ignore"
"""The class whose voxels neither train nor count."""

SIDED = re.compile(r"(^|[^a-z])(left|right|l|r|sinister|dexter)([^a-z]|$)", re.IGNORECASE)


@dataclass(frozen=True)
class VolumeClass:
    """One class.

    Attributes
    ----------
    name : as it is called in scores.
    patterns : of segment names: ``Tooth*`` with * and ?, or a regular expression between slashes. Case does not matter.
    instances : whether every segment is a thing of its own, such as a tooth, or all are one.
    """

    name: str
    patterns: tuple[str, ...]
    instances: bool = False

    def fits(self, segment: str) -> bool:
        return any(_fits(pattern, segment) for pattern in self.patterns)


@dataclass(frozen=True)
class Encoded:
    """A segmentation as arrays to learn from and to score.

    Attributes
    ----------
    classes : (z, y, x) uint8, index into the class map's classes from 1; 0 background, 255 ignored.
    instances : (z, y, x) uint16, 1.. for every thing of a class with instances; 0 elsewhere.
    names : of the instances, in order.
    """

    classes: np.ndarray
    instances: np.ndarray
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClassMap:
    """Classes in order; the first is class 1.

    Examples
    --------
    >>> teeth = ClassMap.of({"jaw": "LowerJaw*", "tooth": {"match": ["Tooth*"], "instances": True}})
    >>> teeth.matched(["LowerJaw_left", "Tooth_L_001", "Brain"])
    {'LowerJaw_left': 'jaw', 'Tooth_L_001': 'tooth', 'Brain': None}
    """

    classes: tuple[VolumeClass, ...]
    notes: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def of(cls, table: dict[str, Any], *, place: str = "") -> ClassMap:
        """From study.toml: ``name = pattern``, ``name = [patterns]`` or ``name = {match = ..., instances = true}``.

        Raises
        ------
        LabelError : no class, an entry of another form, a regular expression that is none, over 250 classes.
        """
        classes = []
        for name, entry in table.items():
            table_ = entry if isinstance(entry, dict) else {"match": entry}
            patterns = table_.get("match", [])
            patterns = [patterns] if isinstance(patterns, str) else patterns
            unknown = set(table_) - {"match", "instances"}
            if (
                unknown
                or not isinstance(patterns, list)
                or not all(isinstance(p, str) for p in patterns)
                or not patterns
            ):
                raise LabelError(
                    f"classes.{name}: {entry!r}", place=place,
                    fix='write name = "pattern", ["pattern", ...] or {match = "Tooth*", instances = true}',
                )  # fmt: skip
            for pattern in patterns:
                _fits(pattern, "")
            classes.append(VolumeClass(name, tuple(patterns), bool(table_.get("instances", False))))
        if not [c for c in classes if c.name != IGNORE] or len(classes) > 250:
            raise LabelError(f"{len(classes)} classes", place=place, fix="give 1 to 250 classes in [task.NAME.classes]")
        return cls(tuple(classes))

    @classmethod
    def each_name(cls, names: Iterable[str]) -> ClassMap:
        """A class for every segment name, for studies that do not say; numbered names are things of one class.

        >>> [(c.name, c.instances) for c in ClassMap.each_name(["Jaw", "Tooth_01", "Tooth_02"]).classes]
        [('Jaw', False), ('Tooth', True)]
        """
        stems: dict[str, set[str]] = {}
        for name in names:
            stems.setdefault(re.sub(r"[ _-]*\d+$", "", name) or name, set()).add(name)
        classes = []
        for stem, found in stems.items():
            if len(found) == 1:
                name = next(iter(found))
                classes.append(VolumeClass(name, (_literal(name),)))
            else:
                classes.append(VolumeClass(stem, (f"/^{re.escape(stem)}[ _-]*[0-9]*$/",), instances=True))
        return cls(tuple(classes))

    @property
    def learned(self) -> list[VolumeClass]:
        """All but ``ignore``; index + 1 is the class's number."""
        return [c for c in self.classes if c.name != IGNORE]

    @property
    def names(self) -> list[str]:
        return [c.name for c in self.learned]

    @property
    def things(self) -> list[int]:
        """Numbers of the classes with instances."""
        return [i for i, c in enumerate(self.learned, start=1) if c.instances]

    @property
    def sided(self) -> bool:
        """Whether a class is of one side, so that a mirrored volume would be labelled wrongly."""
        return any(SIDED.search(c.name) or any(SIDED.search(p) for p in c.patterns) for c in self.learned)

    def matched(self, segments: Sequence[str], *, place: str = "") -> dict[str, str | None]:
        """The class of each segment, None where no pattern fits; LabelError where patterns of two classes fit."""
        found: dict[str, str | None] = {}
        for segment in segments:
            fitting = [c.name for c in self.classes if c.fits(segment)]
            if len(fitting) > 1:
                raise LabelError(
                    f"segment {segment!r} fits the classes {' and '.join(fitting)}", place=place,
                    fix="make the patterns of [task.NAME.classes] more exact",
                )  # fmt: skip
            found[segment] = fitting[0] if fitting else None
        return found

    def encode(self, labels: LabelVolume) -> Encoded:
        """Classes and instances on the labels' own grid; later segments lie on top where layers overlap."""
        matched = self.matched(labels.names, place=labels.source)
        number = {name: i for i, name in enumerate(self.names, start=1)} | {IGNORE: IGNORED}
        classes = np.zeros(labels.grid.shape, np.uint8)
        instances = np.zeros(labels.grid.shape, np.uint16)
        names: list[str] = []
        things = {c.name for c in self.learned if c.instances}
        for layer_number, layer in enumerate(labels.layers):
            size = int(layer.max(initial=0)) + 1
            to_class, to_thing = np.zeros(size, np.uint8), np.zeros(size, np.uint16)
            for segment in labels.segments:
                wanted = matched[segment.name]
                if segment.layer != layer_number or wanted is None or segment.value >= size:
                    continue
                to_class[segment.value] = number[wanted]
                if wanted in things:
                    names.append(segment.name)
                    to_thing[segment.value] = len(names)
            here = to_class[layer]
            classes = np.where(here > 0, here, classes)
            instances = np.where(here > 0, to_thing[layer], instances)
        return Encoded(classes, instances, tuple(names))

    def encode_prediction(self, labels: LabelVolume) -> Encoded:
        """As `encode`, of what `label_table` wrote: segments called as the classes, things with a number behind."""
        table: dict[str, Any] = {
            c.name: {
                "match": [f"/^{re.escape(c.name)}{'(_[0-9]+)?' if c.instances else ''}$/"],
                "instances": c.instances,
            }
            for c in self.learned
        }
        return ClassMap.of(table).encode(labels)

    def label_table(self, owners: Sequence[int]) -> tuple[np.ndarray, np.ndarray, list[Segment]]:
        """How a prediction is written: label values and the segments that 3D Slicer shows.

        Parameters
        ----------
        owners : the class of each instance, the first being instance 1.

        Returns
        -------
        (classes + 1,) value of each class without instances, (instances + 1,) value of each instance, and the segments:
        one for a class, one for an instance, which is called ``<class>_001`` and so on.
        """
        kind = np.uint8 if len(self.names) + len(owners) < 256 else np.uint16
        of_class, of_thing = np.zeros(256, kind), np.zeros(len(owners) + 1, kind)
        segments: list[Segment] = []

        def add(name: str, color: int) -> int:
            segments.append(Segment(name, len(segments) + 1, id=name, color=color_of(color)))
            return len(segments)

        for number, name in enumerate(self.names, start=1):
            if number not in self.things:
                of_class[number] = add(name, number + 40)
        counted = dict.fromkeys(self.things, 0)
        for thing, owner in enumerate(owners, start=1):
            counted[owner] += 1
            of_thing[thing] = add(f"{self.names[owner - 1]}_{counted[owner]:03d}", thing)
        return of_class, of_thing, segments


def describe_matches(maps: dict[str, dict[str, str | None]]) -> list[str]:
    """One sentence a class: which segments, of all volumes, became it; and one for those that became nothing."""
    by_class: dict[str | None, dict[str, int]] = {}
    for matched in maps.values():
        for segment, name in matched.items():
            by_class.setdefault(name, {}).setdefault(re.sub(r"\d+", "#", segment), 0)
            by_class[name][re.sub(r"\d+", "#", segment)] += 1
    said = [
        f"class {name}: {', '.join(f'{s} ({n})' for s, n in sorted(found.items())[:8])}"
        for name, found in by_class.items() if name is not None
    ]  # fmt: skip
    if None in by_class:
        listed = ", ".join(f"{s} ({n})" for s, n in sorted(by_class[None].items())[:8])
        said.append(f"background, since no class's pattern fits: {listed}")
    return said


def _fits(pattern: str, segment: str) -> bool:
    if len(pattern) > 2 and pattern.startswith("/") and pattern.endswith("/"):
        try:
            return re.search(pattern[1:-1], segment, re.IGNORECASE) is not None
        except re.error as error:
            raise LabelError(f"pattern {pattern}: {error}", fix="correct the regular expression") from None
    return fnmatch.fnmatchcase(segment.casefold(), pattern.casefold())


def _literal(name: str) -> str:
    """A pattern that fits exactly this name.

    >>> _literal("a[1]*")
    'a[[]1][*]'
    """
    return re.sub(r"([*?\[])", r"[\1]", name)

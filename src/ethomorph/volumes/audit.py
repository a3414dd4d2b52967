"""Are these volumes and segmentations fit to learn from: grids, names, stray pieces, copies, intensities."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from ethomorph.core.errors import InputError
from ethomorph.training.health import Finding, Severity
from ethomorph.volumes.classes import ClassMap
from ethomorph.volumes.data import Case
from ethomorph.volumes.plan import intensity_range

STRAY = 0.02
"""A piece of a thing apart from the rest, below this share of it, is a stray of the brush."""

THIN_VOXELS = 3.0
"""Things whose thickest place is below this many voxels can hardly be told apart."""


@dataclass(frozen=True)
class Seen:
    """What was seen of one volume."""

    name: str
    digest: str
    spacing: tuple[float, float, float]
    scale: float
    same_grid: bool
    voxels: dict[str, int]
    unmatched: tuple[str, ...]
    split_things: tuple[str, ...]
    thin_things: int
    things: int
    cut_off: tuple[str, ...]


def look(case: Case, classes: ClassMap) -> Seen:
    """Look at one volume; raises InputError where it cannot be read."""
    from ethomorph.formats.volumes import read_labels

    image = case.read_image()
    labels = case.read_labels(image)
    stored = read_labels(case.labels) if isinstance(case.labels, Path) else case.labels
    assert stored is not None  # or `read_labels` had refused
    encoded = classes.encode(labels)
    split, thin = [], 0
    for number, box in enumerate(ndimage.find_objects(encoded.instances), start=1):
        if box is None:
            continue
        mine = encoded.instances[box] == number
        _, pieces = ndimage.label(mine, np.ones((3, 3, 3)))
        if pieces > 1:
            split.append(encoded.names[number - 1])
        thickest = 2 * float(ndimage.distance_transform_edt(np.pad(mine, 1)).max())
        thin += thickest < THIN_VOXELS
    counts = np.bincount(encoded.classes.ravel(), minlength=256)
    matched = classes.matched(labels.names)
    edges = [np.take(encoded.classes, i, axis=a) for a in range(3) for i in (0, -1)]
    at_edge = {int(v) for edge in edges for v in np.unique(edge)} - {0, 255}
    step = max(1, image.array.shape[0] // 32)
    digest = hashlib.sha256(np.ascontiguousarray(image.array[::step]).tobytes()).hexdigest()
    return Seen(
        case.name, digest, image.grid.spacing, intensity_range(image)[1], image.grid.is_same(stored.grid),
        {n: int(counts[i]) for i, n in enumerate(classes.names, start=1)},
        tuple(s for s, c in matched.items() if c is None), tuple(split), thin, len(encoded.names),
        tuple(classes.names[v - 1] for v in sorted(at_edge)),
    )  # fmt: skip


def audit_volumes(
    cases: Sequence[Case], classes: ClassMap, *, tell: Callable[[int], None] | None = None
) -> list[Finding]:
    """Every finding about the volumes; those that cannot be read are findings too."""
    findings, seen = [], []
    for number, case in enumerate(cases):
        try:
            seen.append(look(case, classes))
        except InputError as error:
            findings.append(_found("unreadable", "sick", str(error), (), error.fix or "export it again"))
        if tell is not None:
            tell(number + 1)
    return findings + judge(seen, classes)


def judge(seen: Sequence[Seen], classes: ClassMap) -> list[Finding]:
    """What the volumes say together."""
    found = [*_names(seen, classes), *_copies(seen)]
    if other := [s.name for s in seen if not s.same_grid]:
        said = f"labels of {_listed(other)} lie on another grid than their image"
        why = ("oversampled or cropped segmentations",)
        found.append(_found("other_grid", "info", said, why, "nothing: they are resampled by their header"))
    if pieces := [f"{s.name} ({len(s.split_things)})" for s in seen if s.split_things]:
        causes = ("stray voxels of the brush", "two things under one name")
        remedy = "keep the largest island of each in 3D Slicer, or name the parts"
        found.append(_found("things_in_pieces", "warning", f"things in pieces in {_listed(pieces)}", causes, remedy))
    thin, total = sum(s.thin_things for s in seen), sum(s.things for s in seen)
    if thin > 0.1 * max(total, 1):
        said = f"{thin} of {total} things are under {THIN_VOXELS:g} voxels thick"
        found.append(_found("thin_things", "warning", said, ("voxels too large",), "use volumes of finer resolution"))
    if cut := [f"{s.name} ({', '.join(s.cut_off)})" for s in seen if s.cut_off]:
        said, remedy = f"labels reach the volume's edge in {_listed(cut)}", "crop with a margin where the rest matters"
        found.append(_found("cut_off", "info", said, ("a tight crop",), remedy))
    spacing = np.array([s.spacing for s in seen]) if seen else np.ones((1, 3))
    if (spacing.max(axis=0) > 2 * spacing.min(axis=0)).any():
        said = f"voxels from {spacing.min():g} to {spacing.max():g} mm"
        remedy = "set settings.spacing_mm to what every volume supports"
        found.append(_found("mixed_spacing", "warning", said, ("scans of different resolution",), remedy))
    return found


def _names(seen: Sequence[Seen], classes: ClassMap) -> list[Finding]:
    """Classes without voxels, and segments without a class."""
    found = []
    for name in classes.names:
        without = [s.name for s in seen if not s.voxels.get(name)]
        if without and len(without) == len(seen):
            remedy = "correct its pattern in [task.NAME.classes]"
            said = f"class {name} is in no volume"
            found.append(_found("empty_class", "sick", said, ("a pattern that fits no segment",), remedy))
        elif without:
            causes = ("an unfinished segmentation", "another name for the segment")
            said, remedy = f"class {name} is missing in {_listed(without)}", "finish these, or add the name's pattern"
            found.append(_found("missing_class", "warning", said, causes, remedy))
    if names := sorted({n for s in seen for n in s.unmatched}):
        said = f"segments that become background: {_listed(names)}"
        remedy = "add a pattern, or a class 'ignore' where they should neither train nor count"
        found.append(_found("unmatched_segments", "info", said, (), remedy))
    return found


def _copies(seen: Sequence[Seen]) -> list[Finding]:
    by_digest: dict[str, list[str]] = {}
    for one in seen:
        by_digest.setdefault(one.digest, []).append(one.name)
    causes, remedy = ("a file copied under two names",), "keep one: copies in training and test flatter the score"
    return [
        _found("copies", "sick", f"{_listed(copies)} are the same volume", causes, remedy)
        for copies in by_digest.values()
        if len(copies) > 1
    ]


def _found(rule: str, severity: Severity, evidence: str, causes: tuple[str, ...], remedy: str) -> Finding:
    return Finding(rule, severity, None, evidence, causes, remedy)


def _listed(names: Sequence[str], most: int = 6) -> str:
    shown = ", ".join(names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")

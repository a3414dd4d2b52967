"""From the network's outputs to things: seeds where distance peaks, a watershed between them, one at a time in its box.

Neighbouring teeth touch, so connected components would join them. No largest-component filter: a tooth may stand alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from ethomorph.core.errors import InputError
from ethomorph.core.grid import Grid
from ethomorph.volumes.panoptic import compare_instances, panoptic_quality
from ethomorph.volumes.store import Box, Store
from ethomorph.volumes.stream import Outputs, slabs

COARSE_VOXELS = 2_000_000
"""Components are found on a grid of at most so many voxels; each is then decoded in its own box."""


@dataclass(frozen=True)
class Thresholds:
    """How outputs become things; tuned on the validation part.

    Attributes
    ----------
    thing : probability from which a voxel belongs to a thing.
    rise : how far distance must rise above the saddle to another peak for a thing of its own (the h of h-maxima).
    border : how much the border head deepens saddles, 0 to 1.
    smallest_mm3 : things below this volume are dropped.
    """

    thing: float = 0.5
    rise: float = 0.2
    border: float = 0.5
    smallest_mm3: float = 0.0

    def to_dict(self) -> dict[str, float]:
        return asdict(self)

    @classmethod
    def from_dict(cls, table: dict[str, float]) -> Thresholds:
        known = {f.name for f in fields(cls)}
        return cls(**{k: float(v) for k, v in table.items() if k in known})


def find_things(
    outputs: Outputs, things: Sequence[int], thresholds: Thresholds, *, scratch: Path | None = None
) -> tuple[Store, list[int]]:
    """Instances (uint16 or uint32 store, 1..n) and the class of each.

    Every connected piece of the thing mask is decoded in a box of its own, so memory is bounded by the largest piece;
    the result is the same as that of the whole at once.
    """
    assert outputs.thing is not None and outputs.distance is not None and outputs.border is not None
    shape = outputs.classes.shape
    instances = Store(shape, np.uint16, scratch)
    owners: list[int] = []
    least = max(2, round(thresholds.smallest_mm3 / outputs.grid.voxel_mm3))
    for box, piece in pieces(outputs.thing, thresholds.thing):
        mask = (outputs.thing.read(box) >= _byte(thresholds.thing)) & piece
        ids = split_touching(mask, outputs.distance.read(box), outputs.border.read(box), thresholds)
        classes = outputs.classes.read(box)
        here = instances.read(box)
        for number, size in enumerate(np.bincount(ids.ravel())[1:], start=1):
            if size < least:
                continue
            mine = ids == number
            votes = np.bincount(classes[mine], minlength=max(things) + 1)[list(things)]
            owners.append(int(things[int(np.argmax(votes))]))
            here[mine] = len(owners)
        instances.write(box, here)
    return instances, owners


def split_touching(mask: np.ndarray, distance: np.ndarray, border: np.ndarray, thresholds: Thresholds) -> np.ndarray:
    """(z, y, x) ids 1.. inside a mask: a watershed from peaks that rise far enough over the saddles between them.

    Parameters
    ----------
    distance, border : uint8, 255 for 1.
    """
    from skimage.morphology import reconstruction
    from skimage.segmentation import watershed

    if not mask.any():
        return np.zeros(mask.shape, np.int32)
    energy = distance.astype(np.float32) / 255
    energy *= 1 - np.float32(thresholds.border) * border.astype(np.float32) / 255
    energy = np.where(mask, ndimage.gaussian_filter(energy, 0.5), 0)
    rise = np.float32(thresholds.rise)
    low = reconstruction(np.maximum(energy - rise, 0), energy, method="dilation", footprint=np.ones((3, 3, 3)))
    seeds, count = ndimage.label((energy - low >= rise - 1e-4) & mask, np.ones((3, 3, 3)))
    alone, number = ndimage.label(mask, np.ones((3, 3, 3)))
    seeded = np.unique(alone[seeds > 0])
    for piece in set(range(1, number + 1)) - set(seeded.tolist()):  # too flat to hold a peak: a thing as it stands
        count += 1
        seeds[alone == piece] = count
    return watershed(-energy, seeds, mask=mask, connectivity=np.ones((3, 3, 3)))


def pieces(thing: Store, threshold: float) -> Iterator[tuple[Box, np.ndarray]]:
    """Boxes of connected parts of the mask, with the part of each box that belongs to it.

    Parts are connected on a coarser grid, so that what touches is always in one part; nothing larger than a part and a
    few planes is held.
    """
    shape = thing.shape
    factor = max(1, int(np.ceil((np.prod(shape, dtype=np.float64) / COARSE_VOXELS) ** (1 / 3))))
    coarse = np.zeros([-(-n // factor) for n in shape], bool)
    for span in slabs(shape[0], factor):
        mask = thing.read((span, slice(None), slice(None))) >= _byte(threshold)
        plane: np.ndarray = np.asarray(mask.any(axis=0))
        padded = np.pad(plane, [(0, n * factor - m) for n, m in zip(coarse.shape[1:], plane.shape, strict=True)])
        coarse[span.start // factor] = padded.reshape(coarse.shape[1], factor, coarse.shape[2], factor).any(axis=(1, 3))
    labels, _ = ndimage.label(coarse, np.ones((3, 3, 3)))
    for number, found in enumerate(ndimage.find_objects(labels), start=1):
        box = tuple(slice(s.start * factor, min(s.stop * factor, n)) for s, n in zip(found, shape, strict=True))
        mine = labels[found] == number
        for axis in range(3):
            mine = np.repeat(mine, factor, axis=axis)
        size = tuple(slice(0, s.stop - s.start) for s in box)
        yield (box[0], box[1], box[2]), mine[size]


def settle_classes(classes: Store, instances: Store, owners: Sequence[int], things: Sequence[int]) -> None:
    """Make the classes agree with the things: voxels of a thing get its class, others of such a class none."""
    table = np.array([0, *owners], np.uint8)
    for span in slabs(classes.shape[0], 16):
        box = (span, slice(None), slice(None))
        here, ids = classes.read(box), instances.read(box)
        here[np.isin(here, things)] = 0
        classes.write_planes(span.start, np.where(ids > 0, table[ids], here))


def tune(
    found: Sequence[tuple[Outputs, np.ndarray]],
    things: Sequence[int],
    *,
    typical_mm3: float,
    say: Callable[[str], None] | None = None,
) -> tuple[Thresholds, float]:
    """Thresholds of the best pooled panoptic quality on validation volumes, and that quality.

    Parameters
    ----------
    found : the outputs of each volume with its true instances on the same grid.
    typical_mm3 : median volume of a true thing in training; the smallest allowed is searched in shares of it.
    """

    def quality(thresholds: Thresholds) -> float:
        rows = []
        for outputs, truth in found:
            try:
                instances, _ = find_things(outputs, things, thresholds)
            except InputError:  # a candidate that finds more things than there are ids
                return -1.0
            rows.append(compare_instances(truth, instances.whole()).sums)
        value = panoptic_quality(np.array(rows))
        if say is not None:
            say(f"{thresholds}: PQ {value:.3f}")
        return value if value == value else -1.0

    best = Thresholds(smallest_mm3=0.15 * typical_mm3)
    scored = {best: quality(best)}
    grids = [
        [{"rise": r, "thing": t} for r, t in itertools.product((0.05, 0.12, 0.2, 0.3, 0.45), (0.4, 0.5))],
        [{"border": b} for b in (0.0, 0.9)],
        [{"thing": t} for t in (0.3, 0.35, 0.45, 0.55, 0.6)],
        [{"smallest_mm3": s * typical_mm3} for s in (0.02, 0.3)],
    ]
    for grid in grids:
        for change in grid:
            candidate = replace(best, **change)
            if candidate not in scored:
                scored[candidate] = quality(candidate)
        best = max(scored, key=lambda one: scored[one])
    return best, scored[best]


def from_arrays(
    grid: Grid, classes: np.ndarray, thing: np.ndarray, distance: np.ndarray, border: np.ndarray
) -> Outputs:
    """Outputs from arrays in memory, shares in 0..1."""

    def stored(array: np.ndarray) -> Store:
        store = Store(array.shape, np.uint8, None)
        store.array = np.round(np.clip(array, 0, 1) * 255).astype(np.uint8)
        return store

    whole = Store(classes.shape, np.uint8, None)
    whole.array = classes.astype(np.uint8)
    return Outputs(grid, whole, stored(thing), stored(distance), stored(border), 0, 0)


def _byte(share: float) -> int:
    return round(255 * share)

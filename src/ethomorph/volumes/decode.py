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

LARGEST_BOX = 6_000_000
"""Boxes of more voxels are divided on coarser ones, so that memory stays bounded whatever a network says."""


@dataclass(frozen=True)
class Thresholds:
    """How outputs become things; tuned on the validation part.

    Attributes
    ----------
    thing : probability from which a voxel belongs to a thing.
    rise : how far distance must rise above the saddle to another peak for a thing of its own (the h of h-maxima).
    border : how much the border head deepens saddles, 0 to 1.
    depth : weight of how deep a voxel lies in the mask itself, against the distance head; 0 to 1.
    smooth : standard deviation in voxels by which what is divided is smoothed before.
    smallest_mm3 : things below this volume are dropped.
    radius_mm : depth that counts as 1, about the inner radius of a typical thing.
    """

    thing: float = 0.5
    rise: float = 0.2
    border: float = 0.5
    depth: float = 0.0
    smooth: float = 0.5
    smallest_mm3: float = 0.0
    radius_mm: float = 1.0

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
    the result is the same as that of the whole at once. Pieces in very large boxes are divided on coarser voxels.
    """
    assert outputs.thing is not None and outputs.distance is not None and outputs.border is not None
    shape = outputs.classes.shape
    instances = Store(shape, np.uint16, scratch)
    owners: list[int] = []
    least = max(2, round(thresholds.smallest_mm3 / outputs.grid.voxel_mm3))
    for box, piece in pieces(outputs.thing, thresholds.thing):
        mask = (outputs.thing.read(box) >= _byte(thresholds.thing)) & piece
        ids = split_bounded(mask, outputs.distance.read(box), outputs.border.read(box), thresholds, outputs.grid)
        classes = outputs.classes.read(box)
        here = instances.read(box)
        sizes = np.bincount(ids.ravel())
        for number, part in enumerate(ndimage.find_objects(ids), start=1):
            if part is None or sizes[number] < least:
                continue
            mine = ids[part] == number
            votes = np.bincount(classes[part][mine], minlength=max(things) + 1)[list(things)]
            owners.append(int(things[int(np.argmax(votes))]))
            here[part][mine] = len(owners)
        instances.write(box, here)
    return instances, owners


def split_bounded(
    mask: np.ndarray, distance: np.ndarray, border: np.ndarray, thresholds: Thresholds, grid: Grid
) -> np.ndarray:
    """`split_touching`, on voxels as coarse as `LARGEST_BOX` demands."""
    factor = int(np.ceil((mask.size / LARGEST_BOX) ** (1 / 3)))
    if factor <= 1:
        return split_touching(mask, distance, border, thresholds, grid.spacing_zyx)
    from skimage.measure import block_reduce

    blocks = (factor,) * 3
    z, y, x = (s * factor for s in grid.spacing_zyx)
    least, deep, between = (block_reduce(array, blocks, np.max) for array in (mask, distance, border))
    ids = split_touching(least, deep, between, thresholds, (z, y, x))
    for axis, size in enumerate(mask.shape):
        ids = np.repeat(ids, factor, axis=axis).take(np.arange(size), axis=axis)
    return np.where(mask, ids, 0)


def split_touching(
    mask: np.ndarray, distance: np.ndarray, border: np.ndarray, thresholds: Thresholds,
    spacing_zyx: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> np.ndarray:  # fmt: skip
    """(z, y, x) ids 1.. inside a mask: a watershed from peaks that rise far enough over the saddles between them.

    Parameters
    ----------
    distance, border : uint8, 255 for 1.
    spacing_zyx : mm of the voxels, for how deep they lie in the mask.
    """
    from skimage.morphology import reconstruction
    from skimage.segmentation import watershed

    if not mask.any():
        return np.zeros(mask.shape, np.int32)
    energy = distance.astype(np.float32) / 255
    energy *= 1 - np.float32(thresholds.border) * border.astype(np.float32) / 255
    if thresholds.depth > 0:
        deep = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=spacing_zyx)[1:-1, 1:-1, 1:-1]
        share = np.minimum(deep / thresholds.radius_mm, 1.5).astype(np.float32)
        energy = (1 - np.float32(thresholds.depth)) * energy + np.float32(thresholds.depth) * share
    energy = np.where(mask, ndimage.gaussian_filter(energy, thresholds.smooth), 0)
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

    best = usual(typical_mm3)
    scored = {best: quality(best)}
    grids = [
        [{"rise": r, "depth": d, "smooth": s, "border": 0.5 * (d == 0)}
         for (d, s), r in itertools.product(((0.0, 0.5), (0.5, 1.0), (1.0, 1.0)), (0.05, 0.12, 0.25))],
        [{"rise": r} for r in (0.03, 0.08, 0.18, 0.4)],
        [{"border": b} for b in (0.0, 0.9)],
        [{"thing": t} for t in (0.35, 0.42, 0.58, 0.65)],
        [{"smallest_mm3": s * typical_mm3} for s in (0.02, 0.3)],
    ]  # fmt: skip
    for grid in grids:
        for change in grid:
            candidate = replace(best, **change)
            if candidate not in scored:
                scored[candidate] = quality(candidate)
        best = max(scored, key=lambda one: scored[one])
    return best, scored[best]


def usual(typical_mm3: float) -> Thresholds:
    """Where there is nothing to tune on: scaled by the volume of a typical thing, in training."""
    radius = 0.75 * (0.75 * typical_mm3 / np.pi) ** (1 / 3)  # things are longer than wide
    return Thresholds(smallest_mm3=0.15 * typical_mm3, radius_mm=float(radius) or 1.0)


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

"""Prediction of a volume of any length in bounded memory: overlapping patches, a slab at a time.

Only as many planes as a patch is high are accumulated; behind the front they are decided and written. Tiles of air are
skipped. What it will need is predicted before the start and refused where it cannot fit.
"""

from __future__ import annotations

import itertools
import math
import mmap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ethomorph.core.errors import InputError
from ethomorph.core.grid import Grid
from ethomorph.core.resample import resample_image
from ethomorph.core.volume import ScalarVolume
from ethomorph.volumes.networks import activation_bytes
from ethomorph.volumes.plan import Plan, intensity_range
from ethomorph.volumes.store import IN_MEMORY, Store

LIBRARIES = 420 * 2**20
"""Resident memory of Python with torch and SciPy before any volume, measured on Linux."""

EMPTY_SHARE = 1e-3
"""A tile is empty where less than this share of it is brighter than `Plan.empty_below`."""

DECIDED = 8
"""Planes that are decided at once."""

Planes = Callable[[int, int], np.ndarray]


@dataclass(frozen=True)
class Outputs:
    """What the network says of a volume, on its own grid.

    Attributes
    ----------
    classes : most probable class. thing : probability of any class with instances. distance, border : of the heads.
        All uint8, probabilities times 255.
    tiles, skipped : patches in all and those that were empty.
    """

    grid: Grid
    classes: Store
    thing: Store | None
    distance: Store | None
    border: Store | None
    tiles: int
    skipped: int


def predicted_bytes(shape: tuple[int, ...], plan: Plan, *, classes: int, things: bool, itemsize: int = 2) -> int:
    """Peak resident memory of a prediction, in bytes; `classes` counts the background."""
    depth, plane = plan.patch[0], max(shape[1], plan.patch[1]) * max(shape[2], plan.patch[2])
    outputs = classes - 1 + (2 if things else 0)
    accumulated = 4 * depth * plane * outputs
    decided = 4 * DECIDED * plane * (2 * outputs + 4)
    read = plane * depth * (itemsize + 4)
    voxels = int(np.prod(shape, dtype=np.int64))
    kept = 4 * voxels if voxels <= IN_MEMORY else IN_MEMORY  # larger outputs lie in files
    network = activation_bytes(plan.patch, plan.channels, plan.pools, training=False, stem=plan.stem)
    return LIBRARIES + accumulated + decided + read + kept + 2 * network


def refuse_too_large(bytes_: int, shape: tuple[int, ...], *, limit: int | None = None, place: str = "") -> None:
    """Raise InputError where a prediction would need more memory than there is, or than `limit` bytes."""
    import psutil

    room = limit if limit is not None else int(psutil.virtual_memory().available + LIBRARIES)
    if bytes_ <= room:
        return
    x, y, z = shape[::-1]
    longest = max(range(3), key=lambda a: shape[a])
    advice = "turn the volume so that its longest axis comes first (z), " if longest != 0 else ""
    raise InputError(
        f"{x} x {y} x {z} voxels need {bytes_ / 2**30:.1f} GiB, and {room / 2**30:.1f} GiB are free",
        place=place, fix=f"{advice}crop the volume to the head, or convert it with --downsample 2",
    )  # fmt: skip


def stream(
    image: ScalarVolume,
    network: torch.nn.Module,
    plan: Plan,
    *,
    classes: int,
    things: list[int],
    scratch: Path | None = None,
    device: str = "cpu",
    progress: Callable[[float], None] | None = None,
) -> Outputs:
    """Predict a volume.

    Parameters
    ----------
    image : its array may be memory-mapped; it is read slab by slab.
    classes : outputs of the class head, background included.
    scratch : folder for outputs that are too large for memory.
    progress : called with the share that is done.
    """
    grid = plan.grid_for(image.grid)
    read = planes_of(image, grid, plan)
    shape = grid.shape
    z, y, x = (steps_of(n, p, plan.overlap) for n, p in zip(shape, plan.patch, strict=True))
    window = [ramp(p) for p in plan.patch]
    weights = np.einsum("i,j,k->ijk", *window).astype(np.float32)
    full = tuple(max(n, p) for n, p in zip(shape, plan.patch, strict=True))
    across = [coverage(full[a], s, window[a]) for a, s in ((0, z), (1, y), (2, x))]
    plane = np.outer(across[1], across[2]).astype(np.float32)
    foreground = classes - 1
    heads = foreground + (2 if things else 0)
    sums = np.zeros((heads, plan.patch[0], *full[1:]), np.float32)
    made = [Store(shape, np.uint8, scratch) for _ in range(4 if things else 1)]
    tiles = skipped = 0
    corners = [(a, b) for a in y for b in x]
    flips = mirrorings(plan.mirror_axes) if plan.mirrored else [()]
    network.eval()
    for index, start in enumerate(z):
        slab = padded(read(start, min(start + plan.patch[0], shape[0])), (plan.patch[0], *full[1:]))
        for a, b in corners:
            tile = slab[:, a : a + plan.patch[1], b : b + plan.patch[2]]
            tiles += 1
            if np.count_nonzero(tile > plan.empty_below) < EMPTY_SHARE * tile.size:
                skipped += 1
                continue
            sums[:, :, a : a + plan.patch[1], b : b + plan.patch[2]] += (
                tile_outputs(network, tile, classes, bool(things), device, flips) * weights
            )
            if progress is not None:
                progress(tiles / (len(z) * len(corners)))
        del slab, tile
        stop = z[index + 1] if index + 1 < len(z) else full[0]
        for low in range(0, stop - start, DECIDED):
            high = min(low + DECIDED, stop - start)
            total = across[0][start + low : start + high, None, None].astype(np.float32) * plane
            decided = decide(sums[:, low:high] / total, foreground, things)
            keep = min(start + high, shape[0]) - (start + low)
            if keep > 0:
                for store, planes in zip(made, decided, strict=True):
                    store.write_planes(start + low, planes[:keep, : shape[1], : shape[2]])
        if index + 1 < len(z):
            moved = stop - start
            for low in range(plan.patch[0] - moved):  # in place, a plane at a time
                sums[:, low] = sums[:, low + moved]
            sums[:, plan.patch[0] - moved :] = 0
    thing, distance, border = made[1:] if things else (None, None, None)
    return Outputs(grid, made[0], thing, distance, border, tiles, skipped)


def tile_outputs(
    network: torch.nn.Module, tile: np.ndarray, classes: int, things: bool, device: str,
    flips: Sequence[tuple[int, ...]] = ((),),
) -> np.ndarray:  # fmt: skip
    """(foreground classes [+ distance, border], z, y, x) probabilities of one patch, the mean over its `flips`."""
    total = None
    with torch.inference_mode():
        plain = torch.from_numpy(np.ascontiguousarray(tile))[None, None].to(device)
        for axes in flips:
            x = plain.flip([2 + axis for axis in axes])
            out = network(x.contiguous(memory_format=torch.channels_last_3d))[0].float()
            shares = torch.softmax(out[:classes], dim=0)[1:]
            if things:
                shares = torch.cat([shares, torch.sigmoid(out[classes:])])
            shares = shares.flip([1 + axis for axis in axes])
            total = shares if total is None else total + shares
        assert total is not None
        return (total / len(flips)).cpu().numpy()


def mirrorings(axes: Sequence[int]) -> list[tuple[int, ...]]:
    """Every way of mirroring along some of the axes, none included.

    >>> mirrorings([2]), len(mirrorings([0, 1, 2]))
    ([(), (2,)], 8)
    """
    return [chosen for count in range(len(axes) + 1) for chosen in itertools.combinations(axes, count)]


def decide(shares: np.ndarray, foreground: int, things: list[int]) -> list[np.ndarray]:
    """Planes of classes, and where there are things of thing, distance and border, as uint8."""
    best = shares[:foreground].argmax(axis=0)
    top = np.take_along_axis(shares[:foreground], best[None], axis=0)[0]
    background = 1 - shares[:foreground].sum(axis=0)
    classes = np.where(top > background, best + 1, 0).astype(np.uint8)
    if not things:
        return [classes]
    thing = shares[[n - 1 for n in things]].sum(axis=0)
    return [classes, *(_bytes(v) for v in (thing, shares[foreground], shares[foreground + 1]))]


def planes_of(image: ScalarVolume, grid: Grid, plan: Plan) -> Planes:
    """A reader of normalised planes start..stop on `grid`; only the needed part of the image is touched."""
    low, scale = intensity_range(image)

    def read(start: int, stop: int) -> np.ndarray:
        if grid is image.grid:
            return plan.normalized(fresh(image.array, slice(start, stop)), low, scale)
        part = grid.cropped((slice(start, stop), slice(None), slice(None)))
        ends = image.grid.to_index(part.corners)[:, 2]
        a = max(0, math.floor(ends.min()) - 3)
        b = min(image.grid.shape[0], math.ceil(ends.max()) + 4)
        source = image.grid.cropped((slice(a, b), slice(None), slice(None)))
        pixels = resample_image(fresh(image.array, slice(a, b)), source, part)
        return plan.normalized(pixels, low, scale)

    return read


def fresh(array: np.ndarray, planes: slice) -> np.ndarray:
    """A copy of some planes; of a mapped file through a map of its own, so that its pages can leave memory again."""
    if isinstance(array, np.memmap) and array.filename is not None and isinstance(array.base, mmap.mmap):
        again = np.memmap(array.filename, dtype=array.dtype, mode="r", offset=array.offset, shape=array.shape)
        return np.array(again[planes])
    return np.asarray(array[planes])


def steps_of(size: int, patch: int, overlap: float) -> list[int]:
    """Where patches begin along an axis: evenly spread, overlapping by at least `overlap`.

    >>> steps_of(100, 48, 0.25), steps_of(30, 48, 0.25)
    ([0, 26, 52], [0])
    """
    if size <= patch:
        return [0]
    count = math.ceil((size - patch) / max(1.0, patch * (1 - overlap))) + 1
    return [round(i * (size - patch) / (count - 1)) for i in range(count)]


def ramp(size: int) -> np.ndarray:
    """(size,) Gaussian weights with a standard deviation of an eighth of the patch, never 0."""
    middle = (size - 1) / 2
    return np.maximum(np.exp(-0.5 * ((np.arange(size) - middle) / (size / 8)) ** 2), 1e-3)


def coverage(size: int, starts: list[int], window: np.ndarray) -> np.ndarray:
    """(size,) sum of the weights of all patches along an axis."""
    total = np.zeros(size)
    for start in starts:
        total[start : start + len(window)] += window[: size - start]
    return total


def padded(planes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """`planes` with air behind them up to `shape`."""
    if planes.shape == shape:
        return planes
    return np.pad(planes, [(0, n - m) for n, m in zip(shape, planes.shape, strict=True)], constant_values=-1.0)


def slabs(depth: int, planes: int) -> Iterator[slice]:
    """Slices of so many planes."""
    for start in range(0, depth, planes):
        yield slice(start, min(start + planes, depth))


def _bytes(share: np.ndarray) -> np.ndarray:
    return np.round(np.clip(share, 0, 1) * 255).astype(np.uint8)

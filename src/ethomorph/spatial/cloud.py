"""Bone as a cloud of surface points in mm: the threshold, the largest piece, points spread evenly."""

from __future__ import annotations

from typing import Any

import numpy as np

from ethomorph.core.errors import ImageError
from ethomorph.core.grid import Grid
from ethomorph.core.volume import LabelVolume, ScalarVolume

POINTS = 6000
"""Points of a cloud: 50 voxels across a head of 150 voxels would need no more."""
BINS = 256
LEAST_VOXELS = 200
COARSE_VOXELS = 200
"""Longest side of the volume that surfaces are found in: a pose needs no more."""
NOT_BONE = ("brain", "endocranial", "eye", "soft", "skin", "muscle", "tissue", "lung", "background")
LOWER_JAW = ("lowerjaw", "lower_jaw", "mandible", "dentary", "lower jaw")


def bone_threshold(image: ScalarVolume) -> float:
    """The grey value between soft tissue and bone: Otsu's, twice where the first one only parts the body from air.

    Raises
    ------
    ImageError : an image of one grey value.
    """
    values = np.asarray(image.array)[:: _step(image.grid, 0), :: _step(image.grid, 1), :: _step(image.grid, 2)]
    values = values[np.isfinite(values)].astype(float)
    low, high = np.percentile(values, [0.1, 99.9]) if len(values) else (0.0, 0.0)
    if not high > low:
        raise ImageError("the image has one grey value and no bone", place=image.source, fix="give the CT volume")
    values = np.clip(values, low, high)
    first = otsu(values)
    body = values[values > first]
    if len(body) < 0.12 * len(values):
        return first
    return otsu(body)


def otsu(values: np.ndarray) -> float:
    """The threshold that parts values into two classes of least variance inside (Otsu 1979)."""
    counts, edges = np.histogram(values, BINS)
    middle = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * middle)
    with np.errstate(invalid="ignore", divide="ignore"):
        gap = sums / below - (sums[-1] - sums) / above
        between = np.nan_to_num(below * above * gap**2)
    return float(edges[int(between.argmax()) + 1])


def bone_mask(image: ScalarVolume, *, threshold: float | None = None) -> np.ndarray:
    """(z, y, x) bool: the largest connected piece above a threshold.

    Raises
    ------
    ImageError : nothing, or a mere speck, is above it.
    """
    from scipy import ndimage

    level = bone_threshold(image) if threshold is None else threshold
    found, count = ndimage.label(np.asarray(image.array) > level)
    sizes = np.bincount(found.ravel(), minlength=2)
    sizes[0] = 0
    if not count or sizes.max() < LEAST_VOXELS:
        raise ImageError(
            f"no bone: the largest piece above {level:g} has {int(sizes.max())} voxels",
            place=image.source, fix="give the grey value of bone with --threshold",
        )  # fmt: skip
    return np.asarray(found == sizes.argmax())


def segments_mask(labels: LabelVolume, *, jaw: bool = True) -> np.ndarray | None:
    """(z, y, x) bool: every segment that is bone by its name; None where none is.

    Parameters
    ----------
    jaw : whether the lower jaw (and lower teeth) counts.
    """
    names = [n for n in labels.names if not any(word in n.lower() for word in NOT_BONE)]
    if not jaw:
        names = [n for n in names if not is_lower_jaw(n) and "lower" not in n.lower()]
    if not names:
        return None
    return np.any([labels.mask(n) for n in names], axis=0)


def is_lower_jaw(name: str) -> bool:
    """Whether a segment's name says the lower jaw.

    >>> is_lower_jaw("LowerJaw_left"), is_lower_jaw("right mandible"), is_lower_jaw("OtherBone")
    (True, True, False)
    """
    return any(word in name.lower() for word in LOWER_JAW)


def bone_points(
    image: ScalarVolume, *, threshold: float | None = None, count: int = POINTS, seed: int = 0
) -> np.ndarray:
    """(points, 3) LPS mm on the surface of bone, between voxels: where the grey value crosses the threshold.

    Raises
    ------
    ImageError : as `bone_mask`.
    """
    from scipy import ndimage

    image = coarse(image)
    level = bone_threshold(image) if threshold is None else threshold
    near = ndimage.binary_dilation(bone_mask(image, threshold=level), iterations=2)
    array = np.asarray(image.array, dtype=np.float32)
    return _level_points(np.where(near, array, array.min()), level, image.grid, count, seed)


def mask_points(mask: np.ndarray, grid: Grid, *, count: int = POINTS, seed: int = 0) -> np.ndarray:
    """(points, 3) LPS mm on the slightly smoothed surface of a (z, y, x) mask."""
    from scipy import ndimage

    volume = coarse(ScalarVolume(mask.astype(np.float32), grid))
    smooth = ndimage.gaussian_filter(np.pad(np.asarray(volume.array), 1), 0.6)
    z, y, x = volume.grid.shape
    wider = Grid(
        (z + 2, y + 2, x + 2), volume.grid.spacing, tuple(volume.grid.to_lps([-1, -1, -1])), volume.grid.direction
    )
    return _level_points(smooth, 0.5, wider, count, seed)


def coarse(image: ScalarVolume) -> ScalarVolume:
    """The image in voxels so large that its longest side has at most `COARSE_VOXELS`; small ones stay as they are."""
    longest = max(image.grid.shape)
    if longest <= COARSE_VOXELS:
        return image
    size = max(n * s for n, s in zip(image.grid.shape[::-1], image.grid.spacing, strict=True)) / COARSE_VOXELS
    x, y, z = (max(s, size) for s in image.grid.spacing)
    return image.on(image.grid.resized((x, y, z)))


def _level_points(field: np.ndarray, level: float, grid: Grid, count: int, seed: int) -> np.ndarray:
    from skimage import measure

    try:
        vertices = measure.marching_cubes(field, level)[0]
    except (ValueError, RuntimeError):
        raise ImageError(f"no surface at grey value {level:g}", fix="give another with --threshold") from None
    return thinned(grid.to_lps(vertices[:, ::-1]), count, seed=seed)


def thinned(points: np.ndarray, count: int, *, seed: int = 0) -> np.ndarray:
    """At most `count` of the points, evenly in space: the mean of each cell of a lattice."""
    if len(points) <= count:
        return points
    size = np.ptp(points, axis=0).max()
    low, high = size / 1000, size
    chosen = points
    for _ in range(24):
        cell = np.sqrt(low * high)
        key = np.floor((points - points.min(axis=0)) / cell).astype(np.int64)
        _, place = np.unique(key @ np.array([1, 2**20, 2**40]), return_inverse=True)
        groups = int(place.max()) + 1
        low, high = (cell, high) if groups > count else (low, cell)
        if 0.9 * count <= groups <= count:
            break
    weights = np.bincount(place)
    chosen = np.stack([np.bincount(place, points[:, a]) / weights for a in range(3)], axis=1)
    if len(chosen) > count:
        chosen = chosen[np.random.default_rng(seed).permutation(len(chosen))[:count]]
    return chosen


def normals_of(points: np.ndarray, tree: Any, *, neighbours: int = 12) -> np.ndarray:
    """(n, 3) unit normals of a cloud, by the plane through each point's neighbours; signs mean nothing."""
    _, near = tree.query(points, k=min(neighbours, len(points)))
    local = points[near] - points[near].mean(axis=1, keepdims=True)
    _, vectors = np.linalg.eigh(np.einsum("nki,nkj->nij", local, local))
    return vectors[:, :, 0]


def _step(grid: Grid, axis: int) -> int:
    """Thinning of the array by which a threshold is found from some two million voxels."""
    return max(1, round((grid.voxels / 2e6) ** (1 / 3))) if grid.shape[axis] > 64 else 1

"""Distances between the surfaces of two masks, weighted by surface area, as DeepMind's surface-distance measures them.

Every corner where eight voxels meet carries the area of the marching-cubes surface through it; distances are from
corner to corner, which makes them up to half a voxel too small. Needs no mesh.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import ndimage


class Surfaces(NamedTuple):
    """Distances in mm from each surface element to the other surface, with the elements' areas in mm2."""

    truth_to_predicted: np.ndarray
    truth_areas: np.ndarray
    predicted_to_truth: np.ndarray
    predicted_areas: np.ndarray


def surface_distances(truth: np.ndarray, predicted: np.ndarray, spacing: tuple[float, float, float]) -> Surfaces:
    """Distances between the surfaces of two (z, y, x) masks; `spacing` is (z, y, x) mm. Both must hold something.

    Raises
    ------
    ValueError : a mask is empty.
    """
    if not truth.any() or not predicted.any():
        raise ValueError("an empty mask has no surface")
    box = bounding_box(truth | predicted)
    areas = corner_areas(tuple(float(s) for s in spacing))
    found = [areas[corner_codes(mask)] for mask in (truth[box], predicted[box])]
    to_truth, to_predicted = (ndimage.distance_transform_edt(area == 0, sampling=spacing) for area in found)
    on_truth, on_predicted = found[0] > 0, found[1] > 0
    return Surfaces(to_predicted[on_truth], found[0][on_truth], to_truth[on_predicted], found[1][on_predicted])


def surface_dice(surfaces: Surfaces, tolerance_mm: float) -> float:
    """NSD: the share of both surfaces that lies within `tolerance_mm` of the other (Nikolov et al. 2021)."""
    near = (surfaces.truth_areas[surfaces.truth_to_predicted <= tolerance_mm].sum()
            + surfaces.predicted_areas[surfaces.predicted_to_truth <= tolerance_mm].sum())  # fmt: skip
    return float(near / (surfaces.truth_areas.sum() + surfaces.predicted_areas.sum()))


def hausdorff(surfaces: Surfaces, percent: float = 95.0) -> float:
    """The larger of both directions' area-weighted percentiles, in mm."""
    return max(
        _percentile(surfaces.truth_to_predicted, surfaces.truth_areas, percent),
        _percentile(surfaces.predicted_to_truth, surfaces.predicted_areas, percent),
    )


def mean_distance(surfaces: Surfaces) -> float:
    """ASSD: the area-weighted mean over both surfaces, in mm."""
    total = (surfaces.truth_to_predicted @ surfaces.truth_areas
             + surfaces.predicted_to_truth @ surfaces.predicted_areas)  # fmt: skip
    return float(total / (surfaces.truth_areas.sum() + surfaces.predicted_areas.sum()))


def corner_codes(mask: np.ndarray) -> np.ndarray:
    """(z+1, y+1, x+1) uint8: for every corner, which of the eight voxels around it are in the mask, a bit each."""
    padded = np.pad(mask.astype(np.uint8), 1)
    codes = np.zeros(tuple(n + 1 for n in mask.shape), np.uint8)
    for bit in range(8):
        z, y, x = (bit >> 2) & 1, (bit >> 1) & 1, bit & 1
        codes |= padded[z : z + codes.shape[0], y : y + codes.shape[1], x : x + codes.shape[2]] << np.uint8(bit)
    return codes


@lru_cache(maxsize=64)
def corner_areas(spacing: tuple[float, float, float]) -> np.ndarray:
    """(256,) mm2 of the marching-cubes surface inside a corner's cell, by code."""
    from skimage.measure import marching_cubes, mesh_surface_area

    areas = np.zeros(256)
    for code in range(1, 255):
        cell = np.array([(code >> bit) & 1 for bit in range(8)], float).reshape(2, 2, 2)
        vertices, faces, _, _ = marching_cubes(cell, 0.5, spacing=spacing, method="lorensen")
        areas[code] = mesh_surface_area(vertices, faces)
    return areas


def bounding_box(mask: np.ndarray) -> tuple[slice, slice, slice]:
    """The smallest box that holds all of a mask that is not empty."""
    spans = []
    for axis in range(3):
        line = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        spans.append(slice(int(line[0]), int(line[-1]) + 1))
    return spans[0], spans[1], spans[2]


def _percentile(distances: np.ndarray, areas: np.ndarray, percent: float) -> float:
    order = np.argsort(distances)
    share = np.cumsum(areas[order]) / areas.sum()
    place = min(int(np.searchsorted(share, percent / 100)), len(order) - 1)
    return float(distances[order[place]])

"""Slices to volumes: segments of neighbouring slices that overlap are one thing, within a size, split at necks.

For methods that look at one slice at a time; each slice has ids of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from ethomorph.volumes.decode import Thresholds, split_touching
from ethomorph.volumes.slice_codec import PanopticSlice


def merge_slices(
    slices: Sequence[PanopticSlice], things: Sequence[int], *, overlap: float = 0.3, gap: int = 1,
    largest_voxels: int | None = None,
) -> tuple[np.ndarray, np.ndarray, list[int]]:  # fmt: skip
    """Volume of classes, volume of instances and the class of each instance; slices are stacked along the first axis.

    Parameters
    ----------
    things : class numbers with instances; all others only keep their class.
    overlap : least intersection over union of two segments that are one thing; each has at most one partner a slice.
    gap : slices in which a thing may be missing.
    largest_voxels : things above this size are split where they are narrow; None never splits.
    """
    shape = (len(slices), *slices[0].ids.shape)
    classes, codes = np.zeros(shape, np.uint8), np.zeros(shape, np.int64)
    offset = 0
    kinds = [0]
    for z, one in enumerate(slices):
        table = np.array([0, *one.classes], np.uint8)
        classes[z] = table[one.ids]
        codes[z] = np.where(np.isin(classes[z], list(things)), one.ids + offset, 0)
        offset += len(one.classes)
        kinds += one.classes
    leader = np.arange(offset + 1)
    for z in range(1, len(slices)):
        linked: set[int] = set()
        for step in range(1, gap + 2):
            if z - step < 0:
                break
            linked |= link(codes[z - step], codes[z], kinds, leader, overlap, done=linked)
    roots = np.array([root(leader, i) for i in range(offset + 1)])
    joined = roots[codes]
    numbers = np.unique(joined)
    instances = np.searchsorted(numbers, joined).astype(np.int32)
    owners = [kinds[int(number)] for number in numbers if number]
    if 0 not in numbers:
        instances += 1
    if largest_voxels is not None:
        instances, owners = split_necks(instances, owners, largest_voxels)
    return classes, instances, owners


def link(
    before: np.ndarray, here: np.ndarray, kinds: Sequence[int], leader: np.ndarray, least: float, *, done: set[int]
) -> set[int]:
    """Join segments of two slices one to one by their overlap; returns those of `here` that found a partner."""
    a = [int(v) for v in np.unique(before) if v]
    b = [int(v) for v in np.unique(here) if v and int(v) not in done]
    if not a or not b:
        return set()
    scores = np.zeros((len(a), len(b)))
    for i, one in enumerate(a):
        mine = before == one
        for j, other in enumerate(b):
            if kinds[one] == kinds[other]:
                theirs = here == other
                scores[i, j] = (mine & theirs).sum() / (mine | theirs).sum()
    found = set()
    for i, j in zip(*linear_sum_assignment(-scores), strict=True):
        if scores[i, j] >= least:
            leader[root(leader, b[j])] = root(leader, a[i])
            found.add(b[j])
    return found


def root(leader: np.ndarray, index: int) -> int:
    """The name under which all joined segments go."""
    while leader[index] != index:
        leader[index] = leader[leader[index]]
        index = int(leader[index])
    return index


def split_necks(instances: np.ndarray, owners: list[int], largest: int) -> tuple[np.ndarray, list[int]]:
    """Split things of more than `largest` voxels by a watershed on the distance to their edge."""
    out, kinds = instances.copy(), list(owners)
    for number, box in enumerate(ndimage.find_objects(instances), start=1):
        if box is None:
            continue
        mine = instances[box] == number
        if mine.sum() <= largest:
            continue
        depth = ndimage.distance_transform_edt(np.pad(mine, 1))[1:-1, 1:-1, 1:-1]
        share = np.round(255 * depth / depth.max()).astype(np.uint8)
        parts = split_touching(mine, share, np.zeros_like(share), Thresholds(rise=0.1))
        for part in range(2, int(parts.max()) + 1):
            kinds.append(owners[number - 1])
            out[box][parts == part] = len(kinds)
    return out, kinds

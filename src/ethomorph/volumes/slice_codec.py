"""Slices of a volume as Mask2Former takes and gives them: a mask and a class for each thing, and back by thresholds.

Background is no class: a pixel without a mask is nothing. Classes without instances are one mask a slice on the way in
and are fused on the way out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ethomorph.volumes.classes import IGNORED, ClassMap

if TYPE_CHECKING:
    from torch import Tensor

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
WINDOW = (-1.0, 2.0)
"""Normalised intensities that become 0 and 1: from air to twice as bright as bright tissue."""


@dataclass(frozen=True)
class SliceTarget:
    """What is in a slice.

    Attributes
    ----------
    masks : (things, rows, columns) bool.
    classes : (things,) index into the learned classes, from 0.
    """

    masks: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True)
class PanopticSlice:
    """What was found in a slice.

    Attributes
    ----------
    ids : (rows, columns) 0 for nothing, else 1 + index of the segment.
    classes : class number (from 1) of each segment. scores : of each segment.
    """

    ids: np.ndarray
    classes: list[int]
    scores: list[float]


def encode_slice(classes: np.ndarray, instances: np.ndarray, class_map: ClassMap) -> SliceTarget:
    """Masks and classes of a (rows, columns) slice; ids may be of the whole volume and of any size."""
    masks, kinds = [], []
    for number in range(1, len(class_map.names) + 1):
        here = classes == number
        if not here.any():
            continue
        if number not in class_map.things:
            masks.append(here)
            kinds.append(number - 1)
            continue
        for thing in np.unique(instances[here]):
            if thing:
                masks.append(here & (instances == thing))
                kinds.append(number - 1)
    empty = np.zeros((0, *classes.shape), bool)
    return SliceTarget(np.stack(masks) if masks else empty, np.array(kinds, dtype=np.int64))


def pixels_of(plane: np.ndarray) -> np.ndarray:
    """(3, rows, columns) float32 of a plane that `Plan.normalized` made: windowed, grey as colour, ImageNet's scale."""
    low, high = WINDOW
    share = np.clip((plane.astype(np.float32) - low) / (high - low), 0, 1)
    mean, std = (np.array(v, np.float32)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
    return (share[None] - mean) / std


def enlarged(pixels: Tensor, times: int) -> Tensor:
    """(n, 3, rows, columns) enlarged so many times, linearly."""
    if times == 1:
        return pixels
    from torch.nn.functional import interpolate

    return interpolate(pixels, scale_factor=times, mode="bilinear", align_corners=False)


def decode_slice(
    class_logits: np.ndarray, masks: np.ndarray, stuff: Sequence[int], *, score: float, mask: float, overlap: float
) -> PanopticSlice:
    """Queries to segments, as Mask2Former's authors do (Cheng et al. 2022), with every threshold in the open.

    Parameters
    ----------
    class_logits : (queries, classes + 1), the last being "no object".
    masks : (queries, rows, columns) probabilities.
    stuff : class numbers (from 1) of which all segments are fused into one.
    score : least probability of a query's class.
    mask : least probability of a pixel, before the class score is multiplied in: a sure mask of an unsure query stays.
    overlap : least share of a query's mask that must remain once better queries have taken theirs.
    """
    shares = np.exp(class_logits - class_logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    kinds, best = shares.argmax(axis=1), shares.max(axis=1)
    kept = np.flatnonzero((kinds < class_logits.shape[1] - 1) & (best >= score))
    ids = np.zeros(masks.shape[1:], np.int32)
    if not len(kept):
        return PanopticSlice(ids, [], [])
    owner = (masks[kept] * best[kept, None, None]).argmax(axis=0)
    classes: list[int] = []
    scores: list[float] = []
    fused: dict[int, int] = {}
    for place, query in enumerate(kept):
        whole = masks[query] >= mask
        mine = (owner == place) & whole
        if not mine.any() or mine.sum() < overlap * whole.sum():
            continue
        kind = int(kinds[query]) + 1
        if kind in stuff and kind in fused:
            ids[mine] = fused[kind]
            scores[fused[kind] - 1] = max(scores[fused[kind] - 1], float(best[query]))
            continue
        classes.append(kind)
        scores.append(float(best[query]))
        ids[mine] = len(classes)
        if kind in stuff:
            fused[kind] = len(classes)
    return PanopticSlice(ids, classes, scores)


def known(classes: np.ndarray) -> np.ndarray:
    """Where a slice is labelled: all but what is ignored."""
    return classes != IGNORED

"""From maps to points: peaks, refined to a fraction of a cell in small windows, each with a confidence in 0..1.

Cells and pixels are related as in `ethomorph.keypoints.decode`. Which points belong to one animal is decided in
`grouping`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ethomorph.keypoints.decode import locate, peaks, to_pixels
from ethomorph.keypoints.pose.heads import ManyPeaks, OnePeak, PlainMaps

MOST_PEAKS = 64
"""Peaks of one map that are looked at, the highest first."""


@dataclass
class FoundPose:
    """One animal found in one frame.

    Attributes
    ----------
    points : (nodes, 2) px in the frame; NaN where the confidence is under the threshold.
    scores : (nodes,) confidence in 0..1, also of points that are not given.
    score : of the animal as a whole, in 0..1.
    """

    points: np.ndarray
    scores: np.ndarray
    score: float


@dataclass
class Peaks:
    """Peaks of one frame's maps.

    Attributes
    ----------
    node : (n,) the map of each peak.
    points : (n, 2) px of the network's input.
    scores : (n,) confidence in 0..1.
    """

    node: np.ndarray
    points: np.ndarray
    scores: np.ndarray


def single_peaks(head: OnePeak | PlainMaps | ManyPeaks, logits: Tensor) -> tuple[Tensor, Tensor]:
    """The highest place of each map (batch, nodes, height, width): points (batch, nodes, 2) in px, and scores."""
    maps = head.maps(logits)
    flat = maps.flatten(0, 1)
    points, scores = refine(head, flat, torch.arange(len(flat), device=flat.device), peaks(flat).long())
    return points.view(*maps.shape[:2], 2), scores.view(maps.shape[:2])


def many_peaks(head: ManyPeaks | PlainMaps, logits: Tensor, *, threshold: float) -> list[Peaks]:
    """Every peak above `threshold` of each frame's maps (batch, nodes, height, width)."""
    maps = head.maps(logits)
    # a refined peak can be higher than its highest cell, by as much as half a cell's diagonal takes away
    floor = threshold * math.exp(-0.25 / (head.sigma / head.stride) ** 2)
    top = (functional.max_pool2d(maps, 3, 1, 1) == maps) & (maps > floor)
    batch, node, y, x = torch.nonzero(top, as_tuple=True)
    flat = maps.flatten(0, 1)
    points, scores = refine(head, flat, batch * maps.shape[1] + node, torch.stack([x, y], -1))
    found = []
    for one in range(len(maps)):
        mine = torch.nonzero((batch == one) & (scores >= threshold))[:, 0]
        mine = mine[torch.argsort(scores[mine], descending=True)][: MOST_PEAKS * maps.shape[1]]
        chosen = Peaks(node[mine].numpy(force=True), points[mine].numpy(force=True), scores[mine].numpy(force=True))
        found.append(without_doubles(chosen, head.sigma))
    return found


def refine(
    head: OnePeak | ManyPeaks | PlainMaps, maps: Tensor, which: Tensor, at: Tensor
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Sub-cell places of peaks by mean shift in a window around each.

    Parameters
    ----------
    maps : (maps, height, width), not negative.
    which, at : (n,) map and (n, 2) cell (x, y) of each peak.

    Returns
    -------
    Points (n, 2) in px, and scores (n,): for maps of one peak the probability within 2.5 sigma, for others the height
    that the peak has between cells.
    """
    sigma = head.sigma / head.stride
    if not len(at):
        return maps.new_zeros((0, 2)), maps.new_zeros((0,))
    reach = max(2, math.ceil(2.5 * sigma))
    steps = torch.arange(2 * reach + 1, device=maps.device)
    edged = functional.pad(maps, (reach, reach, reach, reach))
    windows = edged[which[:, None, None], (at[:, 1, None] + steps)[:, :, None], (at[:, 0, None] + steps)[:, None, :]]
    off = (steps - reach).to(maps.dtype)
    start = torch.exp(-2 * (off[:, None] ** 2 + off[None, :] ** 2))
    inside, share, _ = locate(windows, sigma, belief=start)
    inside = torch.where(torch.isfinite(inside), inside, float(reach)).clamp(0, 2 * reach)
    inside = torch.where((inside - reach).abs().amax(-1, keepdim=True) <= 1.5, inside, torch.full_like(inside, reach))
    points = to_pixels(at.to(maps.dtype) + inside - reach, head.stride)
    if isinstance(head, OnePeak):
        return points, (share * windows.sum((-2, -1))).clamp(0, 1)
    away = ((inside - reach) ** 2).sum(-1).clamp(max=0.5)
    height = windows[:, reach, reach] * torch.exp(0.5 * away / sigma**2)
    return points, height.clamp(0, 1)


def without_doubles(found: Peaks, sigma: float) -> Peaks:
    """Peaks of one node closer than `sigma` px to a higher one are that one's shoulder."""
    keep: list[int] = []
    for i in range(len(found.node)):
        rivals = [j for j in keep if found.node[j] == found.node[i]]
        if all(np.hypot(*(found.points[i] - found.points[j])) >= sigma for j in rivals):
            keep.append(i)
    return Peaks(found.node[keep], found.points[keep], found.scores[keep])

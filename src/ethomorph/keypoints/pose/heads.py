"""Heads: what the channels of a map mean, which target they learn from, and by which loss. One small class each.

Maps of one peak (one animal, or one in the middle of a crop) learn by a softmax over cells and one further place,
"not here". Maps of many peaks learn by a loss in which the cells of a peak are never drowned by the background: plain
mean squared error of thin targets tends to give all-zero maps (sigma 2.5 px at stride 2 is 20 cells of 20,000).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ethomorph.keypoints.decode import gaussians, to_cells
from ethomorph.keypoints.pose.networks import HeadShape

PRIOR = -4.0
"""First bias of maps of many peaks: everywhere a probability of 0.02, so that training begins without a shock."""
FOCUS = 2.0
"""Exponent of the quality focal loss (Li et al. 2020): cells count by how wrong they are."""


@dataclass(frozen=True)
class OnePeak:
    """Confidence maps with at most one peak each.

    A map's softmax runs over its cells and over "not here", whose logit is log(cells): an even start. The target is a
    Gaussian at the point, or "not here" where the node is hidden.

    Parameters
    ----------
    names : of the channels.
    stride, sigma : in px of the network's input.
    """

    names: tuple[str, ...]
    stride: int
    sigma: float

    @property
    def shape(self) -> HeadShape:
        return HeadShape(len(self.names), self.stride)

    def targets(self, points: Tensor, size: tuple[int, int]) -> Tensor:
        """(batch, nodes, height, width) that sum to 1, or to 0 where hidden, from points (batch, 1, nodes, 2) in px."""
        maps = gaussians(to_cells(points[:, 0], self.stride), size, self.sigma / self.stride)
        total = maps.sum((-2, -1), keepdim=True)
        return torch.where(total > 1e-3, maps / total.clamp(min=1e-3), 0.0)

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """(batch, nodes) cross-entropy in nats."""
        cells = logits.flatten(-2)
        absent = math.log(cells.shape[-1])
        total = torch.logaddexp(torch.logsumexp(cells, -1), cells.new_full((), absent))
        wanted = targets.flatten(-2)
        here = wanted.sum(-1)
        return total - (wanted * cells).sum(-1) - (1 - here) * absent

    def maps(self, logits: Tensor) -> Tensor:
        """Probabilities of the cells; a map sums to the probability that the node is seen at all."""
        cells = logits.flatten(-2)
        total = torch.logaddexp(torch.logsumexp(cells, -1), cells.new_full((), math.log(cells.shape[-1])))
        return torch.exp(cells - total[..., None]).view_as(logits)

    def logits_of(self, maps: Tensor) -> Tensor:
        """Logits that `maps` would give back, the inverse; for predictors that know nothing of the picture."""
        seen = maps.sum((-2, -1), keepdim=True).clamp(1e-4, 1 - 1e-4)
        share = maps / maps.sum((-2, -1), keepdim=True).clamp(min=1e-9)
        cells = maps.shape[-1] * maps.shape[-2]
        return torch.log(share.clamp(min=1e-7)) + torch.log(seen / (1 - seen)) + math.log(cells)


@dataclass(frozen=True)
class ManyPeaks:
    """Confidence maps with any number of peaks, each a probability; "balanced" is the quality focal loss.

    ``loss = |y - p|^2 BCE(p, y)``, summed over cells and divided by the peaks there are (Li et al. 2020, eq. 5).
    """

    names: tuple[str, ...]
    stride: int
    sigma: float

    @property
    def shape(self) -> HeadShape:
        return HeadShape(len(self.names), self.stride, PRIOR)

    def targets(self, points: Tensor, size: tuple[int, int]) -> Tensor:
        """(batch, nodes, height, width) of peak 1 at every animal's node, from points (batch, animals, nodes, 2)."""
        return gaussians(to_cells(points, self.stride), size, self.sigma / self.stride).amax(1)

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """(batch, nodes)."""
        p = torch.sigmoid(logits)
        each = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        peaks = peaks_in(targets, self.sigma / self.stride)
        return ((targets - p).abs() ** FOCUS * each).sum((-2, -1)) / peaks

    def maps(self, logits: Tensor) -> Tensor:
        return torch.sigmoid(logits)

    def logits_of(self, maps: Tensor) -> Tensor:
        return torch.logit(maps.clamp(1e-4, 1 - 1e-4))


@dataclass(frozen=True)
class PlainMaps:
    """Confidence maps by mean squared error over all cells, as SLEAP trains them."""

    names: tuple[str, ...]
    stride: int
    sigma: float

    @property
    def shape(self) -> HeadShape:
        return HeadShape(len(self.names), self.stride)

    def targets(self, points: Tensor, size: tuple[int, int]) -> Tensor:
        return gaussians(to_cells(points, self.stride), size, self.sigma / self.stride).amax(1)

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        return ((logits - targets) ** 2).mean((-2, -1))

    def maps(self, logits: Tensor) -> Tensor:
        return logits.clamp(0, 1)

    def logits_of(self, maps: Tensor) -> Tensor:
        return maps


@dataclass(frozen=True)
class Fields:
    """Part affinity fields (Cao et al. 2017): along each edge the unit vector from its source to its destination.

    Parameters
    ----------
    edges : (source, destination) node numbers.
    stride, sigma : in px of the network's input; sigma is how fast a field falls off beside its edge.
    weight : of this head's loss.
    """

    edges: tuple[tuple[int, int], ...]
    stride: int
    sigma: float
    weight: float = 1.0

    @property
    def shape(self) -> HeadShape:
        return HeadShape(2 * len(self.edges), self.stride)

    def targets(self, points: Tensor, size: tuple[int, int]) -> Tensor:
        """(batch, 2 x edges, height, width), x then y of each edge, summed over animals (batch, animals, nodes, 2)."""
        cells = to_cells(points, self.stride)
        source, end = (cells[:, :, [edge[i] for edge in self.edges]] for i in (0, 1))
        missing = torch.isnan(source).any(-1) | torch.isnan(end).any(-1)
        source, along = torch.nan_to_num(source), torch.nan_to_num(end - source)
        length = along.norm(dim=-1, keepdim=True).clamp(min=1e-3)
        unit = along / length
        height, width = size
        y = torch.arange(height, dtype=points.dtype, device=points.device)[:, None]
        x = torch.arange(width, dtype=points.dtype, device=points.device)[None, :]
        dx, dy = x - source[..., 0, None, None], y - source[..., 1, None, None]
        ux, uy = unit[..., 0, None, None], unit[..., 1, None, None]
        before = -(dx * ux + dy * uy)
        beyond = -before - length[..., None]
        outside = torch.maximum(before, beyond).clamp(min=0)
        across = dx * uy - dy * ux
        weight = torch.exp(-0.5 * (across**2 + outside**2) / (self.sigma / self.stride) ** 2)
        weight = weight * ~missing[..., None, None]
        field = torch.stack([(weight * ux).sum(1), (weight * uy).sum(1)], dim=2)
        return field.flatten(1, 2)

    def loss(self, fields: Tensor, targets: Tensor) -> Tensor:
        """(batch, edges): squared error over the strength of the target, so that it is 1 for an all-zero field."""
        wrong = ((fields - targets) ** 2).sum((-2, -1)).unflatten(1, (-1, 2)).sum(2)
        there = (targets**2).sum((-2, -1)).unflatten(1, (-1, 2)).sum(2)
        floor = 2 * math.pi * (self.sigma / self.stride) ** 2 / 4
        return self.weight * wrong / there.clamp(min=floor)

    def maps(self, fields: Tensor) -> Tensor:
        return fields

    def logits_of(self, fields: Tensor) -> Tensor:
        return fields


Head = OnePeak | ManyPeaks | PlainMaps | Fields


def peaks_in(targets: Tensor, sigma: float) -> Tensor:
    """How many peaks each target map holds, at least 1: its sum over that of one Gaussian."""
    return (targets.sum((-2, -1)) / (2 * math.pi * sigma**2)).clamp(min=1.0)


def baselines(head: Head, targets: Tensor, mean: Tensor) -> dict[str, float]:
    """Losses of predictors that never look at the picture: nothing anywhere, and the mean of the training targets.

    Parameters
    ----------
    targets : (samples, channels, height, width) that are judged.
    mean : (channels, height, width) of the training part.
    """
    nothing = torch.zeros_like(mean)
    found = {"all zero": nothing, "mean map": mean}
    return {
        name: float(head.loss(head.logits_of(maps).expand_as(targets), targets).mean()) for name, maps in found.items()
    }

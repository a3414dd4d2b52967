"""Between points and maps: target maps for training, and sub-pixel points with confidence from predicted maps.

A map's cell (i, j) at stride s has its centre at pixel ((j + 0.5) s - 0.5, (i + 0.5) s - 0.5). Nothing here knows
networks or pictures.
"""

from __future__ import annotations

import torch
from torch import Tensor


def to_cells(points: Tensor, stride: int) -> Tensor:
    """Pixel coordinates as map coordinates.

    Examples
    --------
    >>> to_cells(torch.tensor([[0.5, 2.5]]), 2).tolist()
    [[0.0, 1.0]]
    """
    return (points + 0.5) / stride - 0.5


def to_pixels(cells: Tensor, stride: int) -> Tensor:
    """Map coordinates as pixel coordinates, the inverse of `to_cells`."""
    return (cells + 0.5) * stride - 0.5


def profiles(points: Tensor, size: tuple[int, int], sigma: float | Tensor) -> tuple[Tensor, Tensor]:
    """Rows (..., height) and columns (..., width) whose outer product is a Gaussian of peak 1 at points (..., 2).

    `sigma` is a number of cells, or one for each point (..., 1).
    """
    height, width = size
    y = torch.arange(height, dtype=points.dtype, device=points.device)
    x = torch.arange(width, dtype=points.dtype, device=points.device)
    rows = torch.exp(-0.5 * ((y - points[..., 1:2]) / sigma) ** 2)
    columns = torch.exp(-0.5 * ((x - points[..., 0:1]) / sigma) ** 2)
    return rows, columns


def gaussians(points: Tensor, size: tuple[int, int], sigma: float | Tensor) -> Tensor:
    """Gaussian maps of peak 1, (..., height, width), at points (..., 2) in cells; a NaN point gives zeros."""
    rows, columns = profiles(torch.nan_to_num(points, nan=-1e4), size, sigma)
    return rows[..., :, None] * columns[..., None, :]


def map_cross_entropy(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy between each map's softmax over its cells and its target, in nats.

    Parameters
    ----------
    logits : (..., height, width).
    targets : as `logits`, not negative; scaled to a sum of 1 here. A map of zeros (a missing point) is masked.

    Returns
    -------
    The loss of each map (...), 0 where masked, and the mask (...) as 0 or 1. A uniform map scores log(height x width).
    """
    flat = torch.log_softmax(logits.flatten(-2), dim=-1)
    wanted = targets.flatten(-2)
    total = wanted.sum(-1)
    mask = (total > 1e-3).to(flat.dtype)
    loss = -(wanted * flat).sum(-1) / total.clamp(min=1e-3)
    return loss * mask, mask


def probabilities(logits: Tensor) -> Tensor:
    """Softmax over the cells of each map (..., height, width)."""
    return torch.softmax(logits.flatten(-2), dim=-1).view_as(logits)


def peaks(maps: Tensor) -> Tensor:
    """The cell of each map's maximum, (..., 2) as (x, y), in whole cells."""
    width = maps.shape[-1]
    at = maps.flatten(-2).argmax(-1)
    return torch.stack([at % width, torch.div(at, width, rounding_mode="floor")], dim=-1).to(maps.dtype)


def locate(
    maps: Tensor, sigma: float, *, belief: Tensor | None = None, rounds: int = 5
) -> tuple[Tensor, Tensor, Tensor]:
    """Sub-cell place of each map's peak: a Gaussian window is moved to the mean under it until it rests (mean shift).

    For a map that is itself Gaussian the resting place is its centre exactly, whatever the two widths, as long as the
    window lies inside the map.

    Parameters
    ----------
    maps : (..., height, width), not negative, summing to about 1.
    sigma : width of the window in cells.
    belief : as `maps` or broadcast to them; chooses among peaks without pulling at the one chosen, since the window
        starts where map times belief is greatest and then rests where the map alone has it.

    Returns
    -------
    points : (..., 2) in cells, as (x, y).
    mass : (...) share of the map's sum that lies within 2.5 sigma of the point, 0 to 1.
    variance : (...) of the windowed map about the point, the mean of the two axes, in square cells.
    """
    height, width = maps.shape[-2:]
    y = torch.arange(height, dtype=maps.dtype, device=maps.device)
    x = torch.arange(width, dtype=maps.dtype, device=maps.device)
    points = peaks(maps if belief is None else maps * belief)
    total = maps.sum((-2, -1)).clamp(min=1e-12)
    weights = weight = maps
    for _ in range(rounds):
        rows, columns = profiles(points, (height, width), sigma)
        weights = maps * rows[..., :, None] * columns[..., None, :]
        weight = weights.sum((-2, -1)).clamp(min=1e-12)
        points = torch.stack([(weights.sum(-2) * x).sum(-1), (weights.sum(-1) * y).sum(-1)], dim=-1) / weight[..., None]
    dx, dy = x - points[..., 0:1], y - points[..., 1:2]
    variance = ((weights.sum(-2) * dx**2).sum(-1) + (weights.sum(-1) * dy**2).sum(-1)) / (2 * weight)
    near = dx[..., None, :] ** 2 + dy[..., :, None] ** 2 <= (2.5 * sigma) ** 2
    return points, (maps * near).sum((-2, -1)) / total, variance


def unwindowed(variance: Tensor, sigma: float) -> Tensor:
    """The variance of a Gaussian whose product with a window of width `sigma` has `variance`.

    Precisions add: 1 / variance = 1 / v + 1 / sigma^2. Where the window is as narrow as what it shows, v is cut off at
    100 sigma^2.
    """
    precision = 1 / variance.clamp(min=1e-9) - 1 / sigma**2
    return 1 / precision.clamp(min=1 / (100 * sigma**2))

"""Boxes around specimens, (left, top, right, bottom) in px with right and bottom inclusive, and what is done with them.

A specimen's box is the extent of its landmarks, in training as in prediction, so that a box found from fitted landmarks
means the same as one drawn by hand.
"""

from __future__ import annotations

import numpy as np

THINNEST = 0.25
"""Least ratio of a box's short to its long side: landmarks in a row would leave a tree nothing to look at."""


def landmark_box(points: np.ndarray) -> np.ndarray:
    """The box (..., 4) around landmarks (..., p, 2); NaN rows are ignored, thin boxes widened about their middle.

    Examples
    --------
    >>> landmark_box(np.array([[10.0, 20.0], [110.0, 70.0]])).tolist()
    [10.0, 20.0, 110.0, 70.0]
    >>> landmark_box(np.array([[0.0, 50.0], [100.0, 50.0]])).tolist()
    [0.0, 37.5, 100.0, 62.5]
    """
    low, high = np.nanmin(points, axis=-2), np.nanmax(points, axis=-2)
    middle, side = (low + high) / 2, high - low
    side = np.maximum(np.maximum(side, THINNEST * side.max(axis=-1, keepdims=True)), 1.0)
    return np.concatenate([middle - side / 2, middle + side / 2], axis=-1)


def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union (...) of boxes (..., 4), which broadcast.

    Examples
    --------
    >>> float(overlap(np.array([0, 0, 9, 9]), np.array([5, 0, 14, 9])).round(4))
    0.3333
    """
    shared = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]) + 1
    inter = np.prod(np.clip(shared, 0, None), axis=-1)
    area = np.prod(a[..., 2:] - a[..., :2] + 1, axis=-1) + np.prod(b[..., 2:] - b[..., :2] + 1, axis=-1)
    return inter / np.maximum(area - inter, 1e-12)


def jittered(boxes: np.ndarray, views: int, amount: float) -> np.ndarray:
    """`views` variants (n, views, 4) of boxes (n, 4): the box itself, then shifted and resized by `amount` of its size.

    The pattern is fixed and balanced, so that the median over views moves nothing on average.
    """
    pattern = np.array(
        [[0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1], [1, 1, 1], [-1, -1, -1]]
    )[np.arange(views) % 9] * (1 + np.arange(views) // 9)[:, None]
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    middle = middle[:, None] + amount * 2 * half[:, None] * pattern[None, :, :2]
    half = half[:, None] * (1 + amount * pattern[None, :, 2:])
    return np.concatenate([middle - half, middle + half], axis=-1)


def distinct(boxes: np.ndarray, scores: np.ndarray, limit: float = 0.3) -> np.ndarray:
    """Indices of the boxes that remain, best score first, when no two may overlap by more than `limit`."""
    order = np.argsort(-scores, kind="stable")
    clash = overlap(boxes[order][:, None], boxes[order][None]) > limit
    free = np.ones(len(order), dtype=bool)
    for i in range(len(order)):
        if free[i]:
            free[i + 1 :] &= ~clash[i, i + 1 :]
    return order[free]

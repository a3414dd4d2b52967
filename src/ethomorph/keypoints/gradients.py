"""Gradient orientations pooled over small cells: what a detector sees of a picture, little moved by lighting.

The idea of Dalal and Triggs (2005) as a smooth field: pooled once for a picture, then read off at any window, so that a
window costs microseconds.
"""

from __future__ import annotations

import numpy as np

ORIENTATIONS = 6
CHANNELS = ORIENTATIONS + 1


def gradient_field(pixels: np.ndarray, cell: int, contrast: float) -> np.ndarray:
    """float32 (y, x, CHANNELS): the shares of the gradient's orientations around each pixel, and its strength.

    Parameters
    ----------
    pixels : uint8 (y, x).
    cell : side in px of the square that is pooled; shares are relative to a square three times as wide.
    contrast : gradient, in grey levels per px, that counts as half strength; noise below it stays small.
    """
    import cv2

    grey = pixels.astype(np.float32)
    dx = cv2.Sobel(grey, cv2.CV_32F, 1, 0, ksize=3, scale=0.125, borderType=cv2.BORDER_REPLICATE)
    dy = cv2.Sobel(grey, cv2.CV_32F, 0, 1, ksize=3, scale=0.125, borderType=cv2.BORDER_REPLICATE)
    strength, angle = cv2.cartToPolar(dx, dy)
    # Half a turn is the same orientation. Each gradient is shared by the two orientations next to its own.
    turn = angle * np.float32(ORIENTATIONS / np.pi)
    turn -= np.where(turn >= ORIENTATIONS, np.float32(ORIENTATIONS), np.float32(0))
    away = np.abs(turn[..., None] - np.arange(ORIENTATIONS, dtype=np.float32))
    away = np.minimum(away, ORIENTATIONS - away)
    field = np.empty((*pixels.shape, CHANNELS), dtype=np.float32)
    np.multiply(np.maximum(1 - away, 0), strength[..., None], out=field[..., :ORIENTATIONS])
    field[..., ORIENTATIONS] = strength
    field = cv2.blur(field, (cell, cell), borderType=cv2.BORDER_REPLICATE)
    local = cv2.blur(strength, (3 * cell, 3 * cell), borderType=cv2.BORDER_REPLICATE) + np.float32(contrast)
    np.divide(field[..., :ORIENTATIONS], local[..., None], out=field[..., :ORIENTATIONS])
    pooled = field[..., ORIENTATIONS]
    field[..., ORIENTATIONS] = pooled / (pooled + np.float32(contrast))
    return field


def sampled(field: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The field (len(y), len(x), channels) at a grid of positions, bilinear; edges repeat outside."""
    rows = _between(field, y, 0)
    return _between(rows, x, 1)


def _between(field: np.ndarray, at: np.ndarray, axis: int) -> np.ndarray:
    at = np.clip(at, 0, field.shape[axis] - 1)
    low = np.minimum(at.astype(np.intp), field.shape[axis] - 2) if field.shape[axis] > 1 else np.zeros(len(at), np.intp)
    high = np.minimum(low + 1, field.shape[axis] - 1)
    share = (at - low).astype(np.float32)[(None,) * axis + (slice(None),) + (None,) * (2 - axis)]
    a = field.take(low, axis=axis)
    return a + share * (field.take(high, axis=axis) - a)

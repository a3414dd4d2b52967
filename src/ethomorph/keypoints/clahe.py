"""Contrast-limited adaptive histogram equalisation on float pictures, without a detour through 8 bits.

OpenCV's own has 256 bins for 8-bit and 65536 for 16-bit pictures; in the latter the clip limit falls below one pixel a
bin and means nothing. This one keeps 256 bins, interpolates between them, and gives OpenCV's result on 8-bit input.
"""

from __future__ import annotations

import cv2
import numpy as np

BINS = 256


def equalise(picture: np.ndarray, *, clip_limit: float, tiles: tuple[int, int]) -> np.ndarray:
    """Equalise a float32 (y, x) picture in 0..1 tile by tile; the result is float32 in 0..1.

    Each of `tiles` (down, across) gets the cumulative histogram of its own pixels as its grey-value map, after counts
    above ``clip_limit * pixels / 256`` were spread over all bins; a pixel's value is interpolated between the maps of
    the four tiles around it (Zuiderveld 1994, Graphics Gems IV, 474-485).
    """
    down, across = tiles
    height, width = picture.shape
    padded = cv2.copyMakeBorder(picture, 0, -height % down, 0, -width % across, cv2.BORDER_REFLECT_101)
    tile = padded.shape[0] // down, padded.shape[1] // across
    maps = _maps(padded, tiles, tile, clip_limit)
    place = np.minimum(picture * np.float32(BINS - 1), np.float32(BINS - 1) - np.float32(1e-4))
    lower = place.astype(np.intp)
    between = place - lower
    result = np.empty_like(picture)
    rows, row_weight = _neighbours(height, tile[0], down)
    columns, column_weight = _neighbours(width, tile[1], across)
    for top, bottom, up in rows:
        y = slice(top, bottom)
        v = row_weight[y, None]
        for left, right, aside in columns:
            x = slice(left, right)
            h = column_weight[None, x]
            low, fraction = lower[y, x], between[y, x]
            # The four maps blend linearly, so blending their two knots first would not save a look-up.
            corners = [_look_up(maps[i, j], low, fraction) for i in up for j in aside]
            result[y, x] = (1 - v) * ((1 - h) * corners[0] + h * corners[1]) + v * (
                (1 - h) * corners[2] + h * corners[3]
            )
    return np.clip(result, 0.0, 1.0, out=result)


def _maps(padded: np.ndarray, tiles: tuple[int, int], tile: tuple[int, int], clip_limit: float) -> np.ndarray:
    """Cumulative clipped histograms (down, across, 256) in 0..1."""
    pixels = tile[0] * tile[1]
    levels = np.rint(padded * np.float32(BINS - 1)).astype(np.int64)
    blocks = levels.reshape(tiles[0], tile[0], tiles[1], tile[1]).swapaxes(1, 2).reshape(-1, pixels)
    offset = np.arange(len(blocks))[:, None] * BINS
    counts = np.bincount((blocks + offset).ravel(), minlength=len(blocks) * BINS).reshape(-1, BINS).astype(np.float64)
    limit = max(np.floor(clip_limit * pixels / BINS), 1.0)
    excess = np.maximum(counts - limit, 0.0).sum(axis=1, keepdims=True)
    share, rest = np.divmod(excess, BINS)
    step = np.maximum(BINS // np.maximum(rest, 1), 1)  # OpenCV deals the rest out to every step-th bin from black on
    turn, off = np.divmod(np.arange(BINS), step)
    counts = np.minimum(counts, limit) + share + ((off == 0) & (turn < rest))
    return (counts.cumsum(axis=1) / pixels).astype(np.float32).reshape(*tiles, BINS)


def _neighbours(length: int, tile: int, count: int) -> tuple[list[tuple[int, int, tuple[int, int]]], np.ndarray]:
    """Stretches between two tile centres (start, stop, the two tiles), and each pixel's weight of the second tile."""
    place = np.arange(length) / tile - 0.5
    first = np.floor(place).astype(int)
    starts = np.flatnonzero(np.r_[True, first[1:] != first[:-1]])
    stops = np.append(starts[1:], length)
    pairs = [(max(first[s], 0), min(first[s] + 1, count - 1)) for s in starts]
    return [(int(s), int(e), pair) for s, e, pair in zip(starts, stops, pairs, strict=True)], (place - first).astype(
        np.float32
    )


def _look_up(knots: np.ndarray, low: np.ndarray, fraction: np.ndarray) -> np.ndarray:
    return knots[low] + fraction * np.diff(knots)[low]

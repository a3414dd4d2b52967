"""How well two segmentations of one grid agree: Dice, and the share of their surfaces that lie within a tolerance."""

from __future__ import annotations

import numpy as np


def dice(a: np.ndarray, b: np.ndarray) -> float | None:
    """``2 |A and B| / (|A| + |B|)``; None where both are empty."""
    total = int(a.sum()) + int(b.sum())
    return None if not total else float(2 * int((a & b).sum()) / total)


def surface_dice(a: np.ndarray, b: np.ndarray, spacing_zyx: tuple[float, ...], tolerance_mm: float) -> float | None:
    """Normalised surface distance: share of both borders' voxels that lie within a tolerance of the other border.

    None where both are empty, 0 where one is (Nikolov et al. 2018, border voxels for surface elements).
    """
    from scipy import ndimage

    if not a.any() and not b.any():
        return None
    if not a.any() or not b.any():
        return 0.0
    box = ndimage.find_objects((a | b).astype(np.uint8))[0]
    pad = [(1, 1)] * 3
    one, two = (np.pad(m[box], pad) for m in (a, b))
    rims = [m & ~ndimage.binary_erosion(m) for m in (one, two)]
    away = [ndimage.distance_transform_edt(~rim, sampling=spacing_zyx) for rim in rims]
    near = sum(int((away[1 - k][rims[k]] <= tolerance_mm + 1e-9).sum()) for k in (0, 1))
    return float(near / (int(rims[0].sum()) + int(rims[1].sum())))

"""Augmentation of clips: drawn once a clip, the same for all of its frames, so that motion stays what it was.

Never applied to a validation or test part.
"""

from __future__ import annotations

import numpy as np

LARGEST_SHIFT = 0.06  # of the side, at strength 1
LARGEST_ZOOM = 0.12
LARGEST_TURN_DEG = 8.0
LARGEST_GAIN = 0.25
LARGEST_CONTRAST = 0.25
LARGEST_DELAY = 0.08  # of the clip's length


def augmented(clip: np.ndarray, rng: np.random.Generator, *, strength: float = 1.0, flips: bool = False) -> np.ndarray:
    """Move, zoom, turn, brighten and delay a clip.

    Parameters
    ----------
    clip : (frames, height, width, channels), 0..1 or 0..255.
    strength : 0 changes nothing, 1 is the usual.
    flips : whether to mirror it too: not where left and right mean something.

    Examples
    --------
    >>> still = np.tile(np.random.default_rng(0).random((1, 16, 16, 1)), (5, 1, 1, 1))
    >>> out = augmented(still, np.random.default_rng(1))
    >>> bool(np.abs(np.diff(out, axis=0)).max() < 1e-6)
    True
    """
    if strength <= 0:
        return clip
    import cv2

    frames, height, width = clip.shape[:3]
    delay = round(float(rng.uniform(-1, 1)) * strength * LARGEST_DELAY * frames)
    when = np.clip(np.arange(frames) + delay, 0, frames - 1)
    zoom = 1 + strength * LARGEST_ZOOM * float(rng.uniform(-1, 1))
    turn = strength * LARGEST_TURN_DEG * float(rng.uniform(-1, 1))
    shift = strength * LARGEST_SHIFT * rng.uniform(-1, 1, 2) * (width, height)
    gain = 1 + strength * LARGEST_GAIN * float(rng.uniform(-1, 1))
    contrast = 1 + strength * LARGEST_CONTRAST * float(rng.uniform(-1, 1))
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), turn, zoom)
    matrix = np.asarray(matrix, float) + np.column_stack([np.zeros((2, 2)), shift])
    if flips and rng.random() < 0.5:
        matrix = matrix @ np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]])
    if flips and rng.random() < 0.5:
        matrix = matrix @ np.array([[1.0, 0, 0], [0, -1, height - 1], [0, 0, 1]])
    moved = [
        cv2.warpAffine(clip[i], matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        for i in when
    ]
    out = np.stack(moved).reshape(clip.shape)
    top = 255.0 if clip.dtype == np.uint8 else 1.0
    mean = out.mean()
    changed = np.clip(((out - mean) * contrast + mean) * gain, 0, top)
    return changed.astype(clip.dtype) if clip.dtype == np.uint8 else changed

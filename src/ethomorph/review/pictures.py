"""Pictures as a browser can show them: decoded here, enhanced as asked, eight bits a channel; the file is only read."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from threading import Lock

import numpy as np

from ethomorph.core.errors import ImageError

MOST_PX = 36_000_000
"""Larger pictures are sent at half size, or less."""
KEPT = 3
QUALITY = 94


class Pictures:
    """Decoded pictures, the last few kept."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Path, int], np.ndarray] = OrderedDict()
        self._lock = Lock()

    def jpeg(self, path: Path, *, stretch: bool = False, clahe: float = 0.0, denoise: int = 0, width: int = 0) -> bytes:
        """A picture as JPEG.

        Parameters
        ----------
        stretch : spread the grey values between the 0.5th and the 99.5th percentile over the whole range.
        clahe : clip limit of the adaptive histogram equalisation; 0 for none.
        denoise : width in px of a Gaussian; 0 for none.
        width : of the result in px, for thumbnails; 0 for the picture's own.

        Raises
        ------
        ImageError : the picture cannot be read.
        """
        import cv2

        pixels = self._decoded(path)
        if stretch or clahe or denoise:
            pixels = _enhanced(pixels, stretch, clahe, denoise)
        elif pixels.dtype != np.uint8:
            pixels = _eight_bits(pixels)
        height, own = pixels.shape[:2]
        shrink = max(1, int(np.ceil(np.sqrt(height * own / MOST_PX))))
        target = min(width, own) if width else own // shrink
        if target < own:
            pixels = cv2.resize(pixels, (target, round(height * target / own)), interpolation=cv2.INTER_AREA)
        if pixels.ndim == 3:
            pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
        done, coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        if not done:
            raise ImageError("could not be sent as JPEG", place=path)
        return coded.tobytes()

    def _decoded(self, path: Path) -> np.ndarray:
        from ethomorph.formats.images import read_image

        key = (path, path.stat().st_mtime_ns)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        image = read_image(path)
        pixels = image.pixels
        if pixels.dtype != np.uint8 and image.bits:
            pixels = (image.grey() if pixels.ndim == 2 else pixels / float(2**image.bits - 1)).astype(np.float32)
        with self._lock:
            self._kept[key] = pixels
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return pixels


def _enhanced(pixels: np.ndarray, stretch: bool, clahe: float, denoise: int) -> np.ndarray:
    from ethomorph.formats.images import grey
    from ethomorph.keypoints.enhance import Enhancement

    plain = grey(pixels) if pixels.dtype == np.uint8 else (pixels if pixels.ndim == 2 else pixels.mean(axis=2))
    treatment = Enhancement(
        window=(0.5, 99.5) if stretch else None, clahe=clahe, denoise="gaussian" if denoise else "none",
        denoise_px=denoise or 3,
    )  # fmt: skip
    return _eight_bits(treatment.apply(plain))


def _eight_bits(pixels: np.ndarray) -> np.ndarray:
    low, high = (0.0, 1.0) if pixels.min() >= 0 and pixels.max() <= 1 else (float(pixels.min()), float(pixels.max()))
    return np.clip((pixels - low) * (255 / max(high - low, 1e-12)) + 0.5, 0, 255).astype(np.uint8)

"""Videos as the page shows them: any frame by its number as JPEG, one decoder a film, the last frames kept.

`VideoSource`: what tasks on video have in common.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import Any

from ethomorph.core.errors import ImageError
from ethomorph.formats.video import Film
from ethomorph.review.source import Refused, Source

KEPT = 400
"""Coded frames that are kept, some 20 to 60 kB each."""
QUALITY = 88
MOST_WIDTH = 1920


class Frames:
    """Frames of the films of one task."""

    def __init__(self, films: dict[str, Film]) -> None:
        self.films = films
        self._locks = {name: Lock() for name in films}
        self._kept: OrderedDict[tuple[str, int, int], bytes] = OrderedDict()
        self._lock = Lock()

    def jpeg(self, name: str, index: int, width: int = 0) -> bytes:
        """One frame; raises Refused where there is no such film or frame, ImageError where it cannot be decoded."""
        if name not in self.films or not 0 <= index < len(self.films[name]):
            raise Refused(f"{name!r} has no frame {index}")
        key = (name, index, width)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        with self._locks[name]:  # a decoder goes forwards; two hands on it would decode everything twice
            pixels = self.films[name].frame(index)
        if pixels is None:
            raise ImageError(f"frame {index} cannot be decoded", place=name)
        coded = _coded(pixels, width or MOST_WIDTH)
        with self._lock:
            self._kept[key] = coded
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return coded


class VideoSource(Source):
    """A task whose items are watched: one file of labels for all of them, and their films."""

    path: Path
    """The labels."""
    frames: Frames
    suffixes: tuple[str, ...]
    """What the labels can be exported as; the first where nothing is asked for."""

    @abstractmethod
    def poses(self, item: str, start: int, stop: int) -> dict[int, list[dict[str, Any]]]:
        """The animals of a stretch of frames as the file has them; raises Refused where there is no such item."""

    @abstractmethod
    def write(self, path: Path) -> list[str]:
        """Write the corrected labels in the format of the suffix; returns what could not be said in it."""


def _coded(pixels: Any, width: int) -> bytes:
    import cv2

    height, own = pixels.shape[:2]
    if own > width:
        pixels = cv2.resize(pixels, (width, round(height * width / own)), interpolation=cv2.INTER_AREA)
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()

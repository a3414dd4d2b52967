"""A short look at every picture: its digest, its size and depth, and a small copy to compare with the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ethomorph.core.errors import ImageError
from ethomorph.core.files import sha256
from ethomorph.formats.images import grey, read_header, read_image

SIDE = 64
"""Width and height of the small copy, px: enough to tell a copy from a similar animal in the same pose."""

_HASH_INPUT, _HASH_SIDE = 32, 8


@dataclass(frozen=True)
class Look:
    """What one look at a picture gave.

    Attributes
    ----------
    size : (height, width) px; None where the picture cannot be read, and then `error` says why.
    bits, channels : as its header says.
    small : (64, 64) float32, the picture squeezed to a square.
    constant : whether every pixel has the same value.
    """

    path: Path
    digest: str = ""
    size: tuple[int, int] | None = None
    bits: int = 0
    channels: int = 0
    small: np.ndarray = field(default_factory=lambda: np.zeros((SIDE, SIDE), np.float32), repr=False)
    constant: bool = False
    error: str = ""


def look(path: Path) -> Look:
    """Open one picture; never raises for a bad file."""
    try:
        header = read_header(path)
        pixels = _draft(path, header.kind)
        digest = sha256(path)
    except ImageError as error:
        return Look(path, error=str(error))
    except OSError as error:
        return Look(path, error=f"{path}: cannot be opened ({error.strerror})")
    constant = bool(pixels.min() == pixels.max())
    return Look(path, digest, (header.height, header.width), header.bits, header.channels, shrunk(pixels), constant)


def look_at_all(paths: Iterable[Path], *, progress: bool = False) -> dict[Path, Look]:
    """`look` at each picture once."""
    from rich.console import Console
    from rich.progress import track

    unique = list(dict.fromkeys(paths))
    shown = track(unique, "looking at pictures", console=Console(stderr=True), transient=True, disable=not progress)
    return {path: look(path) for path in shown}


def shrunk(pixels: np.ndarray) -> np.ndarray:
    """Any grey or colour picture as (64, 64) float32 by averaging."""
    import cv2

    return cv2.resize(grey(pixels), (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def perceptual_hash(small: np.ndarray) -> np.ndarray:
    """64 bits (bool) of a small grey picture: which of its 8 x 8 slowest cosine waves lie above their median.

    Zauner (2010), "Implementation and benchmarking of perceptual image hash functions", the DCT hash.

    Examples
    --------
    >>> picture = np.random.default_rng(0).random((64, 64))
    >>> bool((perceptual_hash(picture) == perceptual_hash(0.5 * picture + 0.2)).all())
    True
    """
    import cv2
    from scipy.fft import dctn

    tiny = cv2.resize(np.asarray(small, np.float32), (_HASH_INPUT, _HASH_INPUT), interpolation=cv2.INTER_AREA)
    waves = dctn(tiny, norm="ortho")[:_HASH_SIDE, :_HASH_SIDE].ravel()
    bits = waves > np.median(waves[1:])
    bits[0] = True  # the mean brightness says nothing about identity
    return bits


def _draft(path: Path, kind: str) -> np.ndarray:
    """The picture's pixels; a large JPEG decoded at a reduced size, several times faster."""
    if kind != "jpeg":
        return read_image(path).pixels
    from PIL import Image

    try:
        with Image.open(path, formats=("JPEG",)) as picture:
            picture.draft("L", (2 * SIDE, 2 * SIDE))
            return np.asarray(picture.convert("L"))
    except (OSError, ValueError, SyntaxError):
        return read_image(path).pixels  # says in one line what is wrong

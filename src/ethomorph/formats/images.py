"""Pictures from disk: radiographs and photographs as JPEG, PNG, BMP, TIFF or DICOM, in the pixels that were stored.

Everything is recognised by content, checked from the header before a pixel is decoded, and refused with one line where
it cannot be trusted. Not for volumes or video: a file of several pages or frames is refused.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ethomorph.core.errors import ImageError

MAX_PIXELS = 170_000_000
"""Largest picture decoded, in px: above the biggest camera sensors (151 million), below what fills a small machine."""

SUFFIXES = {".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".tif", ".tiff", ".dcm", ".dicom", ".gif", ".webp"}
"""Suffixes that a folder is searched for; a single file is recognised by its content alone."""

_KNOWN_DEPTHS = (8, 10, 12, 14, 16)
_PILLOW_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP")
_ORIENTATION = 0x0112
_TURNS = {2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (3, False), 7: (1, True), 8: (1, False)}
"""EXIF orientation -> quarter turns against the clock, then whether to mirror left to right."""


@dataclass(frozen=True)
class Image:
    """One picture as stored.

    Attributes
    ----------
    pixels : (y, x) or (y, x, 3) RGB; uint8, uint16 or float32.
    bits : how many bits the brightest possible value needs; None for float32.
    mm_per_px : mm per pixel, or (x, y) where pixels are not square, or None. Only DICOM says so: the resolution
        entries of TIFF and JPEG are printing hints and never a scale.
    kind : "jpeg", "png", "bmp", "gif", "webp", "tiff" or "dicom".
    notes : what reading had to decide, one sentence each.
    """

    pixels: np.ndarray
    path: Path
    kind: str
    bits: int | None
    mm_per_px: float | tuple[float, float] | None = None
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in px."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def grey(self) -> np.ndarray:
        """(y, x) float32 in 0..1, white being the brightest value that `bits` allows."""
        return grey(self.pixels, bits=self.bits)


class Header(NamedTuple):
    """What a picture's header says, without a pixel decoded."""

    kind: str
    height: int
    width: int
    channels: int
    bits: int


def read_image(path: str | Path, *, upright: bool = False) -> Image:
    """Read one picture.

    Parameters
    ----------
    path : a JPEG, PNG, BMP, GIF, WebP, TIFF or DICOM file; the content decides, not the suffix.
    upright : turn the picture as its EXIF orientation asks. The default keeps the stored pixels, because tpsDig and
        dlib digitise those; `notes` says when the file asks to be turned.

    Raises
    ------
    ImageError
        missing, empty, truncated, too large, several pages or frames, or not a picture.
    """
    path = Path(path)
    kind = _kind(path)
    with refusing(path):
        if kind == "dicom":
            from ethomorph.formats.dicom import read_dicom

            image = read_dicom(path)
        elif kind == "tiff":
            from ethomorph.formats.tiff import read_tiff

            image = read_tiff(path, upright=upright)
        else:
            image = _read_pillow(path, upright=upright)
    if image.pixels.dtype.kind == "f" and not np.isfinite(image.pixels).all():
        raise ImageError("holds pixels that are not numbers (NaN or infinite)", place=path, fix="export it again")
    if image.pixels.min() == image.pixels.max():
        empty = f"{path.name}: every pixel has the same value; nothing can be seen in it."
        image = replace(image, notes=(*image.notes, empty))
    return image


def read_header(path: str | Path) -> Header:
    """Kind, size and depth from the header alone; raises ImageError as `read_image` does, but for damaged pixels."""
    path = Path(path)
    kind = _kind(path)
    with refusing(path):
        if kind == "dicom":
            from ethomorph.formats.dicom import dicom_header

            return dicom_header(path)
        if kind == "tiff":
            from ethomorph.formats.tiff import tiff_header

            return tiff_header(path)
        with _open_pillow(path) as picture:
            refuse_bomb(path, picture.height, picture.width)
            deep = picture.mode.startswith("I") or _deep_png(path, kind)
            colours = 1 if picture.mode in ("1", "L", "LA", "I", "I;16", "I;16B", "F") else 3
            return Header(kind, picture.height, picture.width, colours, 16 if deep else 8)


def image_size(path: str | Path) -> tuple[int, int]:
    """(height, width) in stored pixels, from the header alone."""
    header = read_header(path)
    return header.height, header.width


def grey(pixels: np.ndarray, *, bits: int | None = None) -> np.ndarray:
    """Luminance as float32 (y, x) in 0..1.

    Parameters
    ----------
    pixels : (y, x) or (y, x, 3) RGB. Integers are divided by the brightest value of `bits` (default: their type's).
        float32 in 0..1 is kept; other floats are stretched from their least to their greatest value.

    Colour is weighted as ITU-R BT.601 does (0.299, 0.587, 0.114), which is what JPEG calls luminance.

    Examples
    --------
    >>> grey(np.array([[0, 65535]], np.uint16))
    array([[0., 1.]], dtype=float32)
    """
    pixels = np.asarray(pixels)
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise ImageError(f"an array of shape {pixels.shape} is no picture", fix="give (y, x) or (y, x, 3)")
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype.kind == "u":
        values = pixels.astype(np.float32) * np.float32(1.0 / (2 ** (bits or 8 * pixels.itemsize) - 1))
    elif pixels.dtype.kind in "if":
        values = pixels.astype(np.float32)
        low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
        if pixels.dtype.kind == "i" or low < 0 or high > 1:
            values = (values - np.float32(low)) * np.float32(1.0 / ((high - low) or 1.0))
    else:
        raise ImageError(f"pixels of type {pixels.dtype} are no picture", fix="give integers or floats")
    if values.ndim == 3:
        values = values @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.clip(values, 0.0, 1.0, out=values)


def is_dicom(path: Path) -> bool:
    """Whether the file is DICOM; raises ImageError where it is no picture at all."""
    return _kind(path) == "dicom"


def find_images(inputs: str | Path | Iterable[str | Path]) -> list[Path]:
    """Pictures named by files, folders and globs, each once; a folder's and a glob's pictures in natural order.

    A folder gives the pictures directly in it (by suffix, hidden files skipped). A file is taken as it is named.

    Raises
    ------
    ImageError
        nothing there, nothing in it, or an archive.
    """
    if isinstance(inputs, (str, Path)):
        inputs = [inputs]
    found: dict[Path, None] = {}
    for given in inputs:
        path = Path(given)
        if path.is_dir():
            here = [p for p in path.iterdir() if _looks_like_a_picture(p)]
            if not here:
                raise ImageError(
                    "no pictures in this folder",
                    place=path,
                    fix=f"give the folder that holds them, or a glob such as '{path}/**/*.jpg'",
                )
        elif path.is_file():
            _kind(path)
            here = [path]
        elif re.search(r"[*?\[]", str(given)):
            here = _globbed(path)
            if not here:
                raise ImageError("the pattern matches no picture", place=given, fix="check the folder and the suffix")
        else:
            raise ImageError("there is no such file or folder", place=given, fix="check the spelling")
        found.update(dict.fromkeys(sorted(here, key=natural)))
    return list(found)


def natural(path: str | Path) -> list[tuple[int, int | str]]:
    """Sort key that puts 2 before 10.

    Examples
    --------
    >>> sorted(["w10.png", "w2.png", "W1.png"], key=natural)
    ['W1.png', 'w2.png', 'w10.png']
    """
    parts = re.split(r"([0-9]+)", str(path).casefold())
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts if part]


def refuse_bomb(path: Path, height: int, width: int) -> None:
    """Raise ImageError for a header that promises no pixels, or more than `MAX_PIXELS`."""
    if height <= 0 or width <= 0:
        raise ImageError(f"the header says {width} x {height} px", place=path, fix="export it again")
    if height * width > MAX_PIXELS:
        raise ImageError(
            f"the header says {width} x {height} px, more than {MAX_PIXELS // 1_000_000} million",
            place=path,
            fix="crop or shrink it first",
        )


def declared_depth(pixels: np.ndarray) -> int:
    """Bits of a 16-bit picture whose file does not say how many it uses: the fewest of 8 to 16 that hold its maximum.

    Detectors of 10, 12 and 14 bits are stored in 16-bit files; taking 16 for granted would leave them nearly black.
    """
    top = int(pixels.max()) if pixels.size else 0
    return next(depth for depth in _KNOWN_DEPTHS if top < 2**depth)


def oriented(pixels: np.ndarray, orientation: int, path: Path, upright: bool) -> tuple[np.ndarray, tuple[str, ...]]:
    """`pixels` turned as EXIF `orientation` asks if `upright`, and a note either way."""
    if orientation not in _TURNS:
        return pixels, ()
    if not upright:
        said = f"{path.name}: asks viewers to turn it (EXIF orientation {orientation}); the stored pixels are used."
        return pixels, (said,)
    turns, mirror = _TURNS[orientation]
    pixels = np.rot90(pixels, turns)
    if mirror:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels), (f"{path.name}: turned as its EXIF orientation {orientation} asks.",)


def _kind(path: Path) -> str:
    """What the first bytes say the file is; raises ImageError for anything that is not a picture."""
    try:
        if path.is_dir():
            raise ImageError("is a folder", place=path, fix="name a picture in it")
        with path.open("rb", buffering=0) as stream:
            head = stream.read(132)
    except FileNotFoundError:
        raise ImageError("there is no such file", place=path, fix="check the spelling") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"cannot be opened ({error})", place=path, fix="check the path and the permissions") from None
    if not head:
        raise ImageError("is empty (0 bytes)", place=path, fix="copy it again from its source")
    signatures = {
        b"\xff\xd8\xff": "jpeg",
        b"\x89PNG\r\n\x1a\n": "png",
        b"BM": "bmp",
        b"GIF8": "gif",
        b"II*\x00": "tiff",
        b"MM\x00*": "tiff",
        b"II+\x00": "tiff",
        b"MM\x00+": "tiff",
    }
    for start, kind in signatures.items():
        if head.startswith(start):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[128:132] == b"DICM" or path.suffix.lower() in (".dcm", ".dicom"):
        return "dicom"
    if head.startswith((b"PK", b"\x1f\x8b", b"Rar!", b"7z\xbc\xaf", b"BZh", b"\xfd7zXZ")):
        raise ImageError("is an archive, not a picture", place=path, fix="unpack it and give the folder")
    raise ImageError(
        "is no picture that can be read here (JPEG, PNG, BMP, GIF, WebP, TIFF, DICOM)",
        place=path,
        fix="export it as PNG or TIFF",
    )


class refusing:
    """Turn whatever a decoder raises on a damaged file into an ImageError that names the file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        # Decoders of damaged bytes raise nearly every exception there is, so the net is wide on purpose.
        if isinstance(error, Exception) and not isinstance(error, ImageError):
            said = " ".join(str(error).replace(str(self.path), "").split())[:160] or type(error).__name__
            raise ImageError(
                f"is damaged or of a kind that cannot be decoded ({said})",
                place=self.path,
                fix="export or copy it again",
            ) from None


def _open_pillow(path: Path) -> Any:
    from PIL import Image as Pillow

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return Pillow.open(path, formats=_PILLOW_FORMATS)
        except Pillow.DecompressionBombError:
            raise ImageError(
                f"the header says more than {MAX_PIXELS // 1_000_000} million px",
                place=path,
                fix="crop or shrink it first",
            ) from None


def _read_pillow(path: Path, *, upright: bool) -> Image:
    notes: list[str] = []
    with _open_pillow(path) as picture:
        refuse_bomb(path, picture.height, picture.width)
        kind = "jpeg" if picture.format == "MPO" else str(picture.format).lower()
        frames = getattr(picture, "n_frames", 1)
        if frames > 1 and picture.format != "MPO":
            raise ImageError(
                f"is an animation of {frames} frames", place=path, fix="export the one frame that was digitised"
            )
        if frames > 1:
            notes.append(f"{path.name}: holds {frames} pictures; the first is used.")
        orientation = int(picture.getexif().get(_ORIENTATION, 1)) if "exif" in picture.info else 1
        if _deep_png(path, kind) and not picture.mode.startswith("I"):
            pixels = _deep_colour(path)
        else:
            if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
                notes.append(f"{path.name}: its transparency was dropped.")
            plain = {"1": "L", "LA": "L", "L": "L", "RGB": "RGB"}
            wanted = picture.mode if picture.mode.startswith("I") else plain.get(picture.mode, "RGB")
            pixels = np.asarray(picture if picture.mode == wanted else picture.convert(wanted))
    if pixels.dtype.kind == "i":
        pixels = np.clip(pixels, 0, 65535)
    pixels = np.ascontiguousarray(pixels, dtype=np.uint8 if pixels.dtype == np.uint8 else np.uint16)
    pixels, turned = oriented(pixels, orientation, path, upright)
    bits = 8 if pixels.dtype == np.uint8 else declared_depth(pixels)
    return Image(pixels, path, kind, bits, notes=(*notes, *turned))


def _deep_png(path: Path, kind: str) -> bool:
    """Whether a PNG has 16 bits a channel: Pillow would squeeze colour to 8."""
    if kind != "png":
        return False
    with path.open("rb", buffering=0) as stream:
        return stream.read(26)[24:25] == b"\x10"


def _deep_colour(path: Path) -> np.ndarray:
    import cv2

    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ImageError("its pixels cannot be decoded", place=path, fix="export or copy it again")
    return pixels if pixels.ndim == 2 else pixels[..., 2::-1]  # OpenCV gives BGR and BGRA


def _looks_like_a_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def _globbed(pattern: Path) -> list[Path]:
    import glob

    return [p for p in map(Path, glob.iglob(str(pattern), recursive=True)) if _looks_like_a_picture(p)]

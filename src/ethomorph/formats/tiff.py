"""TIFF pictures, 8 and 16 bit integer or float, of one page. Stacks are volumes and are refused here."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from ethomorph.core.errors import ImageError
from ethomorph.formats.images import Header, Image, declared_depth, oriented, refuse_bomb

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # a damaged file is told of once, by us

_MINISWHITE, _RGB, _PALETTE, _CMYK = 0, 2, 3, 5
_MAX_SAMPLES = 8


def read_tiff(path: Path, *, upright: bool = False) -> Image:
    """The first page of a TIFF; smaller further pages are taken for thumbnails and noted. Alpha is dropped."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        page, notes = _only_page(file, path)
        pixels = page.asarray()
        photometric, extra = int(page.photometric), len(page.extrasamples)
        orientation = int(page.tags["Orientation"].value) if "Orientation" in page.tags else 1
        palette = page.colormap
        planes_first = int(page.planarconfig) == 2 and page.samplesperpixel > 1
        subsampled_ycbcr = photometric == 6 and int(page.compression) not in (6, 7, 34712)
    if subsampled_ycbcr:
        raise ImageError("uncompressed YCbCr colour is not supported", place=path, fix="export it as RGB or grey")
    pixels = np.squeeze(pixels)
    if planes_first:
        pixels = np.moveaxis(pixels, 0, -1)
    if extra and pixels.ndim == 3:
        pixels = pixels[..., : pixels.shape[2] - extra]
        notes.append(f"{path.name}: its transparency or extra channel was dropped.")
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    pixels = _channels(_plain_type(pixels, path), photometric, palette, path)
    pixels, turned = oriented(np.ascontiguousarray(pixels), orientation, path, upright)
    bits = None if pixels.dtype.kind == "f" else 8 if pixels.dtype == np.uint8 else declared_depth(pixels)
    return Image(pixels, path, "tiff", bits, notes=(*notes, *turned))


def tiff_header(path: Path) -> Header:
    """Size and depth of the first page."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        page, _ = _only_page(file, path)
        colours = 3 if int(page.photometric) in (_RGB, _PALETTE, _CMYK, 6) else 1
        return Header("tiff", page.imagelength, page.imagewidth, colours, int(np.max(page.bitspersample)))


def _only_page(file: Any, path: Path) -> tuple[Any, list[str]]:
    """The first page, checked against bombs, and notes on the others; raises ImageError for a stack."""
    if not len(file.pages):
        raise ImageError("holds no picture", place=path, fix="export or copy it again")
    page = file.pages.first
    refuse_bomb(path, page.imagelength, page.imagewidth)
    if page.samplesperpixel > _MAX_SAMPLES:
        raise ImageError(f"has {page.samplesperpixel} channels a pixel", place=path, fix="export it as grey or RGB")
    pages = len(file.pages)
    depth = page.imagedepth * (int(np.prod(file.series[0].shape)) // max(1, int(np.prod(page.shape))))
    same = sum(p.shape == page.shape for p in list(file.pages)[1:50])
    if depth > 1 or same:
        count = max(depth, same + 1)
        raise ImageError(f"is a stack of {count} pages", place=path, fix="export the one page that was digitised")
    notes = [f"{path.name}: holds {pages} pages of different size; the first is used."] if pages > 1 else []
    return page, notes


def _plain_type(pixels: np.ndarray, path: Path) -> np.ndarray:
    """uint8, uint16 or float32; wider integers lose nothing that a picture needs."""
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype in (np.uint8, np.uint16, np.float32):
        return pixels
    if pixels.dtype.kind in "iuf":
        return pixels.astype(np.float32)
    raise ImageError(f"has pixels of type {pixels.dtype}", place=path, fix="export it as 8 or 16 bit")


def _channels(pixels: np.ndarray, photometric: int, palette: np.ndarray | None, path: Path) -> np.ndarray:
    """(y, x) or (y, x, 3) with black as zero."""
    if photometric == _PALETTE and palette is not None:
        return np.moveaxis(palette, 0, -1)[pixels]
    if photometric == _MINISWHITE and pixels.ndim == 2:
        return (np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else pixels.max()) - pixels
    if photometric == _CMYK and pixels.ndim == 3 and pixels.shape[2] == 4 and pixels.dtype.kind == "u":
        full = np.iinfo(pixels.dtype).max
        light = full - pixels.astype(np.float32)
        return np.rint(light[..., :3] * light[..., 3:] / full).astype(pixels.dtype)
    if pixels.ndim == 3 and pixels.shape[2] == 2:
        return pixels[..., 0]
    if pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3):
        return pixels
    raise ImageError(f"has pixels of shape {pixels.shape}", place=path, fix="export it as grey or RGB")

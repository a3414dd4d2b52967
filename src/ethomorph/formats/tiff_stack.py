"""Stacks of TIFF slices, in a folder or in one file, as a volume.

Slices in natural order, gaps found, spacing required, area-mean downsampling plane by plane so that a stack larger than
memory can be read. Geometry is left-posterior-superior with origin 0, as 3D Slicer's ImageStacks has it.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ethomorph.core.errors import FormatError, InputError
from ethomorph.core.files import atomic_path
from ethomorph.core.grid import Grid
from ethomorph.core.volume import ScalarVolume
from ethomorph.formats.images import natural
from ethomorph.formats.scanner_log import Spacing, read_spacing, spacing_beside
from ethomorph.formats.text import check_file

SUFFIXES = (".tif", ".tiff")
MAPPED_BYTES = 2**29
"""Stacks from this size on are unpacked into a memory-mapped scratch file instead of memory."""


def is_stack(folder: str | Path) -> bool:
    """Whether a folder holds TIFF slices."""
    return bool(_slices(Path(folder)))


def read_tiff_stack(
    path: str | Path,
    *,
    spacing: Spacing | None = None,
    log: str | Path | None = None,
    downsample: int = 1,
    scratch: str | Path | None = None,
) -> ScalarVolume:
    """A volume from a folder of slices or a multi-page file.

    Parameters
    ----------
    spacing : (x, y, z) mm of the stored voxels; else from `log`, or the one scanner log beside the slices.
    log : a Skyscan or GE log, or a MorphoSource table.
    downsample : mean over cubes of so many voxels a side; a rest at the far ends is left away. Types are kept.
    scratch : folder for the memory-mapped file of a large stack; the system's own where left out.

    Raises
    ------
    FormatError : no slices, a gap in the numbers, mixed sizes, colour, damaged slices, no spacing.
    """
    path = Path(path)
    if downsample < 1:
        raise FormatError(f"downsample by {downsample}", place=path, fix="give a whole number of at least 1")
    spacing, notes = _spacing(path, spacing, log)
    shape, dtype = _shape(path)
    step = min(downsample, *shape)
    small = tuple(n // step for n in shape)
    grid = _grid(small, spacing, step, path)
    mapped = _contiguous(path, step)
    if mapped is not None:
        return ScalarVolume(mapped, grid, str(path), tuple(notes))
    out = _room(small, dtype, scratch)
    for index, plane in enumerate(_coarse(_planes(path, shape, dtype), step, small)):
        out[index] = _as_type(plane, dtype)
    return ScalarVolume(out, grid, str(path), tuple(notes))


def write_tiff_stack(volume: ScalarVolume, path: str | Path) -> list[str]:
    """Write one multi-page TIFF, or a folder of slices where `path` has no suffix; returns what is not in the files."""
    import tifffile

    path = Path(path)
    array = np.asarray(volume.array)
    if path.suffix.lower() in SUFFIXES:
        with atomic_path(path) as temporary:
            tifffile.imwrite(temporary, array, photometric="minisblack", bigtiff=array.nbytes > 2**31)
    else:
        if path.exists() and any(path.iterdir()):
            raise FormatError("is not empty", place=path, fix="name a new folder")
        path.mkdir(parents=True, exist_ok=True)
        for number, plane in enumerate(array):
            tifffile.imwrite(path / f"{path.name}_{number:04d}.tif", plane, photometric="minisblack")
    x, y, z = volume.grid.spacing
    lost = ["origin and direction"] if str(Grid(volume.grid.shape, volume.grid.spacing)) != str(volume.grid) else []
    return [f"TIFF holds no {' or '.join(['spacing', *lost])}; read it with --spacing {x:g},{y:g},{z:g}"]


def _spacing(path: Path, spacing: Spacing | None, log: str | Path | None) -> tuple[Spacing, list[str]]:
    if spacing is not None:
        return spacing, []
    if log is not None:
        return read_spacing(log, name=path.stem), [f"spacing from {Path(log).name}"]
    beside = spacing_beside(path if path.is_dir() else path.parent) if path.exists() else None
    if beside is None:
        raise FormatError("TIFF slices do not say how large a voxel is", place=path,
                          fix="give it in mm with --spacing X,Y,Z, or the scanner's log with --log")  # fmt: skip
    return beside[0], [f"spacing from {beside[1].name}"]


def _grid(shape: tuple[int, ...], spacing: Spacing, step: int, path: Path) -> Grid:
    try:
        origin = tuple((step - 1) / 2 * s for s in spacing)
        return Grid(shape, tuple(step * s for s in spacing), origin)  # type: ignore[arg-type]
    except InputError as error:
        raise FormatError(error.what, place=path, fix=error.fix) from None


def _slices(folder: Path) -> list[Path]:
    return sorted(
        (p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")), key=natural
    )


def _shape(path: Path) -> tuple[tuple[int, int, int], np.dtype]:
    """(z, y, x) and type from headers alone, every slice's header checked."""
    if not path.is_dir():
        check_file(path)
        with _opened(path) as file:
            pages = len(file.pages)
            height, width, dtype = _page(file.pages[0], path)
            if pages == 1 and len(file.series[0].shape) == 3:
                pages = file.series[0].shape[0]
        if pages < 2:
            raise FormatError(
                "has one page, where a stack has several", place=path, fix="give the folder of the slices"
            )
        return (pages, height, width), dtype
    files = _slices(path)
    if not files:
        raise FormatError("holds no TIFF slices", place=path, fix="give the folder of the slices")
    refuse_gaps(files, path)
    first = None
    for file in files:
        check_file(file)
        with _opened(file) as opened:
            if len(opened.pages) != 1:
                raise FormatError(f"has {len(opened.pages)} pages, where a slice has one", place=file,
                                  fix="give the multi-page file itself")  # fmt: skip
            here = _page(opened.pages[0], file)
        first = first or here
        if here != first:
            raise FormatError(f"is {here[1]} x {here[0]} px {here[2]}, others {first[1]} x {first[0]} {first[2]}",
                              place=file, fix="take it out of the folder")  # fmt: skip
    assert first is not None
    return (len(files), first[0], first[1]), first[2]


def refuse_gaps(files: list[Path], folder: Path) -> None:
    """Raise FormatError where the last number in the names jumps, or names differ in more than numbers."""
    numbers = [re.findall(r"\d+", f.stem) for f in files]
    if len(files) < 2 or not all(numbers):
        return
    stems = {re.sub(r"\d+", "#", f.stem) for f in files}
    if len(stems) > 1:
        raise FormatError(f"slices of several stacks: {', '.join(sorted(stems)[:3])}", place=folder,
                          fix="put each stack into its own folder")  # fmt: skip
    count = [int(found[-1]) for found in numbers]
    step = int(np.median(np.diff(count))) or 1
    for before, after, file in zip(count, count[1:], files[1:], strict=False):
        if after - before != step:
            missing = f"{before + step}" if after - before == 2 * step else f"{before + step} to {after - step}"
            raise FormatError(f"slice {missing} is missing before {file.name}", place=folder,
                              fix="add it, or renumber the slices if nothing is missing")  # fmt: skip


def _page(page: Any, path: Path) -> tuple[int, int, np.dtype]:
    if page.samplesperpixel != 1 or int(page.photometric) == 3:
        raise FormatError("is in colour, where a slice is grey", place=path, fix="export grey slices")
    if page.dtype is None or page.dtype.kind not in "uif":
        raise FormatError("is of a kind that is no slice", place=path, fix="export 8 or 16 bit grey")
    return page.imagelength, page.imagewidth, np.dtype(page.dtype).newbyteorder("=")


def _contiguous(path: Path, step: int) -> np.ndarray | None:
    """A multi-page file whose voxels lie uncompressed in a row, memory-mapped; None for any other."""
    import tifffile

    if path.is_dir() or step > 1:
        return None
    try:
        mapped: Any = tifffile.memmap(path, mode="r")
    except (ValueError, OSError):
        return None
    return mapped if mapped.ndim == 3 else None


def _planes(path: Path, shape: tuple[int, int, int], dtype: np.dtype) -> Iterator[np.ndarray]:
    if path.is_dir():
        for file in _slices(path):
            with _opened(file) as opened:
                yield _pixels(opened.pages[0], file)
        return
    with _opened(path) as opened:
        if len(opened.pages) == shape[0]:
            for page in opened.pages:
                yield _pixels(page, path)
        else:
            yield from _pixels(opened.series[0], path)


def _pixels(page: Any, path: Path) -> np.ndarray:
    try:
        return page.asarray()
    except Exception as error:
        raise FormatError(
            f"is damaged ({' '.join(str(error).split())[:120]})", place=path, fix="export it again"
        ) from None


def _opened(path: Path) -> Any:
    import tifffile

    try:
        return tifffile.TiffFile(path)
    except Exception as error:
        raise FormatError(
            f"is no TIFF that can be read ({' '.join(str(error).split())[:120]})", place=path, fix="export it again"
        ) from None


def _coarse(planes: Iterator[np.ndarray], step: int, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Means over cubes of `step` voxels a side; one such plane is held at a time."""
    _, height, width = shape
    total = np.zeros((height, width))
    for index, plane in enumerate(planes):
        if step == 1:
            yield plane
            continue
        cut = plane[: height * step, : width * step].astype(np.float64)
        total += cut.reshape(height, step, width, step).mean(axis=(1, 3))
        if index % step == step - 1:
            yield total / step
            total = np.zeros((height, width))


def _as_type(plane: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return plane if plane.dtype == dtype else (np.round(plane) if dtype.kind in "ui" else plane).astype(dtype)


def _room(shape: tuple[int, ...], dtype: np.dtype, scratch: str | Path | None) -> np.ndarray:
    if np.prod(shape, dtype=np.int64) * dtype.itemsize < MAPPED_BYTES:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile(dir=scratch) as file:  # the map holds on to it, and lets go of it in the end
        return np.memmap(file, dtype=dtype, mode="w+", shape=shape)  # type: ignore[call-overload]

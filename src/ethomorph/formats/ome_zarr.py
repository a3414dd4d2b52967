"""OME-Zarr 0.4 out: an image pyramid and, where given, its labels, for viewers of large volumes. Nothing is read here.

OME-Zarr has spacing and translation but no direction matrix; the matrix to LPS mm stands in the group's own attributes.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ethomorph.core.errors import FormatError, MissingPart
from ethomorph.core.grid import Grid
from ethomorph.core.volume import LabelVolume, ScalarVolume

CHUNK = 64
SMALLEST = 64
"""The pyramid ends where its longest axis has at most so many voxels."""


def write_ome_zarr(
    volume: ScalarVolume | LabelVolume, path: str | Path, *, labels: LabelVolume | None = None
) -> list[str]:
    """Write a group with a pyramid (means for images, every other voxel for labels) and the group ``labels``.

    Raises
    ------
    FormatError : something is there already; LabelError where labels lie on another grid.
    """
    try:
        import zarr
    except ImportError:
        raise MissingPart("OME-Zarr needs zarr", fix="pip install 'ethomorph[zarr]'") from None
    path = Path(path)
    if path.exists():
        raise FormatError("exists", place=path, fix="name a new folder")
    image = isinstance(volume, ScalarVolume)
    if isinstance(volume, LabelVolume):
        labels = volume
        volume = ScalarVolume(labels.array, labels.grid)
    path.parent.mkdir(parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.stem}-"))
    try:
        root = zarr.open_group(half, mode="w", zarr_format=2)
        _pyramid(root, np.asarray(volume.array), volume.grid, mean=image, name=path.stem)
        if labels is not None:
            if not labels.grid.is_same(volume.grid):
                labels = labels.on(volume.grid)
            group = root.create_group("labels")
            group.attrs["labels"] = ["segments"]
            segments = group.create_group("segments")
            _pyramid(segments, labels.array, labels.grid, mean=False, name="segments")
            segments.attrs["image-label"] = _table(labels)
        half.chmod(0o755)
        half.rename(path)
    finally:
        shutil.rmtree(half, ignore_errors=True)
    turned = not np.allclose(volume.grid.direction, np.eye(3), atol=1e-6)
    return ["OME-Zarr 0.4 has no direction: viewers other than ours see the axes as stored"] if turned else []


def _pyramid(group: Any, array: np.ndarray, grid: Grid, *, mean: bool, name: str) -> None:
    datasets = []
    level, scale = 0, 1
    while True:
        chunks = tuple(min(CHUNK, n) for n in array.shape)
        stored = group.create_array(str(level), shape=array.shape, chunks=chunks, dtype=array.dtype,
                                    chunk_key_encoding={"name": "v2", "separator": "/"})  # fmt: skip
        for start in range(0, array.shape[0], CHUNK):
            stored[start : start + CHUNK] = array[start : start + CHUNK]
        zyx = [float(scale * s) for s in grid.spacing_zyx]
        shift = [(scale - 1) / 2 * s if mean else 0.0 for s in grid.spacing_zyx]
        datasets.append({"path": str(level), "coordinateTransformations": [
            {"type": "scale", "scale": zyx}, {"type": "translation", "translation": shift}]})  # fmt: skip
        if max(array.shape) <= SMALLEST:
            break
        array, level, scale = halved(array) if mean else array[::2, ::2, ::2], level + 1, scale * 2
    axes = [{"name": a, "type": "space", "unit": "millimeter"} for a in "zyx"]
    group.attrs["multiscales"] = [{"version": "0.4", "name": name, "axes": axes, "datasets": datasets,
                                   "type": "mean" if mean else "nearest"}]  # fmt: skip
    group.attrs["ethomorph"] = {"xyz_index_to_lps_mm": grid.matrix.tolist()}


def halved(array: np.ndarray) -> np.ndarray:
    """Means over cubes of 2 voxels a side in the array's own type; at odd ends the last voxel counts twice.

    >>> halved(np.arange(8, dtype=np.uint8).reshape(2, 2, 2))
    array([[[4]]], dtype=uint8)
    """
    padded = np.pad(array, [(0, n % 2) for n in array.shape], mode="edge")
    z, y, x = (n // 2 for n in padded.shape)
    means = padded.reshape(z, 2, y, 2, x, 2).mean(axis=(1, 3, 5), dtype=np.float32)
    return (np.round(means) if array.dtype.kind in "ui" else means).astype(array.dtype)


def _table(labels: LabelVolume) -> dict[str, Any]:
    colors = [{"label-value": s.value, "rgba": [*(round(255 * c) for c in s.color), 255]} for s in labels]
    properties = [{"label-value": s.value, "name": s.name} for s in labels]
    return {"version": "0.4", "colors": colors, "properties": properties, "source": {"image": "../../"}}

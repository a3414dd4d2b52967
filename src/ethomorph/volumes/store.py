"""An array of planes in memory or, where it is large, in a file that is never mapped for longer than one read.

A mapped file counts as resident memory for as long as it stays mapped, so large outputs are written and read in pieces.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

Box = tuple[slice, slice, slice]
IN_MEMORY = 128 * 2**20
"""Arrays of up to so many bytes are held in memory."""


class Store:
    """A (z, y, x) array, zero at first.

    Parameters
    ----------
    folder : where the file goes; None keeps the array in memory whatever its size.
    """

    def __init__(self, shape: tuple[int, ...], dtype: type | np.dtype, folder: Path | None) -> None:
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)
        self.array: np.ndarray | None = None
        self.path: Path | None = None
        if folder is None or self.bytes <= IN_MEMORY:
            self.array = np.zeros(self.shape, self.dtype)
            return
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".planes", delete=False) as stream:
            stream.truncate(self.bytes)
            self.path = Path(stream.name)

    @property
    def bytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def write_planes(self, start: int, planes: np.ndarray) -> None:
        """Put whole planes from `start` on."""
        if self.array is not None:
            self.array[start : start + len(planes)] = planes
            return
        assert self.path is not None
        with self.path.open("r+b") as stream:
            stream.seek(start * self.shape[1] * self.shape[2] * self.dtype.itemsize)
            for plane in planes:
                stream.write(np.ascontiguousarray(plane, dtype=self.dtype).tobytes())

    def read(self, box: Box) -> np.ndarray:
        """A copy of a box."""
        if self.array is not None:
            return self.array[box].copy()
        mapped = np.memmap(self.path, dtype=self.dtype, mode="r", shape=self.shape)  # type: ignore[call-overload]
        return np.array(mapped[box])

    def write(self, box: Box, values: np.ndarray) -> None:
        """Put a box."""
        if self.array is not None:
            self.array[box] = values
            return
        mapped = np.memmap(self.path, dtype=self.dtype, mode="r+", shape=self.shape)  # type: ignore[call-overload]
        mapped[box] = values
        mapped.flush()

    def whole(self) -> np.ndarray:
        """All of it: the array, or a read-only map of the file."""
        if self.array is not None:
            return self.array
        return np.memmap(self.path, dtype=self.dtype, mode="r", shape=self.shape)  # type: ignore[call-overload]

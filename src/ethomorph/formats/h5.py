"""Opening HDF5 files from strangers: nothing outside the file, nothing larger than memory, each fault a FormatError."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ethomorph.core.errors import FormatError, InputError
from ethomorph.formats.text import check_file

if TYPE_CHECKING:
    import h5py

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MAX_DATASET = 2**30  # bytes one dataset may unfold to; tracks of a day at 60 Hz have some 2**28
MAX_OBJECTS = 100_000


@contextlib.contextmanager
def damaged(path: Path, what: str) -> Iterator[None]:
    """Turn whatever a library raises on a damaged file into a FormatError that names the file."""
    try:
        yield
    except InputError:
        raise
    except (Exception, RecursionError) as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise FormatError(f"is damaged or not {what} ({reason})", place=path, fix="export it again") from None


@contextlib.contextmanager
def open_h5(path: Path, what: str) -> Iterator[h5py.File]:
    """The file opened for reading, after `refuse_tricks`."""
    import h5py

    check_file(path)
    with path.open("rb") as stream:
        if stream.read(len(SIGNATURE)) != SIGNATURE:
            raise FormatError(f"is not HDF5, so not {what}", place=path)
    with damaged(path, what), h5py.File(path, "r") as file:
        refuse_tricks(file, path)
        yield file


def refuse_tricks(file: h5py.File, path: Path) -> None:
    """FormatError for links and data outside the file, virtual data sets, bombs and endless trees."""
    import h5py

    count = 0

    def visit(name: str, item: h5py.HLObject) -> None:
        nonlocal count
        count += 1
        if count > MAX_OBJECTS:
            raise FormatError(f"holds more than {MAX_OBJECTS:,} objects", place=path)
        if isinstance(item, h5py.Group):
            for key in item:
                if isinstance(item.get(key, getlink=True), h5py.ExternalLink):
                    raise FormatError(f"{name}/{key} is a link to another file", place=path)
        elif isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                raise FormatError(f"{name} keeps its data in another file", place=path)
            if item.size is not None and item.size * item.dtype.itemsize > MAX_DATASET:
                raise FormatError(f"{name} unfolds to {item.size * item.dtype.itemsize / 2**30:.0f} GB", place=path)

    visit("", file)
    file.visititems(visit)

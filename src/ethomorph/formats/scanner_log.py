"""Voxel spacing from what scanners and repositories write beside their slices.

Skyscan's ``*_rec.log``, GE's ``.pca``, ``.pcr`` and ``.vgi``, and MorphoSource's media table. Nothing is guessed: a
file that does not say its spacing is refused.
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from ethomorph.core.errors import FormatError
from ethomorph.formats.text import read_bytes

Spacing = tuple[float, float, float]
SUFFIXES = {".log", ".pca", ".pcr", ".vgi", ".csv"}


def read_spacing(path: str | Path, *, name: str = "") -> Spacing:
    """(x, y, z) mm per voxel.

    Parameters
    ----------
    name : of the volume, to find its row in a MorphoSource table with several.

    Raises
    ------
    FormatError : a kind of file that is not known, or no spacing in it.
    """
    path = Path(path)
    text = read_bytes(path).decode("utf-8-sig", "replace")
    reader = {".log": _skyscan, ".pca": _ge, ".pcr": _ge, ".vgi": _vgi, ".csv": None}.get(path.suffix.lower(), _unknown)
    found = _morphosource(text, name, path) if reader is None else reader(text)
    if found is None or not all(s > 0 for s in found):
        raise FormatError("says no voxel size", place=path, fix="give the spacing in mm with --spacing X,Y,Z")
    return found


def spacing_beside(folder: Path) -> tuple[Spacing, Path] | None:
    """The spacing from the one scanner log in a folder; None where there is none or several."""
    logs = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in SUFFIXES - {".csv"} and p.is_file()]
    if len(logs) != 1:
        return None
    return read_spacing(logs[0]), logs[0]


def _skyscan(text: str) -> Spacing | None:
    """``Pixel Size (um)=9.9`` of the reconstruction; slices are as far apart."""
    found = re.search(r"^\s*Pixel Size \(um\)\s*=\s*([0-9.eE+-]+)", text, re.MULTILINE)
    if found is None:
        return None
    return _same(found[1], 1e-3)


def _ge(text: str) -> Spacing | None:
    for key in ("VoxelSizeRec", "VoxelSizeX"):
        if found := re.search(rf"^\s*{key}\s*=\s*([0-9.eE+-]+)", text, re.MULTILINE):
            size = _same(found[1], 1.0)
            if size is None or key == "VoxelSizeRec":
                return size
            y = re.search(r"^\s*VoxelSizeY\s*=\s*([0-9.eE+-]+)", text, re.MULTILINE)
            return size if y is None else (size[0], float(y[1]), size[2])
    return None


def _vgi(text: str) -> Spacing | None:
    found = re.search(
        r"^\s*resolution\s*=\s*([0-9.eE+-]+)\s+([0-9.eE+-]+)\s+([0-9.eE+-]+)", text, re.MULTILINE | re.IGNORECASE
    )
    return (float(found[1]), float(found[2]), float(found[3])) if found else None


def _morphosource(text: str, name: str, path: Path) -> Spacing | None:
    rows = list(csv.DictReader(io.StringIO(text)))
    if not rows:
        return None
    keys = [next((k for k in rows[0] if k and k.lower().startswith(f"{axis}_pixel_spacing")), None) for axis in "xyz"]
    if None in keys:
        return None
    if len(rows) > 1:
        rows = [row for row in rows if name and any(name in str(value) for value in row.values())]
        if len(rows) != 1:
            raise FormatError(
                f"{len(rows)} rows name {name!r}", place=path, fix="give the spacing with --spacing X,Y,Z"
            )
    try:
        x, y, z = (float(rows[0][key]) for key in keys)  # type: ignore[index]
    except ValueError:
        return None
    return x, y, z


def _unknown(text: str) -> Spacing | None:
    return None


def _same(word: str, scale: float) -> Spacing | None:
    try:
        value = float(word) * scale
    except ValueError:
        return None
    return value, value, value

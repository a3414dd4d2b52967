"""DeepLabCut tables in HDF5, in the layout that pandas calls "fixed", read and written with h5py alone.

Pandas' other layouts keep column names or cells as Python pickles, which run code when they are opened: those are
refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ethomorph.core.errors import FormatError
from ethomorph.core.files import atomic_path
from ethomorph.core.landmarks import LandmarkSet
from ethomorph.formats.deeplabcut import HOLDS, LEVELS, Table, specimens_of, table_of
from ethomorph.formats.h5 import SIGNATURE, open_h5
from ethomorph.formats.record import Format
from ethomorph.formats.scheme import Gaps

if TYPE_CHECKING:
    import h5py

KEY = "df_with_missing"
WHAT = "a DeepLabCut table"
_PICKLE = "keeps its names as Python pickles, which are not opened"


def read_deeplabcut_h5(path: str | Path, *, gaps: Gaps = "refuse") -> LandmarkSet:
    """Read a DeepLabCut HDF5 file; as `read_deeplabcut`.

    Raises FormatError where no pandas frame is inside, it is stored with pickles, or it is damaged.
    """
    path = Path(path)
    with open_h5(path, WHAT) as file:
        table = _table(_frame(file, path), path)
    return specimens_of(table, path, gaps)


def write_deeplabcut_h5(landmarks: LandmarkSet, path: str | Path) -> list[str]:
    """Write a DeepLabCut HDF5 file that ``pandas.read_hdf`` opens; as `write_deeplabcut`."""
    import h5py

    table, sentences = table_of(landmarks)
    levels = [0, 1, 2, 3] if table.several else [0, 2, 3]
    columns = [[column[level] for column in table.columns] for level in levels]
    heads = [LEVELS[level] for level in levels]
    with atomic_path(path) as temporary, h5py.File(temporary, "w", track_order=False) as file:
        _describe(file, "GROUP", "1.0", PYTABLES_FORMAT_VERSION="2.1")
        group = file.create_group(KEY)
        _describe(group, "GROUP", "1.0", pandas_type="frame", encoding="UTF-8", errors="strict")
        group.attrs.update({"ndim": np.int64(2), "nblocks": np.int64(1)})
        for axis in ("axis0", "block0_items"):
            _write_levels(group, axis, heads, columns)
        _variety(group, "axis1", "regular")
        if all(name.isdigit() for name in table.index):
            _array(
                group, "axis1", np.array([int(name) for name in table.index], dtype=np.int64), kind="integer", name="N."
            )
        else:
            _array(group, "axis1", _strings(table.index), kind="string", name="N.", nan_rep="")
        _array(group, "block0_values", table.values)
    return sentences


def sniff_h5(head: bytes) -> bool:
    """Whether it is HDF5."""
    return head.startswith(SIGNATURE)


def _frame(file: h5py.File, path: Path) -> h5py.Group:
    """The group of the pandas frame: the one that DeepLabCut names, else the first."""
    import h5py

    groups = {key: file[key] for key in file if isinstance(file.get(key, getlink=True), h5py.HardLink)}
    kinds = {key: _text(group.attrs.get("pandas_type", b"")) for key, group in groups.items()}
    frames = [key for key, kind in kinds.items() if kind == "frame"]
    if not frames:
        if any(kind.startswith("frame") for kind in kinds.values()):
            raise FormatError(_PICKLE, place=path, fix="save it with format='fixed' or give the CSV")
        raise FormatError(f"holds no {WHAT.removeprefix('a ')}", place=path, fix="give the file that DeepLabCut wrote")
    return groups[KEY if KEY in frames else frames[0]]


def _table(group: h5py.Group, path: Path) -> Table:
    heads, columns = _levels(group, "axis0", path)
    lower = [head.lower() for head in heads]
    if [head for head in LEVELS if head in lower] != lower or not {"scorer", "bodyparts", "coords"} <= set(lower):
        raise FormatError(f"its columns are {heads}, expected scorer, bodyparts, coords", place=path)
    index = ["/".join(level for level in row if level) for row in _levels(group, "axis1", path)[1]]
    position = {column: i for i, column in enumerate(columns)}
    if len(position) < len(columns):
        raise FormatError("a column stands twice", place=path)
    values = np.full((len(index), len(columns)), np.nan)
    for block in range(min(int(group.attrs["nblocks"]), len(group))):
        stored = group[f"block{block}_values"]
        if stored.dtype.kind not in "fiu":
            raise FormatError(_PICKLE, place=path, fix="save it with format='fixed' or give the CSV")
        items = _levels(group, f"block{block}_items", path)[1]
        data = stored[()]
        if data.shape != (len(index), len(items)):
            raise FormatError(f"block {block} has shape {data.shape}, expected {(len(index), len(items))}", place=path)
        values[:, [position[item] for item in items]] = data
    full = [tuple(dict(zip(lower, column, strict=True)).get(level, "") for level in LEVELS) for column in columns]
    return Table(full, index, values, "individuals" in lower)  # type: ignore[arg-type]


def _levels(group: h5py.Group, axis: str, path: Path) -> tuple[list[str], list[tuple[str, ...]]]:
    """Names of an axis's levels, and its entries as tuples of text."""
    if _text(group.attrs[f"{axis}_variety"]) == "regular":
        return [_text(group[axis].attrs.get("name", b""))], [(text,) for text in _texts(group[axis], path)]
    count = int(group.attrs[f"{axis}_nlevels"])
    if not 1 <= count <= 8:
        raise FormatError(f"{axis} has {count} levels", place=path)
    heads, parts = [], []
    for level in range(count):
        stored = group[f"{axis}_level{level}"]
        heads.append(_text(stored.attrs.get("name", b"")))
        words = [*_texts(stored, path), ""]
        codes = group[f"{axis}_label{level}"][()]
        if (
            codes.dtype.kind not in "iu"
            or codes.ndim != 1
            or (len(codes) and not -1 <= codes.min() <= codes.max() < len(words) - 1)
        ):
            raise FormatError(f"the codes of {axis} are damaged", place=path)
        parts.append([words[code] for code in codes.tolist()])
    return heads, list(zip(*parts, strict=True))


def _texts(stored: h5py.Dataset, path: Path) -> list[str]:
    if stored.dtype.kind == "O" or stored.ndim != 1:
        raise FormatError(_PICKLE, place=path, fix="save it with format='fixed' or give the CSV")
    return [_text(value) for value in stored[()]]


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if type(value).__name__ == "Empty" else str(value)


def _write_levels(group: h5py.Group, axis: str, heads: list[str], columns: list[list[str]]) -> None:
    _variety(group, axis, "multi")
    group.attrs[f"{axis}_nlevels"] = np.int64(len(heads))
    for level, (head, words) in enumerate(zip(heads, columns, strict=True)):
        distinct = list(dict.fromkeys(words))
        code = {word: i for i, word in enumerate(distinct)}
        _array(
            group,
            f"{axis}_level{level}",
            _strings(distinct),
            kind="string",
            name=head,
            nan_rep="",
            **{f"{axis}_name{head}": head},
        )
        _array(group, f"{axis}_label{level}", np.array([code[word] for word in words], dtype=np.int32))


def _array(group: h5py.Group, key: str, values: np.ndarray, /, **attributes: str) -> None:
    stored = group.create_dataset(key, data=values)
    _describe(stored, "ARRAY", "2.4", FLAVOR="numpy", **attributes)
    stored.attrs["transposed"] = np.uint8(1)


def _describe(item: h5py.HLObject, kind: str, version: str, /, **attributes: str) -> None:
    for key, text in {"CLASS": kind, "VERSION": version, "TITLE": "", **attributes}.items():
        _attribute(item, key, text)


def _variety(group: h5py.Group, axis: str, variety: str) -> None:
    _attribute(group, f"{axis}_variety", variety)


def _attribute(item: h5py.HLObject, key: str, text: str) -> None:
    """Text as PyTables stores it: UTF-8 of fixed length, an empty one as a null data space."""
    import h5py

    data = text.encode("utf-8")
    kind = h5py.string_dtype("utf-8", max(1, len(data)))
    if data:
        item.attrs.create(key, np.array(data, dtype=kind), dtype=kind)
    else:
        item.attrs[key] = h5py.Empty(kind)


def _strings(words: list[str]) -> np.ndarray:
    encoded = [word.encode("utf-8") for word in words]
    return np.array(encoded, dtype=f"S{max(1, *map(len, encoded))}") if encoded else np.empty(0, "S1")


FORMAT = Format(
    "deeplabcut-h5", "DeepLabCut HDF5", (".h5", ".hdf5"), sniff_h5, read_deeplabcut_h5, write_deeplabcut_h5, HOLDS
)

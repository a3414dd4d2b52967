"""NRRD volumes (.nrrd, .nhdr): the header as it stands, voxels in the type they were stored in.

Raw data are memory-mapped, compressed ones checked against the sizes that the header promises. Segmentations of 3D
Slicer have their own module, `seg_nrrd`, on top of this one.
"""

from __future__ import annotations

import bz2
import gzip
import re
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ethomorph.core.errors import FormatError, InputError
from ethomorph.core.files import atomic_path
from ethomorph.core.grid import Grid
from ethomorph.core.volume import ScalarVolume
from ethomorph.formats.text import check_file

TYPES = {
    "int8": ("signed char", "int8", "int8_t"),
    "uint8": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "int16": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "uint16": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "int32": ("int", "signed int", "int32", "int32_t"),
    "uint32": ("uint", "unsigned int", "uint32", "uint32_t"),
    "int64": ("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"),
    "uint64": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "float32": ("float",),
    "float64": ("double",),
}
NAMES = {"int8": "int8", "uint8": "unsigned char", "int16": "short", "uint16": "unsigned short", "int32": "int",
         "uint32": "unsigned int", "int64": "int64", "uint64": "uint64", "float32": "float",
         "float64": "double"}  # fmt: skip
TO_LPS = {"left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1), "right-anterior-superior": (-1, -1, 1),
          "ras": (-1, -1, 1), "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1)}  # fmt: skip
UNITS_MM = {"mm": 1.0, "millimeter": 1.0, "millimetre": 1.0, "um": 1e-3, "µm": 1e-3, "micron": 1e-3, "microns": 1e-3,
            "micrometer": 1e-3, "cm": 10.0, "m": 1000.0, "nm": 1e-6, "": 1.0}  # fmt: skip
MAX_VOXELS = 2**36
GEOMETRY = {"type", "dimension", "space", "space dimension", "sizes", "space directions", "space origin", "kinds",
            "endian", "encoding", "data file", "datafile", "spacings", "space units", "units", "axis mins", "byte skip",
            "line skip", "centers", "centerings", "thicknesses", "axismins", "lineskip", "byteskip"}  # fmt: skip
_VECTOR = re.compile(r"\(([^)]*)\)")


class Nrrd(NamedTuple):
    """A file's header and voxels; `fields` are lower-case header fields, `pairs` the ``key:=value`` lines in order."""

    array: np.ndarray
    fields: dict[str, str]
    pairs: dict[str, str]


def read_nrrd(path: str | Path, *, spacing: tuple[float, float, float] | None = None) -> ScalarVolume:
    """A volume of one number a voxel.

    Parameters
    ----------
    spacing : (x, y, z) mm, for files that hold none or a wrong one.

    Raises
    ------
    FormatError : damaged, truncated, of sizes that the file does not hold, not three-dimensional, without a spacing.
    """
    path = Path(path)
    raw = read_raw(path)
    refuse_other_dimensions(raw.array.ndim, path)
    grid, notes = grid_of(raw.fields, raw.array.shape, path, spacing=spacing)
    kept: dict[str, Any] = dict(raw.pairs) | {k: v for k, v in raw.fields.items() if k == "content"}
    return ScalarVolume(raw.array, grid, str(path), tuple(notes), kept)


def write_nrrd(volume: ScalarVolume, path: str | Path, *, compress: bool = True) -> list[str]:
    """Write a volume; returns a sentence for everything that is not in the file (nothing)."""
    pairs = {k: str(v) for k, v in volume.header.items() if k != "content"}
    fields = {"content": volume.header["content"]} if "content" in volume.header else {}
    write_raw(Path(path), np.asarray(volume.array), grid_fields(volume.grid) | fields, pairs, compress=compress)
    return []


def read_raw(path: Path) -> Nrrd:
    """Header and voxels in C order: the file's last axis comes first."""
    check_file(path)
    fields, pairs, start = parse_header(path)
    sizes = _whole_numbers(fields, "sizes", path)
    if len(sizes) != int(fields.get("dimension", len(sizes))) or min(sizes, default=0) < 1:
        raise FormatError(f"sizes {fields['sizes']!r} do not fit dimension {fields.get('dimension')}", place=path,
                          fix="export it again")  # fmt: skip
    kind = np.dtype(_type_of(fields, path))
    if kind.itemsize > 1:
        kind = kind.newbyteorder("<" if fields.get("endian", "little").lower() == "little" else ">")
    count = int(np.prod(sizes, dtype=np.float64))
    if count > MAX_VOXELS:
        raise FormatError(f"the header promises {count:.3g} voxels", place=path, fix="export it again")
    data, offset = path, start
    named = fields.get("data file", fields.get("datafile"))
    if named:
        data, offset = _beside(path, named), 0
    encoding = fields.get("encoding", "raw").lower()
    skip = int(fields.get("byte skip", fields.get("byteskip", "0")))
    if encoding == "raw":
        array = _mapped(data, offset, skip, kind, count, path)
    elif encoding in ("gzip", "gz", "bzip2", "bz2"):
        array = _unpacked(data, offset, max(skip, 0), kind, count, path, encoding)
    elif encoding in ("text", "txt", "ascii"):
        array = _from_text(data, offset, kind, count, path)
    else:
        raise FormatError(f"encoding {encoding!r} is not known", place=path, fix="save it as raw or gzip")
    return Nrrd(array.reshape(sizes[::-1]), fields, pairs)


def parse_header(path: Path) -> tuple[dict[str, str], dict[str, str], int]:
    """Fields, key-value pairs, and the byte at which the data begin; nothing is decoded."""
    with path.open("rb") as stream:
        if not stream.read(5).startswith(b"NRRD0"):
            raise FormatError("is not NRRD (it does not begin with NRRD000)", place=path, fix="check what it is")
        stream.readline()
        fields: dict[str, str] = {}
        pairs: dict[str, str] = {}
        for _ in range(200_000):
            line = stream.readline(4 * 2**20)
            if not line.strip():
                break
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            if text.startswith("#"):
                continue
            key, colon, value = text.partition(":")
            if not colon:
                raise FormatError(f"header line {text[:60]!r} is no field", place=path, fix="export it again")
            if value.startswith("="):
                pairs[key] = value[1:].replace("\\n", "\n").replace("\\\\", "\\")
            else:
                fields[key.strip().lower()] = value.strip()
        return fields, pairs, stream.tell()


def grid_of(
    fields: dict[str, str], shape: tuple[int, ...], path: Path, *, spacing: tuple[float, float, float] | None = None
) -> tuple[Grid, list[str]]:
    """The grid of the last three axes of an array in C order, and what had to be decided."""
    notes: list[str] = []
    shape3: Any = tuple(shape[:3]) if len(shape) == 3 else tuple(shape[-4:-1])
    space = fields.get("space", "").lower()
    scale = _unit(fields, path)
    try:
        vectors = [
            tuple(float(v) for v in found.split(",")) for found in _VECTOR.findall(fields.get("space directions", ""))
        ]
        origin = np.array(
            [float(v) for found in _VECTOR.findall(fields.get("space origin", ""))[:1] for v in found.split(",")]
        )
    except ValueError:
        raise FormatError("space directions or origin are not numbers", place=path, fix="export it again") from None
    if spacing is not None:
        notes.append(f"spacing {' x '.join(f'{s:g}' for s in spacing)} mm as given")
    try:
        if len(vectors) == 3 and all(len(v) == 3 for v in vectors):
            signs = np.array(TO_LPS.get(space, (1, 1, 1)), dtype=float)
            if space not in TO_LPS:
                notes.append(f"space {space or 'not named'!r}: taken as left-posterior-superior")
            matrix = np.eye(4)
            matrix[:3, :3] = (np.array(vectors).T * signs[:, None]) * scale
            if len(origin) == 3:
                matrix[:3, 3] = origin * signs * scale
            if spacing is not None:
                lengths = np.linalg.norm(matrix[:3, :3], axis=0)
                matrix[:3, :3] *= np.array(spacing) / np.where(lengths > 0, lengths, 1)
            return Grid.from_matrix(matrix, shape3), notes
        if spacing is None:
            words = fields.get("spacings", "").split()[-3:]
            if len(words) != 3 or any(w.lower() == "nan" for w in words):
                raise FormatError("holds no spacing", place=path, fix="give it in mm with --spacing X,Y,Z")
            spacing = tuple(float(w) * scale for w in words)  # type: ignore[assignment]
        assert spacing is not None
        notes.append("the header has no directions: axes are taken as left, posterior, superior")
        return Grid(shape3, spacing), notes
    except ValueError as error:
        if isinstance(error, InputError):
            raise _placed(error, path) from None
        raise FormatError("spacings are not numbers", place=path, fix="give them in mm with --spacing X,Y,Z") from None


def grid_fields(grid: Grid, *, layers: bool = False) -> dict[str, str]:
    """The header fields of a grid; `layers` puts a list axis first."""
    columns = grid.matrix[:3, :3].T
    vectors = " ".join(f"({','.join(repr(float(v)) for v in column)})" for column in columns)
    return {
        "space": "left-posterior-superior",
        "space directions": f"none {vectors}" if layers else vectors,
        "kinds": ("list " if layers else "") + "domain domain domain",
        "space origin": f"({','.join(repr(float(v)) for v in grid.origin)})",
    }


def write_raw(
    path: Path, array: np.ndarray, fields: dict[str, str], pairs: dict[str, str], *, compress: bool = True
) -> None:
    """Write header and voxels (C order) in one file, atomically; the file's first axis is the array's last."""
    if str(array.dtype) == "bool":
        array = array.astype(np.uint8)
    name = array.dtype.newbyteorder("=").name
    if name not in NAMES:
        raise FormatError(f"voxels of type {name} do not fit NRRD", place=path, fix="convert them to float32")
    lines = ["NRRD0004", f"type: {NAMES[name]}", f"dimension: {array.ndim}", f"space: {fields['space']}",
             f"sizes: {' '.join(str(n) for n in array.shape[::-1])}"]  # fmt: skip
    lines += [f"{k}: {fields[k]}" for k in ("space directions", "kinds")]
    if array.dtype.itemsize > 1:
        lines.append("endian: little")
    lines += [f"encoding: {'gzip' if compress else 'raw'}", f"space origin: {fields['space origin']}"]
    lines += [f"{k}: {v}" for k, v in fields.items() if k == "content"]
    for key, value in pairs.items():
        escaped = value.replace("\\", "\\\\").replace("\n", "\\n")
        lines.append(f"{key}:={escaped}")
    head = ("\n".join(lines) + "\n\n").encode("utf-8")
    little = array.dtype.newbyteorder("<")
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        stream.write(head)
        packer = gzip.GzipFile(filename="", fileobj=stream, mode="wb", compresslevel=4, mtime=0) if compress else stream
        for plane in array.reshape(-1, *array.shape[-2:]):
            packer.write(np.ascontiguousarray(plane, dtype=little).tobytes())
        if compress:
            packer.close()


def refuse_other_dimensions(dimensions: int, path: Path) -> None:
    """Raise FormatError unless a volume has three axes."""
    if dimensions != 3:
        raise FormatError(
            f"{dimensions} axes, where a volume has three", place=path,
            fix="choose one time point or channel and save that" if dimensions > 3 else "stack the slices first",
        )  # fmt: skip


def _placed(error: InputError, path: Path) -> FormatError:
    """An error about a grid, with the file that holds it."""
    return FormatError(error.what, place=path, fix=error.fix)


def _unit(fields: dict[str, str], path: Path) -> float:
    words = re.findall(r'"([^"]*)"', fields.get("space units", ""))
    found = {UNITS_MM.get(word.lower()) for word in words} or {1.0}
    if len(found) != 1 or None in found:
        raise FormatError(f"space units {fields['space units']} are not known", place=path, fix="save it in mm")
    return float(found.pop() or 1.0)


def _type_of(fields: dict[str, str], path: Path) -> str:
    wanted = fields.get("type", "").lower()
    found = next((name for name, words in TYPES.items() if wanted in words), None)
    if found is None:
        raise FormatError(f"type {wanted!r} is not known", place=path, fix="save whole numbers or floats")
    return found


def _whole_numbers(fields: dict[str, str], key: str, path: Path) -> list[int]:
    try:
        return [int(word) for word in fields[key].split()]
    except (KeyError, ValueError):
        raise FormatError(f"no {key} in the header", place=path, fix="export it again") from None


def _beside(path: Path, named: str) -> Path:
    """The data file that a detached header names; only in the header's own folder."""
    if named.upper().startswith("LIST") or "%" in named:
        raise FormatError("data are spread over several files", place=path, fix="save it as one .nrrd")
    found = path.parent / named
    if Path(named).is_absolute() or ".." in Path(named).parts or not found.is_file():
        raise FormatError(f"its data file {named!r} is not beside it", place=path, fix="copy both into one folder")
    return found


def _mapped(data: Path, offset: int, skip: int, kind: np.dtype, count: int, path: Path) -> np.ndarray:
    there = data.stat().st_size
    start = there - count * kind.itemsize if skip == -1 else offset + skip
    if start < 0 or there - start < count * kind.itemsize:
        raise _too_short(there - max(start, 0), count * kind.itemsize, path)
    return np.memmap(data, dtype=kind, mode="r", offset=start, shape=(count,))


def _unpacked(data: Path, offset: int, skip: int, kind: np.dtype, count: int, path: Path, encoding: str) -> np.ndarray:
    wanted = count * kind.itemsize
    packed = data.stat().st_size - offset
    if encoding.startswith("g") and wanted > packed * 1100 + 2**20:
        raise _too_short(packed, wanted, path)
    out = np.empty(count, dtype=kind)
    view = memoryview(out.view(np.uint8))  # type: ignore[arg-type]
    opener: Any = gzip.GzipFile if encoding.startswith("g") else bz2.BZ2File
    done = 0
    try:
        with data.open("rb") as stream:
            stream.seek(offset)
            with opener(fileobj=stream) if encoding.startswith("g") else opener(stream) as unpacker:
                if skip:
                    unpacker.read(skip)
                while done < wanted:
                    piece = unpacker.read(min(2**24, wanted - done))
                    if not piece:
                        raise _too_short(done, wanted, path)
                    view[done : done + len(piece)] = piece
                    done += len(piece)
                if unpacker.read(1):
                    raise FormatError(f"holds more data than the header's sizes ({wanted} bytes)", place=path,
                                      fix="correct the sizes, or export it again")  # fmt: skip
    except (EOFError, OSError, zlib.error) as error:
        raise FormatError(
            f"its compressed data are damaged or cut off after {done} of {wanted} bytes ({error})", place=path,
            fix="copy or export it again",
        ) from None  # fmt: skip
    return out


def _from_text(data: Path, offset: int, kind: np.dtype, count: int, path: Path) -> np.ndarray:
    try:
        values = np.array(data.read_bytes()[offset:].split(), dtype=np.float64)
    except ValueError:
        raise FormatError("its data are not numbers", place=path, fix="export it again") from None
    if len(values) != count:
        raise _too_short(len(values), count, path)
    return values.astype(kind)


def _too_short(found: int, wanted: int, path: Path) -> FormatError:
    return FormatError(f"holds {found} bytes of data, its header's sizes need {wanted}", place=path,
                       fix="it was cut off or its sizes are wrong: copy or export it again")  # fmt: skip

"""Surfaces: STL, PLY and OBJ, brought to LPS millimetres.

None of the three says its unit or its frame; 3D Slicer alone leaves a ``SPACE=`` remark in the header. So the unit is
always asked for, and the frame wherever the file does not say it. Colours and textures are not kept.
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ethomorph.core.errors import FormatError, InputError
from ethomorph.core.files import atomic_path
from ethomorph.core.mesh import Mesh
from ethomorph.core.units import millimetres
from ethomorph.formats.text import check_file

Space = Literal["lps", "ras"]
SUFFIXES = (".stl", ".ply", ".obj")
MAX_BYTES = 2 * 2**30
_SPACE = re.compile(rb"SPACE=(LPS|RAS)")
_FLIP = np.array([-1.0, -1.0, 1.0])
_STL = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def is_mesh(path: str | Path) -> bool:
    """Whether the name is a surface's."""
    return Path(path).suffix.lower() in SUFFIXES


def read_mesh(path: str | Path, *, unit: str, frame: Space | None = None) -> Mesh:
    """A surface in LPS mm, with equal vertices joined.

    Parameters
    ----------
    unit : what one unit of the file is: mm, cm, m, um, inch.
    frame : "lps" or "ras", where the file does not say it; one that contradicts the file is refused.

    Raises
    ------
    FormatError : damaged, of another format, without a frame.
    """
    path = Path(path)
    check_file(path, MAX_BYTES)
    if not is_mesh(path):
        raise FormatError("is no surface format that is known", place=path, fix=f"use one of {', '.join(SUFFIXES)}")
    factor = millimetres(unit, place=path)
    data = path.read_bytes()
    space = _space(data, frame, path)
    vertices, faces = _stl(data, path) if path.suffix.lower() == ".stl" else _by_trimesh(data, path)
    vertices = np.asarray(vertices, dtype=np.float64) * factor * (_FLIP if space == "ras" else 1.0)
    vertices, faces, notes = joined(vertices, np.asarray(faces, dtype=np.int64))
    try:
        return Mesh(vertices, faces, str(path), tuple(notes))
    except InputError as error:
        raise FormatError(error.what, place=path, fix=error.fix) from None


def write_mesh(mesh: Mesh, path: str | Path) -> Path:
    """Write LPS mm, with the header remark by which 3D Slicer knows the frame."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".stl":
        data = _stl_bytes(mesh)
    elif suffix == ".ply":
        data = _ply_bytes(mesh)
    elif suffix == ".obj":
        data = _obj_bytes(mesh)
    else:
        raise FormatError(f"no surface format has the suffix {path.suffix!r}", place=path,
                          fix=f"use one of {', '.join(SUFFIXES)}")  # fmt: skip
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
    return path


def joined(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Equal vertices made one, faces without an area left out; and a sentence for what was left out."""
    unique, inverse = np.unique(vertices, axis=0, return_inverse=True)
    if len(unique) < len(vertices):
        faces = inverse.reshape(-1)[faces]
    else:
        unique = vertices
    flat = (faces[:, 0] == faces[:, 1]) | (faces[:, 1] == faces[:, 2]) | (faces[:, 2] == faces[:, 0])
    notes = [f"{int(flat.sum())} triangles with two equal corners were left out"] if flat.any() else []
    return unique, faces[~flat], notes


def _space(data: bytes, frame: Space | None, path: Path) -> Space:
    found = _SPACE.search(data[:4096])
    said: Space | None = None if found is None else ("ras" if found[1] == b"RAS" else "lps")
    if frame is not None and frame not in ("lps", "ras"):
        raise FormatError(f"frame {frame!r}", place=path, fix="use lps or ras")
    if said and frame and said != frame:
        raise FormatError(f"its header says {said.upper()}, not {frame.upper()}", place=path, fix="leave the frame out")
    space = said or frame
    if space is None:
        raise FormatError("does not say whether its points are LPS or RAS", place=path,
                          fix="name it with --frame lps or --frame ras (3D Slicer shows RAS, ITK is LPS)")  # fmt: skip
    return space


def _stl(data: bytes, path: Path) -> tuple[np.ndarray, np.ndarray]:
    if len(data) >= 84:
        count = int.from_bytes(data[80:84], "little")
        if len(data) == 84 + count * _STL.itemsize:
            corners = np.frombuffer(data, _STL, count, 84)["corners"].astype(np.float64)
            return corners.reshape(-1, 3), np.arange(3 * count).reshape(-1, 3)
        if not data.lstrip()[:5].lower() == b"solid":
            raise FormatError(f"its header promises {count} triangles, it holds {(len(data) - 84) / _STL.itemsize:g}",
                              place=path, fix="export it again")  # fmt: skip
    words = re.findall(rb"vertex\s+(\S+)\s+(\S+)\s+(\S+)", data)
    try:
        corners = np.array(words, dtype=np.float64)
    except ValueError:
        raise FormatError("a vertex that is not a number", place=path, fix="export it again") from None
    if not len(corners) or len(corners) % 3 or b"endsolid" not in data[-4096:]:
        raise FormatError("is cut off, or no STL file", place=path, fix="export it again")
    return corners, np.arange(len(corners)).reshape(-1, 3)


def _by_trimesh(data: bytes, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """PLY and OBJ, with nothing loaded from beside the file."""
    import trimesh

    kind = path.suffix.lower()[1:]
    try:
        found: Any = trimesh.load(io.BytesIO(data), file_type=kind, process=False, skip_materials=True, force="mesh")
        vertices, faces = np.asarray(found.vertices), np.asarray(found.faces)
    except Exception as error:
        raise FormatError(f"is damaged or no {kind.upper()} file ({type(error).__name__})", place=path,
                          fix="export it again") from None  # fmt: skip
    if not len(faces):
        raise FormatError("holds no triangle", place=path, fix="export the surface, not its points")
    return vertices, faces


def _stl_bytes(mesh: Mesh) -> bytes:
    records = np.zeros(len(mesh.faces), _STL)
    corners = mesh.corners
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    records["corners"], records["normal"] = corners, normals / np.where(length > 0, length, 1)
    head = b"3D surface in mm. SPACE=LPS".ljust(80)
    return head + len(records).to_bytes(4, "little") + records.tobytes()


def _ply_bytes(mesh: Mesh) -> bytes:
    head = (
        "ply\nformat binary_little_endian 1.0\ncomment surface in mm. SPACE=LPS\n"
        f"element vertex {len(mesh.vertices)}\nproperty double x\nproperty double y\nproperty double z\n"
        f"element face {len(mesh.faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    records = np.zeros(len(mesh.faces), [("count", "u1"), ("corners", "<i4", 3)])
    records["count"], records["corners"] = 3, mesh.faces
    return head.encode() + mesh.vertices.astype("<f8").tobytes() + records.tobytes()


def _obj_bytes(mesh: Mesh) -> bytes:
    lines = ["# surface in mm. SPACE=LPS"]
    lines += [f"v {x:.17g} {y:.17g} {z:.17g}" for x, y, z in mesh.vertices]
    lines += [f"f {a} {b} {c}" for a, b, c in mesh.faces + 1]
    return ("\n".join(lines) + "\n").encode()

"""Surfaces of a volume's segments for the page's 3-D view: made once from the planes on disk, coarse enough to send.

They are for looking and for finding one's way, not for measuring; `ethomorph convert` makes surfaces that keep volumes.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from ethomorph.core.files import atomic_path
from ethomorph.review.planes import TYPES, Planes

LONGEST = 144
"""Voxels along the longest side after thinning."""
FINEST_STEPS = 65535
BLUR = 0.7
"""Standard deviation in thinned voxels, so that steps do not show."""


def surfaces(planes: Planes, which: str) -> bytes:
    """Surfaces of the truth's or the prediction's segments, made now where they were not.

    The bytes are: four of the table's length, the table (JSON: ``extent`` mm along x, y, z, and for each segment
    ``id, vertices, faces``), then for each segment its vertices (x, y, z as shares of the extent, 16 bits, and a zero)
    and its faces (three vertices, 32 bits), little-endian.

    Raises
    ------
    FileNotFoundError : the volume has no such segmentation.
    """
    file = planes.folder / f"surfaces-{which}.bin"
    if not file.is_file():
        content = _made(planes, which)
        with atomic_path(file) as path:
            path.write_bytes(content)
    return file.read_bytes()


def _made(planes: Planes, which: str) -> bytes:
    shape, spacing = planes.facts["shape"], planes.facts["spacing"]
    step = max(1, -(-max(shape) // LONGEST))
    thin = _thinned(planes.folder / f"{which}-z.bin", shape, step)
    extent = [float(n * s) for n, s in zip(shape[::-1], spacing, strict=True)]
    table: list[dict[str, Any]] = []
    parts: list[bytes] = []
    for segment in planes.facts["segments"][which]:
        vertices, faces = _surface(thin == segment["id"])
        shares = np.clip((vertices[:, ::-1] + 0.5) * step / np.array(shape[::-1]), 0, 1)
        packed = np.zeros((len(vertices), 4), "<u2")
        packed[:, :3] = np.round(shares * FINEST_STEPS)
        table.append({"id": segment["id"], "vertices": len(vertices), "faces": len(faces)})
        parts += [packed.tobytes(), faces.astype("<u4").tobytes()]
    head = json.dumps({"extent": extent, "segments": table}).encode()
    head += b" " * (-len(head) % 4)
    return b"".join([struct.pack("<I", len(head)), head, *parts])


def _thinned(file: Path, shape: list[int], step: int) -> np.ndarray:
    """Every `step`-th voxel along each axis, read plane by plane."""
    depth, height, width = shape
    kind = TYPES["truth"]
    found = []
    with file.open("rb") as stream:
        for z in range(0, depth, step):
            stream.seek(z * height * width * kind.itemsize)
            plane = np.frombuffer(stream.read(height * width * kind.itemsize), kind).reshape(height, width)
            found.append(plane[::step, ::step].copy())
    return np.stack(found)


def _surface(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (n, 3) in z, y, x of the mask's voxels and faces (m, 3); none for an empty mask."""
    from scipy.ndimage import find_objects, gaussian_filter
    from skimage.measure import marching_cubes

    found = find_objects(mask.astype(np.uint8))
    if not found:
        return np.zeros((0, 3)), np.zeros((0, 3), np.int64)
    box = tuple(slice(max(0, s.start - 2), s.stop + 2) for s in found[0])
    soft = np.pad(gaussian_filter(mask[box].astype(np.float32), BLUR, mode="constant"), 1)
    level = min(0.5, 0.9 * float(soft.max()))
    vertices, faces, _, _ = marching_cubes(soft, level)
    return vertices - 1 + [s.start for s in box], faces

"""The jaw as one interactive page: teeth coloured by stress, to turn, zoom and mark; nothing comes from elsewhere."""

from __future__ import annotations

import base64
import html
import json
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from ethomorph.biomechanics.draw import JAW_COLOR, stress_colors, views
from ethomorph.biomechanics.teeth import STRESS, ToothRow, ToothTable
from ethomorph.core.files import write_text
from ethomorph.core.mesh import Mesh
from ethomorph.core.volume import LabelVolume
from ethomorph.spatial.cloud import coarse
from ethomorph.spatial.surface import surface_of


def write_jaw_page(
    path: str | Path, labels: LabelVolume, rows: list[ToothRow], measured: ToothTable, *, title: str = "Tooth stress",
    shown: list[str] | None = None,
) -> Path:  # fmt: skip
    """Write the page; returns its path.

    Parameters
    ----------
    shown : further segments to draw; every segment with "jaw" in its name where left out.
    """
    stress = measured.table[STRESS].to_numpy(dtype=float) / 1e3
    colors = stress_colors(stress)[0]
    names = shown if shown is not None else [n for n in labels.names if "jaw" in n.lower() or "mandible" in n.lower()]
    parts = [_part(name, _bone_surface(labels, name), JAW_COLOR, None) for name in names if labels.mask(name).any()]
    for tooth, color, value in zip(measured.table["Tooth ID"], colors, stress, strict=True):
        parts.append(_part(str(tooth), surface_of(labels.mask(str(tooth)), labels.grid, smoothing=0.6), color, value))
    side, _ = views(rows, measured)
    axes = side.axes
    # columns of a matrix whose rows are right, up and towards the viewer
    turn = np.stack([axes[0], axes[1], -axes[2]]).T.ravel().round(6).tolist()
    page = resources.files("ethomorph.biomechanics").joinpath("viewer.html").read_text(encoding="utf-8")
    lead = (
        f"{len(measured.table)} teeth; colours run from {stress.min():.3g} (dark) to {stress.max():.3g} kN/m² (bright)."
    )
    # "<" is written as an escape, so that no segment's name can close the script
    data = json.dumps(parts, allow_nan=False).replace("<", "\\u003c")
    for key, value in (("@TITLE@", html.escape(title)), ("@LEAD@", lead), ("@TURN@", str(turn)), ("@PARTS@", data)):
        page = page.replace(key, value)
    return write_text(path, page)


def _bone_surface(labels: LabelVolume, name: str) -> Mesh:
    from ethomorph.core.volume import ScalarVolume

    small = coarse(ScalarVolume(labels.mask(name).astype(np.float32), labels.grid))
    return surface_of(np.asarray(small.array) > 0.5, small.grid, smoothing=0.8)


def _part(name: str, mesh: Mesh, color: Any, stress: float | None) -> dict[str, Any]:
    corners = mesh.corners
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals: np.ndarray = np.stack(
        [
            np.bincount(mesh.faces.ravel(), np.repeat(facing[:, a], 3), minlength=len(mesh.vertices))
            for a in range(3)
        ],
        axis=1,
    )  # fmt: skip
    normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return {
        "name": name, "color": [round(float(c), 4) for c in color],
        "stress": None if stress is None else float(stress),
        "points": _packed(mesh.vertices.astype("<f4")), "normals": _packed(normals.astype("<f4")),
        "faces": _packed(mesh.faces.astype("<u4")),
    }  # fmt: skip


def _packed(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()

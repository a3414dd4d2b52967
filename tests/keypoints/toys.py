"""Toy pictures for tests: specimens of four unlike blobs in random places and sizes, with exact landmarks."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ethomorph.core.landmarks import LandmarkSet, Specimen

SHAPE = np.array([[-14.0, -8.0], [14.0, -6.0], [10.0, 9.0], [-11.0, 8.0]])
SETTINGS = {
    "steps": 110,
    "pictures": 6,
    "patches": 6,
    "rotation_deg": 20,
    "learning_rate": 4e-3,
    "averaging": 0.95,
    "coarse": {"long_side_px": 64, "filters": 8, "max_stride": 16, "stem_stride": 2},
    "refine": {"patch_px": 32, "filters": 8, "max_stride": 8, "jitter_px": 3.0, "trust_px": 6.0, "views": 3},
}


def draw(rng: np.random.Generator, *, specimens: int = 1, size: int = 96) -> tuple[np.ndarray, list[np.ndarray]]:
    """Pixels uint8 (size, size) and each specimen's landmarks (4, 2): disc, ring, bar and square at their corners."""
    scale = 8
    canvas = np.full((size * scale, size * scale), 60, np.uint8)
    centres = (
        [np.array([size / 2, size / 2])]
        if specimens == 1
        else [np.array([size / 4, size / 2]), np.array([3 * size / 4, size / 2])]
    )
    marks = []
    for centre in centres[:specimens]:
        angle, grow = np.deg2rad(rng.uniform(-15, 15)), rng.uniform(0.85, 1.15) * (1.4 if specimens == 1 else 0.9)
        turn = grow * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points = (SHAPE + rng.normal(0, 0.7, SHAPE.shape)) @ turn.T + centre + rng.uniform(-4, 4, 2)
        marks.append(points)
        at = [tuple(int(v) for v in np.round((p + 0.5) * scale - 0.5)) for p in points]
        radius = int(4 * grow * scale)
        for a, b in zip(at, at[1:] + at[:1], strict=True):
            cv2.line(canvas, a, b, 110, scale)
        cv2.circle(canvas, at[0], radius, 220, -1)
        cv2.circle(canvas, at[1], radius, 220, scale)
        cv2.circle(canvas, at[2], radius // 2, 250, -1)
        cv2.circle(canvas, at[3], radius, 10, -1)
    pixels = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA).astype(float)
    pixels += rng.normal(0, 4, pixels.shape)
    return np.clip(pixels, 0, 255).astype(np.uint8), marks


def make(folder: Path, count: int, *, seed: int = 0, specimens: int = 1, size: int = 96) -> LandmarkSet:
    """A landmark set of `count` toy pictures, written as PNG into `folder`."""
    rng = np.random.default_rng(seed)
    found = []
    for index in range(count):
        pixels, marks = draw(rng, specimens=specimens, size=size)
        path = folder / f"toy{index:02d}.png"
        cv2.imwrite(str(path), pixels)
        found += [Specimen(p, id=path.stem, image=path.name, image_path=path, image_size=pixels.shape) for p in marks]
    return LandmarkSet(found, ["disc", "ring", "dot", "hole"])

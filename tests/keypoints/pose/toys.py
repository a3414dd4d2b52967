"""Toy animals for tests: bright arrows of three nodes that glide over a textured ground, with exact points."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import sleap_io

NODES = ["head", "middle", "tail"]
EDGES = [("head", "middle"), ("middle", "tail")]
SIZE = 96


def paths(animals: int, frames: int, *, seed: int = 0, size: int = SIZE) -> np.ndarray:
    """(frames, animals, 3, 2) px: each animal on a lap of its own, so that they never touch."""
    rng = np.random.default_rng(seed)
    found = np.empty((frames, animals, 3, 2))
    for i in range(animals):
        middle = np.array([(i + 0.5) * size / animals, size / 2])
        reach = np.array([size / animals / 2 - 18, size / 2 - 20]).clip(3)
        phase, speed = rng.uniform(0, 2 * np.pi), rng.uniform(0.05, 0.09)
        t = phase + speed * np.arange(frames)
        place = middle + reach * np.stack([np.cos(t), np.sin(t)], 1)
        turn = t + np.pi / 2
        along = 9 * np.stack([np.cos(turn), np.sin(turn)], 1)
        found[:, i] = np.stack([place + along, place, place - along], 1)
    return found


def draw(points: np.ndarray, rng: np.random.Generator, size: int = SIZE) -> np.ndarray:
    """One frame, uint8 (size, size, 3): head a disc, middle a bar, tail a thin end."""
    scale = 4
    canvas = np.full((size * scale, size * scale), 70, np.uint8)
    for head, middle, tail in points:
        at = [tuple(int(v) for v in np.round((p + 0.5) * scale - 0.5)) for p in (head, middle, tail)]
        cv2.line(canvas, at[1], at[2], 140, 2 * scale)
        cv2.line(canvas, at[0], at[1], 180, 4 * scale)
        cv2.circle(canvas, at[0], 4 * scale, 250, -1)
    small = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA).astype(float)
    grey = np.clip(small + rng.normal(0, 3, small.shape), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def film(folder: Path, *, animals: int = 1, frames: int = 40, seed: int = 0, size: int = SIZE) -> Path:
    """Write ``toy.mp4`` and ``toy.slp`` with every frame labelled; returns the label file."""
    from ethomorph.formats.video import write_video

    rng = np.random.default_rng(seed)
    points = paths(animals, frames, seed=seed, size=size)
    write_video(folder / "toy.mp4", (draw(p, rng, size) for p in points), 25.0, crf=10)
    return labels_file(folder / "toy.slp", points, folder / "toy.mp4")


def labels_file(path: Path, points: np.ndarray, video: Path | str) -> Path:
    """Labels of points (frames, animals, 3, 2) with a track for each animal."""
    labels_of(points, video).save(str(path), embed=False, verbose=False)
    return path


def labels_of(points: np.ndarray, video: Path | str = "toy.mp4") -> sleap_io.Labels:
    skeleton = sleap_io.Skeleton(nodes=NODES, edges=EDGES)
    tracks = [sleap_io.Track(f"animal {i + 1}") for i in range(points.shape[1])]
    named = sleap_io.Video(filename=str(video), open_backend=False)
    frames = [
        sleap_io.LabeledFrame(
            named,
            i,
            [sleap_io.Instance.from_numpy(p, skeleton=skeleton, track=t) for p, t in zip(one, tracks, strict=True)],
        )
        for i, one in enumerate(points)
    ]
    return sleap_io.Labels(frames, [named], [skeleton], tracks)

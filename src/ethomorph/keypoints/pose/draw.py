"""Poses drawn on frames: skeletons, tracks, trails and confidence; single frames, sheets and, in `render`, videos."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ethomorph.core.files import atomic_path
from ethomorph.formats.video import Film
from ethomorph.keypoints.pose.data import Scheme
from ethomorph.keypoints.pose.oks import lengths

PALETTE = ((11, 170, 220), (240, 90, 100), (250, 185, 60), (80, 190, 120), (165, 115, 220), (160, 175, 190))
"""R, G, B of animals, apart for colour-blind eyes and bright enough for dark videos."""
FINE = 4
"""Fractional bits of coordinates that OpenCV draws with."""
RING = 0.06
"""Radius of a node's mark in a comparison, in animal lengths."""


def colour_of(number: int) -> tuple[int, int, int]:
    """The colour of an animal or track; beyond the palette, hues by the golden ratio."""
    if 0 <= number < len(PALETTE):
        return PALETTE[number]
    r, g, b = colorsys.hsv_to_rgb((number * 0.618034) % 1.0, 0.6, 0.95)
    return round(255 * r), round(255 * g), round(255 * b)


def draw_animal(
    picture: np.ndarray, points: np.ndarray, scheme: Scheme, colour: tuple[int, int, int], *, size: float = 1.0,
    scores: np.ndarray | None = None,
) -> None:  # fmt: skip
    """Draw one animal into an RGB picture in place: edges, then nodes with a dark rim; unsure nodes are hollow.

    Where the skeleton has no edges, each node has a colour of its own instead: lines would be invented.
    """
    seen = np.isfinite(points).all(1)
    line = max(1, round(1.6 * size))
    for a, b in scheme.edges:
        if seen[a] and seen[b]:
            cv2.line(picture, _at(points[a]), _at(points[b]), (20, 20, 20), line + 2, cv2.LINE_AA, FINE)
            cv2.line(picture, _at(points[a]), _at(points[b]), colour, line, cv2.LINE_AA, FINE)
    radius = round(2.6 * size * 2**FINE)
    for i in np.flatnonzero(seen):
        sure = scores is None or scores[i] >= 0.5
        cv2.circle(picture, _at(points[i]), radius + 2**FINE, (20, 20, 20), -1, cv2.LINE_AA, FINE)
        own = colour if scheme.edges else colour_of(int(i))
        cv2.circle(picture, _at(points[i]), radius, own if sure else (250, 250, 250), -1, cv2.LINE_AA, FINE)


def draw_trail(
    picture: np.ndarray, path: Sequence[np.ndarray], colour: tuple[int, int, int], *, size: float = 1.0
) -> None:
    """Draw where an animal's middle was, fading into the past."""
    for i in range(1, len(path)):
        a, b = path[i - 1], path[i]
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            continue
        fade = i / len(path)
        shade = tuple(int(c * fade + 60 * (1 - fade)) for c in colour)
        cv2.line(picture, _at(a), _at(b), shade, max(1, round(1.2 * size)), cv2.LINE_AA, FINE)


def tile(pictures: Sequence[np.ndarray], titles: Sequence[str], columns: int, *, width: int = 360) -> np.ndarray:
    """Pictures of any sizes in a grid with a title above each, RGB uint8."""
    cells = []
    for picture, title in zip(pictures, titles, strict=True):
        factor = width / picture.shape[1]
        how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        shown = cv2.resize(picture, (width, max(1, round(picture.shape[0] * factor))), interpolation=how)
        head = np.full((24, width, 3), 255, np.uint8)
        cv2.putText(head, title, (2, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (50, 58, 70), 1, cv2.LINE_AA)
        cells.append(np.vstack([head, shown]))
    tall = max(cell.shape[0] for cell in cells)
    cells = [np.vstack([c, np.full((tall - c.shape[0], width, 3), 255, np.uint8)]) for c in cells]
    while len(cells) % columns:
        cells.append(np.full_like(cells[0], 255))
    gap = np.full((tall, 8, 3), 255, np.uint8)
    rows = []
    for start in range(0, len(cells), columns):
        row = [part for cell in cells[start : start + columns] for part in (cell, gap)][:-1]
        rows.append(np.hstack(row))
    return np.vstack(rows)


def close_up(
    picture: np.ndarray, points: np.ndarray, *, margin: float = 0.35, least: int = 120
) -> tuple[np.ndarray, np.ndarray]:
    """The part of a picture around all visible points, and its corner (x, y)."""
    seen = points.reshape(-1, 2)
    seen = seen[np.isfinite(seen).all(1)]
    if not len(seen):
        return picture, np.zeros(2)
    low, high = seen.min(0), seen.max(0)
    half = max(float((high - low).max()) * (0.5 + margin), least / 2)
    middle = (low + high) / 2
    height, width = picture.shape[:2]
    left, top = (int(max(0, v)) for v in middle - half)
    right, bottom = int(min(width, middle[0] + half)), int(min(height, middle[1] + half))
    return picture[top:bottom, left:right], np.array([left, top], dtype=float)


def draw_comparison(
    picture: np.ndarray, truth: np.ndarray, predicted: np.ndarray, scheme: Scheme, *, zoom: int = 480
) -> np.ndarray:
    """Truth as rings and predictions as crosses, around the animals, enlarged to `zoom` px; both are small enough for
    the animals to be seen."""
    shown, corner = close_up(picture, np.concatenate([truth, predicted]))
    factor = zoom / max(1, max(shown.shape[:2]))
    canvas = cv2.resize(shown, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    canvas = np.ascontiguousarray(canvas)
    long = lengths(truth if len(truth) else predicted)
    ring = float(np.clip(RING * factor * np.median(long), 2.5, 7)) if len(long) else 7.0
    bold = 1 if ring < 4 else 2

    def move(points: np.ndarray) -> np.ndarray:
        return (points - corner + 0.5) * factor - 0.5

    for number, animal in enumerate(predicted):
        at, colour = move(animal), colour_of(number)
        for a, b in scheme.edges:
            if np.isfinite(at[[a, b]]).all():
                cv2.line(canvas, _at(at[a]), _at(at[b]), colour, 1, cv2.LINE_AA, FINE)
        for point in at[np.isfinite(at).all(1)]:
            for arm in (np.array([0.7, 0.7]) * ring, np.array([0.7, -0.7]) * ring):
                ends = _at(point - arm), _at(point + arm)
                cv2.line(canvas, *ends, (20, 20, 20), 2 * bold, cv2.LINE_AA, FINE)
                cv2.line(canvas, *ends, colour, bold, cv2.LINE_AA, FINE)
    for animal in truth:
        for point in move(animal)[np.isfinite(animal).all(1)]:
            if bold > 1:
                cv2.circle(canvas, _at(point), round(ring * 2**FINE), (20, 20, 20), 3, cv2.LINE_AA, FINE)
            cv2.circle(canvas, _at(point), round(ring * 2**FINE), (255, 255, 255), 1, cv2.LINE_AA, FINE)
    return canvas


def draw_video_sheet(film: Film, labels: str | Path, target: Path, *, count: int = 12) -> Path:
    """A sheet of `count` frames spread over a video with the poses of a label file."""
    from ethomorph.formats.poses import read_poses
    from ethomorph.keypoints.pose.data import scheme_of
    from ethomorph.keypoints.pose.table import tables_of

    read, _ = read_poses(labels)
    scheme = scheme_of(read)
    table = tables_of(read)[0][0]
    chosen = np.unique(np.linspace(0, len(film) - 1, count).astype(int))
    pictures, titles = [], []
    for frame in chosen:
        pixels = film.frame(int(frame))
        if pixels is None:
            continue
        picture = pixels.copy()
        size = max(picture.shape[:2]) / 500
        for row in np.flatnonzero(table.frames == frame):
            number = int(table.tracks[row])
            draw_animal(
                picture, table.points[row], scheme, colour_of(max(number, 0)), size=size, scores=table.scores[row]
            )
        pictures.append(picture)
        titles.append(f"frame {frame}")
    return write_picture(target, tile(pictures, titles, columns=4))


def write_picture(path: Path, picture: np.ndarray) -> Path:
    """Write an RGB picture as PNG, atomically."""
    with atomic_path(path) as temporary:
        cv2.imwrite(str(temporary), picture[..., ::-1])
    return path


def _at(point: np.ndarray) -> tuple[int, int]:
    x, y = (round(float(v) * 2**FINE) for v in point)
    return x, y

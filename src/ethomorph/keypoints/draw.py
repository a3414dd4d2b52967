"""Landmarks drawn on their pictures: sheets for review, and the best and worst of a test.

Rings are truth, crosses predictions, in colours that colour-blind eyes keep apart, each with a dark rim so that it
shows on bright and dark pictures alike. Nothing needs a screen. Plots without a picture stand in `shape.draw`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ethomorph.core.errors import ImageError
from ethomorph.core.files import atomic_path
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.keypoints.marks import (
    ALARM,
    FAINT,
    FINE,
    INK,
    PAPER,
    PREDICTION,
    RIM,
    TRUTH,
    draw_circle,
    draw_cross,
    draw_line,
    draw_ring,
    font,
    legend_mark,
    shortened,
)
from ethomorph.keypoints.pairing import pair_specimens

MARGIN = 0.14
"""Picture shown around the landmarks, as a share of their extent."""
GAP, CAPTION = 14, 40
MOST_TILES = 120
"""Pictures on one sheet; more go to further files."""


@dataclass
class Tile:
    """One picture to draw: where it is, whose landmarks, and what stands beneath.

    Attributes
    ----------
    path : the picture; None leaves an empty tile.
    truth, predicted : each (landmarks, 2) px, several where the picture holds several specimens.
    spread : one (landmarks,) px for each of `predicted`, or None.
    title, detail : beneath the picture, left and right.
    note : second line beneath, in the colour of alarm.
    edges : pairs of landmarks to join by lines.
    """

    path: Path | None
    truth: list[np.ndarray] = field(default_factory=list)
    predicted: list[np.ndarray] = field(default_factory=list)
    spread: list[np.ndarray | None] = field(default_factory=list)
    title: str = ""
    detail: str = ""
    note: str = ""
    edges: Sequence[tuple[int, int]] = ()


def draw_sheet(
    predicted: LandmarkSet, path: str | Path, *, truth: LandmarkSet | None = None, columns: int = 4, width: int = 380
) -> list[Path]:
    """Every predicted picture with its landmarks, and its truth where given; returns the files.

    Parameters
    ----------
    path : .png or .jpg; beyond `MOST_TILES` pictures further files are numbered.
    columns : pictures side by side.
    width : of one picture on the sheet, px.
    """
    path = Path(path)
    tiles = sheet_tiles(predicted, truth)
    parts = [tiles[i : i + MOST_TILES] for i in range(0, len(tiles), MOST_TILES)] or [[]]
    written = []
    for number, part in enumerate(parts):
        target = path if number == 0 else path.with_name(f"{path.stem}-{number + 1}{path.suffix}")
        shown = f" ({number * MOST_TILES + 1} to {number * MOST_TILES + len(part)})" if len(parts) > 1 else ""
        sheet = montage(part, columns=columns, width=width, heading=f"{len(tiles)} pictures{shown}")
        written.append(write_picture(sheet, target))
    return written


def draw_extremes(
    truth: LandmarkSet, found: np.ndarray, folder: str | Path, *, count: int = 6, columns: int = 3, width: int = 460
) -> tuple[Path, Path]:
    """The specimens with the largest and the smallest mean error; missed ones are the worst of all.

    Parameters
    ----------
    found : (n, p, 2) predictions in the order of `truth`, NaN where there is none.

    Returns
    -------
    ``worst.png`` and ``best.png`` in the folder.
    """
    error = np.array([mean_error(s.points, f) for s, f in zip(truth, found, strict=True)])
    order = np.argsort(-error, kind="stable")
    chosen = {"worst": order[:count], "best": order[np.isfinite(error[order])][::-1][:count]}
    paths = []
    for name, rows in chosen.items():
        tiles = [_specimen_tile(truth, truth[int(i)], found[i], float(error[i])) for i in rows]
        sheet = montage(tiles, columns=columns, width=width, heading=f"{len(tiles)} {name}")
        paths.append(write_picture(sheet, Path(folder) / f"{name}.png"))
    return paths[0], paths[1]


def draw_overlay(
    pixels: np.ndarray, tile: Tile, *, width: int = 900, crop: bool = False, names: Sequence[str] | None = None
) -> np.ndarray:
    """One picture, float (y, x) in 0..1, with a tile's landmarks on it: uint8 (y, x, 3), `width` px wide.

    Parameters
    ----------
    crop : show the landmarks' surroundings only.
    names : written beside the landmarks.
    """
    import cv2

    height = pixels.shape[0] * width / pixels.shape[1]
    left, top, right, bottom = _view(tile, pixels.shape) if crop else (0, 0, pixels.shape[1], pixels.shape[0])
    part = pixels[top:bottom, left:right]
    scale = min(width / part.shape[1], height / part.shape[0])
    shown = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    size = (shown[0] * FINE, shown[1] * FINE)
    how = cv2.INTER_AREA if scale * FINE < 1 else cv2.INTER_LINEAR
    grey = cv2.resize(np.ascontiguousarray(part, dtype=np.float32), size, interpolation=how)
    canvas = cv2.cvtColor((np.clip(grey, 0, 1) * 255).astype(np.uint8), cv2.COLOR_GRAY2RGB)

    def place(points: np.ndarray) -> np.ndarray:
        return (points - [left, top] + 0.5) * (np.array(size) / part.shape[::-1]) - 0.5

    _draw_marks(canvas, tile, place, scale * FINE)
    canvas = cv2.resize(canvas, shown, interpolation=cv2.INTER_AREA)
    if names is not None:
        for points in (tile.truth or tile.predicted)[:1]:
            _write_names(canvas, place(points) / FINE, names)
    return canvas


def montage(tiles: Sequence[Tile], *, columns: int, width: int, heading: str = "") -> np.ndarray:
    """Tiles in a grid on white with a legend on top: uint8 (y, x, 3)."""
    drawn = [_drawn(tile, width) for tile in tiles]
    columns = max(1, min(columns, len(drawn) or 1))
    rows = [drawn[i : i + columns] for i in range(0, len(drawn), columns)]
    heights = [max(picture.shape[0] for picture in row) for row in rows]
    top = 52
    size = (top + sum(heights) + GAP * (len(rows) + 1), columns * (width + GAP) + GAP, 3)
    canvas = np.full(size, 255, dtype=np.uint8)
    y = top
    for row, height in zip(rows, heights, strict=True):
        for column, picture in enumerate(row):
            x = GAP + column * (width + GAP)
            canvas[y : y + picture.shape[0], x : x + width] = picture
        y += height + GAP
    return _with_legend(canvas, heading, truth=any(tile.truth for tile in tiles))


def sheet_tiles(predicted: LandmarkSet, truth: LandmarkSet | None = None) -> list[Tile]:
    """A tile a picture, with the mean error beneath where the truth is known."""
    by_picture: dict[str, list[int]] = {}
    for index, specimen in enumerate(predicted):
        by_picture.setdefault(str(specimen.image_path or specimen.image or index), []).append(index)
    marked: dict[str, list[Specimen]] = {}
    error = dict.fromkeys(range(len(predicted)), np.nan)
    if truth is not None:
        pairing = pair_specimens(truth, predicted)
        for specimen, match, points in zip(truth, pairing.match, pairing.predicted, strict=True):
            marked.setdefault(str(specimen.image_path or specimen.image), []).append(specimen)
            if match >= 0:
                error[int(match)] = mean_error(specimen.points, points)
    tiles = []
    for key, indices in by_picture.items():
        some = [predicted[i] for i in indices]
        seen = [s for s in some if s.visible.any()]
        errors = [error[i] for i in indices if np.isfinite(error[i])]
        detail = f"{np.mean(errors):.1f} px" if errors else f"{len(seen)} specimens" if len(seen) > 1 else ""
        flags = "; ".join(s.attributes["flags"] for s in some if s.attributes.get("flags"))
        tiles.append(
            Tile(
                some[0].image_path, [s.points for s in marked.get(key, [])], [s.points for s in seen],
                [s.spread for s in seen], title=_short(some[0]), detail=detail,
                note=flags if seen else "not found", edges=predicted.edges,
            )
        )
    return tiles


def mean_error(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean distance in px over landmarks that both show; infinite where there is none."""
    distance = np.linalg.norm(truth - predicted, axis=1)
    distance = distance[np.isfinite(distance)]
    return float(distance.mean()) if len(distance) else np.inf


def write_picture(picture: np.ndarray, path: str | Path) -> Path:
    """Write uint8 (y, x, 3) as the suffix says, atomically; raises ImageError for a suffix that cannot be written."""
    from PIL import Image

    path = Path(path)
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise ImageError(f"{path.suffix or 'no suffix'} is no kind of picture written here", place=path, fix="use .png")
    with atomic_path(path) as temporary:
        Image.fromarray(picture).save(temporary, compress_level=3, quality=92)
    return path


def _specimen_tile(landmarks: LandmarkSet, specimen: Specimen, found: np.ndarray, error: float) -> Tile:
    missed = not np.isfinite(error)
    return Tile(
        specimen.image_path, [specimen.points], [] if missed else [found], [None], title=_short(specimen),
        detail="" if missed else f"{error:.1f} px", note="missed" if missed else "", edges=landmarks.edges,
    )


def _short(specimen: Specimen) -> str:
    return Path(specimen.image.replace("\\", "/")).name if specimen.image else specimen.label


def _drawn(tile: Tile, width: int) -> np.ndarray:
    """The tile's picture with landmarks and caption, `width` px wide."""
    pixels = _pixels(tile.path)
    if pixels is None:
        picture = np.full((round(width * 0.62), width, 3), 238, dtype=np.uint8)
        return _with_caption(picture, tile, "no picture")
    left, top, right, bottom = _view(tile, pixels.shape)
    # Tall pictures would break the grid: they are shown as high as wide at most, centred on grey.
    shown = _fitting(right - left, bottom - top, width)
    view = draw_overlay(pixels[top:bottom, left:right], _shifted(tile, left, top), width=shown)
    picture = np.full((view.shape[0], width, 3), 238, dtype=np.uint8)
    x = (width - view.shape[1]) // 2
    picture[:, x : x + view.shape[1]] = view
    return _with_caption(picture, tile, tile.note)


def _fitting(width: int, height: int, limit: int) -> int:
    """Width in px at which a picture is at most `limit` wide and as high."""
    return max(1, round(limit * min(1.0, width / height)))


def _shifted(tile: Tile, left: int, top: int) -> Tile:
    move = np.array([left, top])
    return Tile(None, [p - move for p in tile.truth], [p - move for p in tile.predicted], tile.spread, edges=tile.edges)


def _pixels(path: Path | None) -> np.ndarray | None:
    """The picture as float (y, x), stretched to its own range; None where it cannot be read."""
    from ethomorph.formats.images import read_image

    if path is None:
        return None
    try:
        grey = read_image(path).grey()
    except ImageError:
        return None
    low, high = np.percentile(grey[::4, ::4], [0.5, 99.5])
    return (grey - low) / max(high - low, 1e-6)


def _view(tile: Tile, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom (exclusive) of what is shown: the landmarks and some of what is around them."""
    points = np.concatenate([*tile.truth, *tile.predicted, np.empty((0, 2))])
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) < 2:
        return 0, 0, shape[1], shape[0]
    low, high = points.min(axis=0), points.max(axis=0)
    border = np.maximum(MARGIN * (high - low).max(), 24)
    left, top = np.clip(np.floor(low - border), 0, np.array(shape[::-1]) - 1).astype(int)
    right, bottom = np.clip(np.ceil(high + border), 1, shape[::-1]).astype(int)
    if right - left < 16 or bottom - top < 16:  # landmarks outside the picture
        return 0, 0, shape[1], shape[0]
    return int(left), int(top), int(right), int(bottom)


def _draw_marks(canvas: np.ndarray, tile: Tile, place: Any, scale: float) -> None:
    """Lines under rings under crosses."""
    size = max(5.5 * FINE, min(canvas.shape[:2]) / 45)
    for points in tile.predicted or tile.truth:
        for a, b in tile.edges:
            draw_line(canvas, place(points[[a, b]]), (235, 235, 235), FINE, alpha=0.45)
    for truth in tile.truth:
        for x, y in place(truth):
            draw_ring(canvas, x, y, size, fine=FINE)
    for number, guess in enumerate(tile.predicted):
        spread = tile.spread[number] if number < len(tile.spread) else None
        for i, (x, y) in enumerate(place(guess)):
            if spread is not None and np.isfinite(spread[i]) and spread[i] * scale > size:
                draw_circle(canvas, x, y, spread[i] * scale, PREDICTION, FINE)
            draw_cross(canvas, x, y, 0.62 * size, fine=FINE)
    for truth, guess in zip(tile.truth, tile.predicted, strict=False):
        for a, b in zip(place(truth), place(guess), strict=True):
            draw_line(canvas, np.stack([a, b]), PREDICTION, FINE)


def _with_caption(picture: np.ndarray, tile: Tile, note: str) -> np.ndarray:
    """The picture with two lines beneath: title and detail, then the note."""
    from PIL import Image, ImageDraw

    out = Image.fromarray(np.concatenate([picture, np.full((CAPTION, picture.shape[1], 3), 255, np.uint8)]))
    pen = ImageDraw.Draw(out)
    plain, strong = font(12), font(12, bold=True)
    y, width = picture.shape[0] + 4, picture.shape[1]
    room = width - (pen.textlength(tile.detail, font=strong) + 12 if tile.detail else 0)
    pen.text((0, y), shortened(pen, tile.title, plain, room), font=plain, fill=INK)
    if tile.detail:
        pen.text((width, y), tile.detail, font=strong, fill=INK, anchor="ra")
    if note:
        pen.text((0, y + 17), shortened(pen, note, plain, width), font=plain, fill=ALARM)
    return np.asarray(out)


def _with_legend(canvas: np.ndarray, heading: str, *, truth: bool) -> np.ndarray:
    """The sheet with its heading at the left and what the marks mean at the right."""
    from PIL import Image, ImageDraw

    x, y = canvas.shape[1] - GAP, 26
    entries = [("prediction", PREDICTION), *([("truth", TRUTH)] if truth else [])]
    out = Image.fromarray(canvas)
    pen, plain = ImageDraw.Draw(out), font(13)
    marks = []
    for text, colour in entries:
        pen.text((x, y), text, font=plain, fill=FAINT, anchor="rm")
        x -= round(pen.textlength(text, font=plain)) + 16
        marks.append((x, y, colour))
        x -= 24
    strong = font(16, bold=True)
    pen.text((GAP, y), shortened(pen, heading, strong, max(0, x - GAP)), font=strong, fill=INK, anchor="lm")
    canvas = np.array(out)
    for x, y, colour in marks:
        canvas[y - 10 : y + 10, x - 10 : x + 10] = legend_mark(colour)
    return canvas


def _write_names(canvas: np.ndarray, points: np.ndarray, names: Sequence[str]) -> None:
    from PIL import Image, ImageDraw

    out = Image.fromarray(canvas)
    pen, face = ImageDraw.Draw(out), font(max(11, canvas.shape[1] // 70))
    for (x, y), name in zip(points, names, strict=True):
        if np.isfinite(x + y):
            pen.text((x + 9, y - 9), str(name), font=face, fill=PAPER, stroke_width=2, stroke_fill=RIM, anchor="lm")
    canvas[:] = np.asarray(out)



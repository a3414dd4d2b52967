"""Rings, crosses, lines and words on pictures: the pen that `draw` uses. Positions may lie between pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

TRUTH, PREDICTION, ALARM = (86, 180, 233), (230, 159, 0), (213, 94, 0)
"""Sky blue, orange and vermilion of Okabe and Ito's palette, RGB."""
RIM, INK, FAINT, PAPER = (16, 20, 26), (28, 34, 42), (110, 120, 132), (255, 255, 255)

Colour = tuple[int, int, int]
FINE = 2
"""Marks are drawn on a canvas so many times as large, which is then shrunk: finer lines than OpenCV draws."""
SHIFT = 4
"""Fraction bits of OpenCV's drawing coordinates, for marks between pixels."""


def draw_circle(canvas: np.ndarray, x: float, y: float, radius: float, colour: Colour, thick: int) -> None:
    import cv2

    if np.isfinite([x, y]).all() and max(abs(x), abs(y)) < 1e5:
        middle = (round(x * (1 << SHIFT)), round(y * (1 << SHIFT)))
        cv2.circle(canvas, middle, round(radius * (1 << SHIFT)), colour, thick, cv2.LINE_AA, SHIFT)


def draw_line(canvas: np.ndarray, ends: np.ndarray, colour: Colour, thick: int, alpha: float = 1.0) -> None:
    import cv2

    if not np.isfinite(ends).all() or np.abs(ends).max() > 1e5:
        return
    a, b = (tuple(round(v * (1 << SHIFT)) for v in end) for end in ends.tolist())
    if alpha == 1:
        cv2.line(canvas, a, b, colour, thick, cv2.LINE_AA, SHIFT)
        return
    over = canvas.copy()
    cv2.line(over, a, b, colour, thick, cv2.LINE_AA, SHIFT)
    cv2.addWeighted(over, alpha, canvas, 1 - alpha, 0, canvas)


def font(size: int, *, bold: bool = False) -> Any:
    """The font that matplotlib brings along, so that pictures look alike everywhere."""
    from matplotlib import get_data_path
    from PIL import ImageFont

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / name), size)


def shortened(pen: Any, text: str, face: Any, room: float) -> str:
    """The text, shortened in its middle where it is wider than there is room."""
    if pen.textlength(text, font=face) <= room:
        return text
    keep = len(text)
    while keep > 2 and pen.textlength(text[: keep // 2] + "…" + text[-(keep // 2) :], font=face) > room:
        keep -= 1
    return text[: keep // 2] + "…" + text[-(keep // 2) :] if keep > 2 else ""


def draw_ring(canvas: np.ndarray, x: float, y: float, radius: float, *, fine: int = 1) -> None:
    """A truth mark: an open ring with a thin dark rim; `fine` times as thick, for a canvas that will be shrunk."""
    draw_circle(canvas, x, y, radius, RIM, 2 * fine + 1)
    draw_circle(canvas, x, y, radius, TRUTH, 2 * fine - 1)


def draw_cross(canvas: np.ndarray, x: float, y: float, arm: float, *, fine: int = 1) -> None:
    """A prediction mark: a diagonal cross with a thin dark rim."""
    arms = [np.array(ends) * arm + [x, y] for ends in ([[-1, -1], [1, 1]], [[-1, 1], [1, -1]])]
    for colour, thick in ((RIM, 2 * fine + 1), (PREDICTION, 2 * fine - 1)):
        for ends in arms:
            draw_line(canvas, ends, colour, thick)


def legend_mark(kind: Colour) -> np.ndarray:
    """A ring or a cross on white, uint8 (20, 20, 3)."""
    import cv2

    patch = np.full((20 * FINE, 20 * FINE, 3), 255, dtype=np.uint8)
    if kind == TRUTH:
        draw_ring(patch, 10 * FINE, 10 * FINE, 6.5 * FINE, fine=FINE)
    else:
        draw_cross(patch, 10 * FINE, 10 * FINE, 4.5 * FINE, fine=FINE)
    return cv2.resize(patch, (20, 20), interpolation=cv2.INTER_AREA)

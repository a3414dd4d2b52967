"""A simulated fish seen from above: how it looks, how its body bends, and how it is drawn.

Geometry in px of the picture, angles in radians, heading 0 towards +x, turning right (clockwise as seen) positive. It
is a cartoon with the right kinematics (a travelling wave of growing amplitude), no model of any species.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NODES = ("snout", "eye_left", "eye_right", "pectoral_left", "pectoral_right", "dorsal", "peduncle", "tail_tip")
"""Keypoints of a fish; left and right are its own."""

EDGES = (
    ("snout", "eye_left"), ("snout", "eye_right"), ("eye_left", "dorsal"), ("eye_right", "dorsal"),
    ("dorsal", "pectoral_left"), ("dorsal", "pectoral_right"), ("dorsal", "peduncle"), ("peduncle", "tail_tip"),
)  # fmt: skip
SYMMETRY = (("eye_left", "eye_right"), ("pectoral_left", "pectoral_right"))

JOINTS = 25  # points along the midline, snout first
ANCHOR = 0.35  # where along the body its position is taken
PEDUNCLE = 0.80  # where the tail fin begins
SHIFT = 4  # binary digits of sub-pixel precision that OpenCV draws with
S = np.linspace(0, 1, JOINTS)
# half width of the trunk from snout to peduncle, as a share of the largest
_WIDTH = np.interp(
    S, [0, 0.05, 0.14, 0.30, 0.50, 0.70, 0.80, 0.81, 1], [0.15, 0.5, 0.82, 1, 0.82, 0.42, 0.22, 0.2, 0.2]
)


@dataclass(frozen=True)
class Style:
    """What makes an individual: its body, its colours and how it moves.

    Attributes
    ----------
    length_px, stoutness : body length, and largest half width over length.
    colour, bars : body colour (B, G, R) and the positions of its dark bars along the body.
    bar_contrast : how much darker the bars are, 0..1.
    speed : cruising, body lengths a second.
    beat_hz, vigour : tail beats a second while cruising, and how much it exaggerates every movement (about 1).
    male : brighter, and the one who builds.
    """

    length_px: float
    stoutness: float
    colour: tuple[float, float, float]
    bars: tuple[float, ...]
    bar_contrast: float
    speed: float
    beat_hz: float
    vigour: float
    male: bool


def draw_style(rng: np.random.Generator, length_px: float, *, male: bool = True) -> Style:
    """An individual around `length_px`."""
    blue = np.array([120, 86, 62]) if male else np.array([88, 96, 104])
    colour = blue * rng.uniform(0.75, 1.25) + rng.normal(0, 9, 3)
    bars = np.linspace(0.22, 0.72, int(rng.integers(4, 8))) + rng.normal(0, 0.012)
    return Style(
        length_px=length_px * float(rng.uniform(0.85, 1.15)),
        stoutness=float(rng.uniform(0.115, 0.15)),
        colour=tuple(float(c) for c in np.clip(colour, 25, 190)),  # type: ignore[arg-type]
        bars=tuple(bars.tolist()),
        bar_contrast=float(rng.uniform(0.25, 0.6)),
        speed=float(rng.uniform(0.8, 1.6)),
        beat_hz=float(rng.uniform(2.0, 3.5)),
        vigour=float(rng.uniform(0.8, 1.25)),
        male=male,
    )


def midline(
    x: float, y: float, heading: float, *, length: float, pitch: float, bend: float, beat: float, phase: float
) -> np.ndarray:
    """(JOINTS, 2) points from snout to tail tip.

    Parameters
    ----------
    pitch : head down, which shortens the body as seen from above.
    bend : change of direction along the whole body (turning).
    beat : amplitude of the tail beat, angle at the tail.
    phase : of the travelling wave, in cycles.
    """
    angle = heading + bend * (S - ANCHOR) + beat * S**1.6 * np.sin(2 * np.pi * (0.9 * S - phase))
    step = length * np.cos(pitch * (1 - 0.5 * S)) / (JOINTS - 1)
    steps = np.column_stack([np.cos(angle), np.sin(angle)]) * step[:, None]
    points = -np.cumsum(np.vstack([np.zeros(2), (steps[:-1] + steps[1:]) / 2]), axis=0)
    anchor = np.array([np.interp(ANCHOR, S, points[:, 0]), np.interp(ANCHOR, S, points[:, 1])])
    return points - anchor + (x, y)


def keypoints(line: np.ndarray, style: Style) -> np.ndarray:
    """(8, 2) the nodes of a midline, in the order of `NODES`."""
    normal = normals(line)
    half = style.stoutness * style.length_px
    at = {name: round(s * (JOINTS - 1)) for name, s in (("eye", 0.13), ("pec", 0.33), ("mid", 0.38), ("ped", 0.80))}
    eye, fin = normal[at["eye"]] * half * 0.62, normal[at["pec"]] * half * 1.45
    back = (line[at["pec"] + 2] - line[at["pec"]]) * 0.9
    return np.array(
        [
            line[0], line[at["eye"]] - eye, line[at["eye"]] + eye, line[at["pec"]] - fin + back,
            line[at["pec"]] + fin + back, line[at["mid"]], line[at["ped"]], line[-1],
        ]
    )  # fmt: skip


def outline(line: np.ndarray, style: Style) -> np.ndarray:
    """(n, 2) closed outline of the trunk and the tail fin."""
    half = style.stoutness * style.length_px * _WIDTH
    normal = normals(line)
    trunk = round(PEDUNCLE * (JOINTS - 1)) + 1
    fan = np.linspace(0.25, 0.75, JOINTS - trunk) * style.stoutness * style.length_px
    half = np.concatenate([half[:trunk], fan])
    return np.vstack([line - normal * half[:, None], (line + normal * half[:, None])[::-1]])


def normals(line: np.ndarray) -> np.ndarray:
    """Unit vectors across the midline, towards the fish's right."""
    along = -np.gradient(line, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    return np.column_stack([-along[:, 1], along[:, 0]])


def paint(picture: np.ndarray, line: np.ndarray, style: Style, light: float) -> None:
    """Draw the fish with its shadow onto a BGR picture (uint8), in place."""
    import cv2

    half = style.stoutness * style.length_px
    body = outline(line, style)
    _blend(picture, body + (0.10, 0.14) * np.array([style.length_px] * 2), (20.0, 24.0, 28.0), 0.30)
    base = np.array(style.colour) * light
    nodes, normal = keypoints(line, style), normals(line)
    for side in (3, 4):
        root = line[int(0.30 * JOINTS)]
        wedge = np.array([root, nodes[side], line[int(0.44 * JOINTS)]])
        _blend(picture, wedge, tuple(np.clip(base * 1.25, 0, 255)), 0.6)
    _fill(picture, body, tuple(np.clip(base, 0, 255)))
    core = line[2 : int(PEDUNCLE * JOINTS)]
    _line(picture, core, tuple(np.clip(base * 1.35 + 12, 0, 255)), max(1, round(half * 0.55)))
    dark = tuple(np.clip(base * (1 - style.bar_contrast), 0, 255))
    for bar in style.bars:
        place = bar * (JOINTS - 1)
        low = int(place)
        centre = line[low] + (place - low) * (line[min(low + 1, JOINTS - 1)] - line[low])
        reach = normal[low] * half * float(np.interp(bar, S, _WIDTH)) * 0.92
        _line(picture, np.array([centre - reach, centre + reach]), dark, max(1, round(0.035 * style.length_px)))
    for eye in (1, 2):
        cv2.circle(picture, _point(nodes[eye]), int(max(0.9, 0.026 * style.length_px) * 2**SHIFT), (14, 14, 14), -1,
                   cv2.LINE_AA, SHIFT)  # fmt: skip


def _fill(picture: np.ndarray, polygon: np.ndarray, colour: tuple) -> None:
    import cv2

    cv2.fillPoly(picture, [_fixed(polygon)], colour, cv2.LINE_AA, SHIFT)


def _line(picture: np.ndarray, points: np.ndarray, colour: tuple, thickness: int) -> None:
    import cv2

    cv2.polylines(picture, [_fixed(points)], False, colour, thickness, cv2.LINE_AA, SHIFT)


def _blend(picture: np.ndarray, polygon: np.ndarray, colour: tuple, alpha: float) -> None:
    """Fill a polygon with a share of a colour, inside its own box only."""
    height, width = picture.shape[:2]
    left, top = np.maximum(np.floor(polygon.min(0)).astype(int) - 2, 0)
    right, bottom = np.minimum(np.ceil(polygon.max(0)).astype(int) + 3, (width, height))
    if left >= right or top >= bottom:
        return
    patch = picture[top:bottom, left:right]
    over = patch.copy()
    _fill(over, polygon - (left, top), colour)
    patch[:] = (patch * (1 - alpha) + over * alpha).astype(np.uint8)


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.round(points * 2**SHIFT).astype(np.int32)


def _point(point: np.ndarray) -> tuple[int, int]:
    x, y = np.round(point * 2**SHIFT).astype(int).tolist()
    return x, y

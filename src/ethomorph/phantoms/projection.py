"""From bodies in millimetres to a radiograph: chords through round bars, Beer-Lambert, photon noise, film.

Nothing here knows what a lizard is. Coordinates are plate millimetres, x right and y down; pixel (0, 0) has its centre
at the origin. What is left out: beam divergence, energy spectrum, beam hardening.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

OVERSAMPLING = 2  # canvas pixels a pixel and axis, for the skeleton


@dataclass(frozen=True)
class Tube:
    """A bar of round cross-section along a line; with one point, a ball.

    Attributes
    ----------
    points : (n, 2) mm.
    radii : (n,) mm, interpolated linearly between points; both ends are round.
    attenuation : per mm of path; negative for gas in tissue.
    marrow : radius of the hollow as a share of the outer radius, 0 for a solid bar.
    """

    points: np.ndarray
    radii: np.ndarray
    attenuation: float
    marrow: float = 0.0


@dataclass(frozen=True)
class Bar:
    """A straight bar with square ends, of even thickness: the metal scale."""

    start: np.ndarray
    end: np.ndarray
    width_mm: float
    attenuation: float


@dataclass(frozen=True)
class Exposure:
    """How a plate was exposed.

    Attributes
    ----------
    photons : mean count a pixel in the open field at the field's centre.
    readout : electronic noise, standard deviation in counts.
    blur_px : focal-spot and detector blur, standard deviation.
    motion_px : length of a straight smear along `motion_rad`, 0 for none.
    scatter : share of the beam that comes back as a haze.
    heel : (x, y) relative change of the beam from the plate's centre to its edge.
    vignette : relative loss of the beam towards the corners.
    grain : relative standard deviation of the plate's own sensitivity from pixel to pixel.
    """

    photons: float = 12000.0
    readout: float = 12.0
    blur_px: float = 0.6
    motion_px: float = 0.0
    motion_rad: float = 0.0
    scatter: float = 0.05
    heel: tuple[float, float] = (0.0, 0.0)
    vignette: float = 0.02
    grain: float = 0.002


def attenuation_map(
    parts: Iterable[Tube | Bar], size: tuple[int, int], mm_per_px: float, *, oversampling: int = OVERSAMPLING
) -> np.ndarray:
    """Line integral of the attenuation of all `parts`, (height, width) float32, averaged over each pixel's area."""
    import cv2

    height, width = size
    canvas = np.zeros((height * oversampling, width * oversampling), np.float32)
    mm = mm_per_px / oversampling
    for part in parts:
        if isinstance(part, Bar):
            _add_bar(canvas, _to_canvas(part.start, mm, oversampling), _to_canvas(part.end, mm, oversampling),
                     part.width_mm / mm, part.attenuation)  # fmt: skip
        else:
            _add_tube(canvas, _to_canvas(part.points, mm, oversampling), np.asarray(part.radii) / mm,
                      part.attenuation * mm, part.marrow)  # fmt: skip
    return canvas if oversampling == 1 else cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)


def expose(attenuation: np.ndarray, exposure: Exposure, rng: np.random.Generator) -> np.ndarray:
    """Counts on the detector, (height, width) float32: ``Poisson(beam * exp(-attenuation) + haze) + readout``.

    Blur acts on the transmitted beam, before the photons are counted, so that noise stays white as in a detector.
    """
    mean = expected_counts(attenuation, exposure)
    if exposure.grain:
        mean *= 1 + exposure.grain * rng.standard_normal(mean.shape, dtype=np.float32)
    counts = rng.poisson(mean).astype(np.float32)
    return counts + exposure.readout * rng.standard_normal(mean.shape, dtype=np.float32)


def expected_counts(attenuation: np.ndarray, exposure: Exposure) -> np.ndarray:
    """Mean counts a pixel, without any noise."""
    import cv2

    beam = exposure.photons * open_field(attenuation.shape, exposure)
    through = beam * np.exp(-attenuation)
    if exposure.blur_px:
        through = cv2.GaussianBlur(through, (0, 0), exposure.blur_px, borderType=cv2.BORDER_REPLICATE)
    if exposure.motion_px:
        through = cv2.filter2D(through, -1, _motion_kernel(exposure.motion_px, exposure.motion_rad),
                               borderType=cv2.BORDER_REPLICATE)  # fmt: skip
    if exposure.scatter:
        small = cv2.resize(through, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), max(1.0, max(small.shape) / 14), borderType=cv2.BORDER_REPLICATE)
        through += exposure.scatter * cv2.resize(small, through.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return through


def open_field(size: tuple[int, ...], exposure: Exposure) -> np.ndarray:
    """The beam without a specimen, relative to its centre: heel effect along a slope, fall-off towards the corners."""
    y = np.linspace(-1, 1, size[0], dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, size[1], dtype=np.float32)[None, :]
    slope = 1 + exposure.heel[0] * x + exposure.heel[1] * y
    return slope * (1 - exposure.vignette * (x**2 + y**2))


def develop(counts: np.ndarray, exposure: Exposure, *, gain: float = 1.0, black: float = 0.05, white: float = 0.93
            ) -> np.ndarray:  # fmt: skip
    """Grey values in 0..1, (height, width) float32: open field near `black`, a stopped beam at `white`, linear between.

    `gain` is the share of the exposure that the reader corrected for: under 1, an underexposed plate stays pale.
    """
    open_counts = exposure.photons * (1 + exposure.scatter) / gain
    grey = white - (white - black) * counts / open_counts
    return np.clip(grey, 0, 1).astype(np.float32)


def _to_canvas(points: np.ndarray, mm: float, oversampling: int) -> np.ndarray:
    # The centre of pixel 0 is the middle of its block of canvas pixels, hence the half-block shift.
    return np.asarray(points, dtype=np.float64) / mm + (oversampling - 1) / 2


def _add_tube(canvas: np.ndarray, points: np.ndarray, radii: np.ndarray, weight: float, marrow: float) -> None:
    xy, r = points.tolist(), radii.tolist()
    window = _window(xy, max(r), canvas.shape)
    if window is None:
        return
    top, bottom, left, right = window
    if len(xy) <= 2:
        canvas[top:bottom, left:right] += np.float32(weight) * _segment_chord(xy[0], xy[-1], r[0], r[-1], marrow, window)
        return
    # Pieces of one bone overlap at their joints, so the longest chord counts there, not the sum.
    chord = np.zeros((bottom - top, right - left), np.float32)
    for a, b, ra, rb in zip(xy, xy[1:], r, r[1:], strict=False):
        piece = _window([a, b], max(ra, rb), canvas.shape)
        if piece is not None:
            view = chord[piece[0] - top : piece[1] - top, piece[2] - left : piece[3] - left]
            np.maximum(view, _segment_chord(a, b, ra, rb, marrow, piece), out=view)
    canvas[top:bottom, left:right] += np.float32(weight) * chord


def _segment_chord(
    a: Sequence[float], b: Sequence[float], ra: float, rb: float, marrow: float, window: tuple[int, int, int, int]
) -> np.ndarray:
    """Length of the path through one round bar at each canvas pixel of the window, in canvas pixels."""
    top, bottom, left, right = window
    dx = np.arange(left, right, dtype=np.float32)[None, :] - np.float32(a[0])
    dy = np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(a[1])
    ex, ey = b[0] - a[0], b[1] - a[1]
    square = ex * ex + ey * ey
    if square > 1e-12:
        along = dx * np.float32(ex / square) + dy * np.float32(ey / square)
        np.minimum(np.maximum(along, 0, out=along), 1, out=along)
        dx, dy = dx - along * np.float32(ex), dy - along * np.float32(ey)
        radius = along * np.float32(rb - ra) + np.float32(ra)
    else:
        radius = np.full((1, 1), max(ra, rb), np.float32)
    distance2 = dx * dx + dy * dy
    # The rim is softened over one canvas pixel, so that a bar moved by a tenth of a pixel looks moved by a tenth.
    cover = radius - np.sqrt(distance2) + np.float32(0.5)
    np.minimum(np.maximum(cover, 0, out=cover), 1, out=cover)
    chord = 2 * cover * np.sqrt(np.maximum(radius * radius - distance2, 0) + np.float32(0.25))
    if marrow:
        hollow = np.float32(marrow) * radius
        chord -= 2 * np.sqrt(np.maximum(hollow * hollow - distance2, 0))
    return chord


def _add_bar(canvas: np.ndarray, start: np.ndarray, end: np.ndarray, width: float, total: float) -> None:
    window = _window([start.tolist(), end.tolist()], width, canvas.shape)
    if window is None:
        return
    top, bottom, left, right = window
    length = float(np.hypot(*(end - start)))
    ux, uy = (end - start) / length
    dx = np.arange(left, right)[None, :] - start[0]
    dy = np.arange(top, bottom)[:, None] - start[1]
    along, across = dx * ux + dy * uy, dy * ux - dx * uy
    cover = np.clip(along + 0.5, 0, 1) * np.clip(length - along + 0.5, 0, 1) * np.clip(width / 2 - abs(across) + 0.5, 0, 1)
    canvas[top:bottom, left:right] += (total * cover).astype(np.float32)


def _window(points: Sequence[Sequence[float]], radius: float, shape: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """(top, bottom, left, right) of the canvas pixels that a line of this radius can touch; None where it is outside."""
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    reach = radius + 1.5
    left, right = max(0, math.floor(min(xs) - reach)), min(shape[1], math.ceil(max(xs) + reach) + 1)
    top, bottom = max(0, math.floor(min(ys) - reach)), min(shape[0], math.ceil(max(ys) + reach) + 1)
    return None if left >= right or top >= bottom else (top, bottom, left, right)


def _motion_kernel(length: float, angle: float) -> np.ndarray:
    half = int(np.ceil(length / 2)) + 1
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float64)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    kernel = np.clip(length / 2 - abs(along) + 0.5, 0, 1) * np.clip(1 - abs(across), 0, 1)
    return (kernel / kernel.sum()).astype(np.float32)

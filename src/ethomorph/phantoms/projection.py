"""From bodies in millimetres to a radiograph: chords through round bars, Beer-Lambert, photon noise, film.

Nothing here knows what a lizard is. Coordinates are plate millimetres, x right and y down; pixel (0, 0) has its centre
at the origin. What is left out: beam divergence, energy spectrum, beam hardening.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

OVERSAMPLING = 2  # canvas pixels a pixel and axis, for the skeleton
_STAMPS = (10, 16, 32, 64)  # canvas px: sizes at which pieces of tubes are computed together
_BORDER = _STAMPS[-1]
_THIN = 1.5  # canvas px: bars of a smaller radius are not sampled by their true profile


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
    """Line integral of the attenuation of all `parts`, (height, width) float32, averaged over each pixel's area.

    Where a bar's edge crosses a pixel the light is averaged, not the attenuation: metal is too dense for the difference
    not to matter.
    """
    import cv2

    height, width = size
    # A border as wide as the largest stamp: stamps at the picture's edge need no clipping.
    canvas = np.zeros((height * oversampling + 2 * _BORDER, width * oversampling + 2 * _BORDER), np.float32)
    mm = mm_per_px / oversampling
    shift = (oversampling - 1) / 2 + _BORDER  # the centre of pixel 0 is the middle of its block of canvas pixels
    parts = list(parts)
    _add_tubes(canvas, [Tube(t.points / mm + shift, t.radii / mm, t.attenuation * mm, t.marrow)
                        for t in parts if isinstance(t, Tube)])
    inner = canvas[_BORDER:-_BORDER, _BORDER:-_BORDER]
    picture = inner.copy() if oversampling == 1 else cv2.resize(inner, (width, height), interpolation=cv2.INTER_AREA)
    for bar in parts:
        if isinstance(bar, Bar):
            _add_bar(picture, bar.start / mm_per_px, bar.end / mm_per_px, bar.width_mm / mm_per_px, bar.attenuation)
    return picture


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
                               borderType=cv2.BORDER_REPLICATE)
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
            ) -> np.ndarray:
    """Grey values in 0..1, (height, width) float32: open field near `black`, a stopped beam at `white`, linear between.

    `gain` is the share of the exposure that the reader corrected for: under 1, an underexposed plate stays pale.
    """
    open_counts = exposure.photons * (1 + exposure.scatter) / gain
    grey = white - (white - black) * counts / open_counts
    return np.clip(grey, 0, 1).astype(np.float32)


def _add_tubes(canvas: np.ndarray, tubes: list[Tube]) -> None:
    """Add tubes given in canvas pixels. Pieces of like size are computed together: most bones are a few pixels."""
    if not tubes:
        return
    ends = [(t.points, t.points) if len(t.points) == 1 else (t.points[:-1], t.points[1:]) for t in tubes]
    rims = [(t.radii, t.radii) if len(t.points) == 1 else (t.radii[:-1], t.radii[1:]) for t in tubes]
    a, b = (np.concatenate([e[k] for e in ends]) for k in (0, 1))
    ra, rb = (np.concatenate([r[k] for r in rims]) for k in (0, 1))
    marrow = np.concatenate([np.full(len(e[0]), t.marrow) for e, t in zip(ends, tubes, strict=True)])
    reach = np.maximum(ra, rb)[:, None] + 1.5
    low = np.floor(np.minimum(a, b) - reach).astype(int)
    extent = (np.ceil(np.maximum(a, b) + reach).astype(int) + 1 - low).max(1)
    stamp = np.array([*_STAMPS, 0])[np.searchsorted(_STAMPS, extent)]  # 0: too large for a stamp
    limit = np.array(canvas.shape[::-1])
    outside = (low + extent[:, None] <= _BORDER).any(1) | (low >= limit - _BORDER).any(1)
    patches: dict[int, np.ndarray] = {}
    thin = ra + rb < 2 * _THIN
    for side, kind in itertools.product(_STAMPS, (True, False)):
        chosen = np.flatnonzero((stamp == side) & (thin == kind) & ~outside)
        chords = _chords(a[chosen], b[chosen], ra[chosen], rb[chosen], marrow[chosen], low[chosen], side, side, kind)
        patches.update(zip(chosen.tolist(), chords, strict=True))
    for i in np.flatnonzero((stamp == 0) & ~outside).tolist():
        corner = np.clip(low[i], 0, limit - 1)
        across, down = np.minimum(low[i] + extent[i], limit) - corner
        low[i] = corner
        one = slice(i, i + 1)
        large = (a[one], b[one], ra[one], rb[one], marrow[one], low[one])
        patches[i] = _chords(*large, int(down), int(across), bool(thin[i]))[0]
    first = 0
    for tube, (starts, _) in zip(tubes, ends, strict=True):
        pieces = [(low[i], patches[i]) for i in range(first, first + len(starts)) if i in patches]
        first += len(starts)
        _add_pieces(canvas, pieces, np.float32(tube.attenuation))


def _add_pieces(canvas: np.ndarray, pieces: list[tuple[np.ndarray, np.ndarray]], weight: np.float32) -> None:
    if len(pieces) == 1:
        (x, y), patch = pieces[0]
        canvas[y : y + patch.shape[0], x : x + patch.shape[1]] += weight * patch
    elif pieces:
        # Pieces of one bone overlap at their joints, so the longest chord counts there, not the sum.
        left, top = (min(int(corner[k]) for corner, _ in pieces) for k in (0, 1))
        right, bottom = (max(int(corner[k]) + patch.shape[1 - k] for corner, patch in pieces) for k in (0, 1))
        chord = np.zeros((bottom - top, right - left), np.float32)
        for (x, y), patch in pieces:
            view = chord[y - top : y - top + patch.shape[0], x - left : x - left + patch.shape[1]]
            np.maximum(view, patch, out=view)
        canvas[top:bottom, left:right] += weight * chord


def _chords(
    a: np.ndarray, b: np.ndarray, ra: np.ndarray, rb: np.ndarray, marrow: np.ndarray, low: np.ndarray,
    down: int, across: int, thin: bool,
) -> np.ndarray:
    """Paths through n round bars, each from `a` to `b` (n, 2) on its own window at `low`: (n, down, across) px."""

    def column(values: np.ndarray) -> np.ndarray:
        return values.astype(np.float32)[:, None, None]

    offset = a - low
    dx = np.arange(across, dtype=np.float32)[None, None, :] - column(offset[:, 0])
    dy = np.arange(down, dtype=np.float32)[None, :, None] - column(offset[:, 1])
    line = b - a
    unit = line / np.maximum((line**2).sum(1), 1e-12)[:, None]
    along = dx * column(unit[:, 0]) + dy * column(unit[:, 1])
    np.minimum(np.maximum(along, 0, out=along), 1, out=along)
    distance2 = (dx - along * column(line[:, 0])) ** 2
    distance2 += (dy - along * column(line[:, 1])) ** 2
    radius = along * column(rb - ra) + column(ra)
    chord = _profile(distance2, radius, thin)
    if marrow.any():
        chord -= _profile(distance2, column(marrow) * radius, thin)
    return chord


def _profile(distance2: np.ndarray, radius: np.ndarray, thin: bool) -> np.ndarray:
    """Chord of a round bar at a squared distance from its axis, smoothed against the canvas's pixel raster.

    Sampled as it is, a chord of the size of a canvas pixel would seem to sit on the raster instead of where it was put.
    Thin bars get a softer profile of the same area; on thick ones it is enough to soften the rim over two pixels.
    """
    if thin:
        wide2 = radius * radius + 2
        bell = np.maximum(1 - distance2 / wide2, 0)
        return (8 / 3) * radius * radius / np.sqrt(wide2) * bell * np.sqrt(bell)  # integrates to pi radius^2
    rim = np.clip((radius - np.sqrt(distance2) + 1) / 2, 0, 1)
    return 2 * rim * rim * (3 - 2 * rim) * np.sqrt(np.maximum(radius * radius - distance2, 0) + np.float32(0.25))


def _add_bar(picture: np.ndarray, start: np.ndarray, end: np.ndarray, width: float, total: float) -> None:
    reach = width + 1.5
    left, top = np.maximum(np.floor(np.minimum(start, end) - reach).astype(int), 0)
    right, bottom = np.minimum(np.ceil(np.maximum(start, end) + reach).astype(int) + 1, picture.shape[::-1])
    if left >= right or top >= bottom:
        return
    length = float(np.hypot(*(end - start)))
    ux, uy = (end - start) / length
    dx = np.arange(left, right)[None, :] - start[0]
    dy = np.arange(top, bottom)[:, None] - start[1]
    along, across = dx * ux + dy * uy, dy * ux - dx * uy
    cover = np.clip(along + 0.5, 0, 1) * np.clip(length - along + 0.5, 0, 1)
    cover *= np.clip(width / 2 - abs(across) + 0.5, 0, 1)
    # A pixel that metal covers by half lets half the light through, whatever the metal stops.
    picture[top:bottom, left:right] -= np.log1p(-cover * -np.expm1(-total)).astype(np.float32)


def _motion_kernel(length: float, angle: float) -> np.ndarray:
    half = int(np.ceil(length / 2)) + 1
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float64)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    kernel = np.clip(length / 2 - abs(along) + 0.5, 0, 1) * np.clip(1 - abs(across), 0, 1)
    return (kernel / kernel.sum()).astype(np.float32)

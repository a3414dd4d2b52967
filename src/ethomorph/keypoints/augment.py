"""Random views of a picture with its points, so that few labelled specimens teach what may vary and what may not.

Geometry is one 3x3 matrix (and a smooth displacement field) that moves pixels and points alike; intensity touches
pixels alone. Coordinates are pixel centres. It does not read files and knows no networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import cv2
import numpy as np


@dataclass(frozen=True)
class Geometry:
    """Ranges of random geometry, all symmetric about "unchanged" and uniform unless said otherwise.

    Parameters
    ----------
    rotation_deg : largest turn either way, in degrees; 180 for specimens that lie in any direction.
    scale : largest relative change of size: 0.1 draws factors between 1/1.1 and 1.1, evenly in their logarithm.
    stretch : largest relative difference between the two axes, which imitates a tilted specimen.
    shift : largest shift along each axis, in px.
    elastic : standard deviation of a smooth displacement, in px.
    elastic_reach : distance over which the displacement changes, in px.
    """

    rotation_deg: float = 30.0
    scale: float = 0.2
    stretch: float = 0.05
    shift: float = 0.0
    elastic: float = 0.0
    elastic_reach: float = 24.0


@dataclass(frozen=True)
class Intensity:
    """Ranges of random intensity, in units of the picture's own standard deviation.

    Parameters
    ----------
    contrast : largest relative change of contrast, as `Geometry.scale` reads it.
    brightness : largest shift of all pixels.
    gradient : largest rise of an illumination gradient from one side to the other.
    gamma : largest relative change of the exponent applied to intensities.
    blur : largest standard deviation of a Gaussian blur, in px.
    noise : largest standard deviation of added Gaussian noise.
    blots : expected number of dark or bright blots (dust, bubbles) in a picture, up to a tenth of its side in radius.
    """

    contrast: float = 0.3
    brightness: float = 0.3
    gradient: float = 0.4
    gamma: float = 0.25
    blur: float = 1.0
    noise: float = 0.15
    blots: float = 1.5


def translation(x: float, y: float) -> np.ndarray:
    """3x3 matrix of a shift."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def scaling(factor: float) -> np.ndarray:
    """3x3 matrix that resizes a picture by `factor` and keeps pixel centres: x' = factor (x + 0.5) - 0.5."""
    return np.array([[factor, 0.0, (factor - 1) / 2], [0.0, factor, (factor - 1) / 2], [0.0, 0.0, 1.0]])


def rotation(degrees: float, factor: float = 1.0) -> np.ndarray:
    """3x3 matrix of a turn about the origin (x towards y, so clockwise on screen) times `factor`."""
    angle = np.deg2rad(degrees)
    c, s = factor * np.cos(angle), factor * np.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def move(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Points (..., 2) through a 3x3 matrix; NaN stays NaN.

    Examples
    --------
    >>> move(np.array([[1.0, 2.0]]), translation(10, 0)).tolist()
    [[11.0, 2.0]]
    """
    return points @ matrix[:2, :2].T + matrix[:2, 2]


def random_matrix(rng: np.random.Generator, geometry: Geometry) -> np.ndarray:
    """A random 3x3 matrix about the origin within the ranges of `geometry` (elastic excepted)."""
    turn = rotation(rng.uniform(-1, 1) * geometry.rotation_deg, log_uniform(rng, geometry.scale))
    axis = rotation(rng.uniform(0, 180))
    stretch = np.diag([log_uniform(rng, geometry.stretch), 1.0, 1.0])
    stretch[1, 1] = 1.0 / stretch[0, 0]
    return translation(*rng.uniform(-1, 1, 2) * geometry.shift) @ turn @ axis.T @ stretch @ axis


def log_uniform(rng: np.random.Generator, relative: float) -> float:
    """A factor between 1 / (1 + relative) and 1 + relative, evenly in its logarithm."""
    return float(np.exp(rng.uniform(-1, 1) * np.log1p(relative)))


def warp(
    picture: np.ndarray, matrix: np.ndarray, size: tuple[int, int], *, displacement: np.ndarray | None = None
) -> np.ndarray:
    """Resample `picture` (y, x) so that a point p lands at ``move(p, matrix)``; the border repeats the edge.

    Parameters
    ----------
    size : (height, width) of the result.
    displacement : (height, width, 2) float32, px in the result: what is shown at q is what the matrix alone would show
        at q + displacement(q).

    Where the picture shrinks by more than 2 it should be shrunk by area first (`shrink`), or it aliases.
    """
    height, width = size
    flags, border = cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
    if displacement is None:
        return cv2.warpAffine(picture, matrix[:2], (width, height), flags=flags, borderMode=border)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    back = np.linalg.inv(matrix)
    grid = move(np.stack([x, y], axis=-1) + displacement, back).astype(np.float32)
    return cv2.remap(picture, grid[..., 0], grid[..., 1], flags, borderMode=border)


def smooth_displacement(rng: np.random.Generator, size: tuple[int, int], geometry: Geometry) -> np.ndarray | None:
    """A smooth random displacement field (height, width, 2) in px, or None where `geometry.elastic` is 0.

    Cubic interpolation of independent normal vectors on a grid of `elastic_reach` px.
    """
    if geometry.elastic <= 0:
        return None
    height, width = size
    knots = (ceil(height / geometry.elastic_reach) + 3, ceil(width / geometry.elastic_reach) + 3, 2)
    coarse = rng.normal(0.0, geometry.elastic, knots).astype(np.float32)
    reach = int(geometry.elastic_reach)
    fine = cv2.resize(coarse, (knots[1] * reach, knots[0] * reach), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(fine[reach : reach + height, reach : reach + width])


def displaced(points: np.ndarray, displacement: np.ndarray | None, *, rounds: int = 8) -> np.ndarray:
    """Where points (n, 2) of the undisplaced result lie in the displaced one: q with q + displacement(q) = p.

    Solved by fixed-point iteration, which converges where the field changes by less than 1 px per px.
    """
    if displacement is None:
        return points
    height, width = displacement.shape[:2]
    at = np.nan_to_num(points)
    for _ in range(rounds):
        inside = np.clip(at, 0, [width - 1, height - 1]).astype(np.float32)
        field = cv2.remap(displacement, inside[None, :, 0], inside[None, :, 1], cv2.INTER_LINEAR)[0]
        at = points - field
    return at


def shrink(picture: np.ndarray, factor: float) -> np.ndarray:
    """The picture resized by about `factor` <= 1 with area averaging; `shrink_matrix` says exactly where points go."""
    if factor >= 1:
        return picture
    height, width = (max(1, round(side * factor)) for side in picture.shape[:2])
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def shrink_matrix(before: tuple[int, ...], after: tuple[int, ...]) -> np.ndarray:
    """3x3 matrix of a resize from (height, width) `before` to `after`, pixel centres kept."""
    fy, fx = after[0] / before[0], after[1] / before[1]
    return np.array([[fx, 0.0, (fx - 1) / 2], [0.0, fy, (fy - 1) / 2], [0.0, 0.0, 1.0]])


def standardize(pictures: np.ndarray) -> np.ndarray:
    """Each (..., y, x) picture with mean 0 and standard deviation 1; nearly flat ones keep their small contrast.

    The floor of 0.01 (2.5 grey levels of 256) keeps the noise of an empty field from becoming a picture.
    """
    mean = pictures.mean(axis=(-2, -1), keepdims=True)
    deviation = pictures.std(axis=(-2, -1), keepdims=True)
    return ((pictures - mean) / np.maximum(deviation, 0.01)).astype(np.float32)


def vary_intensity(rng: np.random.Generator, pictures: np.ndarray, intensity: Intensity) -> np.ndarray:
    """Standardized pictures (n, channels, y, x) with one random intensity change each, the same for its channels."""
    count, channels, rows, columns = pictures.shape
    each = (count, 1, 1, 1)
    out = pictures
    if intensity.gamma:
        exponent = np.exp(rng.uniform(-1, 1, each) * np.log1p(intensity.gamma)).astype(np.float32)
        unit = np.clip((out + 4) / 8, 1e-3, 1)  # +-4 deviations hold practically every pixel
        out = unit**exponent * 8 - 4
    contrast = np.exp(rng.uniform(-1, 1, each) * np.log1p(intensity.contrast)).astype(np.float32)
    y, x = np.linspace(-0.5, 0.5, rows, dtype=np.float32)[:, None], np.linspace(-0.5, 0.5, columns, dtype=np.float32)
    slope = (rng.uniform(-1, 1, (2, *each)) * intensity.gradient).astype(np.float32)
    level = (rng.uniform(-1, 1, each) * intensity.brightness).astype(np.float32)
    out = out * contrast + level + slope[0] * x + slope[1] * y
    for index in range(count):
        width = rng.uniform(0, intensity.blur) if rng.random() < 0.5 else 0.0
        for channel in range(channels if width > 0.3 else 0):
            out[index, channel] = cv2.GaussianBlur(out[index, channel], (0, 0), width)
    if intensity.noise:
        grain = (rng.uniform(0, 1, each) ** 2 * intensity.noise).astype(np.float32)
        out += rng.standard_normal(out.shape, dtype=np.float32) * grain
    return out


def blots(rng: np.random.Generator, scales: list[np.ndarray], factors: list[float], intensity: Intensity) -> None:
    """Draw a few small ellipses (dust, bubbles) into grey pictures (y, x) of values 0..1, in place.

    `scales` show the same middle, shrunk by `factors`; each ellipse lies in all of them where it belongs. It comes
    before standardizing, which dust changes for the whole picture.
    """
    height, width = scales[0].shape
    half = (np.array([width, height]) - 1) / 2
    for _ in range(rng.poisson(intensity.blots)):
        centre, angle = rng.uniform(-1, 1, 2) * half / rng.choice(factors), float(rng.uniform(0, 180))
        axes = np.exp(rng.uniform(0, np.log(max(2.0, min(height, width) / 10)), 2))  # small ones are the common ones
        level = float(rng.uniform(0, 1) ** 2 if rng.random() < 0.8 else rng.uniform(0.5, 1))
        for picture, factor in zip(scales, factors, strict=True):
            place = tuple(round(float(v) * 16) for v in half + centre * factor)
            size = tuple(max(8, int(a * factor * 16)) for a in axes)
            cv2.ellipse(picture, place, size, angle, 0, 360, level, -1, cv2.LINE_AA, 4)

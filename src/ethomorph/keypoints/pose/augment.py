"""Random views of a frame with its animals: one matrix moves pixels and points, brightness touches pixels alone."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from ethomorph.keypoints.augment import move, rotation, translation, warp
from ethomorph.keypoints.pose.data import Scheme
from ethomorph.keypoints.pose.settings import Augmentation


def draw_matrix(rng: np.random.Generator, vary: Augmentation, size: tuple[int, int]) -> tuple[np.ndarray, bool]:
    """A random 3x3 matrix about the middle of a picture of `size` (height, width), and whether it mirrors."""
    return draw_about(rng, vary, ((size[1] - 1) / 2, (size[0] - 1) / 2), ((size[1] - 1) / 2, (size[0] - 1) / 2))


def draw_about(
    rng: np.random.Generator, vary: Augmentation, source: tuple[float, float], target: tuple[float, float]
) -> tuple[np.ndarray, bool]:
    """A random 3x3 matrix that moves point `source` to `target` before the random shift; and whether it mirrors."""
    turn = rng.uniform(vary.rotation_min_deg, vary.rotation_max_deg)
    factor = rng.uniform(vary.scale_min, vary.scale_max)
    shift = rng.uniform(-1, 1, 2) * vary.translate_px
    flips = vary.flip != "none" and rng.random() < 0.5
    mirror = np.diag([-1.0 if vary.flip == "horizontal" else 1.0, -1.0 if vary.flip == "vertical" else 1.0, 1.0])
    about = rotation(turn, factor) @ (mirror if flips else np.eye(3))
    return translation(target[0] + shift[0], target[1] + shift[1]) @ about @ translation(-source[0], -source[1]), flips


def view(
    picture: np.ndarray, points: np.ndarray, matrix: np.ndarray, flips: bool, size: tuple[int, int], scheme: Scheme
) -> tuple[np.ndarray, np.ndarray]:
    """Picture and points (animals, nodes, 2) through a matrix; points that leave the view are hidden."""
    if picture.shape[:2] != size or not np.allclose(matrix, np.eye(3)):
        picture = warp(picture, matrix, size)
    moved = move(points, matrix)
    if flips:
        moved = moved[:, scheme.mirrored]
    height, width = size
    inside = (moved >= -0.5).all(-1) & (moved[..., 0] < width - 0.5) & (moved[..., 1] < height - 0.5)
    return picture, np.where(inside[..., None], moved, np.nan)


SIDES = (("left", "right"), ("Left", "Right"), ("LEFT", "RIGHT"), ("L", "R"), (r"(?<![A-Za-z])l(?![A-Za-z])", "r"))
"""What tells a node from its partner: a word, a capital, or a letter that stands by itself."""


def sided(scheme: Scheme, flip: str) -> tuple[Scheme, list[str]]:
    """The scheme with partners for mirroring, taken from the nodes' names where it has none, and what was decided.

    Examples
    --------
    >>> sided(Scheme(("head", "wingL", "wingR", "left_ear", "right_ear")), "horizontal")[0].symmetry
    ((1, 2), (3, 4))
    """
    if flip == "none" or scheme.symmetry:
        return scheme, []
    place = {name: i for i, name in enumerate(scheme.names)}
    pairs = {}
    for name, here in place.items():
        for left, right in SIDES:
            others = (name[: at.start()] + right + name[at.end() :] for at in re.finditer(left, name))
            partner = next((place[other] for other in others if other in place), None)
            if partner is not None:
                pairs[here] = partner
    if not pairs:
        return scheme, ["views are mirrored, but no node has a partner to change places with: is none left or right?"]
    told = ", ".join(f"{scheme.names[a]} - {scheme.names[b]}" for a, b in pairs.items())
    return replace(scheme, symmetry=tuple(pairs.items())), [f"mirrored nodes change places by their names: {told}"]


def vary_brightness(rng: np.random.Generator, picture: np.ndarray, vary: Augmentation) -> np.ndarray:
    """A uint8 picture with random brightness, contrast, exponent and noise, again uint8.

    Everything that acts on a value alone goes through one table of 256 entries, which costs next to nothing.
    """
    table = np.arange(256, dtype=np.float32) / 255
    gamma = rng.uniform(vary.gamma_min, vary.gamma_max)
    contrast = rng.uniform(vary.contrast_min, vary.contrast_max)
    factor = rng.uniform(vary.brightness_min, vary.brightness_max)
    shift = rng.uniform(vary.shift_min, vary.shift_max)
    if (gamma, contrast, factor, shift) != (1, 1, 1, 0):
        mean = float(picture[::8, ::8].mean()) / 255
        table = ((table**gamma - mean) * contrast + mean) * factor + shift
        picture = np.clip(table * 255 + 0.5, 0, 255).astype(np.uint8)[picture]
    if vary.noise_sd or vary.noise_mean or vary.uniform_noise_max:
        grain = 255 * (vary.noise_mean + vary.noise_sd * rng.standard_normal(picture.shape, dtype=np.float32))
        if vary.uniform_noise_max:
            grain += rng.random(picture.shape, dtype=np.float32) * (255 * vary.uniform_noise_max)
        picture = np.clip(picture + grain + 0.5, 0, 255).astype(np.uint8)
    return picture

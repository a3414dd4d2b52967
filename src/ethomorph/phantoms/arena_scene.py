"""The sand arena itself: sand with pits and heaps, daylight that drifts, ripples, clouds of spat sand, plants in front.

Everything is a function of the frame's number, so that any frame can be drawn by itself. Fish are `phantoms.fish`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SAND = np.array([126.0, 152.0, 168.0])
"""Colour of dry sand in mid daylight, B, G, R."""
CLOUD_SECONDS = 1.3  # how long a cloud of sand hangs


@dataclass(frozen=True)
class Mark:
    """A lasting change of the sand from `frame` on: a pit (depth > 0, darker) or a heap (depth < 0, paler)."""

    frame: int
    x: float
    y: float
    radius: float
    depth: float


@dataclass(frozen=True)
class Cloud:
    """Sand spat at `frame` from (x, y): grains fly along `heading` at `speed` px/s, spread and settle."""

    frame: int
    x: float
    y: float
    heading: float
    speed: float
    grains: int
    size: float
    spread: float
    seed: int


@dataclass(frozen=True)
class Light:
    """Daylight: its level, how it drifts and tilts, the ripples it throws, and what the camera adds.

    Attributes
    ----------
    level, drift, period_s, phase : gain ``level * (1 + drift * sin(2 pi (t / period_s + phase)))``.
    warmth : red gained and blue lost, as a share.
    tilt : brighter by this share on one side, towards `direction`.
    ripple, ripple_speed : contrast of the caustics and their speed in px/s.
    noise : the camera's, standard deviation in grey values.
    """

    level: float = 1.0
    drift: float = 0.1
    period_s: float = 60.0
    phase: float = 0.0
    warmth: float = 0.0
    tilt: float = 0.1
    direction: float = 0.0
    ripple: float = 0.04
    ripple_speed: float = 14.0
    noise: float = 3.0

    def gain(self, seconds: float) -> float:
        return self.level * (1 + self.drift * np.sin(2 * np.pi * (seconds / self.period_s + self.phase)))


def draw_light(rng: np.random.Generator) -> Light:
    """The light of one recording."""
    return Light(
        level=float(rng.uniform(0.72, 1.12)), drift=float(rng.uniform(0.02, 0.12)), period_s=float(rng.uniform(8, 90)),
        phase=float(rng.random()), warmth=float(rng.normal(0, 0.05)), tilt=float(rng.uniform(0, 0.25)),
        direction=float(rng.uniform(0, 2 * np.pi)), ripple=float(rng.uniform(0.01, 0.07)),
        ripple_speed=float(rng.uniform(6, 24)), noise=float(rng.uniform(2, 5)),
    )  # fmt: skip


class Scene:
    """The arena without its fish.

    Parameters
    ----------
    size : (height, width) px.
    fps : frames per second.
    light : see `Light`.
    plants : how many leaves hang into the picture and hide what swims below.
    seed : of sand, plants and camera noise.
    """

    def __init__(self, size: tuple[int, int], fps: float, light: Light, *, plants: int = 0, seed: int = 0) -> None:
        self.size, self.fps, self.light, self.seed = size, fps, light, seed
        rng = np.random.default_rng([seed, 1])
        height, width = size
        tone = SAND * (1 + light.warmth * np.array([-1.0, 0.0, 1.0])) * rng.uniform(0.85, 1.12)
        coarse, fine = fractal_noise(rng, size, 5), rng.normal(0, 1, size).astype(np.float32)
        self.texture = (1 + 0.07 * coarse + 0.045 * fine).astype(np.float32)
        self.tone = tone.astype(np.float32)
        y, x = np.mgrid[:height, :width].astype(np.float32)
        side = (x - width / 2) * np.cos(light.direction) + (y - height / 2) * np.sin(light.direction)
        self.shade = (1 + light.tilt * side / max(size)).astype(np.float32)
        self.ripples = fractal_noise(rng, (2 * height, 2 * width), 4)
        self.hidden, self.leaves = leaves(rng, size, plants)
        self.marks: list[Mark] = []
        self.clouds: list[Cloud] = []
        self._relief = np.zeros(size, np.float32)
        self._done = 0

    def ground(self, frame: int) -> np.ndarray:
        """The sand under the light of a frame, (height, width, 3) uint8."""
        import cv2

        seconds = frame / self.fps
        height, width = self.size
        shift = (self.light.ripple_speed * seconds) % height
        dy, dx = int(shift), int(shift * 0.6) % width
        ripple = self.ripples[dy : dy + height, dx : dx + width]
        grey = (self.texture + self.relief(frame)) * self.shade * (1 + self.light.ripple * ripple)
        gain = self.light.gain(seconds)
        return cv2.merge([cv2.convertScaleAbs(grey, alpha=float(channel) * gain) for channel in self.tone])

    def relief(self, frame: int) -> np.ndarray:
        """What pits and heaps do to the sand's brightness by a frame."""
        ready = [m for m in self.marks if m.frame <= frame]
        if len(ready) < self._done:
            self._relief[:], self._done = 0, 0
        for mark in ready[self._done :]:
            dent(self._relief, mark)
        self._done = len(ready)
        return self._relief

    def finish(self, picture: np.ndarray, frame: int) -> np.ndarray:
        """Clouds, leaves and the camera's noise over a picture with its fish."""
        import cv2

        gain = self.light.gain(frame / self.fps)
        for cloud in self.clouds:
            age = (frame - cloud.frame) / self.fps
            if 0 <= age < CLOUD_SECONDS:
                self._cloud(picture, cloud, age, gain)
        if self.hidden.any():
            cover = np.clip(self.leaves * gain, 0, 255).astype(np.uint8)
            picture[self.hidden] = cover[self.hidden]
        noise = np.empty(picture.shape[:2], np.int16)
        cv2.setRNGSeed((self.seed * 1_000_003 + frame) % 2**31)
        cv2.randn(noise, np.zeros(1), np.full(1, self.light.noise))
        return cv2.add(picture, cv2.merge([noise] * 3), dtype=cv2.CV_8U)

    def _cloud(self, picture: np.ndarray, cloud: Cloud, age: float, gain: float) -> None:
        import cv2

        rng = np.random.default_rng(cloud.seed)
        angle = cloud.heading + rng.normal(0, cloud.spread, cloud.grains)
        way = cloud.speed * rng.uniform(0.3, 1.2, cloud.grains) * (1 - np.exp(-3.0 * age)) / 3.0
        x, y = cloud.x + way * np.cos(angle), cloud.y + way * np.sin(angle)
        size = cloud.size * rng.uniform(0.4, 1.0, cloud.grains) * (0.6 + 0.9 * age)
        reach = int(cloud.speed / 2 + 4 * cloud.size) + 4
        left, top = max(0, int(cloud.x) - reach), max(0, int(cloud.y) - reach)
        patch = picture[top : top + 2 * reach, left : left + 2 * reach]
        if not patch.size:
            return
        mask = np.zeros(patch.shape[:2], np.uint8)
        for gx, gy, radius in zip(x - left, y - top, size, strict=True):
            cv2.circle(mask, (round(gx * 16), round(gy * 16)), round(max(radius, 0.6) * 16), 255, -1, cv2.LINE_AA, 4)
        fade = 0.85 * (1 - age / CLOUD_SECONDS) ** 0.7
        alpha = cv2.GaussianBlur(mask, (0, 0), 0.5 + 0.35 * cloud.size * age).astype(np.float32)[..., None] / 255 * fade
        colour = np.clip(self.tone * gain * 1.3, 0, 255)
        patch[:] = (patch * (1 - alpha) + colour * alpha).astype(np.uint8)


def fractal_noise(rng: np.random.Generator, size: tuple[int, int], octaves: int) -> np.ndarray:
    """Smooth noise of several sizes, mean 0 and standard deviation 1, float32."""
    import cv2

    total = np.zeros(size, np.float32)
    for octave in range(octaves):
        cells = (max(2, size[0] >> (octaves + 1 - octave)), max(2, size[1] >> (octaves + 1 - octave)))
        layer = rng.normal(0, 1, cells).astype(np.float32)
        total += cv2.resize(layer, size[::-1], interpolation=cv2.INTER_CUBIC) * 0.6**octave
    return (total - total.mean()) / total.std()


def dent(relief: np.ndarray, mark: Mark) -> None:
    """Add a pit with its rim, or a heap, to `relief` in place."""
    reach = int(3 * mark.radius) + 2
    top, left = max(0, int(mark.y) - reach), max(0, int(mark.x) - reach)
    patch = relief[top : int(mark.y) + reach, left : int(mark.x) + reach]
    if not patch.size:
        return
    y, x = np.mgrid[: patch.shape[0], : patch.shape[1]].astype(np.float32)
    distance = np.hypot(x + left - mark.x, y + top - mark.y) / mark.radius
    patch -= mark.depth * (np.exp(-(distance**2)) - 0.45 * np.exp(-(((distance - 1.7) / 0.6) ** 2)))


def leaves(rng: np.random.Generator, size: tuple[int, int], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Where leaves hide what is below (bool), and their colours."""
    import cv2

    height, width = size
    colours = np.zeros((*size, 3), np.float32)
    mask = np.zeros(size, np.uint8)
    for _ in range(count):
        edge = int(rng.integers(4))
        x = float(rng.uniform(0, width)) if edge < 2 else (0.0 if edge == 2 else float(width))
        y = float(rng.uniform(0, height)) if edge >= 2 else (0.0 if edge == 0 else float(height))
        angle = np.arctan2(height / 2 - y, width / 2 - x) + rng.normal(0, 0.5)
        length, girth = rng.uniform(0.18, 0.34) * min(size), rng.uniform(0.025, 0.05) * min(size)
        s = np.linspace(0, 1, 16)
        curve = angle + rng.normal(0, 0.6) * s
        spine = np.cumsum(np.column_stack([np.cos(curve), np.sin(curve)]), axis=0) * length / 16 + (x, y)
        across = (
            np.column_stack([-np.sin(curve), np.cos(curve)]) * (girth * np.sin(np.pi * np.clip(s, 0.08, 1)))[:, None]
        )
        polygon = np.round(np.vstack([spine - across, (spine + across)[::-1]]) * 16).astype(np.int32)
        green = np.array([48, 92, 60]) * rng.uniform(0.7, 1.3)
        cv2.fillPoly(mask, [polygon], 255, cv2.LINE_AA, 4)
        cv2.fillPoly(colours, [polygon], tuple(green.tolist()), cv2.LINE_AA, 4)
        cv2.polylines(
            colours, [np.round(spine * 16).astype(np.int32)], False, tuple((green * 1.4).tolist()), 1, cv2.LINE_AA, 4
        )
    return mask > 127, colours

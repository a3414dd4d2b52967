"""What moves in a clip, and how: motion energy, optical flow, blobs against the clip's own background.

Everything is relative to the clip itself (its median frame, its noise, its brightness), so that the look of an arena
tells as little as possible. No network; about 15 ms a clip of 24 frames of 96 px.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ethomorph.behavior.signals import Signals

NOISE = 4.0  # a pixel has changed where it differs by so many times the clip's noise
LEAST_NOISE = 1.2 / 255  # of 8-bit pixels: rounding and compression alone
FLOW_PX = 48  # longer side of the frames that flow is taken on
GRID = 4  # cells along each side of the map of motion
DIRECTIONS = 8

NAMES = (
    "energy", "moving", "bright", "dark", "area", "speed", "turn", "longness", "second", "apart", "off centre",
    "flow", "flow top", "along", "across", "spread out", "whirl", "blobs", "height", "width",
)  # fmt: skip


def clip_signals(frames: np.ndarray) -> Signals:
    """Signals of one clip.

    Parameters
    ----------
    frames : (frames, height, width, channels) uint8.

    Returns
    -------
    Signals
        An instant a step between two frames, in the order of `NAMES`: ``energy`` mean absolute change, ``moving``
        share of pixels that changed, ``bright`` and ``dark`` share above and below the background; of the largest blob
        ``area``, ``longness``, ``speed``, ``turn``, ``height`` and ``width`` (its place); the next blob's area
        (``second``) and distance (``apart``); ``flow`` mean and top, ``along`` and ``across`` its parts in the
        direction of the whole clip, ``spread out`` and ``whirl`` divergence and curl. Extra: where motion was, around
        its own centre; the directions of flow; what was changed for good.
    """
    grey = steadied(frames)
    background = np.median(grey, axis=0)
    step = np.abs(np.diff(grey, axis=0))
    noise = max(LEAST_NOISE, 1.4826 * float(np.median(step)))
    moving = step > NOISE * noise
    away = grey - background
    blobs = np.stack([blob(np.abs(one) > NOISE * noise) for one in away])
    flow = flows(grey)
    signals = np.column_stack(
        [
            step.mean((1, 2)), moving.mean((1, 2)), (away[1:] > NOISE * noise).mean((1, 2)),
            (away[1:] < -NOISE * noise).mean((1, 2)), *travelled(blobs, grey.shape[1:]), *stream(flow),
            blobs[1:, 7], blobs[1:, 1] - 0.5, blobs[1:, 2] - 0.5,
        ]
    )  # fmt: skip
    extra, names = lasting(grey, moving, flow, noise)
    return Signals(signals.astype(np.float32), list(NAMES), extra, names)


def steadied(frames: np.ndarray) -> np.ndarray:
    """Grey (frames, height, width) float32 with the light's drift taken out: every frame as bright as the clip."""
    grey = (
        np.asarray(frames).mean(axis=3, dtype=np.float32) if frames.shape[3] > 1 else frames[..., 0].astype(np.float32)
    )
    grey /= 255
    level = np.median(grey, axis=(1, 2), keepdims=True)
    return grey * (np.median(level) / np.maximum(level, 1e-3))


def blob(mask: np.ndarray) -> np.ndarray:
    """Area, y, x, longness, angle of the largest blob; area and distance of the second; how many. Shares of the side.

    Longness is 1 for a line and 0 for a disc; without a blob everything is 0 and its place the middle.
    """
    import cv2

    clean = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    count, _, facts, centres = cv2.connectedComponentsWithStats(clean, connectivity=8)
    if count < 2:
        return np.array([0, 0.5, 0.5, 0, 0, 0, 0, 0])
    height, width = mask.shape
    order = np.argsort(-facts[1:, cv2.CC_STAT_AREA]) + 1
    first = order[0]
    left, top, w, h = facts[first, :4]
    inside = clean[top : top + h, left : left + w]
    moments = cv2.moments(inside, True)
    mass = moments["m00"]
    a, b, c = moments["mu20"] / mass, moments["mu11"] / mass, moments["mu02"] / mass
    gap = np.hypot(a - c, 2 * b)
    second = order[1] if count > 2 else None
    x, y = centres[first]
    return np.array(
        [
            mass / mask.size, y / height, x / width, gap / max(a + c, 1e-9), 0.5 * np.arctan2(2 * b, a - c),
            facts[second, cv2.CC_STAT_AREA] / mask.size if second is not None else 0.0,
            np.hypot(*(centres[second] - centres[first])) / max(mask.shape) if second is not None else 0.0,
            float((facts[1:, cv2.CC_STAT_AREA] >= max(4, 0.05 * mass)).sum()),
        ]
    )  # fmt: skip


def travelled(blobs: np.ndarray, shape: tuple[int, ...]) -> list[np.ndarray]:
    """Area, speed, turning, longness, second area, distance of the second, distance from the middle, at each step."""
    y, x = blobs[:, 1] * shape[0] / max(shape), blobs[:, 2] * shape[1] / max(shape)
    there = (blobs[1:, 0] > 0) & (blobs[:-1, 0] > 0)
    dy, dx = np.diff(y), np.diff(x)
    speed = np.where(there, np.hypot(dy, dx), 0)
    turn = np.abs(np.angle(np.exp(2j * np.diff(blobs[:, 4]))) / 2)  # an axis has no front: half turns are none
    middle = np.hypot(blobs[1:, 1] - 0.5, blobs[1:, 2] - 0.5)
    return [blobs[1:, 0], speed, np.where(there, turn, 0), blobs[1:, 3], blobs[1:, 5], blobs[1:, 6], middle]


def flows(grey: np.ndarray) -> np.ndarray:
    """(frames - 1, height, width, 2) optical flow on small frames, px a frame (Kroeger et al. 2016, dense inverse
    search)."""
    import cv2

    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    search.setFinestScale(0)
    shrink = min(1.0, FLOW_PX / max(grey.shape[1:]))
    eight = np.clip(grey * 255, 0, 255).astype(np.uint8)
    small = [cv2.resize(one, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA) for one in eight]
    return np.stack([search.calc(a, b, None) for a, b in pairwise(small)])  # type: ignore[call-overload]


def stream(flow: np.ndarray) -> list[np.ndarray]:
    """Mean and top flow, its parts along and across the clip's own direction, divergence and curl, at each step."""
    side = max(flow.shape[1:3])
    size = np.linalg.norm(flow, axis=3)
    weight = size / np.maximum(size.sum((1, 2), keepdims=True), 1e-6)
    mean = (flow * weight[..., None]).sum((1, 2)) / side
    whole = (flow * size[..., None]).sum((0, 1, 2))
    direction = whole / max(float(np.linalg.norm(whole)), 1e-9)
    along, across = mean @ direction, mean @ np.array([-direction[1], direction[0]])
    down, right = np.gradient(flow, axis=(1, 2))
    divergence = ((right[..., 0] + down[..., 1]) * weight).sum((1, 2))
    curl = ((right[..., 1] - down[..., 0]) * weight).sum((1, 2))
    top = np.quantile(size.reshape(len(size), -1), 0.98, axis=1)
    return [size.mean((1, 2)) / side, top / side, along, np.abs(across), divergence, np.abs(curl)]


def lasting(grey: np.ndarray, moving: np.ndarray, flow: np.ndarray, noise: float) -> tuple[np.ndarray, list[str]]:
    """What holds for the clip as a whole: the map of motion, directions of flow, and what was changed for good."""
    import cv2

    motion: np.ndarray = moving.mean(0, dtype=np.float64)
    total = motion.sum()
    height, width = motion.shape
    y, x = np.mgrid[:height, :width]
    cy, cx = ((motion * y).sum() / total, (motion * x).sum() / total) if total > 0 else (height / 2, width / 2)
    spread = (
        np.sqrt((motion * ((y - cy) ** 2 + (x - cx) ** 2)).sum() / total) / max(height, width) if total > 0 else 0.0
    )
    shift = np.array([[1, 0, width / 2 - cx], [0, 1, height / 2 - cy]], float)
    centred = cv2.warpAffine(motion, shift, (width, height))
    cells: np.ndarray = np.ravel(cv2.resize(centred, (GRID, GRID), interpolation=cv2.INTER_AREA))
    cells = cells / max(float(cells.sum()), 1e-9)
    size = np.linalg.norm(flow, axis=3)
    angle = np.floor((np.arctan2(flow[..., 1], flow[..., 0]) / (2 * np.pi) % 1) * DIRECTIONS).astype(int) % DIRECTIONS
    ways: np.ndarray = np.bincount(angle.ravel(), size.ravel(), minlength=DIRECTIONS)
    ways = ways / max(float(ways.sum()), 1e-9)
    ends = max(2, len(grey) // 8)
    change = cv2.GaussianBlur(np.median(grey[-ends:], 0) - np.median(grey[:ends], 0), (0, 0), 1.2)
    threshold = 2 * noise
    changed = [(change > threshold).mean(), (change < -threshold).mean(), change.max(), change.min()]
    ever = [(motion > 0).mean(), (motion > 0.5).mean(), spread, cy / height - 0.5, cx / width - 0.5]
    names = [f"motion in cell {i + 1}" for i in range(GRID * GRID)] + [
        f"flow towards {i * 45} deg" for i in range(DIRECTIONS)
    ]
    names += ["brighter for good", "darker for good", "brightest change", "darkest change"]
    names += ["ever moving", "mostly moving", "spread of motion", "height of motion", "width of motion"]
    return np.concatenate([cells, ways, changed, ever]).astype(np.float32), names

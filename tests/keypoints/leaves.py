"""Synthetic leaves for the tests: a bright, veined shape on noise, with exact landmarks."""

import cv2
import numpy as np

SCHEME = np.array(
    [[-1.0, 0.0], [-0.6, -0.32], [0.0, -0.42], [0.6, -0.3], [1.0, 0.05], [0.6, 0.35], [0.0, 0.45], [-0.6, 0.36],
     [-0.5, 0.0], [0.0, 0.02], [0.5, 0.04], [0.75, 0.05]]
)  # fmt: skip


def leaf_points(rng, *, width=300, height=220, size=85.0, at=None):
    """Landmarks (12, 2) of one leaf somewhere in the picture, its shape, size and angle varied a little."""
    shape = SCHEME + rng.normal(size=SCHEME.shape) * 0.025
    shape[:, 1] *= rng.uniform(0.85, 1.15)
    angle, scale = rng.normal() * 0.06, size * rng.uniform(0.85, 1.15)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = at if at is not None else (rng.uniform(0.4, 0.6, 2) * [width, height])
    return shape @ turn.T + middle


def leaf_picture(rng, leaves, *, width=300, height=220):
    """float32 picture in 0..1 of these leaves (each (12, 2)) on uneven ground."""
    ground = cv2.GaussianBlur(rng.normal(size=(height, width)).astype(np.float32), (0, 0), 12) * 0.5 + 0.25
    picture = (ground * 255).clip(0, 120).astype(np.uint8)
    for points in leaves:
        outline = np.round(points[:8] * 16).astype(np.int32)
        cv2.fillPoly(picture, [outline], 190, cv2.LINE_AA, 4)
        cv2.polylines(picture, [outline], True, 245, 2, cv2.LINE_AA, 4)
        for a, b in ((0, 8), (8, 9), (9, 10), (10, 11), (11, 4), (8, 1), (9, 2), (10, 3), (10, 5), (9, 6), (8, 7)):
            ends = [tuple(int(v) for v in np.round(points[i] * 16)) for i in (a, b)]
            cv2.line(picture, *ends, 90, 2, cv2.LINE_AA, 4)
    noisy = picture / 255 + rng.normal(size=picture.shape) * 0.03
    return noisy.clip(0, 1).astype(np.float32)


def leaf_set(count, *, seed=0, **options):
    """Pictures and landmarks of `count` single leaves."""
    rng = np.random.default_rng(seed)
    points = [leaf_points(rng, **options) for _ in range(count)]
    return [leaf_picture(rng, [p]) for p in points], points

"""Where a followed animal will be in the next frame: by its speed, by a Kalman filter, or by the pixels themselves.

Everything acts on the nodes of one animal; which animal of the next frame it is, is decided in `track`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

WINDOW = (21, 21)
"""Window in px in which optical flow is looked for."""
LEVELS = 3
"""Halvings of the picture in which flow is looked for first; with `WINDOW` some 80 px a frame are followed."""
PROCESS, SIGHT = 0.05, 0.05
"""Kalman filter: unforeseen change of speed from frame to frame, and error of a seen place, in animal lengths."""


@dataclass
class Track:
    """One animal as last seen.

    Attributes
    ----------
    points : (nodes, 2) px, each node where it was last seen, or expected since.
    velocity : (2,) px a frame.
    first, last : frames.
    born : (nodes, 2) px in the first frame.
    carried : (nodes, 2) px, where optical flow has taken the nodes since; None without flow.
    spread : (2, 2) covariance of place and velocity along one axis, in squared animal lengths (Kalman filter).
    """

    number: int
    points: np.ndarray
    velocity: np.ndarray
    first: int
    last: int
    born: np.ndarray
    seen: int = 1
    carried: np.ndarray | None = None
    spread: np.ndarray = field(default_factory=lambda: np.diag([SIGHT**2, 1.0]))

    def expected(self, frame: int) -> np.ndarray:
        """Where the nodes should be: where flow took them, else on with half the speed each further frame, as animals
        do stop."""
        if self.carried is not None:
            return self.carried
        gap = frame - self.last
        return self.points + self.velocity * 2 * (1 - 0.5**gap)

    def move(self, frame: int, points: np.ndarray, length: float, gain: float | None) -> None:
        """Take in where the animal was found.

        Parameters
        ----------
        points : (nodes, 2) px, NaN where a node was not found.
        length : of an animal, px.
        gain : weight of the new velocity; None takes the Kalman filter's.
        """
        expected = self.expected(frame)
        surprise = points - expected
        trusted = believed(surprise, length)
        gap = frame - self.last
        if trusted.any():
            step = surprise[trusted].mean(0)
            if gain is None:
                self.velocity = self.velocity * 0.5 ** (gap - 1) + self._kalman(gap) * step
            else:
                moved = (points - self.points)[trusted].mean(0) / gap
                self.velocity = (1 - gain) * self.velocity + gain * moved
            expected = expected + step
        self.points = np.where(trusted[:, None] | ~np.isfinite(expected), points, expected)
        self.carried = None
        self.last = frame
        self.seen += 1

    def _kalman(self, gap: int) -> float:
        """The gain on velocity of a constant-velocity filter (Bar-Shalom et al. 2001, ch. 6.2), and its new spread."""
        forward = np.array([[1.0, float(gap)], [0.0, 1.0]])
        noise = PROCESS**2 * np.array([[gap**3 / 3, gap**2 / 2], [gap**2 / 2, gap]])
        ahead = forward @ self.spread @ forward.T + noise
        gains = ahead[:, 0] / (ahead[0, 0] + SIGHT**2)
        self.spread = ahead - np.outer(gains, ahead[0])
        return float(gains[1])


def believed(surprise: np.ndarray, length: float) -> np.ndarray:
    """(nodes,) whether each found node is the animal's: no further from its expected place, than the node nearest to
    its own, by more than the animal's length. Nodes drawn over from a neighbour would otherwise pull the track along.

    >>> believed(np.array([[1.0, 0.0], [90.0, 0.0], [np.nan, 0.0]]), 20.0).tolist()
    [True, False, False]
    """
    away = np.linalg.norm(surprise, axis=-1)
    known = np.isfinite(away)
    if not known.any():
        return known
    return known & (np.where(known, away, np.inf) <= away[known].min() + max(length, 1.0))


class Flow:
    """Nodes carried from each frame to the next by pyramidal Lucas-Kanade optical flow (Bouguet 2001).

    Examples
    --------
    >>> flow = Flow()
    >>> square = np.zeros((60, 60), np.uint8); square[20:30, 20:30] = 255
    >>> corners = np.array([[[20.0, 20.0], [29.0, 20.0], [29.0, 29.0]]])
    >>> _ = flow.carried(square, corners)
    >>> np.round(flow.carried(np.roll(square, 4, axis=1), corners)[0, 0] - corners[0, 0]).astype(int).tolist()
    [4, 0]
    """

    def __init__(self) -> None:
        self.before: np.ndarray | None = None

    def carried(self, picture: np.ndarray | None, points: np.ndarray) -> np.ndarray:
        """Where (animals, nodes, 2) px of the frame before are in `picture`, uint8 (height, width).

        A node that flow loses, or takes elsewhere than the rest of its animal, goes with the animal's median. A frame
        that could not be decoded, and the first one, leave all as it was.
        """
        before = self.before
        if picture is None:
            return points
        self.before = picture
        if before is None or before.shape != picture.shape or not points.size:
            return points
        seen = np.isfinite(points).all(-1)
        start = points[seen].astype(np.float32)
        if not len(start):
            return points
        end, status, _ = cv2.calcOpticalFlowPyrLK(before, picture, start, None, winSize=WINDOW, maxLevel=LEVELS)  # type: ignore[call-overload]
        step = np.full(points.shape, np.nan)
        step[seen] = np.where(status.reshape(-1, 1) == 1, end - start, np.nan)
        found = points.copy()
        for animal, (nodes, steps) in enumerate(zip(points, step, strict=True)):
            good = np.isfinite(steps).all(-1)
            if not good.any():
                continue
            middle = np.median(steps[good], axis=0)
            alike = good & (np.linalg.norm(np.where(good[:, None], steps - middle, 0), axis=-1) <= _half(nodes))
            found[animal] = nodes + np.where(alike[:, None], steps, middle)
        return found


def _half(nodes: np.ndarray) -> float:
    """Half the diagonal of the box around nodes, px, at least 2."""
    seen = nodes[np.isfinite(nodes).all(-1)]
    return max(2.0, float(np.linalg.norm(np.ptp(seen, axis=0))) / 2)

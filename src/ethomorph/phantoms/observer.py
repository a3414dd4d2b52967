"""People who digitise: each has a habit at every landmark, and a hand that is not quite steady."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Observer:
    """One person.

    Attributes
    ----------
    name : as the tables call them.
    habit : (landmarks, 2) px, the constant offset at each landmark.
    unsteadiness : (landmarks,) px, standard deviation of a placement around the habit, per coordinate.
    """

    name: str
    habit: np.ndarray
    unsteadiness: np.ndarray

    def place(self, points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Where this person puts landmarks that truly lie at `points`, (landmarks, 2) px; missing ones stay missing."""
        return points + self.habit + self.unsteadiness[:, None] * rng.standard_normal(points.shape)


def draw_observer(name: str, landmarks: int, bias_px: float, repeat_px: float, rng: np.random.Generator) -> Observer:
    """An observer whose unsteadiness varies by about 1.3 between landmarks, with root mean square `repeat_px`."""
    spread = np.exp(0.25 * rng.standard_normal(landmarks))
    spread *= repeat_px / np.sqrt(np.mean(spread**2)) if landmarks else 1.0
    return Observer(name, bias_px * rng.standard_normal((landmarks, 2)), spread)

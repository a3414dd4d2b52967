"""A learning curve over animals: score on animals held out, against how many were learned from.

Which clips are added matters less than whose: curves over samples flatter, because more samples of a known animal teach
that animal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ethomorph.audit.classes import ClassFacts

Predict = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""From training values, training codes and test values to predicted codes."""
REPEATS = 3
HELD = 0.3  # of the animals
STEPS = 5


@dataclass(frozen=True)
class CurvePoint:
    """Mean score with so many animals, its range over repeats, and samples on average."""

    animals: int
    samples: float
    score: float
    low: float
    high: float


@dataclass(frozen=True)
class Curve:
    """The curve, what is expected of twice as many animals, and the weakest class (name, F1, animals that show it)."""

    points: list[CurvePoint]
    forecast: float
    weakest: tuple[str, float, int]


def learning_curve(facts: ClassFacts, predict: Predict, *, seed: int = 0, repeats: int = REPEATS) -> Curve | None:
    """Learn from growing numbers of animals and judge on others; None with fewer than six animals or no features."""
    if facts.features is None:
        return None
    animals = np.unique(facts.groups)
    if len(animals) < 6:
        return None
    held = max(2, round(HELD * len(animals)))
    numbers = np.unique(np.round(np.geomspace(2, len(animals) - held, STEPS)).astype(int))
    scores: dict[int, list[tuple[float, int]]] = {int(n): [] for n in numbers}
    f1: list[np.ndarray] = []
    for repeat in range(repeats):
        order = np.random.default_rng([seed, repeat]).permutation(animals)
        test = np.flatnonzero(np.isin(facts.groups, order[:held]))
        for n in numbers:
            train = np.flatnonzero(np.isin(facts.groups, order[held : held + n]))
            if len(np.unique(facts.codes[train])) < 2:
                continue
            said = predict(facts.features[train], facts.codes[train], facts.features[test])
            each = f1_scores(facts.codes[test], said, len(facts.classes))
            scores[int(n)].append((float(np.nanmean(each)), len(train)))
            if n == numbers[-1]:
                f1.append(each)
    points = [
        CurvePoint(n, float(np.mean([k for _, k in s])), *spread([v for v, _ in s])) for n, s in scores.items() if s
    ]
    if len(points) < 2:
        return None
    mean = np.nanmean(np.stack(f1), axis=0)
    worst = int(np.nanargmin(mean))
    owners = len(np.unique(facts.groups[facts.codes == worst]))
    return Curve(points, forecast(points), (facts.classes[worst], float(mean[worst]), owners))


def spread(values: list[float]) -> tuple[float, float, float]:
    """Mean, lowest and highest."""
    return float(np.mean(values)), float(np.min(values)), float(np.max(values))


def f1_scores(truth: np.ndarray, said: np.ndarray, classes: int) -> np.ndarray:
    """(classes,) F1, NaN for classes that are not in the truth."""
    hits = np.bincount(truth[truth == said], minlength=classes)
    both = np.bincount(truth, minlength=classes) + np.bincount(said, minlength=classes)
    there = np.bincount(truth, minlength=classes) > 0
    return np.where(there, 2 * hits / np.maximum(both, 1), np.nan)


def forecast(points: list[CurvePoint]) -> float:
    """What a power law through the points says of twice as many animals; never below the last point, at most 1.

    Examples
    --------
    >>> curve = [CurvePoint(n, n, 1 - n**-0.5, 0, 1) for n in (4, 9, 16, 25)]
    >>> round(forecast(curve), 2)
    0.86
    """
    n = np.array([p.animals for p in points], float)
    y = np.array([p.score for p in points])
    best, found = np.inf, y[-1]
    for power in np.linspace(0.1, 2.0, 39):
        design = np.column_stack([np.ones(len(n)), -(n**-power)])
        (a, b), *_ = np.linalg.lstsq(design, y, rcond=None)
        error = float(((design @ [a, b] - y) ** 2).sum())
        if b >= 0 and error < best:
            best, found = error, a - b * (2 * n[-1]) ** -power
    return float(np.clip(found, y[-1], 1.0))

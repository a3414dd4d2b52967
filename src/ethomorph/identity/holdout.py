"""What a method learns about itself by leaving known animals out: calibrated pair scores, a cut, and its count error.

Everything here sees reference animals only. Each round learns from some of them and judges the others, so nothing is
scored on an animal that it was learned from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

ROUNDS = 12
"""Times that animals are left out."""

SHARE = 0.4
"""Share of the reference animals left out each time."""

LAPSE = 0.01
"""Share of pairs that say nothing (a smeared print, a wrong label): keeps one pair from ruling the slope."""

ASSUMED_OVERDISPERSION = 0.1
"""Excess variance of a count as a share of it, where the reference is too small to measure it."""


@dataclass(frozen=True)
class Calibration:
    """From raw pair scores to log-likelihood ratios whose size can be believed: ``slope * score + offset``."""

    slope: float = 1.0
    offset: float = 0.0

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        return self.slope * scores + self.offset


@dataclass(frozen=True)
class CountError:
    """How counts of held-out animals went: excess variance as a share of the count, from so many rounds."""

    overdispersion: float = ASSUMED_OVERDISPERSION
    rounds: int = 0


def leave_animals_out(
    animal: np.ndarray,
    generator: np.random.Generator,
    *,
    rounds: int = ROUNDS,
    shares: Sequence[float] = (SHARE,),
    least: int = 4,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield boolean masks (rows to learn from, rows left out), the shares left out taking turns.

    Rounds in which fewer than `least` animals would stay, or fewer than 2 be left out, do not take place.
    """
    names = np.unique(animal)
    for turn in range(rounds):
        out = round(shares[turn % len(shares)] * len(names))
        if out < 2 or len(names) - out < least:
            continue
        left = np.isin(animal, generator.permutation(names)[:out])
        yield ~left, left


def calibrate(scores: np.ndarray, same: np.ndarray, *, scale: float = 1.0) -> Calibration:
    """Logistic calibration of pair scores, both kinds of pair weighted alike, with a lapse rate and a weak prior.

    With p = LAPSE / 2 + (1 - LAPSE) * logistic(slope * score + offset), the slope's logarithm is drawn to
    ``log(scale)`` (standard deviation 1) and the offset to 0 (standard deviation 3): few same-animal pairs must not
    say more than they know.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> same = generator.random(4000) < 0.5
    >>> honest = calibrate(generator.normal(2 * (2 * same - 1), 1) * 4, same)  # scores that are the true ratio
    >>> bool(0.8 < honest.slope < 1.2)
    True
    """
    if same.all() or not same.any():
        return Calibration(scale, 0.0)
    weight = np.where(same, 0.5 / same.sum(), 0.5 / (~same).sum()) * min(2 * same.sum(), len(same))

    def loss(parameters: np.ndarray) -> float:
        chance = LAPSE / 2 + (1 - LAPSE) * expit(scale * np.exp(parameters[0]) * scores + parameters[1])
        fit = -(weight * np.log(np.where(same, chance, 1 - chance))).sum()
        return float(fit + parameters[0] ** 2 / 2 + parameters[1] ** 2 / 18)

    best = minimize(loss, np.zeros(2), method="Nelder-Mead").x
    return Calibration(float(scale * np.exp(best[0])), float(best[1]))


def pooled_variance(draws: np.ndarray) -> float:
    """Variance of counts (models, draws) over models that are equally likely: within each, and between their means.

    Examples
    --------
    >>> pooled_variance(np.array([[4, 6], [6, 8]]))
    3.0
    """
    between = draws.mean(axis=1).var(ddof=1) if len(draws) > 1 else 0.0
    return float(draws.var(axis=1).mean() + between)


def measure_count_error(counted: np.ndarray, variance: np.ndarray, truth: np.ndarray) -> CountError:
    """Mean squared error of counts over the truth, less the variance that the method itself stated; not below 0.

    Parameters
    ----------
    counted, variance, truth : (rounds,) counts, the variances stated with them, true numbers.
    """
    if not len(truth):
        return CountError()
    excess = ((counted - truth) ** 2 - variance) / truth
    return CountError(float(max(excess.mean(), 0.0)), len(truth))

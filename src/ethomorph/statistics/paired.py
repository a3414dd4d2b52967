"""Is one method better than another on the same specimens: paired differences and ratios, clustered by group.

Not for two unrelated samples: `a` and `b` hold the same cases in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ethomorph.core.metric import Metric
from ethomorph.statistics.intervals import (
    Labels,
    Values,
    clustered_function,
    clustered_interval,
    finite_values,
    group_codes,
)

EXACT_GROUPS = 12
"""Up to this many groups every one of the sign flips is tried (4,096 of them)."""


@dataclass(frozen=True)
class Comparison(Metric):
    """A difference or ratio with its interval, and the p value of "both are alike" (None where it has no value)."""

    p_value: float | None = None

    def to_dict(self) -> dict[str, Any]:
        return super().to_dict() | {"p_value": self.p_value}


def paired_difference(
    a: Values,
    b: Values,
    groups: Labels,
    *,
    unit: str = "",
    level: float = 0.95,
    resamples: int = 2000,
    permutations: int = 9999,
    seed: int = 0,
) -> Comparison:
    """Mean of ``a - b`` with its clustered bootstrap interval and a sign-flip permutation test by group.

    Parameters
    ----------
    a, b : (n,) finite values of the same cases.
    groups : (n,) labels; a group's differences flip their sign together.
    unit, level, resamples, seed : as in `clustered_interval`.
    permutations : random sign flips where there are more than `EXACT_GROUPS` groups; else all are tried.

    Raises
    ------
    ValueError
        For NaN or unequal lengths.

    Examples
    --------
    >>> result = paired_difference([3.0] * 20, [2.0] * 20, range(20), unit="px")
    >>> result.value, result.p_value
    (1.0, 0.0001)
    """
    difference = _differences(a, b)
    metric = clustered_interval(difference, groups, unit=unit, level=level, resamples=resamples, seed=seed)
    return _with_p(metric, difference, groups, permutations, seed)


def paired_ratio(
    a: Values,
    b: Values,
    groups: Labels,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    permutations: int = 9999,
    seed: int = 0,
) -> Comparison:
    """Mean of `a` over mean of `b`, both positive, with interval and p value as in `paired_difference`.

    The test exchanges a group's `a` with its `b`. As the sum of both stays the same, a ratio is as extreme as its
    difference is, so both functions give the same p value.

    Examples
    --------
    >>> round(paired_ratio([3.0] * 20, [2.0] * 20, range(20)).value, 3)
    1.5
    """
    difference = _differences(a, b)
    top, bottom = finite_values(a), finite_values(b)
    if (top < 0).any() or (bottom < 0).any():
        raise ValueError("a ratio of means needs values that are not negative")
    metric = clustered_function(_ratio, groups, top, bottom, level=level, resamples=resamples, seed=seed)
    return _with_p(metric, difference, groups, permutations, seed)


def sign_flip_p(differences: Values, groups: Labels, *, permutations: int = 9999, seed: int = 0) -> float:
    """Two-sided p of "the differences are symmetric about 0", signs flipped by whole groups.

    Exact up to `EXACT_GROUPS` groups; beyond that ``(1 + hits) / (1 + permutations)`` (Phipson & Smyth 2010).

    Examples
    --------
    >>> sign_flip_p([1.0, 1.0, 1.0, 1.0], [0, 1, 2, 3])
    0.125
    """
    values = finite_values(differences)
    codes, labels = group_codes(groups, len(values))
    sums = np.bincount(codes, values)
    observed = abs(sums.sum()) * (1 - 1e-12)  # a tie must not be lost to rounding
    number = len(labels)
    if number <= EXACT_GROUPS:
        signs = 1 - 2 * ((np.arange(2**number)[:, None] >> np.arange(number)) & 1)
        return float(np.mean(np.abs(signs @ sums) >= observed))
    generator = np.random.default_rng(seed)
    hits, block = 0, max(1, 4_000_000 // number)
    for start in range(0, permutations, block):
        size = min(block, permutations - start)
        signs = 2 * generator.integers(2, size=(size, number), dtype=np.int8) - 1
        hits += int((np.abs(signs @ sums) >= observed).sum())
    return (1 + hits) / (1 + permutations)


def _differences(a: Values, b: Values) -> np.ndarray:
    first, second = finite_values(a), finite_values(b)
    if len(first) != len(second):
        raise ValueError(f"paired values must be equally many, not {len(first)} and {len(second)}")
    return first - second


def _ratio(a: np.ndarray, b: np.ndarray) -> float:
    return float(a.sum() / b.sum()) if b.sum() > 0 else float("nan")


def _with_p(metric: Metric, differences: np.ndarray, groups: Any, permutations: int, seed: int) -> Comparison:
    p = None if metric.value is None else sign_flip_p(differences, groups, permutations=permutations, seed=seed)
    return Comparison(**vars(metric), p_value=p)

"""An interval for how many there are, from draws of the number and what held-out counts got wrong."""

from __future__ import annotations

import numpy as np
from scipy import stats

from ethomorph.core.metric import Metric


def count_interval(
    draws: np.ndarray,
    *,
    overdispersion: float = 0.0,
    freedom: int = 1000,
    largest: int,
    unit: str = "",
    level: float = 0.95,
    note: str = "",
) -> Metric:
    """The median of drawn counts, with a predictive interval that is as wide as counts of known numbers were wrong.

    A posterior knows the chance it was told of, not what its model leaves out. Counting held-out groups of known size
    shows that excess: `overdispersion` is its variance as a share of the count. Each draw N gets an error of variance
    ``overdispersion * N`` with Student's t of `freedom` degrees (the excess itself was estimated), and the interval
    is the shortest run of whole numbers that holds `level` of the mixture. Quantiles at both ends would hold more than
    that, because whole numbers cannot be cut.

    Parameters
    ----------
    draws : (d,) integers from a posterior or bootstrap, at least one.
    overdispersion : excess variance over the count, 0 or more.
    freedom : held-out counts it was learned from, less one.
    largest : no count can be larger (the number of things counted).

    Examples
    --------
    >>> print(count_interval(np.array([9, 10, 10, 11]), overdispersion=0.1, freedom=9, largest=40))
    10 [8, 13]
    """
    draws = np.asarray(draws, dtype=float)
    if not len(draws) or overdispersion < 0 or freedom < 1:
        raise ValueError(
            "a count interval needs draws, an overdispersion of 0 or more and at least one degree of freedom"
        )
    value = float(np.clip(np.rint(np.median(draws)), 1, largest))
    quantiles = (np.arange(400) + 0.5) / 400
    error = stats.t.ppf(quantiles, freedom)
    spread = np.sqrt(overdispersion * draws)[:, None] * error if overdispersion else np.zeros((len(draws), 1))
    counts = np.clip(np.rint(draws[:, None] + spread), 1, largest).astype(int)
    low, high = shortest_run(np.bincount(counts.ravel()) / counts.size, level)
    return Metric(value, float(min(low, value)), float(max(high, value)), unit, largest, note=note)


def shortest_run(chance: np.ndarray, level: float) -> tuple[int, int]:
    """First and last index of the shortest stretch of `chance` that adds up to `level`; of equal ones the likeliest.

    Examples
    --------
    >>> shortest_run(np.array([0.0, 0.04, 0.9, 0.06]), 0.95)
    (2, 3)
    """
    upto = np.concatenate([[0.0], np.cumsum(chance)])
    first = np.arange(len(chance))
    last = np.searchsorted(upto, upto[:-1] + level - 1e-9) - 1
    first, last = first[last < len(chance)], last[last < len(chance)]
    held = upto[last + 1] - upto[first]
    best = np.lexsort((-held, last - first))[0]
    return int(first[best]), int(last[best])

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
    holds `level` of the mixture.

    Parameters
    ----------
    draws : (d,) integers from a posterior or bootstrap, at least one.
    overdispersion : excess variance over the count, 0 or more.
    freedom : held-out counts it was learned from, less one.
    largest : no count can be larger (the number of things counted).

    Examples
    --------
    >>> print(count_interval(np.array([9, 10, 10, 11]), overdispersion=0.1, freedom=9, largest=40))
    10 [7, 13]
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
    low, high = np.quantile(draws[:, None] + spread, [(1 - level) / 2, (1 + level) / 2])
    low, high = np.clip(np.rint([low, high]), 1, largest)
    return Metric(value, float(min(low, value)), float(max(high, value)), unit, largest, note=note)

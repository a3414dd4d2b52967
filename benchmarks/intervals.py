"""Coverage of the clustered intervals on simulated random effects, beside naive, percentile and BCa intervals.

Run: ``python -m benchmarks.intervals``; writes ``benchmarks/results/intervals.json`` in about a minute.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from scipy.stats import norm

from benchmarks.record import Claim, write_result
from ethomorph.statistics.intervals import clustered_interval, clustered_proportion
from ethomorph.study.provenance import Stopwatch

SIMULATIONS, RESAMPLES, SEED = 1000, 1000, 0


def simulate(generator: np.random.Generator, groups: int, skewed: bool, unequal: bool) -> tuple[np.ndarray, np.ndarray]:
    """Values of mean 0 in `groups` groups that hold 30 % of the variance, 20 values each (or 1 to 39)."""
    sizes = generator.integers(1, 40, size=groups) if unequal else np.full(groups, 20)
    labels = np.repeat(np.arange(groups), sizes)

    def draw(count: int) -> np.ndarray:
        if not skewed:
            return generator.normal(size=count)
        return (generator.lognormal(0, 0.8, count) - np.exp(0.32)) / np.sqrt((np.exp(0.64) - 1) * np.exp(0.64))

    return np.sqrt(0.3) * draw(groups)[labels] + np.sqrt(0.7) * draw(len(labels)), labels


def rivals(values: np.ndarray, labels: np.ndarray, generator: np.random.Generator) -> dict[str, tuple[float, float]]:
    """The naive, the plain percentile and the BCa interval of the mean."""
    sums, sizes = np.bincount(labels, values), np.bincount(labels)
    weights = generator.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=RESAMPLES)
    drawn, mean = (weights @ sums) / (weights @ sizes), values.mean()
    left_out = (sums.sum() - sums) / (sizes.sum() - sizes)
    gap = left_out.mean() - left_out
    acceleration = (gap**3).sum() / (6 * (gap**2).sum() ** 1.5)
    bias = norm.ppf(np.clip((drawn < mean).mean(), 1e-4, 1 - 1e-4))
    z = bias + norm.ppf([0.025, 0.975])
    bca = np.quantile(drawn, norm.cdf(bias + z / (1 - acceleration * z)))
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    plain = np.quantile(drawn, [0.025, 0.975])
    return {"naive": (mean - half, mean + half), "percentile": tuple(plain), "bca": tuple(bca)}


def coverage(groups: int, skewed: bool, unequal: bool) -> dict[str, float]:
    """Share of simulations whose interval holds the true mean, by method."""
    generator = np.random.default_rng([SEED, groups, skewed, unequal])
    hits = dict.fromkeys(("ours", "naive", "percentile", "bca"), 0)
    for simulation in range(SIMULATIONS):
        values, labels = simulate(generator, groups, skewed, unequal)
        metric = clustered_interval(values, labels, resamples=RESAMPLES, seed=simulation)
        for name, (low, high) in {"ours": (metric.low, metric.high), **rivals(values, labels, generator)}.items():
            hits[name] += low <= 0 <= high
    return {name: round(count / SIMULATIONS, 3) for name, count in hits.items()}


def proportion_coverage(groups: int, rate: float) -> float:
    """The same for a success rate that varies between groups (beta, 5 pseudo-trials)."""
    generator = np.random.default_rng([SEED, groups, int(1000 * rate)])
    labels = np.repeat(np.arange(groups), 20)
    hits = 0
    for _ in range(SIMULATIONS):
        chance = generator.beta(5 * rate, 5 * (1 - rate), size=groups)
        metric = clustered_proportion(generator.random(len(labels)) < chance[labels], labels)
        hits += metric.low <= rate <= metric.high
    return round(hits / SIMULATIONS, 3)


def main() -> None:
    watch = Stopwatch()
    rows = [
        {"groups": g, "skewed": skewed, "unequal": unequal, "coverage": coverage(g, skewed, unequal)}
        for g in (10, 15, 30, 60)
        for skewed in (False, True)
        for unequal in (False, True)
    ]
    proportions = [
        {"groups": g, "rate": rate, "coverage": proportion_coverage(g, rate)}
        for g in (10, 30)
        for rate in (0.5, 0.9, 0.97)
    ]
    values, labels = np.random.default_rng(0).normal(size=20_000), np.arange(20_000) % 200
    timed = time.perf_counter()
    clustered_interval(values, labels)
    speed = time.perf_counter() - timed
    ordinary = [row["coverage"] for row in rows if not row["skewed"]]
    ours, naive = [c["ours"] for c in ordinary], [c["naive"] for c in ordinary]
    claim = Claim(
        "95 % intervals of a mean, 30 % of the variance between 10 to 60 groups, cover the truth",
        f"{min(ours):.3f} to {max(ours):.3f}",
        f"{min(naive):.3f} to {max(naive):.3f} (groups ignored)",
        goal="0.93 to 0.97 where the naive interval covers under 0.80",
        met=bool(min(ours) >= 0.93 and max(ours) <= 0.97 and max(naive) < 0.8),
    )
    write_result(
        "intervals",
        [claim],
        seed=SEED,
        watch=watch,
        simulations=SIMULATIONS,
        resamples=RESAMPLES,
        nominal=0.95,
        mean=rows,
        proportion=proportions,
        seconds_20000_values_200_groups_2000_resamples=round(speed, 4),
    )
    for row in rows + proportions:
        print(row, file=sys.stderr)


if __name__ == "__main__":
    main()

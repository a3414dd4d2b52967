"""Which trails share an animal, as a posterior over all partitions: draws, their count, and who is with whom.

A collapsed Gibbs sampler over the evidence of a `TwoCovariance` model. It fits no model; the widening by what the
model gets wrong is `holdout`'s business.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from ethomorph.identity.plda import TrailSummary, TwoCovariance

NEIGHBOUR_SCORE = -12.0
"""Among many trails only animals with a trail above this log-likelihood ratio are tried: others have odds below 1e-5."""

ALL_TRIED = 250
"""Up to this many trails every animal is tried for every trail."""

_CONCENTRATION = np.geomspace(0.05, 1e3, 80)  # relative to the number of trails


@dataclass
class Partitions:
    """Draws of "who is who": `counts` (draws,) animals, `together` (trails, trails) shares of draws with both as one."""

    counts: np.ndarray
    together: np.ndarray


def sample_partitions(
    model: TwoCovariance, trails: TrailSummary, generator: np.random.Generator, *,
    draws: int = 40, burn_in: int = 20, scores: np.ndarray | None = None, start: np.ndarray | None = None,
) -> Partitions:  # fmt: skip
    """Draw partitions of trails into animals from their posterior.

    The prior is a Dirichlet process whose concentration is drawn too, with a log-uniform prior (Escobar & West 1995,
    JASA 90:577), so the number of animals is free between 1 and the number of trails. Sampling is Neal's (2000, J
    Comput Graph Stat 9:249) algorithm 3 with the animals' positions integrated out.

    Parameters
    ----------
    model, trails : the model and the trails' summaries under it.
    generator : source of randomness.
    draws, burn_in : sweeps kept and sweeps thrown away before.
    scores : (trails, trails) pair scores; needed with more than `ALL_TRIED` trails, where only near animals are tried.
    start : (trails,) codes to start from; by default each trail an animal.
    """
    number = len(trails)
    sums, precisions = trails.sums, trails.precision
    near = None if number <= ALL_TRIED or scores is None else scores > NEIGHBOUR_SCORE
    who = np.arange(number) if start is None else np.unique(start, return_inverse=True)[1]
    total, sharp, size = np.zeros_like(sums), np.zeros_like(sums), np.zeros(number, dtype=int)
    np.add.at(total, who, sums)
    np.add.at(sharp, who, precisions)
    np.add.at(size, who, 1)
    alone = model.evidence(sums, precisions)
    evidence = np.where(size > 0, model.evidence(total, sharp), 0.0)
    concentration = number / 3
    counts, together = [], np.zeros((number, number), dtype=np.float32)
    for sweep in range(burn_in + draws):
        for i in generator.permutation(number):
            old = who[i]
            size[old] -= 1
            if size[old]:
                total[old] -= sums[i]
                sharp[old] -= precisions[i]
                evidence[old] = model.evidence(total[old], sharp[old])
            else:
                total[old], sharp[old], evidence[old] = 0.0, 0.0, 0.0
            if near is None:
                tried = np.flatnonzero(size)
            else:
                tried = np.unique(who[near[i]])
                tried = tried[size[tried] > 0]
            joined = model.evidence(total[tried] + sums[i], sharp[tried] + precisions[i]) - evidence[tried]
            weight = np.append(np.log(size[tried]) + joined, np.log(concentration) + alone[i])
            chance = np.cumsum(np.exp(weight - weight.max()))
            pick = int(np.searchsorted(chance, generator.random() * chance[-1]))
            # a new animal takes the emptied place, or the first free one where trail i shared its old animal
            new = tried[pick] if pick < len(tried) else (old if not size[old] else int(np.argmin(size)))
            who[i] = new
            size[new] += 1
            total[new] += sums[i]
            sharp[new] += precisions[i]
            evidence[new] = model.evidence(total[new], sharp[new])
        animals = int((size > 0).sum())
        concentration = _draw_concentration(animals, number, generator)
        if sweep >= burn_in:
            counts.append(animals)
            together += who[:, None] == who
    return Partitions(np.array(counts), together / draws)


def _draw_concentration(animals: int, trails: int, generator: np.random.Generator) -> float:
    """The concentration given the number of animals, on a grid with a log-uniform prior."""
    grid = _CONCENTRATION * trails
    log = animals * np.log(grid) + gammaln(grid) - gammaln(grid + trails)
    weight = np.exp(log - log.max())
    return float(generator.choice(grid, p=weight / weight.sum()))

"""Which trails share an animal, as a posterior over all partitions: draws, their count, and who is with whom.

A collapsed Gibbs sampler over the evidence of a `TwoCovariance` model. It fits no model; the widening by what the
model gets wrong is `holdout`'s business.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from ethomorph.identity.plda import TrailSummary, TwoCovariance

COLDEST = 0.1
"""The burn-in starts with this power of the evidence and ends with 1, so that trails do not freeze at their start."""

_CONCENTRATION = np.geomspace(0.05, 1e3, 80)  # relative to the number of trails


@dataclass
class Partitions:
    """Draws of "who is who".

    Attributes
    ----------
    counts : (draws,) animals in each draw.
    together : (trails, trails) float32, the share of draws in which two trails have one animal.
    last : (trails,) codes of the last draw.
    """

    counts: np.ndarray
    together: np.ndarray
    last: np.ndarray


def sample_partitions(
    model: TwoCovariance,
    trails: TrailSummary,
    generator: np.random.Generator,
    *,
    draws: int = 40,
    burn_in: int = 20,
    start: np.ndarray | None = None,
    apart: np.ndarray | None = None,
) -> Partitions:
    """Draw partitions of trails into animals from their posterior.

    The prior is a Dirichlet process whose concentration is drawn too, with a log-uniform prior (Escobar & West 1995,
    JASA 90:577), so the number of animals is free between 1 and the number of trails. Sampling is algorithm 3 of Neal
    (2000, J Comput Graph Stat 9:249), the animals' positions integrated out. A table of "what if trail i joined animal
    k" is kept, of which a move changes two columns; most trails stay where they are, so a sweep is cheap.

    Parameters
    ----------
    model, trails : the model and the trails' summaries under it.
    generator : source of randomness.
    draws, burn_in : sweeps kept, and sweeps thrown away before.
    start : (trails,) codes to start from; by default each trail an animal, and the burn-in warms up slowly.
    apart : (trails, trails) booleans: pairs that are known to be of two animals, and so are in `start`.
    """
    others = [np.flatnonzero(row) for row in apart] if apart is not None and apart.any() else None
    number = len(trails)
    who = np.arange(number) if start is None else np.unique(start, return_inverse=True)[1].copy()
    sums, precisions = trails.sums, trails.precision
    alone = model.evidence(sums, precisions)
    total, sharp, size = np.zeros_like(sums), np.zeros_like(sums), np.zeros(number)
    np.add.at(total, who, sums)
    np.add.at(sharp, who, precisions)
    np.add.at(size, who, 1)
    occupied = np.flatnonzero(size)
    evidence = np.zeros(number)
    evidence[occupied] = model.evidence(total[occupied], sharp[occupied])
    gain = np.zeros((number, number))  # log Bayes factor of trail i joining animal k over standing alone
    clusters = TrailSummary(total[occupied] / sharp[occupied], sharp[occupied])
    gain[:, occupied] = model.pair_scores(trails, clusters)
    classes, kind = np.unique(precisions, axis=0, return_inverse=True)
    log_size = np.full(number, -np.inf)
    log_size[occupied] = np.log(size[occupied])
    staying, stale = np.zeros(number), np.ones(number, dtype=bool)  # gain of trail i over leaving its own animal
    weight = np.empty(number + 1)
    concentration = number / 3

    def refresh(k: int) -> None:
        """Bring animal k's evidence, size and column of gains up to date after a change."""
        stale[who == k] = True
        if not size[k]:
            total[k], sharp[k], evidence[k], log_size[k] = 0.0, 0.0, 0.0, -np.inf
            return
        evidence[k], log_size[k] = model.evidence(total[k], sharp[k]), np.log(size[k])
        joint = classes + sharp[k]
        shrink = np.log1p(model.between * joint).sum(1)
        square = ((sums + total[k]) ** 2 * (1 / (joint + 1 / model.between))[kind]).sum(1)
        gain[:, k] = 0.5 * (square - shrink[kind]) - alone - evidence[k]

    counts, together = [], np.zeros((number, number), dtype=np.float32)
    for sweep in range(burn_in + draws):
        cool = 1.0 if start is not None else min(1.0, COLDEST + (1 - COLDEST) * sweep / max(0.8 * burn_in, 1))
        for i in generator.permutation(number):
            old = who[i]
            if stale[i] and size[old] > 1:
                staying[i] = evidence[old] - model.evidence(total[old] - sums[i], sharp[old] - precisions[i]) - alone[i]
                stale[i] = False
            weight[:number] = log_size + cool * gain[i]
            weight[old] = np.log(size[old] - 1) + cool * staying[i] if size[old] > 1 else -np.inf
            weight[number] = np.log(concentration)  # an animal of its own
            if others is not None:
                weight[who[others[i]]] = -np.inf
            chance = np.cumsum(np.exp(weight - weight.max()))
            new = int(chance.searchsorted(generator.random() * chance[-1], side="right"))
            if new == number:
                new = old if size[old] == 1 else int(np.argmin(size))
            if new == old:
                continue
            who[i] = new
            for k, sign in ((old, -1), (new, 1)):
                total[k] += sign * sums[i]
                sharp[k] += sign * precisions[i]
                size[k] += sign
                refresh(k)
        animals = int((size > 0).sum())
        concentration = draw_concentration(animals, number, generator)
        if sweep >= burn_in:
            counts.append(animals)
            together += who[:, None] == who
    return Partitions(np.array(counts), together / np.float32(draws), who)


def draw_concentration(animals: int, trails: int, generator: np.random.Generator) -> float:
    """The concentration given the number of animals, on a grid with a log-uniform prior."""
    grid = _CONCENTRATION * trails
    log = animals * np.log(grid) + gammaln(grid) - gammaln(grid + trails)
    weight = np.exp(log - log.max())
    return float(generator.choice(grid, p=weight / weight.sum()))

"""`Identification`: what was found out about a set of trails, as plain arrays for tables, pictures and scores."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ethomorph.core.metric import Metric


@dataclass
class Identification:
    """Trails with their individuals.

    Attributes
    ----------
    trails : names, in the order of everything else.
    individual : (trails,) codes from 0.
    probability : (trails,) that the trail belongs with its individual's others; alone: to no other.
    individuals : how many, with a 95 % interval.
    scores : (trails, trails) calibrated log-likelihood ratio "same animal"; above 0 means same, NaN not compared.
    tree : SciPy linkage (trails - 1, 4), and `cut`, the height at which it gives `individual`.
    height : what a height of the tree means.
    method : "plda" or "fit".
    in_sample : whether the trails themselves were among the reference: scores are then too good.
    variables : names, and `usage` (variables,) how much each was used (share of pairs, or weight).
    draws : counts drawn from the posterior; for "fit", counts at the cuts that known animals would have needed.
    warnings : one sentence each.
    """

    trails: list[str]
    individual: np.ndarray
    probability: np.ndarray
    individuals: Metric
    scores: np.ndarray
    tree: np.ndarray
    cut: float
    height: str
    method: str
    in_sample: bool
    variables: list[str]
    usage: np.ndarray
    draws: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=int))
    warnings: list[str] = field(default_factory=list)

    @property
    def same(self) -> np.ndarray:
        """(trails, trails) booleans: the pairs called "same animal", each pair judged by itself."""
        return self.scores > 0

    @property
    def names(self) -> list[str]:
        """The individuals' names: ``individual 01`` and so on."""
        number = int(self.individual.max()) + 1
        return [f"individual {i + 1:0{len(str(number))}d}" for i in range(number)]

    def assignments(self) -> list[dict[str, Any]]:
        """One row a trail: trail, individual, probability."""
        names = self.names
        return [
            {"trail": trail, "individual": names[code], "probability": round(float(chance), 4)}
            for trail, code, chance in zip(self.trails, self.individual, self.probability, strict=True)
        ]


def membership(individual: np.ndarray, together: np.ndarray) -> np.ndarray:
    """(trails,) mean chance of being together with the others of the individual; alone: 1 less the best other chance.

    Examples
    --------
    >>> membership(np.array([0, 0, 1]), np.array([[1, 0.9, 0.2], [0.9, 1, 0.1], [0.2, 0.1, 1]])).round(2).tolist()
    [0.9, 0.9, 0.8]
    """
    fellow = individual[:, None] == individual
    np.fill_diagonal(fellow, False)
    number = fellow.sum(1)
    mean = np.where(fellow, together, 0.0).sum(1) / np.maximum(number, 1)
    other = together.copy()
    np.fill_diagonal(other, 0.0)
    return np.where(number > 0, mean, 1 - other.max(axis=1, initial=0.0))

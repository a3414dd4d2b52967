"""The two-covariance model: how prints vary within a trail, trails within an animal, and animals among each other.

Learned on known animals, it says for any set of trails how much likelier they are if one animal left them
(`TwoCovariance.evidence`). Pairs, matches and partitions are all made of that one number.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Self

import numpy as np
from scipy.linalg import eigh

from ethomorph.core.errors import LabelError

AXES = 60
"""Discriminating axes kept; the shrunken covariances make the further ones harmless but useless."""

WITHIN_SHRINKAGE = 0.2
"""Share of the within-animal covariance that is replaced by its diagonal."""

BETWEEN_SHRINKAGE = 0.5
"""Share of the between-animal covariance that is replaced by the shape of the total covariance."""

SMALLEST_REFERENCE = 4
"""Animals a model can be learned from; below, the between-animal covariance is one or two differences."""


@dataclass
class TrailSummary:
    """What the model needs of each trail: its mean (trails, axes) and how sharp that mean is (trails, axes)."""

    mean: np.ndarray
    precision: np.ndarray

    @property
    def sums(self) -> np.ndarray:
        """Precision-weighted means; these and the precisions add up over the trails of one animal."""
        return self.mean * self.precision

    def __len__(self) -> int:
        return len(self.mean)


@dataclass
class TwoCovariance:
    """Prints, trails and animals as nested Gaussian variation on discriminating axes.

    A trail's mean of n prints on one axis is ``animal + N(0, trail + print / n)`` with ``animal ~ N(0, between)``
    (Brummer & de Villiers 2010, Odyssey; Sizov et al. 2014 call it the two-covariance PLDA). The axes diagonalise
    the between-animal against the within-animal covariance, so each has its own three variances and the evidence of a
    set of trails is a sum over axes.

    With p variables and few animals the sample between-covariance has rank ``animals - 1`` and says that new animals
    differ in no other way. It is therefore drawn towards the shape of the total covariance (`BETWEEN_SHRINKAGE`), the
    within-covariance towards its diagonal.

    Attributes
    ----------
    centre, scale : (p,) of the variables.
    axes : (p, q), from standardised variables to axes.
    origin : (q,) mean of the animals.
    between, trail, print : (q,) variances on each axis.

    Examples
    --------
    >>> from ethomorph.phantoms.prints import simulate_prints
    >>> table = simulate_prints(animals=12, seed=1)
    >>> model = TwoCovariance.fit(table.values, table.animal, table.trail)
    >>> trails = model.summarise(table.values, table.trail)
    >>> model.pair_scores(trails).shape == (len(trails), len(trails))
    True
    """

    centre: np.ndarray
    scale: np.ndarray
    axes: np.ndarray
    origin: np.ndarray
    between: np.ndarray
    trail: np.ndarray
    print: np.ndarray

    @classmethod
    def fit(
        cls, values: np.ndarray, animal: np.ndarray, trail: np.ndarray, *, weights: np.ndarray | None = None,
        axes: int = AXES, within_shrinkage: float = WITHIN_SHRINKAGE, between_shrinkage: float = BETWEEN_SHRINKAGE,
    ) -> Self:  # fmt: skip
        """Learn from prints of known animals.

        Parameters
        ----------
        values : (n, p) complete measurements.
        animal, trail : (n,) labels; each trail belongs to one animal.
        weights : (animals,) in the sorted order of their labels, for the Bayesian bootstrap; all 1 by default.
        axes : at most so many axes.
        within_shrinkage, between_shrinkage : 0 (none) to 1.

        Raises
        ------
        LabelError
            With fewer than `SMALLEST_REFERENCE` animals, or where no animal has two prints.
        """
        names, who = np.unique(animal, return_inverse=True)
        walks = np.unique(trail, return_inverse=True)[1]
        if len(names) < SMALLEST_REFERENCE:
            fix = f"give at least {SMALLEST_REFERENCE}, better 15"
            raise LabelError(f"{len(names)} known animals are too few to learn from", fix=fix)
        if len(values) <= len(names):
            raise LabelError("no animal has two prints", fix="give repeated prints of known animals")
        weight = np.ones(len(names)) if weights is None else weights * len(names) / weights.sum()
        each = weight[who]
        centre = np.average(values, axis=0, weights=each)
        scale = np.sqrt(np.average((values - centre) ** 2, axis=0, weights=each))
        scale[scale < 1e-12] = 1.0
        z = (values - centre) / scale
        means, counts = group_means(z, who)
        residual = (z - means[who]) * np.sqrt(each)[:, None]
        within = residual.T @ residual / max(each.sum() - weight.sum(), 1e-9)
        total = (z * each[:, None]).T @ z / each.sum()
        mean = np.average(means, axis=0, weights=weight)
        spread = (means - mean) * np.sqrt(weight)[:, None]
        between = spread.T @ spread / (weight.sum() - (weight**2).sum() / weight.sum())
        between -= within * np.average(1 / counts, weights=weight)
        size = max(np.trace(between), 0.01 * np.trace(total)) / np.trace(total)
        between = (1 - between_shrinkage) * between + between_shrinkage * size * total
        diagonal = np.diag(np.diag(within) + 1e-9)
        strengths, directions = eigh(between, (1 - within_shrinkage) * within + within_shrinkage * diagonal)
        best = np.argsort(strengths)[::-1][:axes]
        directions = directions[:, best]
        noise, walk = _nested_variances(z @ directions, who, walks, weight)
        return cls(centre, scale, directions, mean @ directions, np.maximum(strengths[best], 1e-6), walk, noise)

    def project(self, values: np.ndarray) -> np.ndarray:
        """Measurements (n, p) on the axes (n, q), the reference animals' mean at 0."""
        return ((values - self.centre) / self.scale) @ self.axes - self.origin

    def summarise(self, values: np.ndarray, trail: np.ndarray) -> TrailSummary:
        """Means and precisions of the trails, in the sorted order of their labels."""
        mean, counts = group_means(self.project(values), np.unique(trail, return_inverse=True)[1])
        return TrailSummary(mean, 1 / (self.trail + self.print / counts[:, None]))

    def evidence(self, sums: np.ndarray, precisions: np.ndarray) -> np.ndarray:
        """Log evidence (...,) of "one animal" over "the reference mean" for trails that add up to (..., q).

        With a the animal on one axis, ``log of integral N(a; 0, between) prod_t N(y_t; a, 1 / precision_t)`` less the
        terms that do not depend on who shares an animal.
        """
        return 0.5 * (sums**2 / (precisions + 1 / self.between) - np.log1p(self.between * precisions)).sum(axis=-1)

    def pair_scores(self, trails: TrailSummary, others: TrailSummary | None = None) -> np.ndarray:
        """Log-likelihood ratio "same animal" over "two animals" of each pair, (trails, others).

        Trails of equally many prints share their precisions, so a block of pairs is one matrix product.
        """
        others = trails if others is None else others
        alone, alone_too = self.evidence(trails.sums, trails.precision), self.evidence(others.sums, others.precision)
        scores = np.empty((len(trails), len(others)))
        for rows, precision in _equal_rows(trails.precision):
            for columns, precision_too in _equal_rows(others.precision):
                sharp = precision + precision_too
                weight = 1 / (sharp + 1 / self.between)
                a, b = trails.sums[rows], others.sums[columns]
                square = (a**2 @ weight)[:, None] + b**2 @ weight + 2 * (a * weight) @ b.T
                scores[np.ix_(rows, columns)] = 0.5 * (square - np.log1p(self.between * sharp).sum())
        return scores - alone[:, None] - alone_too

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The fitted arrays by name, for saving; ``TwoCovariance(**arrays)`` is the way back."""
        return asdict(self)


def group_means(values: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means (groups, p) and sizes (groups,) of the rows that share a code 0..groups-1."""
    counts = np.bincount(codes)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    sums = np.add.reduceat(values[np.argsort(codes, kind="stable")], starts, axis=0)
    return sums / counts[:, None], counts.astype(float)


def _equal_rows(array: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Indices of equal rows with the row, for each different row."""
    unique, codes = np.unique(array, axis=0, return_inverse=True)
    return [(np.flatnonzero(codes == k), row) for k, row in enumerate(unique)]


def _nested_variances(
    scores: np.ndarray, who: np.ndarray, walks: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Print variance within trails and trail variance within animals, each (q,), by moments; neither below 0."""
    means, counts = group_means(scores, walks)
    owner = np.zeros(len(means), dtype=int)
    owner[walks] = who
    each, walk_weight = weight[who], weight[owner]
    freedom = each.sum() - walk_weight.sum()
    if freedom <= 0:  # one print a trail: all of it is print noise
        means, counts = group_means(scores, who)
        residual = ((scores - means[who]) ** 2 * each[:, None]).sum(0)
        return residual / max(each.sum() - weight.sum(), 1e-9), np.zeros(scores.shape[1])
    noise = ((scores - means[walks]) ** 2 * each[:, None]).sum(0) / freedom
    centres, number = group_means(means, owner)
    repeated = (number > 1)[owner]
    if not repeated.any():
        return noise, np.zeros_like(noise)
    freedom = walk_weight[repeated].sum() - weight[number > 1].sum()
    spread = ((means - centres[owner]) ** 2 * walk_weight[:, None])[repeated].sum(0) / max(freedom, 1e-9)
    return noise, np.maximum(spread - noise * np.mean(1 / counts[repeated]), 0.0)

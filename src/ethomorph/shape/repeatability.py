"""Measurement error: how much of what separates specimens is the animals, and how much the digitising.

Individuals digitised at least twice are compared by Procrustes ANOVA; the intraclass correlation says what share of
variance is between individuals. Distances between two codings in px or mm are in `repeat_error`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ethomorph.core.errors import InputError
from ethomorph.core.metric import Metric
from ethomorph.shape.anova import Anova, Row, procrustes_anova
from ethomorph.shape.checks import complete_sample, labels_for
from ethomorph.shape.procrustes import generalized_procrustes
from ethomorph.shape.tangent import tangent_project
from ethomorph.statistics.intervals import clustered_function


@dataclass(frozen=True)
class MeasurementError:
    """Repeatability of a digitised sample.

    Attributes
    ----------
    anova : individual against residual; the residual is the digitising.
    systematic : the replicate term (sessions, observers or machines that differ in the same way everywhere), permuted
        within individuals; None where replicates were not named.
    icc : intraclass correlation of shape, 1 where replicates agree exactly.
    percent_error : 100 times the error's share of the variance (Bailey & Byrnes 1990, Syst Zool 39:124-130).
    per_landmark : the ICC of each landmark by itself, in the common superimposition, by name.
    """

    anova: Anova
    systematic: Row | None
    icc: Metric
    percent_error: Metric
    per_landmark: dict[str, Metric]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        result: dict[str, Any] = {"anova": self.anova.to_dict(), "icc": self.icc.to_dict()}
        if self.systematic is not None:
            result["systematic"] = Anova((self.systematic,), self.anova.permutations).to_dict()[0]
        result["percent_error"] = self.percent_error.to_dict()
        result["per_landmark"] = {name: metric.to_dict() for name, metric in self.per_landmark.items()}
        return result


def measurement_error(
    points: np.ndarray,
    individuals: Sequence[Any],
    *,
    replicates: Sequence[Any] | None = None,
    names: Sequence[str] | None = None,
    superimposed: bool = False,
    permutations: int = 999,
    resamples: int = 2000,
    seed: int = 0,
) -> MeasurementError:
    """Procrustes ANOVA of replicates within individuals, and intraclass correlations.

    With mean squares between (B) and within (W) individuals summed over coordinates and n0 replicates each,
    ``ICC = (B - W) / (B + (n0 - 1) W)``; n0 corrects for unequal numbers (Lessells & Boag 1987, The Auk 104:116-121).
    Intervals resample whole individuals.

    Parameters
    ----------
    points : (n, p, k) without gaps: raw configurations, or shapes where `superimposed`.
    individuals : (n,) labels.
    replicates : (n,) labels of session, observer or machine.
    names : (p,) landmark names; numbered from 1 otherwise.
    superimposed : the points are in one Procrustes superimposition already.
    permutations, resamples, seed : of the test and of the intervals.

    Raises
    ------
    InputError
        No individual was measured twice, or there is one individual only.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> animals = np.array([[0, 0], [4.0, 0], [4, 3], [0, 3]]) + 0.3 * rng.normal(size=(12, 4, 2))
    >>> twice = np.repeat(animals, 2, axis=0) + 0.03 * rng.normal(size=(24, 4, 2))
    >>> result = measurement_error(twice, np.arange(24) // 2, permutations=99, resamples=200)
    >>> result.icc.value > 0.95, result.anova["residual"].df
    (True, 12)
    """
    points = complete_sample(points)
    labels = labels_for(individuals, len(points), "individual")
    refuse_unreplicated(labels)
    if superimposed:
        shape = points
    else:
        gpa = generalized_procrustes(points)
        shape = tangent_project(gpa.aligned, gpa.mean)
    anova = procrustes_anova(shape, {"individual": labels}, terms=["individual"], permutations=permutations, seed=seed)
    systematic = None
    if replicates is not None:
        table = {"individual": labels, "replicate": labels_for(replicates, len(points), "replicate")}
        systematic = procrustes_anova(
            shape, table, terms=["individual", "replicate"], strata="individual", permutations=permutations, seed=seed
        )["replicate"]
    names = [str(i + 1) for i in range(points.shape[1])] if names is None else list(names)
    means, within, counts = _by_individual(shape, labels)
    groups = np.arange(len(counts))
    options: dict[str, Any] = {"resamples": resamples, "seed": seed}
    all_means, all_within = means.reshape(len(counts), -1), within.sum(axis=1)
    return MeasurementError(
        anova=anova,
        systematic=systematic,
        icc=clustered_function(intraclass, groups, all_means, all_within, counts, **options),
        percent_error=clustered_function(
            lambda m, w, c: 100 * (1 - intraclass(m, w, c)), groups, all_means, all_within, counts, unit="%", **options
        ),
        per_landmark={
            name: clustered_function(intraclass, groups, means[:, j], within[:, j], counts, **options)
            for j, name in enumerate(names)
        },
    )


def intraclass(means: np.ndarray, within: np.ndarray, counts: np.ndarray) -> float:
    """ICC from each individual's mean (m, q), sum of squares within it (m,) and number of replicates (m,).

    NaN where nothing varies or there is no replication.

    Examples
    --------
    >>> intraclass(np.array([[0.0], [2.0]]), np.zeros(2), np.array([2, 2]))
    1.0
    """
    m, total = len(counts), counts.sum()
    if m < 2 or total <= m:
        return float("nan")
    centre = counts @ means / total
    between = float((counts * ((means - centre) ** 2).sum(axis=1)).sum()) / (m - 1)
    inside = float(within.sum()) / (total - m)
    replicates = (total - (counts**2).sum() / total) / (m - 1)
    variance = between + (replicates - 1) * inside
    return float((between - inside) / variance) if variance > 0 else float("nan")


def refuse_unreplicated(labels: np.ndarray) -> None:
    """Raise InputError unless there are two individuals and one of them was measured twice."""
    number = len(np.unique(labels))
    if number < 2 or number == len(labels):
        raise InputError(
            f"{len(labels)} measurements of {number} individuals",
            fix="measurement error needs at least two individuals, and individuals measured more than once",
        )


def _by_individual(shape: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean shapes (m, p, k), sums of squares within (m, p) and counts (m,), in the order of sorted labels."""
    _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    means = np.zeros((len(counts), *shape.shape[1:]))
    np.add.at(means, codes, shape)
    means /= counts[:, None, None]
    within = np.zeros((len(counts), shape.shape[1]))
    np.add.at(within, codes, ((shape - means[codes]) ** 2).sum(axis=2))
    return means, within, counts

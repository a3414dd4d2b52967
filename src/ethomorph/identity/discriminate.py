"""Sex, age class or species from prints: stepwise linear discriminant analysis, judged on animals it never saw.

The in-sample figure stands beside the honest one, because that is the figure usually published and what it hides is
the point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.core.metric import Metric
from ethomorph.identity.impute import Imputer
from ethomorph.identity.plda import group_means
from ethomorph.statistics.intervals import clustered_proportion

PIVOT = 1e-6
"""A variable is not chosen once less than this share of its variance is left unexplained by those chosen."""


VARIABLES = 10
"""Variables chosen by default, as many as Gu et al. (2014, Wildl Soc Bull 38:495) used to sex Amur tigers."""


@dataclass
class Discriminant:
    """Linear discriminant on chosen variables.

    Attributes
    ----------
    classes : (k,) labels.
    chosen : indices of the variables in the order chosen.
    weights, offsets : (variables chosen, k) and (k,); log posterior up to a constant is ``x @ weights + offsets``.
    """

    classes: np.ndarray
    chosen: np.ndarray
    weights: np.ndarray
    offsets: np.ndarray

    def log_odds(self, values: np.ndarray) -> np.ndarray:
        """(n, k) log posterior of each class up to a constant, all classes equally likely beforehand."""
        return values[:, self.chosen] @ self.weights + self.offsets


@dataclass
class DiscriminationResult:
    """Accuracies by print, trail and animal: left out (`honest`) and in-sample, with the classes' baseline."""

    honest: dict[str, Metric]
    in_sample: dict[str, Metric]
    majority: float
    chosen: list[str]
    predicted: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        return {
            "leave_one_animal_out": {level: metric.to_dict() for level, metric in self.honest.items()},
            "in_sample": {level: metric.to_dict() for level, metric in self.in_sample.items()},
            "majority_share": self.majority,
            "variables": self.chosen,
        }


def fit_discriminant(values: np.ndarray, labels: np.ndarray, *, variables: int = VARIABLES) -> Discriminant:
    """Forward stepwise LDA: in each step the variable with the largest partial F (smallest w / t), then Fisher's rule.

    Parameters
    ----------
    values : (n, p) complete.
    labels : (n,) classes.
    variables : at most so many are chosen.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(60, 5))
    >>> y = np.repeat(["f", "m"], 30)
    >>> x[30:, 2] += 9
    >>> int(fit_discriminant(x, y, variables=1).chosen[0])
    2
    """
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise LabelError("one class only", fix="discriminating needs at least two")
    means, _ = group_means(values, codes)
    residual, centred = values - means[codes], values - values.mean(0)
    within, total = residual.T @ residual, centred.T @ centred
    chosen = _forward(within, total, min(variables, values.shape[1], len(values) - len(classes) - 1))
    covariance = within[np.ix_(chosen, chosen)] / (len(values) - len(classes))
    weights = np.linalg.solve(covariance, means[:, chosen].T)
    return Discriminant(classes, chosen, weights, -0.5 * (means[:, chosen].T * weights).sum(0))


def discriminate(
    values: np.ndarray,
    labels: np.ndarray,
    animal: np.ndarray,
    trail: np.ndarray,
    names: list[str],
    *,
    variables: int = VARIABLES,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> DiscriminationResult:
    """Leave one animal out, choose variables and fit on the others, predict its prints, trails and itself.

    Parameters
    ----------
    values : (n, p); gaps are imputed by training means of each fold.
    labels : (n,) the class of each print; one an animal.
    animal, trail : (n,) labels.
    names : of the variables.
    variables : chosen in each fold.
    seed : of the imputation.
    progress : called with (animals done, animals).

    Raises
    ------
    LabelError
        Where an animal has two classes, or a class fewer than two animals.
    """
    _refuse_unfit(labels, animal)
    animals = np.unique(animal)
    log = np.zeros((len(values), len(np.unique(labels))))
    for done, name in enumerate(animals):
        out = animal == name
        imputer = Imputer(method="mean", seed=seed).fit(values[~out])
        rule = fit_discriminant(imputer.reference_, labels[~out], variables=variables)
        log[out] = rule.log_odds(imputer.transform(values[out]))
        if progress:
            progress(done + 1, len(animals))
    full = Imputer(method="mean", seed=seed).fit(values).reference_
    everything = fit_discriminant(full, labels, variables=variables)
    classes = everything.classes
    honest, called = _accuracies(log, classes, labels, animal, trail)
    inside, _ = _accuracies(everything.log_odds(full), classes, labels, animal, trail)
    share = max(np.mean([labels[animal == name][0] == c for name in animals]) for c in classes)
    return DiscriminationResult(honest, inside, float(share), [names[j] for j in everything.chosen], called)


def _accuracies(
    log: np.ndarray, classes: np.ndarray, labels: np.ndarray, animal: np.ndarray, trail: np.ndarray
) -> tuple[dict[str, Metric], dict[str, str]]:
    """Share called right by print, trail and animal (log posteriors averaged), clustered by animal; calls by animal."""
    result: dict[str, Metric] = {}
    called: dict[str, str] = {}
    for level, unit in (("print", np.arange(len(labels)).astype(str)), ("trail", trail), ("animal", animal)):
        names, first, codes = np.unique(unit, return_index=True, return_inverse=True)
        guess = classes[group_means(log, codes)[0].argmax(1)]
        result[level] = clustered_proportion(guess == labels[first], animal[first])
        if level == "animal":
            called = dict(zip(names.tolist(), guess.tolist(), strict=True))
    return result, called


def _forward(within: np.ndarray, total: np.ndarray, number: int) -> np.ndarray:
    """Indices chosen one by one by the smallest ratio of what is left of a variable in W and T (pivoted Cholesky)."""
    w, t = np.diag(within).copy(), np.diag(total).copy()
    floor_w, floor_t = PIVOT * w, PIVOT * t
    lower_w, lower_t = np.zeros((number, len(w))), np.zeros((number, len(w)))
    chosen: list[int] = []
    for step in range(number):
        usable = (w > floor_w) & (t > floor_t)
        usable[chosen] = False
        if not usable.any():
            break
        j = int(np.where(usable, w / np.where(t > 0, t, 1.0), np.inf).argmin())
        chosen.append(j)
        for matrix, lower, diagonal in ((within, lower_w, w), (total, lower_t, t)):
            column = matrix[j] - lower[:step].T @ lower[:step, j]
            lower[step] = column / np.sqrt(column[j])
            diagonal -= lower[step] ** 2
    return np.array(chosen)


def _refuse_unfit(labels: np.ndarray, animal: np.ndarray) -> None:
    of_animal: dict[str, set[str]] = {}
    for label, name in zip(labels.tolist(), animal.tolist(), strict=True):
        of_animal.setdefault(name, set()).add(label)
    mixed = [name for name, found in of_animal.items() if len(found) > 1]
    if mixed:
        raise LabelError(f"animal {mixed[0]!r} has two classes", fix="correct the column")
    classes = [next(iter(found)) for found in of_animal.values()]
    for label in set(classes):
        if classes.count(label) < 2:
            raise LabelError(f"class {label!r} has one animal", fix="leaving one out needs at least two a class")
    if len(set(classes)) < 2:
        raise LabelError("one class only", fix="discriminating needs at least two")

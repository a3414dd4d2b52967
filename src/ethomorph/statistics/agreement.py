"""How well raters, repeats or methods agree: kappa, alpha, intraclass correlation, Bland-Altman, repeat error.

Each function returns a plain number (NaN where it is undefined), so that `clustered_function` can put an interval to
it; `bland_altman` brings its own. Rating scores against a truth (accuracy, MCC) are scikit-learn's business.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ethomorph.core.metric import Metric
from ethomorph.statistics.intervals import Labels, Values, clustered_function, clustered_interval, finite_values


def cohen_kappa(
    a: Labels,
    b: Labels,
    *,
    weights: Literal["linear", "quadratic"] | None = None,
    labels: Labels | None = None,
) -> float:
    """Cohen's kappa of two raters (1960; weighted: 1968); NaN where both use one and the same class only.

    Parameters
    ----------
    a, b : (n,) class labels of the same cases.
    weights : None for nominal classes; "linear" or "quadratic" in the distance of ordered classes.
    labels : the classes in order; by default all that occur, sorted.

    Examples
    --------
    >>> round(cohen_kappa(["x", "x", "y", "y"], ["x", "y", "y", "y"]), 3)
    0.5
    """
    first, second = np.asarray(a), np.asarray(b)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"two raters need equally many labels, not shapes {first.shape} and {second.shape}")
    classes = np.unique(np.concatenate([first, second])) if labels is None else np.asarray(labels)
    position = {label: i for i, label in enumerate(classes.tolist())}
    table = np.zeros((len(classes), len(classes)))
    np.add.at(table, ([position[x] for x in first.tolist()], [position[x] for x in second.tolist()]), 1)
    steps = np.abs(np.subtract.outer(np.arange(len(classes)), np.arange(len(classes))))
    cost = {None: (steps > 0).astype(float), "linear": steps.astype(float), "quadratic": steps**2.0}[weights]
    expected = np.outer(table.sum(1), table.sum(0)) / max(table.sum(), 1)
    chance = float((cost * expected).sum())
    return 1 - float((cost * table).sum()) / chance if chance > 0 else math.nan


def krippendorff_alpha(ratings: np.ndarray, *, metric: Literal["nominal", "interval"] = "nominal") -> float:
    """Krippendorff's alpha for any number of raters with gaps (Krippendorff 2011, Computing Krippendorff's alpha).

    Parameters
    ----------
    ratings : (units, raters) numbers, NaN where a rater gave none. Units with one rating count for nothing.
    metric : "nominal" (same or not) or "interval" (squared difference).

    Returns
    -------
    float
        1 is perfect, 0 is chance; NaN where all ratings are the same or no unit was rated twice.

    Examples
    --------
    >>> round(krippendorff_alpha(np.array([[1, 1], [2, 2], [3, 3], [1, 2.0]])), 3)
    0.667
    """
    ratings = np.asarray(ratings, dtype=float)
    ratings = ratings[np.isfinite(ratings).sum(1) >= 2]
    values, codes = np.unique(ratings[np.isfinite(ratings)], return_inverse=True)
    if len(values) < 2:
        return math.nan
    units = np.repeat(np.arange(len(ratings)), np.isfinite(ratings).sum(1))
    counts = np.zeros((len(ratings), len(values)))
    np.add.at(counts, (units, codes), 1)
    pairable = counts / (counts.sum(1, keepdims=True) - 1)
    coincidence = counts.T @ pairable - np.diag(pairable.sum(0))
    totals, number = coincidence.sum(1), coincidence.sum()
    gap = np.subtract.outer(values, values)
    cost = (gap != 0).astype(float) if metric == "nominal" else gap**2
    expected = float((cost * np.outer(totals, totals)).sum()) / (number - 1)
    return float(1 - (cost * coincidence).sum() / expected)


def intraclass_correlation(ratings: np.ndarray, *, kind: Literal["A,1", "C,1"] = "A,1") -> float:
    """Intraclass correlation of single measurements from the two-way ANOVA (McGraw & Wong 1996, Psychol Methods 1:30).

    Parameters
    ----------
    ratings : (subjects, raters), complete.
    kind : "A,1" for absolute agreement (a rater's constant offset counts against it), "C,1" for consistency.

    Returns
    -------
    float
        NaN with fewer than two subjects or raters, or where nothing varies.

    Examples
    --------
    >>> ratings = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7.0]])
    >>> round(intraclass_correlation(ratings), 2), round(intraclass_correlation(ratings, kind="C,1"), 2)
    (0.29, 0.71)
    """
    ratings = np.asarray(ratings, dtype=float)
    if not np.isfinite(ratings).all():
        raise ValueError("ratings must be complete: drop subjects with gaps first and say how many")
    subjects, raters = ratings.shape
    if subjects < 2 or raters < 2:
        return math.nan
    grand, by_subject, by_rater = ratings.mean(), ratings.mean(1), ratings.mean(0)
    rows = raters * ((by_subject - grand) ** 2).sum() / (subjects - 1)
    columns = subjects * ((by_rater - grand) ** 2).sum() / (raters - 1)
    residual = ratings - by_subject[:, None] - by_rater + grand
    error = (residual**2).sum() / ((subjects - 1) * (raters - 1))
    below = rows + (raters - 1) * error + (raters * (columns - error) / subjects if kind == "A,1" else 0.0)
    return float((rows - error) / below) if below > 0 else math.nan


def repeat_error(repeats: np.ndarray) -> float:
    """Within-subject standard deviation of repeated measurements, the technical error of measurement (Dahlberg 1940).

    Two measurements of one thing differ by less than 2.77 times this in 95 % of cases (Bland & Altman 1996).

    Parameters
    ----------
    repeats : (subjects, repeats), NaN where one is missing; subjects measured once count for nothing.

    Returns
    -------
    float
        In the unit of the measurements; NaN where nothing was measured twice.

    Examples
    --------
    >>> repeat_error(np.array([[1.0, 3.0], [5.0, 5.0]]))
    1.0
    """
    repeats = np.asarray(repeats, dtype=float)
    repeats = repeats[np.isfinite(repeats).sum(1) >= 2]
    if not len(repeats):
        return math.nan
    freedom = np.isfinite(repeats).sum() - len(repeats)
    squares = np.nansum((repeats - np.nanmean(repeats, axis=1, keepdims=True)) ** 2)
    return float(math.sqrt(squares / freedom))


@dataclass(frozen=True)
class BlandAltman:
    """Mean difference of two methods and the limits that hold 95 % of their differences, each with its interval."""

    bias: Metric
    lower: Metric
    upper: Metric

    def to_dict(self) -> dict[str, Any]:
        return {"bias": self.bias.to_dict(), "lower": self.lower.to_dict(), "upper": self.upper.to_dict()}


def bland_altman(
    a: Values,
    b: Values,
    groups: Labels,
    *,
    unit: str = "",
    resamples: int = 2000,
    seed: int = 0,
) -> BlandAltman:
    """Limits of agreement of ``a - b`` (Bland & Altman 1986, Lancet i:307), intervals clustered by `groups`.

    Examples
    --------
    >>> bland_altman([1.0, 2.0, 3.0], [1.0, 1.0, 1.0], [0, 1, 2]).bias.value
    1.0
    """
    difference = finite_values(a) - finite_values(b)
    if len(difference) < 2:
        gone = Metric.missing("limits of agreement need two pairs or more", unit=unit, n=len(difference))
        return BlandAltman(gone, gone, gone)
    options: dict[str, Any] = {"unit": unit, "resamples": resamples, "seed": seed}

    def limit(sign: int) -> Metric:
        def of(d: np.ndarray) -> float:
            return float(d.mean() + sign * 1.959964 * d.std(ddof=1)) if len(d) > 1 else math.nan

        return clustered_function(of, groups, difference, **options)

    return BlandAltman(clustered_interval(difference, groups, **options), limit(-1), limit(1))

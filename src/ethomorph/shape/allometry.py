"""Allometry: how shape changes with size, in a sample and between groups.

Multivariate regression of superimposed shapes on log centroid size. It corrects nothing for relatedness of specimens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ethomorph.core.errors import InputError
from ethomorph.shape.anova import Anova, procrustes_anova
from ethomorph.shape.checks import complete_sample, labels_for


@dataclass(frozen=True)
class Allometry:
    """Regression of shape on log centroid size.

    Attributes
    ----------
    mean : (p, k), mean shape.
    mean_log_size : natural logarithm of size at the mean shape.
    slope : (p, k), change of shape for one unit of log size; pooled within groups where groups are given.
    group_slopes : one (p, k) a group, empty without groups.
    regression_score : (n,), shape along the slope (Drake & Klingenberg 2008, Proc R Soc B 275:71-76).
    common_component : (n,), shape less the group's mean along the pooled slope (CAC; Mitteroecker et al. 2004, J Hum
        Evol 46:679-697).
    anova : terms log_size, and with groups group and log_size:group; the last is the test for common slopes.
    """

    mean: np.ndarray
    mean_log_size: float
    slope: np.ndarray
    group_slopes: dict[str, np.ndarray]
    regression_score: np.ndarray
    common_component: np.ndarray
    anova: Anova

    def predict(self, size: float | np.ndarray) -> np.ndarray:
        """Shapes (..., p, k) expected at centroid sizes (...)."""
        step = np.log(np.asarray(size, dtype=float)) - self.mean_log_size
        return self.mean + step[..., None, None] * self.slope


def allometry(
    shape: np.ndarray,
    size: Sequence[float] | np.ndarray,
    *,
    groups: Sequence[Any] | None = None,
    permutations: int = 999,
    seed: int = 0,
) -> Allometry:
    """Regress superimposed shapes on log centroid size, and test it by permutation.

    Parameters
    ----------
    shape : (n, p, k) superimposed shapes of unit size.
    size : (n,) centroid sizes, all in one unit, positive.
    groups : (n,) labels, each with at least 2 specimens; slopes are then pooled within groups and compared.
    permutations, seed : of the Procrustes ANOVA.

    Raises
    ------
    InputError
        Sizes that are not positive or do not vary, or groups of one.

    Examples
    --------
    >>> size = np.linspace(1, 3, 12)
    >>> base, trend = np.array([[0.0, 0], [1, 0], [0, 1]]), np.array([[0.0, 0], [0, 0.1], [0, 0]])
    >>> fit = allometry(base + np.log(size)[:, None, None] * trend, size, permutations=19)
    >>> fit.slope.round(6).tolist()
    [[0.0, 0.0], [0.0, 0.1], [0.0, 0.0]]
    """
    shape = complete_sample(shape, least=3)
    size = np.asarray(size, dtype=float)
    refuse_bad_sizes(size, len(shape))
    x, y = np.log(size), shape.reshape(len(shape), -1)
    labels = labels_for(groups, len(x), "group") if groups is not None else np.zeros(len(x), dtype=int).astype(str)
    names, codes = np.unique(labels, return_inverse=True)
    refuse_small_groups(names, codes)
    x_within, y_within = x - _group_means(x, codes)[codes], y - _group_means(y, codes)[codes]
    if float((x_within**2).sum()) <= 1e-18:
        raise InputError("size does not vary within groups", fix="an allometric slope needs variation in size")
    slope = x_within @ y_within / (x_within @ x_within)
    slopes = {str(name): _slope(x[codes == g], y[codes == g]).reshape(shape.shape[1:]) for g, name in enumerate(names)}
    length = np.linalg.norm(slope)
    direction = slope / length if length > 0 else slope
    table: dict[str, Any] = {"log_size": x, "group": labels}
    terms = ["log_size"] if groups is None else ["log_size", "group", "log_size:group"]
    return Allometry(
        mean=shape.mean(axis=0),
        mean_log_size=float(x.mean()),
        slope=slope.reshape(shape.shape[1:]),
        group_slopes=slopes if groups is not None else {},
        regression_score=(y - y.mean(axis=0)) @ direction,
        common_component=y_within @ direction,
        anova=procrustes_anova(shape, table, terms=terms, permutations=permutations, seed=seed),
    )


def refuse_bad_sizes(size: np.ndarray, count: int) -> None:
    """Raise InputError unless there is one positive, finite size a specimen."""
    if size.shape != (count,) or not np.isfinite(size).all() or (size <= 0).any():
        raise InputError("centroid sizes must be positive, one a specimen", fix="check scale and missing specimens")


def refuse_small_groups(names: np.ndarray, codes: np.ndarray) -> None:
    """Raise InputError naming groups with a single specimen, which have no slope."""
    single = names[np.bincount(codes) < 2]
    if len(single):
        raise InputError(f"groups of one specimen: {', '.join(single)}", fix="leave them out or join them")


def _group_means(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    member = (codes[:, None] == np.arange(codes.max() + 1)).astype(float)
    return (member / member.sum(axis=0)).T @ values


def _slope(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    centred = x - x.mean()
    square = centred @ centred
    return centred @ y / square if square > 0 else np.zeros(y.shape[1])

"""The footprint identification technique: each pair of trails judged beside a reference group (Jewell et al. 2001).

The pairwise comparison alone; clustering of its distances stands in `clustering`. Implemented from the published
description, so that its figures can be compared with the closed original.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy.stats import chi2

from ethomorph.core.errors import LabelError
from ethomorph.identity.plda import group_means

PIVOT = 1e-6
"""A variable is not chosen once less than this share of its within-variance is left unexplained by those chosen."""

BLOCK = 256  # pairs at once: about 100 MB with 130 variables

_STEPS = np.linspace(0.02, 0.98, 49)


class Preset(NamedTuple):
    """Settings of a species: variables chosen a pair, coverage of the ellipses, height at which the tree is cut."""

    variables: int
    coverage: float
    cut: float


PRESETS = {
    "tiger": Preset(18, 0.80, 1.55),
    "puma": Preset(18, 0.80, 1.68),
    "cheetah": Preset(18, 0.80, 1.68),
    "panda": Preset(12, 0.80, 1.65),
    "rhino": Preset(12, 0.80, 1.70),
}
"""Numbers of variables are the original's defaults. Its contour probability and cut are on an undocumented scale, so
coverage and cut here are on ours, set on known animals in-sample (tiger, puma) or taken from near species: circles of
the pooled within-covariance, Ward heights on ``log(1 + distance)``. Cuts learned from a reference are better."""

DEFAULT = Preset(18, 0.80, 1.65)


@dataclass
class PairwiseFit:
    """All pairs of trails, judged.

    Attributes
    ----------
    distance : (trails, trails) between the centroids, in canonical units.
    separation : (trails, trails) squared radius at which the two trails' ellipses touch.
    chosen : (variables,) share of the pairs in which each variable was chosen.
    """

    distance: np.ndarray
    separation: np.ndarray
    chosen: np.ndarray

    def same(self, coverage: float, *, contour: Literal["pooled", "own"] = "pooled") -> np.ndarray:
        """(trails, trails) whether the ellipses that hold `coverage` of each trail's prints overlap: "self".

        With "pooled" all trails share the within-covariance, so ellipses are circles in canonical units; with "own"
        each trail has its own, from its few prints.
        """
        touch = self.separation if contour == "own" else self.distance**2 / 4
        return touch <= chi2.ppf(coverage, 2)


def compare_pairs(values: np.ndarray, trail: np.ndarray, reference: np.ndarray, *, variables: int = 18) -> PairwiseFit:
    """Compare all pairs of trails by canonical analysis of three groups: trail A, trail B and the whole reference.

    For each pair: pooled within-group scatter W = S_A + S_B + S_R and total scatter T; forward selection of `variables`
    by the largest partial F, that is the smallest ratio w / t of what the chosen ones leave of a variable in W and T;
    two canonical axes in which the pooled within-covariance is the identity; then the distance of the centroids and
    whether the trails' own ellipses overlap.

    Parameters
    ----------
    values : (n, p) complete measurements of the trails.
    trail : (n,) labels; results are in their sorted order.
    reference : (m, p) complete prints of the reference group, all animals together.
    variables : how many are chosen for each pair.

    Raises
    ------
    LabelError
        Where a trail has fewer than 3 prints (its ellipse is undefined) or the reference fewer than 10.
    """
    x, codes, r = _prepared(values, trail, reference)
    means, counts = group_means(x, codes)
    residual = x - means[codes]
    scatter = np.stack([residual[codes == k].T @ residual[codes == k] for k in range(len(counts))])
    first, second = np.triu_indices(len(counts), 1)
    distance, separation = np.zeros((len(counts),) * 2), np.zeros((len(counts),) * 2)
    chosen = np.zeros(x.shape[1])
    variables = min(variables, x.shape[1])
    for start in range(0, len(first), BLOCK):
        a, b = first[start : start + BLOCK], second[start : start + BLOCK]
        groups = _Groups(scatter, r.T @ r, means, counts, float(len(r)), a, b)
        picked = _forward_selection(groups, variables)
        d, touch, _ = _canonical(groups, picked)
        distance[a, b] = distance[b, a] = d
        separation[a, b] = separation[b, a] = touch
        np.add.at(chosen, picked.ravel(), 1)
    return PairwiseFit(distance, separation, chosen / max(len(first), 1))


@dataclass
class CanonicalPair:
    """One pair for a picture: canonical scores (n, 2) of both trails and the reference, and the centroids' distance."""

    first: np.ndarray
    second: np.ndarray
    reference: np.ndarray
    distance: float


def canonical_pair(
    values: np.ndarray, trail: np.ndarray, names: tuple[str, str], reference: np.ndarray, *, variables: int = 18
) -> CanonicalPair:
    """The comparison of `compare_pairs` for two named trails, print by print."""
    keep = np.isin(trail, names)
    x, codes, r = _prepared(values[keep], trail[keep], reference)
    first = int(np.searchsorted(np.unique(trail[keep]), names[0]))
    means, counts = group_means(x, codes)
    residual = x - means[codes]
    scatter = np.stack([residual[codes == k].T @ residual[codes == k] for k in range(2)])
    groups = _Groups(scatter, r.T @ r, means, counts, float(len(r)), np.array([first]), np.array([1 - first]))
    picked = _forward_selection(groups, min(variables, x.shape[1]))
    distance, _, project = _canonical(groups, picked)
    scores, others = x[:, picked[0]] @ project[0], r[:, picked[0]] @ project[0]
    return CanonicalPair(scores[codes == first], scores[codes != first], others, float(distance[0]))


def _prepared(
    values: np.ndarray, trail: np.ndarray, reference: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Trails' prints standardised by the reference, their codes, the standardised reference; refuses too few prints."""
    names, codes = np.unique(trail, return_inverse=True)
    few = names[np.bincount(codes) < 3]
    if len(few):
        fix = "use method 'plda', or leave them out"
        raise LabelError(f"{len(few)} trails have fewer than 3 prints (such as {few[0]!r})", fix=fix)
    if len(reference) < 10:
        raise LabelError(f"the reference has {len(reference)} prints", fix="give at least 10, better 200")
    scale = np.where(reference.std(0) > 0, reference.std(0), 1.0)
    return (values - reference.mean(0)) / scale, codes, (reference - reference.mean(0)) / scale


@dataclass
class _Groups:
    """A block of pairs: scatter of trails (trails, p, p) and reference (p, p), means (trails, p; reference 0)."""

    scatter: np.ndarray
    reference: np.ndarray
    means: np.ndarray
    counts: np.ndarray
    size: float
    a: np.ndarray
    b: np.ndarray

    def weights(self) -> np.ndarray:
        """(pairs, 3) prints of A, B and the reference."""
        return np.column_stack([self.counts[self.a], self.counts[self.b], np.full(len(self.a), self.size)])

    def deviations(self) -> np.ndarray:
        """(pairs, 3, p) group means from the common mean, times the square root of the group's size."""
        n = self.weights()
        centres = np.stack([self.means[self.a], self.means[self.b], np.zeros_like(self.means[self.a])], axis=1)
        common = (n[:, :, None] * centres).sum(1, keepdims=True) / n.sum(1)[:, None, None]
        return (centres - common) * np.sqrt(n)[:, :, None]


def _forward_selection(groups: _Groups, number: int) -> np.ndarray:
    """(pairs, number) variables in the order chosen, by two pivoted Cholesky factorisations in step (of W and of T)."""
    a, b = groups.a, groups.b
    pairs, p = len(a), groups.means.shape[1]
    rows = np.arange(pairs)
    deviation = groups.deviations()
    own = np.diagonal(groups.scatter, axis1=1, axis2=2)
    within = np.diag(groups.reference) + own[a] + own[b]
    total = within + (deviation**2).sum(1)
    floor, floor_total = PIVOT * within, PIVOT * total
    factors, factors_total = np.zeros((number, pairs, p)), np.zeros((number, pairs, p))
    picked = np.zeros((pairs, number), dtype=int)
    free = np.ones((pairs, p), dtype=bool)
    for step in range(number):
        usable = free & (within > floor) & (total > floor_total)
        ratio = np.where(usable, within / np.where(total > 0, total, 1.0), np.inf)
        j = ratio.argmin(1)
        picked[:, step] = j
        free[rows, j] = False
        column = groups.reference[j] + groups.scatter[a, j] + groups.scatter[b, j]
        column_total = column + np.einsum("kgp,kg->kp", deviation, deviation[rows, :, j])
        column -= np.einsum("skp,sk->kp", factors[:step], factors[:step, rows, j])
        column_total -= np.einsum("skp,sk->kp", factors_total[:step], factors_total[:step, rows, j])
        for diagonal, new, store in ((within, column, factors), (total, column_total, factors_total)):
            store[step] = new / np.sqrt(np.maximum(new[rows, j], 1e-300))[:, None]
            diagonal -= store[step] ** 2
    return picked


def _canonical(groups: _Groups, picked: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance of the centroids (pairs,), squared radius at which the ellipses touch (pairs,), axes of each."""
    a, b = groups.a, groups.b
    rows, columns = picked[:, :, None], picked[:, None, :]
    scatter_a = groups.scatter[a[:, None, None], rows, columns]
    scatter_b = groups.scatter[b[:, None, None], rows, columns]
    n = groups.weights()
    within = (groups.reference[rows, columns] + scatter_a + scatter_b) / (n.sum(1) - 3)[:, None, None]
    lower = np.linalg.cholesky(
        within + 1e-10 * np.trace(within, axis1=1, axis2=2)[:, None, None] * np.eye(picked.shape[1])
    )
    deviation = np.take_along_axis(groups.deviations(), columns.repeat(3, axis=1), axis=2)
    whitened = np.linalg.solve(lower, deviation.swapaxes(1, 2))
    axes = np.linalg.svd(whitened, full_matrices=False)[0][:, :, :2]
    project = np.linalg.solve(lower.swapaxes(1, 2), axes)  # (pairs, chosen, 2): measurements to canonical scores
    gap = groups.means[a[:, None], picked] - groups.means[b[:, None], picked]
    d = np.einsum("kv,kvc->kc", gap, project)
    own_a = project.swapaxes(1, 2) @ scatter_a @ project / (n[:, 0] - 1)[:, None, None]
    own_b = project.swapaxes(1, 2) @ scatter_b @ project / (n[:, 1] - 1)[:, None, None]
    return np.sqrt((d**2).sum(1)), touching_radius(d, own_a, own_b), project


def touching_radius(gap: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Squared Mahalanobis radius at which two ellipses touch: the largest s (1 - s) d' [(1 - s) C1 + s C2]^-1 d.

    Parameters
    ----------
    gap : (pairs, 2) between the centres.
    first, second : (pairs, 2, 2) covariances.

    Examples
    --------
    >>> float(touching_radius(np.array([[4.0, 0.0]]), np.eye(2)[None], np.eye(2)[None])[0])  # two circles, 4 apart
    4.0
    """
    s = _STEPS[:, None, None, None]
    mixed = (1 - s) * first + s * second
    a, b, c = mixed[..., 0, 0], mixed[..., 0, 1], mixed[..., 1, 1]
    x, y = gap[:, 0], gap[:, 1]
    quadratic = (c * x**2 - 2 * b * x * y + a * y**2) / np.maximum(a * c - b**2, 1e-12)
    return (s[..., 0, 0] * (1 - s[..., 0, 0]) * quadratic).max(0)

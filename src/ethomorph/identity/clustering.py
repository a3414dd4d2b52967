"""Trees of trails and where to cut them: Ward or average linkage, a cut learned on animals that are known.

The posterior over partitions needs no cut; the pairwise method does, and every method draws a tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform


def grow_tree(distance: np.ndarray, *, method: Literal["ward", "average"] = "average") -> np.ndarray:
    """SciPy linkage (trails - 1, 4) of a symmetric distance matrix (trails, trails).

    Ward's update on distances that are not Euclidean is a heuristic, but the published one for this method.
    """
    condensed = np.maximum(squareform(np.asarray(distance, dtype=np.float64), checks=False), 0.0)
    return linkage(condensed, method) if len(condensed) else np.empty((0, 4))


def cut_at_height(tree: np.ndarray, height: float) -> np.ndarray:
    """(trails,) codes from 0 of the clusters below `height`, numbered in order of their first trail.

    Examples
    --------
    >>> tree = grow_tree(np.array([[0, 1, 9], [1, 0, 9], [9, 9, 0.0]]))
    >>> cut_at_height(tree, 2.0).tolist()
    [0, 0, 1]
    """
    return _in_order(fcluster(tree, height, "distance")) if len(tree) else np.zeros(1, dtype=int)


def cut_to_number(tree: np.ndarray, number: int) -> np.ndarray:
    """(trails,) codes of the `number` clusters that the tree has; fewer where heights tie."""
    return _in_order(fcluster(tree, number, "maxclust")) if len(tree) else np.zeros(1, dtype=int)


def sorted_tree(tree: np.ndarray, leaves: int) -> np.ndarray:
    """A linkage with its merges in order of height, as SciPy expects; nodes renumbered."""
    order = np.argsort(tree[:, 2], kind="stable")
    new = np.empty(len(tree))
    new[order] = np.arange(len(tree)) + leaves
    renamed = tree[order].copy()
    for column in (0, 1):
        inner = renamed[:, column] >= leaves
        renamed[inner, column] = new[renamed[inner, column].astype(int) - leaves]
    return renamed


def height_for(tree: np.ndarray, number: int) -> float:
    """The middle of the heights at which the tree has `number` clusters."""
    heights = np.concatenate([[0.0], np.sort(tree[:, 2]), [1.1 * tree[-1, 2] + 1e-9]])
    below = len(tree) + 1 - number  # merges done once `number` clusters are left
    return float((heights[below] + heights[below + 1]) / 2)


@dataclass(frozen=True)
class Cut:
    """A height that depends on how many animals were learned from, and how far single trees lay from it.

    Attributes
    ----------
    height, slope : the height is ``height + slope / animals``.
    misses : what was to be added to it for each tree of known animals to come out right.
    """

    height: float
    slope: float = 0.0
    misses: tuple[float, ...] = ()

    def at(self, animals: int) -> float:
        return self.height + self.slope / animals


def learn_cut(trees: Sequence[np.ndarray], numbers: Sequence[int], learned_from: Sequence[int]) -> Cut:
    """The height at which counts of known animals are right, as a line in one over the animals learned from.

    Distances shrink as the reference grows, so a cut learned with part of the reference is too high for all of it.
    The slope is never negative; trees of more animals weigh more.

    Parameters
    ----------
    trees, numbers : trees of left-out animals and their true numbers.
    learned_from : how many animals each tree's distances were learned from.

    Examples
    --------
    >>> tree = grow_tree(np.array([[0, 1, 9], [1, 0, 9], [9, 9, 0.0]]))
    >>> learn_cut([tree, tree], [2, 2], [10, 20]).at(30)
    5.0
    """
    heights = np.array([height_for(tree, number) for tree, number in zip(trees, numbers, strict=True)])
    x, weight = 1 / np.asarray(learned_from, dtype=float), np.asarray(numbers, dtype=float)
    centre = np.average(x, weights=weight)
    spread = np.average((x - centre) ** 2, weights=weight)
    slope = np.average((x - centre) * heights, weights=weight) / spread if spread > 1e-12 else 0.0
    slope = max(float(slope), 0.0)
    height = float(np.average(heights, weights=weight) - slope * centre)
    return Cut(height, slope, tuple((heights - height - slope * x).tolist()))


def _in_order(labels: np.ndarray) -> np.ndarray:
    _, first, codes = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[codes]

"""Which points belong to one animal: part affinity along candidate edges, paired edge by edge, joined to animals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from ethomorph.keypoints.pose.decode import FoundPose, Peaks

SAMPLES = 10
"""Places along an edge at which its field is read (Cao et al. 2017)."""
LEAST_AFFINITY = 0.2
"""Mean agreement of field and edge under which two points are not joined."""


def affinities(source: np.ndarray, end: np.ndarray, field: np.ndarray, stride: int) -> np.ndarray:
    """(sources, ends): mean of the field's component along the line between each two points, about 0 to 1.

    Parameters
    ----------
    source, end : (n, 2) and (m, 2) px.
    field : (2, height, width), x and y component at `stride`.
    """
    along = end[None] - source[:, None]
    length = np.linalg.norm(along, axis=-1, keepdims=True)
    unit = along / np.maximum(length, 1e-6)
    share = np.linspace(0, 1, SAMPLES)[:, None]
    places = source[:, None, None] + share * along[:, :, None]
    cells = (places + 0.5) / stride - 0.5
    height, width = field.shape[1:]
    x = np.clip(np.rint(cells[..., 0]), 0, width - 1).astype(int)
    y = np.clip(np.rint(cells[..., 1]), 0, height - 1).astype(int)
    return (field[0, y, x] * unit[..., 0, None] + field[1, y, x] * unit[..., 1, None]).mean(-1)


def pair(affinity: np.ndarray, *, how: str) -> list[tuple[int, int]]:
    """Pairs (source, end) of one edge, each point once; ``hungarian`` for the largest sum, ``greedy`` best first.

    >>> affinity = np.array([[0.9, 0.8], [0.85, 0.0]])
    >>> pair(affinity, how="hungarian"), pair(affinity, how="greedy")
    ([(0, 1), (1, 0)], [(0, 0)])
    """
    if not affinity.size:
        return []
    if how == "hungarian":
        rows, columns = linear_sum_assignment(-np.maximum(affinity, 0))
        found = [(int(a), int(b)) for a, b in zip(rows, columns, strict=True)]
    else:
        found = []
        for flat in np.argsort(-affinity, axis=None):
            a, b = (int(v) for v in np.unravel_index(flat, affinity.shape))
            if all(a != taken and b != other for taken, other in found):
                found.append((a, b))
    return [(a, b) for a, b in found if affinity[a, b] >= LEAST_AFFINITY]


def group(
    found: Peaks, fields: np.ndarray, edges: Sequence[tuple[int, int]], nodes: int, *, stride: int, how: str, most: int
) -> list[FoundPose]:
    """Animals from one frame's peaks, best first, at most `most`.

    Parameters
    ----------
    fields : (2 x edges, height, width).
    edges : joining all nodes without a circle, so that an animal can hold a node once only.
    """
    of_node = [np.flatnonzero(found.node == node) for node in range(nodes)]
    root = np.arange(len(found.node))
    strength = np.zeros(len(found.node))
    joined = np.zeros(len(found.node))

    def top(i: int) -> int:
        while root[i] != i:
            i = root[i]
        return i

    for index, (a, b) in enumerate(edges):
        one, other = of_node[a], of_node[b]
        affinity = affinities(found.points[one], found.points[other], fields[2 * index : 2 * index + 2], stride)
        for i, j in pair(affinity, how=how):
            root[top(int(other[j]))] = top(int(one[i]))
            strength[other[j]] += affinity[i, j]
            joined[other[j]] += 1
    least = 2 if nodes > 2 else 1
    animals = []
    heads = np.array([top(i) for i in range(len(root))], dtype=int)
    for head in np.unique(heads):
        members = np.flatnonzero(heads == head)
        if len(members) < least:
            continue
        points, scores = np.full((nodes, 2), np.nan), np.zeros(nodes)
        points[found.node[members]] = found.points[members]
        scores[found.node[members]] = found.scores[members]
        edge = strength[members].sum() / max(1.0, joined[members].sum()) if nodes > 1 else 1.0
        whole = float(scores.sum() / nodes * np.clip(edge, 0, 1)) if len(members) > 1 else float(scores.sum() / nodes)
        animals.append(FoundPose(points, scores, whole))
    animals.sort(key=lambda animal: -animal.score)
    return animals[:most]

"""Left or right: where a network knows two places of a symmetric pair and not which is whose, the animal's shape says.

Seen from above, many animals are their own mirror image but for the direction they face, and a network learns where
eyes are long before it learns which of them is left. It does not find places, and nodes that the network tells apart
stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ethomorph.keypoints.decode import peaks
from ethomorph.keypoints.pose.decode import refine
from ethomorph.keypoints.pose.heads import OnePeak

ROUNDS = 5
"""Of aligning the animals to their mean."""
UNSURE = 0.2
"""The network does not tell partners apart where the lesser of the two ways has this share of the better one's
confidence; and a place counts from this confidence of both partners together."""


def mean_shape(animals: np.ndarray) -> np.ndarray:
    """(nodes, 2) mean of animals (n, nodes, 2) moved, turned and scaled onto each other, never mirrored; NaN is hidden.

    It is centred, of mean squared distance 1 from its middle; a single node has no shape and stays as it is.
    Generalised Procrustes (Gower 1975) in complex numbers.

    Examples
    --------
    >>> turned = np.array([[[0, 0], [4, 0], [4, 2]], [[0, 0], [0, 8], [-4, 8]]], float)
    >>> shape = mean_shape(turned)
    >>> float(np.round(np.linalg.norm(shape[1] - shape[0]) / np.linalg.norm(shape[2] - shape[1]), 6))
    2.0
    """
    places = animals[..., 0] + 1j * animals[..., 1]
    seen = np.isfinite(animals).all(-1)
    first = int(np.argmax(seen.sum(1)))
    mean = np.where(seen[first], places[first], 0)
    known = seen[first]
    for _ in range(ROUNDS):
        moved = [onto(p, mean, s & known) for p, s in zip(places, seen, strict=True) if (s & known).sum() >= 2]
        if not moved:  # one node, or animals that share none: there is no shape
            break
        stack = np.array(moved)
        there = np.isfinite(stack)
        known = there.any(0)
        mean = np.where(there, stack, 0).sum(0) / np.maximum(there.sum(0), 1)
        mean = mean - mean[known].mean()
        mean = mean / max(float(np.sqrt((np.abs(mean[known]) ** 2).mean())), 1e-9)
    return np.stack([mean.real, mean.imag], -1)


def onto(places: np.ndarray, target: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Complex places moved, turned and scaled onto `target`, by least squares over the nodes `which`."""
    here, there = places[which].mean(), target[which].mean()
    size = (np.abs(places[which] - here) ** 2).sum()
    turn = (np.conj(places[which] - here) * (target[which] - there)).sum() / max(size, 1e-12)
    return turn * (places - here) + there


def partnered(
    head: OnePeak, logits: Tensor, points: Tensor, scores: Tensor, pairs: Sequence[tuple[int, int]], shape: np.ndarray
) -> tuple[Tensor, Tensor]:
    """Points and scores in which partners that the network does not tell apart stand where the shape has them.

    Parameters
    ----------
    logits : (animals, nodes, height, width), one animal a map.
    points, scores : (animals, nodes, 2) px and (animals, nodes), as `ethomorph.keypoints.pose.decode.single_peaks`
        gives them.
    pairs : node numbers of partners.
    shape : (nodes, 2) from `mean_shape`.
    """
    if not pairs or not len(logits):
        return points, scores
    maps = head.maps(logits)
    left, right = (maps[:, [pair[i] for pair in pairs]].flatten(0, 1) for i in (0, 1))
    one = peaks(left + right).long()
    y = torch.arange(maps.shape[-2], device=maps.device)[None, :, None] - one[:, 1, None, None]
    x = torch.arange(maps.shape[-1], device=maps.device)[None, None, :] - one[:, 0, None, None]
    near = (x**2 + y**2) < (3 * head.sigma / head.stride) ** 2
    # the second place must not live on the first one's shoulder
    left_far, right_far = left.masked_fill(near, 0.0), right.masked_fill(near, 0.0)
    two = peaks(left_far + right_far).long()
    each = torch.arange(len(left), device=maps.device)
    found = [
        refine(head, some, each, at) for some, at in ((left, one), (left_far, two), (right, one), (right_far, two))
    ]
    size = (len(maps), len(pairs))
    places = np.stack([p.numpy(force=True).reshape(*size, 2) for p, _ in found], 2)
    sure = np.stack([s.numpy(force=True).reshape(size) for _, s in found], 2)
    settled, trust = points.numpy(force=True).copy(), scores.numpy(force=True).copy()
    for animal in range(len(maps)):
        open_pairs = [k for k in range(len(pairs)) if undecided(sure[animal, k])]
        if open_pairs:
            settle(settled[animal], trust[animal], places[animal], sure[animal], open_pairs, pairs, shape)
    return torch.from_numpy(settled).to(points), torch.from_numpy(trust).to(scores)


def undecided(sure: np.ndarray) -> bool:
    """Whether two places are both taken and both ways to share them are plausible; confidences as in `partnered`."""
    straight, crossed = sure[0] + sure[3], sure[1] + sure[2]
    taken = min(sure[0] + sure[2], sure[1] + sure[3]) >= UNSURE
    return bool(taken and min(straight, crossed) >= UNSURE * max(straight, crossed))


def settle(
    points: np.ndarray, scores: np.ndarray, places: np.ndarray, sure: np.ndarray, open_pairs: list[int],
    pairs: Sequence[tuple[int, int]], shape: np.ndarray,
) -> None:  # fmt: skip
    """Give each open pair of one animal its places, in place: the shape is laid on the other nodes and on the pairs'
    middles, which are the same either way."""
    middles = [places[k].mean(0) for k in open_pairs]
    paired = {node for k in open_pairs for node in pairs[k]}
    rest = [node for node in range(len(points)) if node not in paired and scores[node] >= UNSURE]
    found = np.concatenate([points[rest], *(middle[None] for middle in middles)]) @ [1, 1j]
    model = shape @ [1, 1j]
    anchors = np.concatenate([model[rest], [model[list(pairs[k])].mean() for k in open_pairs]])
    if len(found) < 2 or np.ptp(found.real) + np.ptp(found.imag) == 0:
        return
    count = len(found)
    every = np.concatenate([anchors, model])
    laid = onto(every, np.concatenate([found, model]), np.arange(len(every)) < count)
    expected = np.stack([laid[count:].real, laid[count:].imag], -1)
    for k in open_pairs:
        a, b = pairs[k]
        one, two = (places[k][[i, i + 2]].mean(0) for i in (0, 1))
        straight = ((one - expected[a]) ** 2).sum() + ((two - expected[b]) ** 2).sum()
        crossed = ((two - expected[a]) ** 2).sum() + ((one - expected[b]) ** 2).sum()
        here, there = (0, 3) if straight <= crossed else (1, 2)
        points[a], points[b] = places[k][here], places[k][there]
        together = np.minimum(sure[k][[0, 1]] + sure[k][[2, 3]], 1.0)
        scores[a], scores[b] = (together[0], together[1]) if straight <= crossed else (together[1], together[0])

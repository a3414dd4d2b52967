"""The posterior over partitions for tens of thousands of trails: no table of all trails by all animals is kept.

Same prior and evidence as `posterior`, same moves, but each trail is weighed against the animals' sums when its turn
comes, and the tree is grown in two storeys: trails under individuals, individuals under the root.
"""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import linkage
from scipy.sparse import csr_matrix
from scipy.spatial.distance import squareform
from scipy.special import expit

from ethomorph.identity.clustering import sorted_tree
from ethomorph.identity.plda import TrailSummary, TwoCovariance
from ethomorph.identity.posterior import draw_concentration

BLOCK = 2000
"""Trails whose pair scores are looked at together: 2000 rows of 20,000 are 320 MB."""


class _Crowd:
    """Animals as growing arrays; what a move needs of each is kept per class of equally sharp trails.

    For a trail of sums s and class c, the gain of joining animal k is
    ``(s**2 @ weight[c, k] + 2 s @ pull[c, k] + level[c, k]) / 2 - alone``.
    """

    def __init__(self, model: TwoCovariance, trails: TrailSummary) -> None:
        self.model, self.sums, self.precisions = model, trails.sums, trails.precision
        self.classes, self.kind = np.unique(self.precisions, axis=0, return_inverse=True)
        self.alone = model.evidence(self.sums, self.precisions)
        self.squares, self.doubles = (self.sums**2).astype(np.float32), (2 * self.sums).astype(np.float32)
        self.room, axes = 0, self.sums.shape[1]
        self.total, self.sharp = np.zeros((0, axes)), np.zeros((0, axes))
        self.size = np.zeros(0)
        self.weight, self.pull = (np.zeros((len(self.classes), 0, axes), np.float32) for _ in range(2))
        self.level = np.zeros((len(self.classes), 0))
        self._grow(256)

    def _grow(self, more: int) -> None:
        def longer(array: np.ndarray, axis: int) -> np.ndarray:
            shape = list(array.shape)
            shape[axis] = more
            return np.concatenate([array, np.zeros(shape, array.dtype)], axis=axis)

        self.total, self.sharp, self.size = longer(self.total, 0), longer(self.sharp, 0), longer(self.size, 0)
        self.weight, self.pull, self.level = longer(self.weight, 1), longer(self.pull, 1), longer(self.level, 1)
        self.room += more

    def move(self, i: int, animal: int, sign: int) -> None:
        """Add trail i to an animal (sign 1) or take it away (-1)."""
        if animal >= self.room:
            self._grow(self.room)
        self.total[animal] += sign * self.sums[i]
        self.sharp[animal] += sign * self.precisions[i]
        self.size[animal] += sign
        if not self.size[animal]:
            self.total[animal] = self.sharp[animal] = 0.0
            return
        joint = self.classes + self.sharp[animal]
        weight = 1 / (joint + 1 / self.model.between)
        pull = self.total[animal] * weight
        self.weight[:, animal], self.pull[:, animal] = weight, pull
        evidence = self.model.evidence(self.total[animal], self.sharp[animal])
        self.level[:, animal] = pull @ self.total[animal] - np.log1p(self.model.between * joint).sum(1) - 2 * evidence

    def gains(self, i: int, animals: int) -> np.ndarray:
        """(animals,) log Bayes factor of trail i joining each of the first `animals` over standing alone."""
        c = self.kind[i]
        squared = self.weight[c, :animals] @ self.squares[i] + self.pull[c, :animals] @ self.doubles[i]
        return 0.5 * (squared + self.level[c, :animals]) - self.alone[i]


def sample_crowd(
    model: TwoCovariance,
    trails: TrailSummary,
    generator: np.random.Generator,
    *,
    draws: int = 4,
    burn_in: int = 6,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """Draw partitions as `posterior.sample_partitions` does; returns the codes, (draws, trails).

    Without `start` the first sweep places the trails one by one among those placed before.
    """
    number = len(trails)
    crowd, free = _Crowd(model, trails), []
    who = np.full(number, -1)
    used = 0
    if start is not None:
        who = np.unique(start, return_inverse=True)[1].copy()
        used = int(who.max()) + 1
        for i in np.argsort(who, kind="stable"):
            crowd.move(int(i), int(who[i]), 1)
    concentration = number / 30
    kept = []
    for sweep in range(burn_in + draws):
        for i in generator.permutation(number).tolist():
            if who[i] >= 0:
                crowd.move(i, who[i], -1)
                if not crowd.size[who[i]]:
                    free.append(int(who[i]))
            with np.errstate(divide="ignore"):
                weight = np.log(crowd.size[:used]) + crowd.gains(i, used)
            weight = np.append(weight, np.log(concentration))
            chance = np.cumsum(np.exp(weight - weight.max()))
            new = int(chance.searchsorted(generator.random() * chance[-1], side="right"))
            if new == used:
                new = free.pop() if free else used
                used = max(used, new + 1)
            who[i] = new
            crowd.move(i, new, 1)
        animals = int((crowd.size > 0).sum())
        concentration = draw_concentration(animals, number, generator)
        if sweep >= burn_in:
            kept.append(np.unique(who, return_inverse=True)[1])
    return np.array(kept, dtype=np.int32)


def best_draw(drawn: np.ndarray) -> np.ndarray:
    """The drawn partition (trails,) that agrees best with the others by the adjusted Rand index.

    Fritsch & Ickstadt (2009, Bayesian Analysis 4:367), with the choice limited to the draws themselves.
    """
    from sklearn.metrics import adjusted_rand_score

    agreement = [sum(adjusted_rand_score(one, other) for other in drawn) for one in drawn]
    return drawn[int(np.argmax(agreement))]


def all_pair_scores(model: TwoCovariance, trails: TrailSummary, slope: float, offset: float) -> np.ndarray:
    """(trails, trails) float32 calibrated pair scores, made block by block."""
    number = len(trails)
    scores = np.empty((number, number), dtype=np.float32)
    for start in range(0, number, BLOCK):
        rows = slice(start, start + BLOCK)
        some = TrailSummary(trails.mean[rows], trails.precision[rows])
        scores[rows] = slope * model.pair_scores(some, trails) + offset
    return scores


def two_storey_tree(scores: np.ndarray, drawn: np.ndarray, individual: np.ndarray) -> np.ndarray:
    """SciPy linkage of all trails: average linkage within each individual, then of the individuals' mean unlikeness.

    Unlikeness is half the chance of being different animals, half the pair's own score; heights never fall from a
    node to its parent.
    """
    number, groups = len(individual), int(individual.max()) + 1
    typical = max(float(np.median(np.abs(scores[: min(number, 500)]))), 1.0)
    members = [np.flatnonzero(individual == k) for k in range(groups)]
    rows: list[tuple[float, float, float, float]] = []
    root = np.zeros(groups, dtype=int)
    height, size = np.zeros(groups), np.zeros(groups)
    for k, inside in enumerate(members):
        root[k], size[k] = inside[0], len(inside)
        if len(inside) < 2:
            continue
        apart = (drawn[:, inside, None] != drawn[:, None, inside]).mean(0)
        unlike = apart / 2 + expit(-scores[np.ix_(inside, inside)] / typical) / 2
        first = number + len(rows)
        for a, b, at, count in linkage(squareform(unlike, checks=False), "average"):
            nodes = [float(inside[int(n)]) if n < len(inside) else first + n - len(inside) for n in (a, b)]
            rows.append((*nodes, at, count))
        root[k], height[k] = number + len(rows) - 1, rows[-1][2]
    if groups > 1:
        unlike = _between(scores, drawn, individual, typical)
        nodes = [*root.tolist()]
        heights, sizes = [*height], [*size]
        for a, b, at, _ in linkage(squareform(unlike, checks=False), "average"):
            a, b = int(a), int(b)
            rows.append((nodes[a], nodes[b], max(at, heights[a], heights[b]), sizes[a] + sizes[b]))
            nodes.append(number + len(rows) - 1)
            heights.append(rows[-1][2])
            sizes.append(rows[-1][3])
    return sorted_tree(np.array(rows), number)


def membership_of_draws(drawn: np.ndarray, individual: np.ndarray) -> np.ndarray:
    """(trails,) as `result.membership`, from the draws: mean chance of being with the individual's others.

    Alone: the share of draws in which the trail was alone.
    """
    chance = np.zeros(len(individual))
    for k in range(int(individual.max()) + 1):
        inside = np.flatnonzero(individual == k)
        if len(inside) > 1:
            with_others = (drawn[:, inside, None] == drawn[:, None, inside]).sum(2) - 1
            chance[inside] = with_others.mean(0) / (len(inside) - 1)
        else:
            chance[inside] = np.mean([np.count_nonzero(row == row[inside[0]]) == 1 for row in drawn])
    return chance


def _between(scores: np.ndarray, drawn: np.ndarray, individual: np.ndarray, typical: float) -> np.ndarray:
    """(individuals, individuals) mean unlikeness of their trails, 0 on the diagonal."""
    groups = int(individual.max()) + 1
    size = np.bincount(individual).astype(float)
    owner = csr_matrix((np.ones(len(individual)), (individual, np.arange(len(individual)))))
    near = np.zeros((groups, groups))
    for start in range(0, len(individual), BLOCK):
        rows = slice(start, start + BLOCK)
        near += owner[:, rows] @ (owner @ expit(scores[rows].T / typical)).T
    for row in drawn:
        table = csr_matrix((np.ones(len(row)), (individual, row)))
        near += (table @ table.T).toarray() / len(drawn)
    unlike = np.clip(1 - near / np.outer(size, size) / 2, 0.0, 1.0)
    np.fill_diagonal(unlike, 0.0)
    return (unlike + unlike.T) / 2

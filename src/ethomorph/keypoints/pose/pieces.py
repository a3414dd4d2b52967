"""Pieces of tracks within which an animal cannot have been exchanged for another, and whom they are given to.

What speaks for whom comes from outside: `appearance` knows what animals look like.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ethomorph.keypoints.pose.data import centre_of

TOUCH, LURK = 0.35, 1.5
"""Two animals could be exchanged while nodes of theirs, or the expected place of one that is not found, are so near,
in animal lengths."""
LEAST = 5
"""Frames of a piece from which its looks count."""
CONTINUITY, FORGET = 4.0, 10.0
"""What it is worth, in nats, that a piece goes on where the one before it on its track ended; and the gap in frames
over which this is forgotten."""
PART = 25
"""Frames of a piece that are compared with the next as many: both are the same animal without doubt."""


@dataclass
class Piece:
    """A stretch of a track within which its animal cannot have been exchanged.

    Attributes
    ----------
    apart : whether it was away from all others.
    before : the piece before it on its track, -1 for the first.
    counts, sums : frames of each `PART` in which its looks were seen, and (values,) the sums of these.
    """

    track: int
    first: int
    last: int
    apart: bool
    before: int
    counts: list[int] = field(default_factory=list)
    sums: list[np.ndarray] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Frames in which its looks were seen."""
        return sum(self.counts)

    def see(self, values: np.ndarray) -> None:
        """Take in its looks in one more frame."""
        if not self.counts or self.counts[-1] == PART:
            self.counts.append(0)
            self.sums.append(np.zeros_like(values))
        self.counts[-1] += 1
        self.sums[-1] += values


def is_apart(points: np.ndarray, waiting: np.ndarray, length: float) -> np.ndarray:
    """(n,) whether no other animal, found or waited for, is near enough to be exchanged for it."""
    apart = np.ones(len(points), dtype=bool)
    middles = centre_of(points, None) if len(points) else np.empty((0, 2))
    lost = centre_of(waiting, None) if len(waiting) else np.empty((0, 2))
    for i in range(len(points)):
        others = np.delete(points, i, axis=0)
        gaps = np.linalg.norm(points[i][None, :, None] - others[:, None], axis=-1)
        near = np.nanmin(gaps, initial=np.inf) < TOUCH * length
        lurks = np.nanmin(np.linalg.norm(lost - middles[i], axis=-1), initial=np.inf) < LURK * length
        apart[i] = not (near or lurks)
    return apart


def reference(pieces: Sequence[Piece], animals: int) -> np.ndarray:
    """(animals,) the pieces of the moment at which all animals are apart and the shortest of theirs is longest; empty
    where there is none."""
    best, chosen = LEAST - 1, np.empty(0, dtype=int)
    active: list[int] = []
    for i in sorted((i for i, p in enumerate(pieces) if p.apart), key=lambda i: pieces[i].first):
        active = [j for j in active if pieces[j].last >= pieces[i].first] + [i]
        if len(active) == animals and (shortest := min(pieces[j].count for j in active)) > best:
            best, chosen = shortest, np.array(sorted(active, key=lambda j: pieces[j].track))
    return chosen


def overlapping(pieces: Sequence[Piece]) -> list[list[int]]:
    """For each piece the others that share a frame with it."""
    found: list[list[int]] = [[] for _ in pieces]
    active: list[int] = []
    for i in sorted(range(len(pieces)), key=lambda i: pieces[i].first):
        active = [j for j in active if pieces[j].last >= pieces[i].first]
        for j in active:
            found[i].append(j)
            found[j].append(i)
        active.append(i)
    return found


def give_back(pieces: Sequence[Piece], evidence: np.ndarray, links: Sequence[tuple[int, int]]) -> np.ndarray:
    """(pieces,) the animal of each piece: the surest first, and none twice in a frame; -1 where none is left.

    Parameters
    ----------
    evidence : (pieces, animals) log-likelihood.
    links : (piece, piece before it on its track): each makes the other's animal likelier by `CONTINUITY`.

    Examples
    --------
    >>> pieces = [Piece(0, 0, 9, True, -1), Piece(1, 0, 9, True, -1), Piece(0, 12, 20, True, 0)]
    >>> give_back(pieces, np.array([[5.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), [(2, 0)]).tolist()
    [0, 1, 0]
    """
    rivals, owner = overlapping(pieces), np.full(len(pieces), -1)
    value = evidence.astype(float).copy()
    near: list[list[tuple[int, float]]] = [[] for _ in pieces]
    for a, b in links:
        worth = CONTINUITY * float(np.exp(-(pieces[a].first - pieces[b].last - 1) / FORGET))
        near[a].append((b, worth))
        near[b].append((a, worth))

    def margin(i: int) -> float:
        first, *rest = np.sort(value[i])[::-1]
        return float(first - rest[0]) if rest and np.isfinite(first) else 0.0

    waiting = [(-margin(i), i) for i in range(len(pieces))]
    heapq.heapify(waiting)
    while waiting:
        sure, i = heapq.heappop(waiting)
        if owner[i] >= 0 or -sure != margin(i):
            continue
        animal = int(value[i].argmax())
        if value[i, animal] == -np.inf:
            continue
        owner[i] = animal
        for j in rivals[i]:
            if owner[j] < 0 and value[j, animal] > -np.inf:
                value[j, animal] = -np.inf
                heapq.heappush(waiting, (-margin(j), j))
        for j, worth in near[i]:
            if owner[j] < 0:
                value[j, animal] += worth
                heapq.heappush(waiting, (-margin(j), j))
    return owner

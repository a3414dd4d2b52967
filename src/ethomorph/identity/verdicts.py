"""What a person said of pairs of trails: one animal or two. Identifying keeps to it.

Trails said to be of one animal are one longer trail to the model; trails said to be of two are never put together. What
follows from several verdicts is drawn, and verdicts that contradict each other are refused, naming the pair.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ethomorph.core.errors import FormatError, LabelError
from ethomorph.identity.clustering import grow_tree
from ethomorph.identity.plda import TrailSummary

COLUMNS = ("trail_a", "trail_b", "verdict")
NEVER = 1.05
"""Height at which trees show merges that a verdict forbids."""
SAME, DIFFERENT, UNSURE = "same", "different", "unsure"

Pair = tuple[str, str]


@dataclass(frozen=True)
class Verdicts:
    """Pairs of trails that are of one animal, and pairs that are of two."""

    same: Sequence[Pair] = field(default_factory=list)
    different: Sequence[Pair] = field(default_factory=list)
    source: str = ""

    def __len__(self) -> int:
        return len(self.same) + len(self.different)


@dataclass(frozen=True)
class Blocks:
    """Trails joined by verdicts.

    Attributes
    ----------
    of : (trails,) the block of each trail, codes from 0.
    apart : (blocks, blocks) booleans, symmetric: blocks of different animals.
    """

    of: np.ndarray
    apart: np.ndarray

    def joined(self, trails: TrailSummary) -> TrailSummary:
        """The evidence of each block's trails added up."""
        if len(self.apart) == len(self.of):
            return trails
        size = (len(self.apart), trails.sums.shape[1])
        sums, precision = np.zeros(size), np.zeros(size)
        np.add.at(sums, self.of, trails.sums)
        np.add.at(precision, self.of, trails.precision)
        return TrailSummary(sums / precision, precision)

    def of_trails(self, table: np.ndarray) -> np.ndarray:
        """A (blocks, blocks) table as (trails, trails)."""
        return table[np.ix_(self.of, self.of)]


def read_verdicts(path: str | Path) -> Verdicts:
    """Read a table with the columns trail_a, trail_b and verdict: same, different, or unsure, which says nothing.

    Raises
    ------
    FormatError : no such table, or another word in the column verdict.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"cannot be read as a table ({error})", place=path) from None
    if rows and not set(COLUMNS) <= set(rows[0]):
        raise FormatError(f"the columns {', '.join(COLUMNS)} are needed", place=path)
    found: dict[str, list[Pair]] = {SAME: [], DIFFERENT: [], UNSURE: []}
    for line, row in enumerate(rows, 2):
        said = (row["verdict"] or "").strip()
        if said not in found:
            raise FormatError(f"line {line}: verdict {said!r}", place=path, fix="use same, different or unsure")
        found[said].append((row["trail_a"], row["trail_b"]))
    return Verdicts(found[SAME], found[DIFFERENT], str(path))


def blocks_of(verdicts: Verdicts, trails: Sequence[str]) -> Blocks:
    """What the verdicts say of these trails.

    Raises
    ------
    LabelError : a verdict on a trail that is not there, or on one that other verdicts put otherwise.

    Examples
    --------
    >>> blocks = blocks_of(Verdicts(same=[("a", "c")], different=[("c", "b")]), ["a", "b", "c"])
    >>> blocks.of.tolist(), blocks.apart.tolist()
    ([0, 1, 0], [[False, True], [True, False]])
    """
    place = {name: i for i, name in enumerate(trails)}
    for pair in (*verdicts.same, *verdicts.different):
        if absent := [name for name in pair if name not in place]:
            raise LabelError(
                f"a verdict names trail {absent[0]!r}, which is not in the survey", place=verdicts.source,
                fix="remove that row",
            )  # fmt: skip
    a, b = _ends(verdicts.same, place)
    joins = coo_array((np.ones(len(a)), (a, b)), shape=(len(trails), len(trails)))
    number, of = connected_components(joins, directed=False)
    apart = np.zeros((number, number), dtype=bool)
    for first, second in verdicts.different:
        x, y = of[place[first]], of[place[second]]
        if x == y:
            raise LabelError(
                f"{first!r} and {second!r} are said to be two animals, and by other verdicts one",
                place=verdicts.source, fix="look at these pairs again",
            )  # fmt: skip
        apart[x, y] = apart[y, x] = True
    return Blocks(of, apart)


def keeping_tree(unlikeness: np.ndarray, blocks: Blocks) -> tuple[np.ndarray, int]:
    """A tree of (trails, trails) unlikeness in 0..1 that keeps to the verdicts, and the least number it may be cut to.

    Trails of a block join at 0. Those of different animals are moved so far apart that whatever may join has joined
    before; such merges stand at `NEVER`, just above all others.
    """
    distance = np.where(blocks.of[:, None] == blocks.of, 0.0, unlikeness)
    distance[blocks.of_trails(blocks.apart)] += 1 + len(distance) ** 2
    tree = grow_tree(distance)
    never = tree[:, 2] > 1 + 1e-9
    tree[never, 2] = NEVER
    return tree, int(never.sum()) + 1


def _ends(pairs: Iterable[Pair], place: dict[str, int]) -> tuple[list[int], list[int]]:
    listed = [(place[a], place[b]) for a, b in pairs]
    return [a for a, _ in listed], [b for _, b in listed]

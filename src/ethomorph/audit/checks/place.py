"""Classes that have their place in the arena: where a sample was taken tells what it shows.

Within each animal, so that arenas may differ: the class's nearest-neighbour agreement in space, against labels dealt
anew within the animal. A network that sees the background can learn the place instead of the behaviour.
"""

from __future__ import annotations

import numpy as np

from ethomorph.audit.check import Check, found
from ethomorph.audit.classes import ClassFacts
from ethomorph.audit.data import AuditData
from ethomorph.training.health import Finding

LEAST = 20
DEALS = 100
ABOVE = 0.05  # agreement above chance that matters
LEVEL = 0.01


def run(data: AuditData) -> list[Finding]:
    facts: ClassFacts = data.facts["classes"]
    if facts.place is None:
        return []
    pairs = neighbours(facts.place, facts.groups)
    if len(pairs) < LEAST:
        return []
    agree = float((facts.codes[pairs[:, 0]] == facts.codes[pairs[:, 1]]).mean())
    rng = np.random.default_rng(0)
    dealt = np.array([agreement_dealt(facts, pairs, rng) for _ in range(DEALS)])
    p = float((1 + (dealt >= agree).sum()) / (1 + DEALS))
    if agree - dealt.mean() < ABOVE or p >= LEVEL:
        return []
    return [
        found(
            "class_has_place", "warning",
            f"within an animal's arena the nearest sample has the same class in {100 * agree:.1f} % of cases, "
            f"by chance in {100 * dealt.mean():.1f} % (p {p:.2g}): place alone tells something of the class",
            causes=("behaviours happen at their own spots, such as a nest or a feeder",),
            remedy="look whether the background shows in the clips; judge on arenas held out",
        )
    ]  # fmt: skip


def neighbours(place: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(pairs, 2) each sample and its nearest of the same animal."""
    from scipy.spatial import cKDTree

    pairs = []
    for name in np.unique(groups):
        mine = np.flatnonzero((groups == name) & np.isfinite(place).all(1))
        if len(mine) < 3:
            continue
        _, nearest = cKDTree(place[mine]).query(place[mine], k=2)
        other = np.where(nearest[:, 0] == np.arange(len(mine)), nearest[:, 1], nearest[:, 0])
        pairs.append(np.column_stack([mine, mine[other]]))
    return np.concatenate(pairs) if pairs else np.zeros((0, 2), int)


def agreement_dealt(facts: ClassFacts, pairs: np.ndarray, rng: np.random.Generator) -> float:
    """Share of equal pairs with labels dealt anew within each animal."""
    order = np.lexsort((rng.random(len(facts)), facts.groups))
    by_animal = np.argsort(facts.groups, kind="stable")
    dealt = np.empty(len(facts), int)
    dealt[by_animal] = facts.codes[order]
    return float((dealt[pairs[:, 0]] == dealt[pairs[:, 1]]).mean())


CHECK = Check("place", frozenset({"classes"}), run)
"""Needs the fact ``classes`` with a place for each sample."""

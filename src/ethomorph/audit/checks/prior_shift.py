"""Animals that do different things: how far their class shares are from everyone's, beside chance.

Jensen-Shannon distance (base 2, 0 to 1), tested by dealing labels anew to animals. Where shares differ, a model tuned
to the mean mixture is wrong for every animal, and accuracy on one is no forecast for another.
"""

from __future__ import annotations

import numpy as np

from ethomorph.audit.check import Check, found
from ethomorph.audit.classes import ClassFacts
from ethomorph.audit.data import AuditData
from ethomorph.training.health import Finding

LEAST = 30  # samples of an animal whose shares mean something
FAR = 0.25  # distance that matters
DEALS = 200
LEVEL = 0.01


def run(data: AuditData) -> list[Finding]:
    facts: ClassFacts = data.facts["classes"]
    names, codes = np.unique(facts.groups, return_inverse=True)
    large = np.flatnonzero(np.bincount(codes) >= LEAST)
    if len(large) < 2:
        return []
    keep = np.isin(codes, large)
    own, labels = np.searchsorted(large, codes[keep]), facts.codes[keep]
    count = len(facts.classes)
    distance = distances(own, labels, len(large), count)
    rng = np.random.default_rng(0)
    dealt = np.array([distances(own, rng.permutation(labels), len(large), count).mean() for _ in range(DEALS)])
    p = float((1 + (dealt >= distance.mean()).sum()) / (1 + DEALS))
    if distance.max() < FAR or p >= LEVEL:
        return []
    shares = np.array([np.bincount(labels[own == g], minlength=count) for g in range(len(large))], float)
    shares /= shares.sum(1, keepdims=True)
    spread = int(np.argmax(shares.max(0) - shares.min(0)))
    worst = int(np.argmax(distance))
    low, high = 100 * shares[:, spread].min(), 100 * shares[:, spread].max()
    return [
        found(
            "prior_shift", "warning",
            f"animals differ in what they do: {facts.classes[spread]} makes up {low:.1f} to {high:.1f} % of an "
            f"animal's samples; farthest from the mean is {names[large[worst]]} (Jensen-Shannon distance "
            f"{distance[worst]:.2f}, mean {distance.mean():.2f}, by chance {dealt.mean():.2f}, p {p:.2g})",
            causes=("individual habits, sex or season", "animals were sampled in different ways"),
            remedy="judge by animal; estimate each animal's own mixture before counting its behaviours",
        )
    ]  # fmt: skip


def distances(groups: np.ndarray, codes: np.ndarray, number: int, classes: int) -> np.ndarray:
    """(groups,) Jensen-Shannon distance of each group's shares from those of all.

    Examples
    --------
    >>> distances(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), 2, 2).tolist()
    [0.0, 0.0]
    """
    table = np.bincount(groups * classes + codes, minlength=number * classes).reshape(number, classes).astype(float)
    shares, all_ = table / table.sum(1, keepdims=True), table.sum(0) / table.sum()
    middle = (shares + all_) / 2

    def divergence(p: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(p > 0, p * np.log2(p / middle), 0.0).sum(1)

    return np.sqrt(np.maximum((divergence(shares) + divergence(np.broadcast_to(all_, shares.shape))) / 2, 0))


CHECK = Check("prior_shift", frozenset({"classes"}), run)
"""Needs the fact ``classes``."""

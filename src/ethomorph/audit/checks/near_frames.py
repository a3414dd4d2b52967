"""Samples of different parts that show the same pictures: perceptual hashes of frames that are nearly equal.

A clip that overlaps another, was saved twice or cut from one video by two people. Frames of one static arena are alike
anyway, so a pair counts where it is nearer than all but a few pairs within the same arena.
"""

from __future__ import annotations

import numpy as np

from ethomorph.audit.check import Check, found
from ethomorph.audit.classes import ClassFacts
from ethomorph.audit.data import AuditData, listed
from ethomorph.training.health import Finding

BITS = 3  # of 64, mean over the frames of a sample
MOST = 6000  # samples that are compared pair by pair


def run(data: AuditData) -> list[Finding]:
    facts: ClassFacts = data.facts["classes"]
    if facts.hashes is None or len(facts) > MOST:
        return []
    parts = np.array(data.parts)
    pairs = near_pairs(facts.hashes, BITS)
    names = facts.table["sample"].to_numpy()
    across = [(i, j) for i, j in pairs if parts[i] != parts[j] and parts[i] and parts[j]]
    findings = []
    if across:
        said = [f"{names[i]} = {names[j]}" for i, j in across]
        findings.append(
            found("same_frames_across_parts", "sick",
                  f"{len(across)} pairs of samples in different parts show nearly the same frames: {listed(said, 3)}",
                  causes=("overlapping or doubled clips", "a static scene in which nothing moves"),
                  remedy="keep one of each, or give both the same group")
        )  # fmt: skip
    within = len(pairs) - len(across)
    if within:
        findings.append(
            found("same_frames", "info", f"{within} pairs of samples in one part show nearly the same frames",
                  causes=("overlapping or doubled clips", "a static scene"), remedy="look whether one was saved twice")
        )  # fmt: skip
    return findings


def near_pairs(hashes: np.ndarray, bits: float) -> list[tuple[int, int]]:
    """Pairs (i < j) of samples whose hashes (n, k, 64) differ in at most `bits` of 64 on average over the k frames."""
    count, frames = hashes.shape[:2]
    flat = hashes.reshape(count, -1).astype(np.float32)
    ones = flat.sum(1)
    pairs = []
    for i in range(count - 1):
        apart = (ones[i] + ones[i + 1 :] - 2 * flat[i + 1 :] @ flat[i]) / frames
        pairs += [(i, i + 1 + int(j)) for j in np.flatnonzero(apart <= bits)]
    return pairs


CHECK = Check("near_frames", frozenset({"classes", "parts"}), run)
"""Needs the fact ``classes`` with hashes."""

"""The same picture under two names: byte for byte, or saved anew (recompressed, resized, brightened).

Near copies are proposed by a 64-bit perceptual hash and confirmed by correlating what is left of the two small pictures
after the data set's mean picture was taken off. The hash alone is useless on standardised pictures: of 780 pairs of
different fly wings 142 lie within 8 bits, none of which correlates above 0.77. Recompression, halving, gamma 0.7 and
noise of 3 % stay within 8 bits and above 0.97. A crop of 2 % or a strong overexposure is not recognised.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ethomorph.audit.check import Check, found
from ethomorph.audit.data import AuditData, listed, several
from ethomorph.audit.pictures import Look, perceptual_hash
from ethomorph.training.health import Finding

MAX_BITS = 8
MIN_CORRELATION = 0.95
MIN_RAW_CORRELATION = 0.995
MIN_FOR_MEAN = 8
"""With fewer pictures their mean is too much of each of them: whole pictures are then correlated."""


@dataclass(frozen=True)
class NearPair:
    """Two pictures that show the same, and how alike they are."""

    first: Path
    second: Path
    bits: int
    correlation: float


def run(data: AuditData) -> list[Finding]:
    read = [look for look in (data.looks or {}).values() if look.size and not look.constant]
    by_digest: dict[str, list[Look]] = defaultdict(list)
    for look in read:
        by_digest[look.digest].append(look)
    exact = [[look.path for look in same] for same in by_digest.values() if len(same) > 1]
    near = [(p.first, p.second) for p in near_pairs([same[0] for same in by_digest.values()])]
    return _told(data, exact, "duplicate_image", "the same bytes") + _told(
        data, [list(pair) for pair in near], "near_duplicate_image", "the same picture, saved anew"
    )


def near_pairs(looks: list[Look]) -> list[NearPair]:
    """Pairs that are copies of each other though not byte for byte, the most alike first."""
    if len(looks) < 2:
        return []
    bits = np.stack([perceptual_hash(look.small) for look in looks]).astype(np.float32)
    small = np.stack([look.small.ravel() for look in looks]).astype(np.float32)
    small = _normed(small)
    enough = len(looks) >= MIN_FOR_MEAN
    if enough:
        small = _normed(small - small.mean(axis=0))
    limit = MIN_CORRELATION if enough else MIN_RAW_CORRELATION
    pairs = []
    for i in range(len(looks) - 1):
        rest = slice(i + 1, None)
        apart = np.abs(bits[rest] - bits[i]).sum(axis=1)
        alike = small[rest] @ small[i]
        pairs += [
            NearPair(looks[i].path, looks[i + 1 + j].path, int(apart[j]), float(alike[j]))
            for j in np.flatnonzero((apart <= MAX_BITS) & (alike >= limit))
        ]
    return sorted(pairs, key=lambda pair: -pair.correlation)


def _told(data: AuditData, clusters: list[list[Path]], rule: str, what: str) -> list[Finding]:
    across = [c for c in clusters if len(set().union(*(data.parts_of(p) for p in c))) > 1]
    within = [c for c in clusters if c not in across]
    causes = ("a picture was copied under a second name", "the same export was added twice")
    findings = []
    if across:
        findings.append(
            found(
                f"{rule}_across_parts",
                "sick",
                f"{several(len(across), 'set')} of pictures in two parts show {what}: {listed(_names(across), 4)}",
                causes=causes,
                remedy="keep one of each, or give them one specimen name so that they stay on one side",
            )
        )
    if within:
        findings.append(
            found(
                rule,
                "warning",
                f"{several(len(within), 'set')} of pictures show {what}: {listed(_names(within), 4)}",
                causes=causes,
                remedy="keep one of each; if it was digitised twice on purpose, give both the same specimen name",
            )
        )
    return findings


def _names(clusters: list[list[Path]]) -> list[str]:
    return [" = ".join(path.name for path in cluster) for cluster in clusters]


def _normed(rows: np.ndarray) -> np.ndarray:
    rows = rows - rows.mean(axis=1, keepdims=True)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


CHECK = Check("duplicates", frozenset({"landmarks", "images"}), run)

"""Specimens digitised more than once: no fault, but a measure of human repeat error, and never two specimens."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np

from ethomorph.audit.check import Check, found
from ethomorph.audit.data import AuditData, listed, several
from ethomorph.training.health import Finding

SAME_PLACE = 0.25
"""Two codings of a picture whose landmarks lie closer than this share of centroid size are of the same animal."""


def run(data: AuditData) -> list[Finding]:
    findings = []
    repeats = same_picture(data)
    if repeats:
        names = [f"{data.names[i]} / {data.names[j]}" for i, j in repeats]
        apart = [(i, j) for i, j in repeats if data.groups[i] != data.groups[j]]
        findings.append(
            found(
                "digitised_twice",
                "info",
                f"{several(len(repeats), 'pair')} of configurations lie on one animal in one picture: {listed(names)}",
                causes=("a repeat digitisation, on purpose or not",),
                remedy="keep them for the repeat error, and count each animal once elsewhere",
            )
        )
        if apart:
            findings.append(
                found(
                    "repeat_in_two_groups",
                    "warning",
                    f"{several(len(apart), 'repeat')} stand under two specimen names, as if independent: "
                    + listed([f"{data.groups[i]} / {data.groups[j]}" for i, j in apart]),
                    causes=("the specimen name was made from the row instead of the animal",),
                    remedy="give both codings the same specimen name",
                )
            )
    counts = Counter(specimen.id for specimen in data.landmarks or () if specimen.id)
    again = sorted(name for name, count in counts.items() if count > 1)
    if again and not repeats:
        findings.append(
            found(
                "specimen_again",
                "info",
                f"{several(len(again), 'specimen name')} stand(s) on several configurations: {listed(again)}",
                causes=("several pictures of one animal, or a repeat digitisation",),
                remedy="keep them in one part; repeats of one picture give the repeat error",
            )
        )
    return findings


def same_picture(data: AuditData) -> list[tuple[int, int]]:
    """Pairs of samples on one picture whose landmarks lie on each other."""
    if data.landmarks is None:
        return []
    on: dict[str, list[int]] = defaultdict(list)
    for i, specimen in enumerate(data.landmarks):
        name = str(specimen.image_path or specimen.image or "")
        if name:
            on[name].append(i)
    points = data.landmarks.array()
    return [
        (i, j)
        for samples in on.values()
        for k, i in enumerate(samples)
        for j in samples[k + 1 :]
        if _on_each_other(points[i], points[j])
    ]


def _on_each_other(a: np.ndarray, b: np.ndarray) -> bool:
    both = np.isfinite(a).all(axis=1) & np.isfinite(b).all(axis=1)
    if both.sum() < 2:
        return False
    size = np.sqrt(((a[both] - a[both].mean(axis=0)) ** 2).sum(axis=1).mean())
    return bool(np.linalg.norm(a[both] - b[both], axis=1).mean() < SAME_PLACE * size)


CHECK = Check("repeats", frozenset({"landmarks"}), run)

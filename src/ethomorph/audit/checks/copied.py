"""Coordinates that no hand sets twice: two landmarks on one spot, two specimens with the same numbers."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np

from ethomorph.audit.check import Check, found
from ethomorph.audit.data import AuditData, listed, several
from ethomorph.training.health import Finding

COMMON = 0.2
"""Pairs of landmarks that coincide in more than this share of the specimens do so by definition of the scheme."""


def run(data: AuditData) -> list[Finding]:
    assert data.landmarks is not None
    findings = []
    points = data.landmarks.array()
    names = data.landmarks.names
    rows: dict[bytes, list[int]] = defaultdict(list)
    for i, one in enumerate(points):
        if np.isfinite(one).any():
            rows[np.nan_to_num(one, nan=-1e9).tobytes()].append(i)
    same = [" = ".join(data.names[i] for i in where) for where in rows.values() if len(where) > 1]
    if same:
        findings.append(
            found(
                "same_coordinates",
                "warning",
                f"{several(len(same), 'set')} of specimens have exactly the same coordinates: {listed(same)}",
                causes=("a block of the file was copied and only renamed",),
                remedy="digitise the copy, or take it out",
            )
        )
    spots = [(i, a, b) for i, one in enumerate(points) for a, b in _coincident(one)]
    counts = Counter((a, b) for _, a, b in spots)
    odd = [(i, a, b) for i, a, b in spots if counts[a, b] <= max(1, COMMON * len(points))]
    if odd:
        said = [f"{data.names[i]} ({names[a]} and {names[b]})" for i, a, b in odd]
        findings.append(
            found(
                "coincident_landmarks",
                "warning",
                f"two landmarks on exactly the same spot in {several(len(odd), 'case')}: {listed(said)}",
                causes=("a double click", "one landmark was skipped and its neighbour set twice"),
                remedy="look at these specimens and set the landmark again, or mark it missing",
            )
        )
    return findings


def _coincident(points: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of visible landmarks with the same coordinates."""
    near = (points[:, None] == points[None]).all(axis=2)
    return [(int(a), int(b)) for a, b in np.argwhere(np.triu(near, 1))]


CHECK = Check("copied", frozenset({"landmarks"}), run)

"""How often each landmark is missing."""

from __future__ import annotations

import numpy as np

from ethomorph.audit.check import Check, found
from ethomorph.audit.data import AuditData, listed, several
from ethomorph.training.health import Finding

OFTEN = 0.2
"""Share of specimens without a landmark above which a model sees it too seldom to be compared with the others."""


def run(data: AuditData) -> list[Finding]:
    assert data.landmarks is not None
    share = missing_share(data)
    names = data.landmarks.names
    findings = []
    never = [names[i] for i in np.flatnonzero(share == 1)]
    if never:
        findings.append(
            found(
                "landmark_never_seen",
                "sick",
                f"{several(len(never), 'landmark')} missing in every specimen: {listed(never)}",
                causes=("the scheme has more landmarks than were digitised",),
                remedy="take them out of the scheme",
            )
        )
    some = [i for i in np.argsort(-share) if 0 < share[i] < 1]
    if some:
        said = [f"{names[i]} {share[i]:.0%}" for i in some]
        findings.append(
            found(
                "missing_landmarks",
                "warning" if share[some[0]] > OFTEN else "info",
                f"{several(len(some), 'landmark')} missing in some specimens: {listed(said, 8)}",
                causes=("hidden or broken parts of the animal", "landmarks off the picture's edge"),
                remedy="nothing, if they are truly not to be seen; else digitise them",
            )
        )
    empty = [s.label for s in data.landmarks if not s.visible.any()]
    if empty:
        findings.append(
            found(
                "specimen_without_landmarks",
                "warning",
                f"{several(len(empty), 'specimen')} without a single landmark: {listed(empty)}",
                causes=("an entry that was begun and not digitised",),
                remedy="digitise them or take them out",
            )
        )
    return findings


def missing_share(data: AuditData) -> np.ndarray:
    """(landmarks,) share in which each landmark is missing, of the specimens that have any; 1 where none has any."""
    assert data.landmarks is not None
    visible = np.isfinite(data.landmarks.array()).all(axis=2)
    digitised = visible[visible.any(axis=1)]
    return 1 - digitised.mean(axis=0) if len(digitised) else np.ones(len(data.landmarks.names))


CHECK = Check("missing", frozenset({"landmarks"}), run)

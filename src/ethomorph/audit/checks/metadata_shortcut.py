"""Classes that the table gives away: a model without a pixel that does well on a random split and not on new animals.

The gap is what a random split would flatter any model by. Thresholds are ours: a gap of 10 points of accuracy warns, of
20 is sick; 5 points above the commonest class on new animals is information that the table holds some biology too.
"""

from __future__ import annotations

from ethomorph.audit.check import Check, found
from ethomorph.audit.classes import ClassFacts
from ethomorph.audit.data import AuditData, listed
from ethomorph.audit.shortcut import Shortcut
from ethomorph.training.health import Finding, Severity

WARN, SICK = 0.10, 0.20


def run(data: AuditData) -> list[Finding]:
    facts: ClassFacts = data.facts["classes"]
    shortcut: Shortcut = data.facts["shortcut"]
    random, grouped = shortcut.accuracy("random"), shortcut.accuracy("grouped")
    if random is None or not shortcut.columns:
        return []
    majority = f"the commonest class alone scores {100 * shortcut.majority:.1f} %"
    read = listed(shortcut.columns, 8)
    if grouped is None:
        said = (
            f"a model that reads only {read} scores {100 * random:.1f} % on a random split; {majority}; {len(facts)} "
        )
        return [
            found("metadata_shortcut", "warning", f"{said}samples are of one animal, so nothing says what carries over",
                  causes=("one animal",), remedy="record more animals")
        ]  # fmt: skip
    gap = random - grouped
    severity: Severity = "sick" if gap >= SICK else "warning" if gap >= WARN else "info"
    said = (
        f"a model that sees no pixel, only {read}, scores {100 * random:.1f} % on a random split and "
        f"{100 * grouped:.1f} % on animals held out (gap {100 * gap:.1f} points); {majority}"
    )
    return [
        found(
            "metadata_shortcut", severity, said,
            causes=("classes go with place, time, recording or animal", "several samples come from one moment"),
            remedy="split by animal; read every score beside this baseline on the same split",
        )
    ]  # fmt: skip


CHECK = Check("metadata_shortcut", frozenset({"classes", "shortcut"}), run)
"""Needs the facts ``classes`` and ``shortcut`` (see `ethomorph.audit.shortcut`)."""

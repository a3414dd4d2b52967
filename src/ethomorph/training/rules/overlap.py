"""Samples that stand on both sides of a split. No threshold: one is too many, and groups count like samples.

Seen by `training.preflight.parts`. Taking and skipping batches as if they were samples leaves an empty test part, or
training samples in it; the figures are then those of training.
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding

CAUSES = ("batches counted as samples when the split was made", "a split drawn twice with different random numbers")


def check(evidence: Evidence) -> list[Finding]:
    seen = evidence.facts.get("parts")
    if not seen:
        return []
    found = []
    for part in seen["empty"]:
        few = (CAUSES[0], "too few groups")
        found.append(Finding("overlap", "sick", None, f"the {part} part is empty", few, "split again, by group"))
    if seen["shared_samples"]:
        text = f"{seen['shared_samples']} samples stand in more than one part"
        found.append(Finding("overlap", "sick", None, text, CAUSES, "split once, write the split down, and read it"))
    elif seen["shared_groups"]:
        text = f"{seen['shared_groups']} groups have samples in more than one part"
        by_sample = ("a split by sample",)
        found.append(
            Finding("overlap", "warning", None, text, by_sample, "split by group, so that an individual stays whole")
        )
    return found

"""A split that cannot teach or judge: an empty part, a part of one class, a class that only one part has.

No thresholds: counts of the parts as the loaders gave them (all batches of the first epoch).
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding, Severity

CAUSES = ("the split was made on another unit than it counts", "batches were counted as samples", "too few groups")
REMEDY = "split again by group, so that every part holds every class"


def check(evidence: Evidence) -> list[Finding]:
    found: list[Finding] = []
    for part, samples in (("training", evidence.train_samples), ("validation", evidence.validation_samples)):
        if samples == 0:
            found.append(Finding("split", "sick", None, f"the {part} part is empty", CAUSES, REMEDY))
    if evidence.validation_samples is None:
        text = "there is no validation part: the run was judged on what it was trained on"
        found.append(Finding("split", "info", None, text, (), "keep a part of the groups for validation"))
    counts = {part: evidence.class_counts.get(part, {}) for part in ("train", "validation")}
    for part, of_part in counts.items():
        if len(of_part) == 1:
            label, number = next(iter(of_part.items()))
            text = f"all {number} samples of the {part} part are of class {label}"
            found.append(Finding("split", "sick", None, text, CAUSES, REMEDY))
    if len(counts["train"]) > 1 and len(counts["validation"]) > 1:
        directions: tuple[tuple[str, str, Severity], ...]
        directions = (("train", "validation", "warning"), ("validation", "train", "sick"))
        for one, other, severity in directions:
            absent = sorted(set(counts[one]) - set(counts[other]), key=lambda label: (len(label), label))
            if absent:
                text = f"the {other} part has no sample of class {', '.join(absent)}, the {one} part has"
                found.append(Finding("split", severity, None, text, CAUSES, REMEDY))
    return found

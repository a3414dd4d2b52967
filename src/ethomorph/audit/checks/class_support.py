"""Classes that are too rare, come from too few animals, or are missing from a part; and how unequal they are.

A class from fewer than three animals cannot be trained, chosen and judged on different ones. 10:1 is the imbalance that
SageMaker Debugger's rule alarms at.
"""

from __future__ import annotations

import numpy as np

from ethomorph.audit.check import Check, found
from ethomorph.audit.classes import ClassFacts
from ethomorph.audit.data import PARTS, AuditData, listed
from ethomorph.training.health import Finding

RARE = 20  # samples
ANIMALS = 3
UNEQUAL = 10.0


def run(data: AuditData) -> list[Finding]:
    facts: ClassFacts = data.facts["classes"]
    counts = np.bincount(facts.codes, minlength=len(facts.classes))
    findings = []
    order = np.argsort(-counts)
    ratio = counts.max() / max(counts.min(), 1)
    if ratio >= UNEQUAL:
        most, least = facts.classes[order[0]], facts.classes[order[-1]]
        findings.append(
            found(
                "class_imbalance", "warning",
                f"{ratio:.1f} : 1 between {most} ({counts.max()}) and {least} ({counts.min()}); always saying {most} "
                f"is right in {100 * counts.max() / counts.sum():.1f} %",
                causes=("behaviours differ in how often they happen",),
                remedy="read macro F1 and balanced accuracy, not accuracy; try class_weights or under_sampling",
            )
        )  # fmt: skip
    rare = [f"{facts.classes[i]} ({counts[i]})" for i in order if counts[i] < RARE]
    if rare:
        findings.append(
            found("rare_class", "warning", f"under {RARE} samples: {listed(rare)}", causes=("few were scored",),
                  remedy="score more of them, join them to a neighbour, or leave them out")
        )  # fmt: skip
    animals = [len(np.unique(facts.groups[facts.codes == code])) for code in range(len(facts.classes))]
    few = [f"{name} ({n})" for name, n in zip(facts.classes, animals, strict=True) if n < ANIMALS]
    if few:
        lone = [n for n in animals if n == 1]
        findings.append(
            found(
                "class_in_few_animals", "sick" if lone else "warning",
                f"{len(few)} of {len(animals)} classes come from fewer than {ANIMALS} animals or recordings: "
                f"{listed(few)}",
                causes=("few animals show it", "few recordings were scored"),
                remedy="a score for such a class says whether the animal is recognised, not the behaviour: record more",
            )
        )  # fmt: skip
    return findings + missing_in_parts(data, facts)


def missing_in_parts(data: AuditData, facts: ClassFacts) -> list[Finding]:
    """Classes that a part of the split does not have."""
    parts = np.array(data.parts)
    said = []
    for part in PARTS:
        inside = parts == part
        if inside.any():
            gone = [name for code, name in enumerate(facts.classes) if not (facts.codes[inside] == code).any()]
            if gone:
                said.append(f"{part}: {listed(gone)}")
    if not said:
        return []
    return [
        found(
            "class_missing_in_part", "sick" if any(s.startswith("train") for s in said) else "warning",
            f"classes are missing in {'; '.join(said)}",
            causes=("rare classes live in few animals", "few groups in that part"),
            remedy="another [split] seed, larger shares, or leave-one-group-out",
        )
    ]  # fmt: skip


CHECK = Check("class_support", frozenset({"classes"}), run)
"""Needs the fact ``classes``."""

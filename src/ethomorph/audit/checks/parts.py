"""Parts that are empty, or too small for what they are asked to do."""

from __future__ import annotations

from ethomorph.audit.check import Check, found
from ethomorph.audit.data import PARTS, AuditData, several
from ethomorph.training.health import Finding

MIN_TRAIN = 20
"""Samples: below this, results depend on which few were drawn (the smallest published landmark models use about 30)."""
MIN_GROUPS = 10
"""Groups below which `statistics` gives points instead of an interval."""
_USE = {"train": "nothing can be learned", "validation": "the best epoch cannot be chosen", "test": "nothing is scored"}


def run(data: AuditData) -> list[Finding]:
    findings = []
    for part in PARTS:
        inside = [i for i, name in enumerate(data.parts) if name == part]
        groups = {data.groups[i] for i in inside}
        if not inside:
            severity = "warning" if part == "validation" else "sick"
            findings.append(
                found(
                    "empty_part",
                    severity,  # type: ignore[arg-type]
                    f"the part {part} holds no samples: {_USE[part]}",
                    causes=("the shares in [split] leave it none", "too few groups to fill every part"),
                    remedy=f"give {part} a share in [split], or add individuals",
                )
            )
        elif part == "train" and len(inside) < MIN_TRAIN:
            findings.append(
                found(
                    "small_part",
                    "warning",
                    f"the part train holds {several(len(inside), 'sample')}, fewer than {MIN_TRAIN}",
                    causes=("few labels",),
                    remedy="label more, or judge by cross-validation over all samples",
                )
            )
        if inside and part == "test" and len(groups) < MIN_GROUPS:
            findings.append(
                found(
                    "few_groups",
                    "warning",
                    f"the part test holds {several(len(groups), 'group')}, fewer than {MIN_GROUPS}: "
                    "scores will be single points without an interval",
                    causes=("few individuals", "a small test share"),
                    remedy="raise test in [split], add individuals, or use cross-validation",
                )
            )
    return findings


CHECK = Check("parts", frozenset({"parts"}), run)

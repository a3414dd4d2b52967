"""NaN or infinity in the input: one such value makes every weight NaN. No threshold: any is too many."""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding


def check(evidence: Evidence) -> list[Finding]:
    share = evidence.inputs.not_finite
    if not share:
        return []
    causes = ("missing values were not filled", "division by zero while scaling a constant image")
    text = f"{share:.2%} of the input values are NaN or infinite"
    return [Finding("input_finite", "sick", 1, text, causes, "fill or leave out missing values before training")]

"""The loss before the first update against what a network that knows nothing should have (ln K for K classes).

That the first loss is checked against its expectation is TheDeepChecker's rule (Ben Braiek and Khomh 2023). Thresholds
are ours: raw pixels give ten times ln K, fresh networks stay within twice; a warning from 3 times, sick from 8 times.
A loss of under a third says that the answer leaks into the input.
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding, Severity

HIGH, VERY_HIGH, LOW = 3.0, 8.0, 1 / 3


def check(evidence: Evidence) -> list[Finding]:
    first, expected = evidence.initial_loss, evidence.expected_initial_loss
    if first is None or expected is None or expected <= 0:
        return []
    ratio = first / expected
    text = f"the first loss was {first:.4g}; a network that knows nothing has {expected:.4g}"
    if ratio > HIGH:
        causes = ("input that is not scaled", "weights that start too large", "labels that start at 1 instead of 0")
        severity: Severity = "sick" if ratio > VERY_HIGH else "warning"
        return [Finding("initial_loss", severity, 1, text, causes, "scale the input, then look at the initial weights")]
    if ratio < LOW:
        causes = ("the answer is part of the input", "one class makes up nearly all samples", "weights already trained")
        return [Finding("initial_loss", "warning", 1, text, causes, "shuffle the labels: the loss must rise")]
    return []

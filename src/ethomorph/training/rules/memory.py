"""Memory ran out and smaller batches were accumulated: nothing is wrong with the result, but it took longer.

Batch normalisation sees the smaller batches; under 4 samples its statistics are poor (a warning then; ours).
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding, Severity

FEW = 4


def check(evidence: Evidence) -> list[Finding]:
    if not evidence.out_of_memory:
        return []
    first, last = evidence.out_of_memory[0]["from"], evidence.out_of_memory[-1]["to"]
    text = f"memory ran out with {first} samples at once; {last} at once were accumulated to the same step"
    remedy = (
        f"set a smaller input size, or nothing: the steps are the same, {first // max(1, last)} times as many batches"
    )
    severity: Severity = "warning" if last < FEW <= first else "info"
    return [Finding("memory", severity, None, text, ("samples too large for this machine",), remedy)]

"""Recurrent layers with a ReLU: nothing bounds their state, and a hundred frames multiply it a hundred times.

No threshold; a warning where the run learned, sick where it did not.
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding, Severity
from ethomorph.training.rules.unlearned import learned


def check(evidence: Evidence) -> list[Finding]:
    if not evidence.recurrent_relu:
        return []
    text = f"recurrent layers with a ReLU: {', '.join(evidence.recurrent_relu[:3])}"
    severity: Severity = "warning" if learned(evidence) else "sick"
    causes = ("an activation that was changed from tanh",)
    return [Finding("recurrent_relu", severity, None, text, causes, "use tanh, or an LSTM or GRU as it comes")]

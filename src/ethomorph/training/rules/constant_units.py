"""Units that fire and yet say the same for every sample: batch normalisation with scale 0, weights of zero.

The spread over a whole validation pass, under a millionth of the output, whatever the activation. A warning from half
of a layer, sick where the run did not learn (ours).
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding, Severity
from ethomorph.training.rules.unlearned import learned

LAYER = 0.5
CAUSES = (
    "weights or a normalisation scale that went to zero",
    "weight decay that is too strong",
    "input without content",
)


def check(evidence: Evidence) -> list[Finding]:
    last = evidence.last
    layers = [one for one in last.layers if one.constant >= LAYER * one.units] if last else []
    if last is None or not layers:
        return []
    worst = max(layers, key=lambda one: one.constant / one.units)
    text = (
        f"{worst.constant} of {worst.units} units of {worst.layer} gave the same output for all {worst.samples} samples"
        + (f", and {len(layers) - 1} more layers are like it" if len(layers) > 1 else "")
    )
    severity: Severity = "warning" if learned(evidence) else "sick"
    remedy = "look at the input first, then lower weight decay and the learning rate"
    return [Finding("constant_units", severity, last.epoch, text, CAUSES, remedy)]

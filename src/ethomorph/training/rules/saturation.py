"""Sigmoid and tanh units that lie in their flat ends for every sample.

Flat is a slope under 5e-4: tanh beyond 4.5, sigmoid beyond 7.6 (SageMaker Debugger: 9.5 and 17 to 23, in which float32
has no slope left). TheDeepChecker's 50 % of a layer's units; sick where the run did not learn, else only mentioned: an
output layer that is sure of itself saturates too.
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding, Severity
from ethomorph.training.rules.unlearned import learned

LAYER = 0.5
CAUSES = ("input that is not scaled", "weights that start too large", "a learning rate that is too high")


def check(evidence: Evidence) -> list[Finding]:
    last = evidence.last
    layers = [one for one in last.layers if one.saturated >= LAYER * one.units] if last else []
    if last is None or not layers:
        return []
    worst = max(layers, key=lambda one: one.saturated / one.units)
    text = (
        f"{worst.saturated} of {worst.units} {worst.function} units of {worst.layer} were saturated for all "
        f"{worst.samples} samples"
    )
    severity: Severity = "info" if learned(evidence) else "sick"
    return [
        Finding("saturation", severity, last.epoch, text, CAUSES, "scale the input, then start with smaller weights")
    ]

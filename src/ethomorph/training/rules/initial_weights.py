"""Weights that start too large, too small, or as copies of each other.

The gain is the root mean square times the root of the fan-in: 1.41 after He et al. (2015), 0.58 as torch initialises.
A warning outside 0.02 to 10 (ours; SageMaker Debugger asks for variances within a factor of 10 of each other). Units
that start equal get equal gradients and stay equal for ever: sick from half of a layer. All-zero matrices are a usual
trick in last layers and are told only where the run did not learn.
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding, Severity
from ethomorph.training.rules.unlearned import learned

LOW, HIGH, HALF = 0.02, 10.0, 0.5


def check(evidence: Evidence) -> list[Finding]:
    weights = evidence.initial_weights

    def found(severity: Severity, text: str, cause: str) -> list[Finding]:
        remedy = "start with He initialisation (torch.nn.init.kaiming_normal_) and biases of zero"
        return [Finding("initial_weights", severity, 1, text, (cause,), remedy)]

    for name, one in weights.items():
        if one["gain"] > 0 and one["units"] > 2 and one["identical"] >= HALF:
            copies = f"{one['identical']:.0%} of the {one['units']:.0f} units of {name} start as copies of another"
            return found("sick", copies, "weights filled with one value")
    zero = [name for name, one in weights.items() if one["gain"] == 0 and one["units"] > 2]
    if zero and not learned(evidence):
        return found(
            "sick", f"{len(zero)} weight matrices start at zero, {zero[0]} first", "weights filled with one value"
        )
    for name, one in weights.items():
        if one["gain"] > HIGH or 0 < one["gain"] < LOW:
            size = "large" if one["gain"] > HIGH else "small"
            text = f"the weights of {name} start with a gain of {one['gain']:.2g}; 0.5 to 2 is usual"
            return found("warning", text, f"weights that start too {size}")
    return []

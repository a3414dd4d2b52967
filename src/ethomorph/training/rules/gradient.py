"""Gradients that explode, vanish, or are exactly zero.

Exploding: norm over 1e6 (TheDeepChecker). Vanishing: mean absolute gradient under 1e-7 (SageMaker Debugger), where the
loss has not learned anything yet: a network that fits perfectly has no gradient either. Zero: no gradient at all.
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding
from ethomorph.training.rules.unlearned import learned

EXPLODING, VANISHING = 1e6, 1e-7


def check(evidence: Evidence) -> list[Finding]:
    found: list[Finding] = []
    for epoch in evidence.epochs:
        if epoch.gradient_norm_high is not None and epoch.gradient_norm_high > EXPLODING:
            text = f"the gradient's norm reached {epoch.gradient_norm_high:.3g} before clipping"
            causes = (
                "input or target that is not scaled",
                "a learning rate that is too high",
                "weights that start too large",
            )
            found.append(
                Finding("gradient", "sick", epoch.epoch, text, causes, "scale input and target, then lower the rate")
            )
            break
    for epoch in evidence.epochs:
        mean = epoch.gradient_mean
        if mean is None or mean >= VANISHING or learned(evidence):
            continue
        causes = (
            "every unit is dead or saturated",
            "the loss does not depend on the network",
            "a loss that is flat on empty output",
        )
        text = "no weight gets a gradient" if mean == 0 else f"the mean absolute gradient is {mean:.2g}"
        remedy = "scale the input, lower the rate, and see whether the loss changes when an output does"
        found.append(Finding("gradient", "sick", epoch.epoch, text, causes, remedy))
        break
    return found

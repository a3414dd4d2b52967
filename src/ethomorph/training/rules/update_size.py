"""How far a step moves the weights, relative to their size.

Bounds: TheDeepChecker wants log10 between -4 and -1, SageMaker Debugger 1e-8 to 10. The first epoch is left out at the
top, since fresh optimizers take large steps; the bottom counts only where nothing is learned, since a run that has
arrived moves little.
"""

from __future__ import annotations

from statistics import median

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding
from ethomorph.training.rules.unlearned import LARGE_STEP, SMALL_STEP, learned

HUGE = 10.0
EPOCHS = 3  # how many epochs must be seen before steps are called small


def check(evidence: Evidence) -> list[Finding]:
    if evidence.epochs and all(epoch.changed == 0.0 for epoch in evidence.epochs):
        causes: tuple[str, ...] = (
            "a learning rate of zero",
            "all parameters frozen, or not given to the optimizer",
            "no gradient",
        )
        text = f"no weight changed in {len(evidence.epochs)} epochs"
        return [
            Finding("update_size", "sick", 1, text, causes, "give the optimizer the parameters and a rate above zero")
        ]
    later = [epoch.update_ratio for epoch in evidence.epochs[1:] if epoch.update_ratio is not None]
    if later and median(later) > LARGE_STEP:
        ratio = median(later)
        text = f"a step changes the weights by {ratio:.2g} of their size (0.1 is much)"
        causes = ("a learning rate that is too high",)
        return [
            Finding(
                "update_size", "sick" if ratio > HUGE else "warning", 2, text, causes, "divide the learning rate by 10"
            )
        ]
    ratios = [epoch.update_ratio for epoch in evidence.epochs if epoch.update_ratio is not None]
    if len(ratios) >= EPOCHS and 0 < median(ratios) < SMALL_STEP and not learned(evidence):
        text = f"a step changes the weights by {median(ratios):.2g} of their size, and nothing is learned"
        causes = ("a learning rate that is too low", "gradients that vanish")
        return [Finding("update_size", "warning", 1, text, causes, "multiply the learning rate by 10")]
    return []

"""Gradients that are lost on their way back to the first layer.

AUTOTRAINER (Zhang et al. 2021): the first layer's gradient is under a thousandth of the last one's and under 1e-4. Only
where nothing was learned: a network that fits perfectly has no gradient either.
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding
from ethomorph.training.rules.unlearned import learned

RATIO, SMALL = 1e-3, 1e-4
CAUSES = (
    "saturated or dead units between",
    "a deep network without normalisation or shortcuts",
    "weights that start small",
)


def check(evidence: Evidence) -> list[Finding]:
    if learned(evidence):
        return []
    for epoch in evidence.epochs:
        first, last = epoch.gradient_first, epoch.gradient_last
        if first is not None and last and first < SMALL and first < RATIO * last:
            text = f"the mean absolute gradient is {first:.2g} in the first layer and {last:.2g} in the last"
            remedy = "scale the input, use ReLU with He initialisation, and add normalisation or shortcuts"
            return [Finding("vanishing", "sick", epoch.epoch, text, CAUSES, remedy)]
    return []

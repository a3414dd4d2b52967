"""Continuous targets far from the scale that a network starts from (mean 0, spread 1).

After Arnekvist et al. (2020), who found that performance falls and ReLUs die more easily as the targets' variance goes
to zero; our own trials (docs/doctor.md) show the effect on the error, up and down. A warning where a column's spread is
under 0.1 or over 10, or the mean lies ten spreads from zero (ours).
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding

SMALL, LARGE = 0.1, 10.0
CAUSES = ("targets in a unit of their own (mm, g, s)",)


def check(evidence: Evidence) -> list[Finding]:
    seen = evidence.targets
    if not seen.samples or seen.std_high == 0:
        return []
    far = abs(seen.mean) > LARGE * max(1.0, seen.std_high)
    if seen.std_low >= SMALL and seen.std_high <= LARGE and not far:
        return []
    text = f"targets have mean {seen.mean:.4g} and standard deviation {seen.std_low:.3g}" + (
        f" to {seen.std_high:.3g}" if seen.std_high != seen.std_low else ""
    )
    remedy = "scale targets with training.targets.TargetScaler, fitted on the training part, and invert predictions"
    return [Finding("target_scale", "warning", None, text, CAUSES, remedy)]

"""Input without information: images of one value, or the same sample again and again.

Sick when every sample looked at is constant or all are identical; a warning from one sample in twenty on (ours).
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding

SOME = 0.05
CAUSES = (
    "files that decode to nothing",
    "clipping or a window that hides everything",
    "a mask or crop beside the specimen",
)


def check(evidence: Evidence) -> list[Finding]:
    seen = evidence.inputs
    remedy = "look at what the loader gives, and leave out files without content"
    if seen.identical and not seen.constant:
        text = f"all {seen.samples} inputs looked at are the same"
        return [Finding("input_constant", "sick", 1, text, ("the loader returns one sample for every index",), remedy)]
    if seen.samples and seen.constant >= SOME:
        text = f"{round(seen.constant * seen.samples)} of {seen.samples} inputs looked at have one single value"
        return [Finding("input_constant", "sick" if seen.constant == 1.0 else "warning", 1, text, CAUSES, remedy)]
    return []

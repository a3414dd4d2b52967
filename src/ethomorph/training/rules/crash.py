"""Training that ended with an exception: what it said, beside everything seen until then. No threshold."""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding

HINTS = {
    "out of bounds": "labels that do not fit the network's outputs",
    "mat1 and mat2": "samples of another shape than the network was made for",
    "size": "samples of different shapes in one batch",
    "dtype": "whole numbers where the network wants decimal ones",
}


def check(evidence: Evidence) -> list[Finding]:
    if not evidence.error:
        return []
    causes = tuple(cause for sign, cause in HINTS.items() if sign in evidence.error)[:2] or ("a fault in the network",)
    epoch = len(evidence.epochs) + 1
    text = f"training ended in epoch {epoch} with {evidence.error}"
    return [Finding("crash", "sick", epoch, text, causes, "mend what the other findings name, then train again")]

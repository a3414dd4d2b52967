"""Too few optimizer steps to learn anything: large batches make short epochs, and 25 epochs of 8 steps are 200 steps.

Told where a run ended by its own bounds with fewer than 500 steps and without having learned (ours).
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding
from ethomorph.training.rules.unlearned import learned

STEPS = 500
CAUSES = ("batches that are large for so few samples", "too few epochs or minutes")


def check(evidence: Evidence) -> list[Finding]:
    ended = evidence.stop in ("epochs", "steps", "time")
    if not ended or not 0 < evidence.steps < STEPS or learned(evidence):
        return []
    batch = evidence.settings.get("batch_size")
    text = f"the whole run had {evidence.steps} steps" + (f" of {batch} samples" if batch else "")
    return [Finding("few_steps", "warning", None, text, CAUSES, "take smaller batches and more epochs")]

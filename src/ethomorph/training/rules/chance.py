"""A classifier that ended no better than chance, whatever its accuracy says.

Cohen's kappa of the best epoch is within two standard errors of zero, and so is balanced accuracy of 1/K. Accuracy
alone hides it: with 186 positives in 242,365 frames, finding none of them is 99.9 % accurate. From five epochs on.
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding

EPOCHS, ERRORS = 5, 2.0
CAUSES = (
    "a learning rate that is too high",
    "input that is not scaled",
    "labels that do not belong to their samples",
    "classes too rare for the loss",
)


def check(evidence: Evidence) -> list[Finding]:
    seen = [epoch for epoch in evidence.epochs if "kappa" in epoch.predictions]
    if len(seen) < EPOCHS or evidence.stop in ("", "interrupt"):
        return []
    best = max(seen, key=lambda epoch: epoch.predictions["kappa"])
    said = best.predictions
    if said["kappa"] > ERRORS * said.get("kappa_error", 0.0) + 0.02 or said.get("true_classes", 0) < 2:
        return []
    text = (
        f"the best kappa in {len(seen)} epochs was {said['kappa']:.2f} (accuracy {said['accuracy']:.1%}, the commonest "
        f"class alone {said['true_top_share']:.1%}; balanced accuracy {said['balanced_accuracy']:.1%}, chance "
        f"{1 / said['true_classes']:.1%})"
    )
    remedy = (
        "overfit one batch first: if that fails, look for the fault in input, labels or rate, not in the data's size"
    )
    return [Finding("chance", "sick", seen[-1].epoch, text, CAUSES, remedy)]

"""Epochs after the best one that only memorised: validation loss up, training loss down.

After SageMaker Debugger (patience 10 on the validation loss): at least five epochs behind the best, and the validation
loss risen by a tenth of what had been learned by then. Only mentioned, since the best epoch's weights are those kept; a
warning where none could be kept.
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding

EPOCHS, RISE = 5, 0.1
CAUSES = ("more epochs than the data can feed", "a network that is large for the data")


def check(evidence: Evidence) -> list[Finding]:
    reference = evidence.reference_loss
    pairs = [
        (one.epoch, one.validation_loss, one.train_loss)
        for one in evidence.epochs
        if one.validation_loss is not None and one.train_loss is not None
    ]
    if not evidence.validation_samples or reference is None or len(pairs) <= EPOCHS:
        return []
    best = min(pairs, key=lambda pair: pair[1])
    last = pairs[-1]
    rise, gained = last[1] - best[1], reference - best[1]
    if last[0] - best[0] < EPOCHS or gained <= 0 or rise < RISE * gained or last[2] >= best[2]:
        return []
    text = (
        f"the validation loss was best in epoch {best[0]} ({best[1]:.4g}) and rose to {last[1]:.4g} by epoch {last[0]}"
    )
    kept = evidence.best_epoch is not None
    remedy = (
        f"epoch {evidence.best_epoch} is kept; fewer epochs or more data" if kept else "keep the best epoch's weights"
    )
    return [Finding("overtraining", "info" if kept else "warning", best[0], text, CAUSES, remedy)]

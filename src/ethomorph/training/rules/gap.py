"""What training learned that does not hold on the validation part, at the epoch that is kept.

With L0 the loss of a predictor that knows nothing, the share lost is (validation - training) / (L0 - training): scale
free, unlike the 10 % of the training loss at which SageMaker Debugger warns, which nearly every fitted network passes.
Thresholds (ours): a warning over 0.5, sick over 0.9, where at least 20 % of L0 was learned on the training part.
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding

WARNING, SICK, LEARNED = 0.5, 0.9, 0.2


def check(evidence: Evidence) -> list[Finding]:
    reference, last = evidence.reference_loss, evidence.last
    if reference is None or last is None or not evidence.validation_samples:
        return []
    # an early best epoch may have learned too little to judge; what training went on to do shows then
    kept = [epoch for epoch in evidence.epochs if epoch.epoch == evidence.best_epoch]
    for epoch in (*kept, last):
        share = lost(reference, epoch.train_loss, epoch.validation_loss)
        if share is not None:
            break
    if share is None or share <= WARNING:
        return []
    text = (
        f"validation loss {epoch.validation_loss:.4g} against {epoch.train_loss:.4g} in training: "
        f"{min(share, 9.99):.0%} of what was learned (from {reference:.4g}) does not carry over"
    )
    causes = ("too few individuals for so large a network", "validation from another population", "no augmentation")
    remedy = "add individuals or augmentation, or take a smaller network; check that both parts are prepared alike"
    return [Finding("gap", "sick" if share > SICK else "warning", epoch.epoch, text, causes, remedy)]


def lost(reference: float, train: float | None, validation: float | None) -> float | None:
    """Share of the learned part of the loss that validation does not have; None where too little was learned to say."""
    if train is None or validation is None or reference - train < LEARNED * abs(reference):
        return None
    return (validation - train) / (reference - train)

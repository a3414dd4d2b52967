"""Batch normalisation that says one thing while training and another when judging.

The same training batch with the same weights in both modes. With L0 the loss of a predictor that knows nothing, the
share of what was learned that evaluation mode loses: a warning over a half, sick over nine tenths (ours). It looks like
a collapse and is none: the weights are good, the running mean and variance are not.
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding
from ethomorph.training.rules.gap import SICK, WARNING, lost

STEPS = 30  # running statistics need some steps to settle
CAUSES = ("batches that are too small for batch normalisation", "running statistics of other data than this")


def check(evidence: Evidence) -> list[Finding]:
    seen = [epoch for epoch in evidence.epochs if len(epoch.mode_losses) == 2]
    reference = evidence.reference_loss
    if not seen or reference is None or evidence.steps < STEPS:
        return []
    training, evaluation = seen[-1].mode_losses
    share = lost(reference, training, evaluation)
    if share is None or share <= WARNING:
        return []
    silent = sum(layer.eval_only for layer in seen[-1].layers)
    text = f"one training batch has loss {training:.4g} in training mode and {evaluation:.4g} in evaluation mode" + (
        f"; {silent} units are silent in evaluation mode only" if silent else ""
    )
    remedy = "use larger batches, or group normalisation in place of batch normalisation"
    return [Finding("mode_gap", "sick" if share > SICK else "warning", seen[-1].epoch, text, CAUSES, remedy)]

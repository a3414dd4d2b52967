"""A training loss that jumps up and down instead of falling.

TheDeepChecker calls half of the changes switching sign an oscillation; pure noise on a plateau switches two times in
three, so the jumps must also be large: on average over 15 % of the loss of a predictor that knows nothing, over the
last eight epochs, and larger than what these epochs gained together (ours).
"""

from __future__ import annotations

from itertools import pairwise

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding

EPOCHS, SWITCHES, LARGE = 8, 0.5, 0.15
CAUSES = ("a learning rate that is too high", "much momentum", "batches that are too small")


def check(evidence: Evidence) -> list[Finding]:
    losses = [epoch.train_loss for epoch in evidence.epochs[-EPOCHS:] if epoch.train_loss is not None]
    reference = evidence.reference_loss
    if len(losses) < EPOCHS or not reference:
        return []
    steps = [b - a for a, b in pairwise(losses)]
    switches = sum(a * b < 0 for a, b in pairwise(steps)) / (len(steps) - 1)
    size = sum(map(abs, steps)) / len(steps)
    if switches < SWITCHES or size < LARGE * abs(reference) or losses[0] - losses[-1] > size:
        return []
    text = f"the training loss jumps by {size:.3g} an epoch on average, {switches:.0%} of the jumps change direction"
    epoch = evidence.epochs[-len(losses)].epoch
    return [Finding("oscillation", "warning", epoch, text, CAUSES, "divide the learning rate by 10")]

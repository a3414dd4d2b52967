"""A training loss that stopped falling after it had learned little.

TheDeepChecker asks for 5 % of decrease in five checks: a warning where the last ten epochs (a third of the run at
least) brought less than 1 % of the loss of a predictor that knows nothing, and less than a fifth of that loss was ever
learned (ours).
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding
from ethomorph.training.rules.unlearned import learned

EPOCHS, GAIN, LITTLE = 10, 0.01, 0.2
CAUSES = ("a learning rate that is too high or too low", "a network that is too small", "input without the information")


def check(evidence: Evidence) -> list[Finding]:
    losses = [epoch.train_loss for epoch in evidence.epochs if epoch.train_loss is not None]
    reference = evidence.reference_loss
    if len(losses) < 2 * EPOCHS or not reference or not learned(evidence):
        return []
    before, late = min(losses[:-EPOCHS]), min(losses[-EPOCHS:])
    if before - late > GAIN * abs(reference) or reference - late > LITTLE * abs(reference):
        return []
    text = f"the training loss has stood at {late:.4g} for {EPOCHS} epochs; knowing nothing gives {reference:.4g}"
    remedy = "try a tenth and ten times the learning rate for some hundred steps each"
    return [Finding("plateau", "warning", evidence.epochs[-EPOCHS].epoch, text, CAUSES, remedy)]

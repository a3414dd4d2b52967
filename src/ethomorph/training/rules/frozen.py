"""An accuracy that stays the same to the last digit while epochs pass, on a network that does no better than chance.

Three epochs in a row (0.1875 = 3 of 16 clips for ten epochs is the case that this rule was made for). A good network
may repeat an accuracy on a small validation part: kappa must be under 0.1.
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding

EPOCHS, POOR = 3, 0.1
CAUSES = ("one class for every sample", "units that died", "a learning rate of nearly zero")


def check(evidence: Evidence) -> list[Finding]:
    seen = [(epoch.epoch, epoch.predictions) for epoch in evidence.epochs if "accuracy" in epoch.predictions]
    if len(seen) < EPOCHS or seen[-1][1].get("kappa", 1.0) >= POOR:
        return []
    value, same = seen[-1][1]["accuracy"], 0
    for _, said in reversed(seen):
        if said["accuracy"] != value:
            break
        same += 1
    if same < EPOCHS:
        return []
    samples = seen[-1][1].get("samples")
    count = f" ({round(value * samples)} of {samples:.0f})" if samples else ""
    text = f"validation accuracy has been exactly {value:.4g}{count} for {same} epochs"
    remedy = "see which classes are predicted; then lower the learning rate and scale the input"
    return [Finding("frozen", "warning", seen[-same][0], text, CAUSES, remedy)]

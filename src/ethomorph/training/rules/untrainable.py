"""Units whose incoming weights got a gradient of exactly zero in every step of an epoch.

The one test of death that holds for every activation (leaky, GELU). No threshold on size: one gradient in an epoch is
life. Sick from half of a weight matrix where the run did not learn, else mentioned from a tenth: unused outputs and
frozen branches are untrainable too, and harmless.
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding, Severity
from ethomorph.training.rules.unlearned import learned

HALF, TENTH = 0.5, 0.1
CAUSES = ("units that died", "outputs that the loss does not use", "a branch that is cut off from the loss")


def check(evidence: Evidence) -> list[Finding]:
    last = evidence.last
    shares = {name: silent / units for name, (silent, units) in last.untrainable.items()} if last else {}
    if last is None or not shares or max(shares.values()) < TENTH:
        return []
    name = max(shares, key=lambda one: shares[one])
    silent, units = last.untrainable[name]
    total = sum(count for count, _ in last.untrainable.values())
    text = f"{silent} of {units} units of {name} got no gradient in all of epoch {last.epoch} ({total} units in all)"
    severity: Severity = "sick" if shares[name] >= HALF and not learned(evidence) else "info"
    remedy = "lower the learning rate and scale the input; see that every output enters the loss"
    return [Finding("untrainable", severity, last.epoch, text, CAUSES, remedy)]

"""Learning rates that are a slip of the pen: zero, a momentum's value, over 1, or far from what the optimizer takes.

UMLAUT (Schoop et al. 2021) warns over 0.01 and under 1e-7; over 0.01 is taken for the Adam family only, where it kills
units (0.03 left 53 % of them dead in our trials), since SGD with batch normalisation runs well at 0.1.
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding, Severity

LOW, ADAM_HIGH, SGD_HIGH, IMPOSSIBLE = 1e-7, 0.01, 0.5, 1.0
MOMENTA = (0.9, 0.95, 0.99, 0.999)
ADAPTIVE = ("Adam", "AdamW", "NAdam", "RAdam", "Adamax", "RMSprop")


def check(evidence: Evidence) -> list[Finding]:
    rate, momentum = evidence.learning_rate, evidence.momentum
    if rate is None:
        return []

    def found(severity: Severity, text: str, cause: str, remedy: str) -> list[Finding]:
        return [Finding("learning_rate", severity, None, text, (cause,), remedy)]

    usual = "1e-3" if evidence.optimizer in ADAPTIVE else "1e-2"
    if rate <= 0:
        return found(
            "sick", f"the learning rate is {rate:g}", "a rate that was rounded or never set", f"set it to {usual}"
        )
    if (momentum and rate == momentum) or rate in MOMENTA:
        text = f"the learning rate is {rate:g}, " + ("the momentum's value" if rate == momentum else "a usual momentum")
        return found("sick", text, "rate and momentum were mixed up", f"set the learning rate to {usual}")
    if rate > IMPOSSIBLE:
        return found("sick", f"the learning rate is {rate:g}, over 1", "a slipped decimal point", f"set it to {usual}")
    high = ADAM_HIGH if evidence.optimizer in ADAPTIVE else SGD_HIGH
    if rate > high:
        text = f"the learning rate is {rate:g}; {evidence.optimizer or 'this optimizer'} seldom takes over {high:g}"
        return found("warning", text, "a rate made for another optimizer", f"try {usual}")
    if rate < LOW:
        return found(
            "warning", f"the learning rate is {rate:g}: nothing will move", "a slipped decimal point", f"try {usual}"
        )
    return []

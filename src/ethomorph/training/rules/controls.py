"""Controls that should fail and did not: the network does as well on shuffled labels, or without any input.

Seen by `ethomorph diagnose --experiments`. The run's own gain over a predictor that knows nothing is compared with the
control's: sick where the control has over 80 % of it (ours). One that learns nothing itself proves nothing here.
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding

SAME = 0.8
SAYS = {
    "zero_input": (
        "zeros in place of the input",
        ("the answer does not come from the input", "labels or order that leak"),
    ),
    "shuffled_labels": (
        "labels dealt anew",
        ("a validation loss that knows the answer", "only the classes' frequencies were learned"),
    ),
}


def check(evidence: Evidence) -> list[Finding]:
    found = []
    for name, (words, causes) in SAYS.items():
        share = evidence.facts.get("controls", {}).get(name)
        if share is not None and share > SAME:
            text = f"with {words} training gains {share:.0%} of what it gains as it is"
            remedy = "find what else tells the network the answer: order, file name, padding, a leak between parts"
            found.append(Finding("controls", "sick", None, text, causes, remedy))
    return found

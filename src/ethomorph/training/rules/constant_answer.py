"""Answers that are the same for every sample before any network is asked: a label column filled with one value.

Seen by `training.preflight.answers`. Sick where over 99 % of the written answers are one label and the truth has more.
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding

ALL = 0.99
CAUSES = ("a placeholder label in place of the prediction", "the first label taken for every sample")


def check(evidence: Evidence) -> list[Finding]:
    seen = evidence.facts.get("answers")
    if not seen or seen["top_share"] < ALL or seen["labels"] < 2:
        return []
    text = f"{seen['top_share']:.0%} of {seen['rows']} answers are {seen['top']!r}; there are {seen['labels']} labels"
    return [Finding("constant_answer", "sick", None, text, CAUSES, "write what the network predicts, and score that")]

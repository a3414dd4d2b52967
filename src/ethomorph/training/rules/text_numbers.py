"""Numbers kept as text: "9.5" is then larger than "10.2", and the surest class is the wrong one.

Seen by `training.preflight.numbers_as_text`. No threshold on the share: sick where comparing as text picks another
largest value than comparing as numbers, else a warning.
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding, Severity


def check(evidence: Evidence) -> list[Finding]:
    seen = evidence.facts.get("text_numbers")
    if not seen:
        return []
    wrong, rows = seen["wrong"], seen["rows"]
    columns = ", ".join(seen["columns"][:3])
    text = f"numbers are kept as text ({columns}); as text the largest is another one in {wrong} of {rows} rows"
    severity: Severity = "sick" if wrong else "warning"
    causes = ("a table read without types",)
    return [Finding("text_numbers", severity, None, text, causes, "turn the columns into numbers before comparing")]

"""Label rows and files that do not find each other one to one, and files that hold nothing.

Seen by `training.preflight.match_files`. Sick where a tenth of the rows have no file, or any row has several, since one
of them is then chosen by luck; a warning for fewer, and for stubs (files of the operating system, or under a hundredth
of the usual size) and for overlays with drawn labels, which give the answer away.
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding, Severity

TENTH = 0.1


def check(evidence: Evidence) -> list[Finding]:
    seen = evidence.facts.get("files")
    if not seen:
        return []
    wanted, found = seen["wanted"], []

    def add(what: str, severity: Severity, text: str, causes: tuple[str, ...], remedy: str) -> None:
        example = seen.get("examples", {}).get(what)
        shown = f", such as {example}" if example else ""
        found.append(Finding("files", severity, None, text + shown, causes, remedy))

    if seen["twice"]:
        causes: tuple[str, ...] = ("files matched by a part of their name", "copies and stubs beside the clips")
        text = f"{seen['twice']} of {wanted} labels match several files"
        add("twice", "sick", text, causes, "match whole names, and leave out copies")
    if seen["unmatched"]:
        severity: Severity = "sick" if seen["unmatched"] >= TENTH * wanted else "warning"
        causes = ("files matched by a part of their name", "files that were not copied", "names that were changed")
        text = f"{seen['unmatched']} of {wanted} labels have no file"
        add("unmatched", severity, text, causes, "find the missing files, or drop their labels knowingly")
    if seen["stubs"]:
        causes = ("files that the operating system leaves beside the real ones", "a copy that broke off")
        add(
            "stubs",
            "warning",
            f"{seen['stubs']} files are stubs without content",
            causes,
            "remove stubs before training",
        )
    if seen["overlays"]:
        text = f"{seen['overlays']} files look like overlays with drawn labels"
        add("overlays", "sick", text, ("pictures made for checking labels",), "exclude overlays: they show the answer")
    return found

"""Individuals (or whatever the unit of independence is) that stand in more than one part."""

from __future__ import annotations

from collections import defaultdict

from ethomorph.audit.check import Check, found
from ethomorph.audit.data import AuditData, listed
from ethomorph.training.health import Finding


def run(data: AuditData) -> list[Finding]:
    parts: dict[str, set[str]] = defaultdict(set)
    for group, part in zip(data.groups, data.parts, strict=True):
        if part:
            parts[group].add(part)
    torn = sorted(group for group, where in parts.items() if len(where) > 1)
    if not torn:
        return []
    tested = sum("test" in parts[group] for group in torn)
    return [
        found(
            "group_leakage",
            "sick",
            f"{len(torn)} of {len(parts)} groups stand in more than one part, {tested} of them in test: {listed(torn)}",
            causes=("the split was made by sample or picture", "a specimen's name is spelled in two ways"),
            remedy="split by the group that must stay together: [split] by = 'specimen'",
        )
    ]


CHECK = Check("group_leakage", frozenset({"groups", "parts"}), run)

"""One picture file whose specimens were put into different parts."""

from __future__ import annotations

from ethomorph.audit.check import Check, found
from ethomorph.audit.data import AuditData, listed
from ethomorph.training.health import Finding


def run(data: AuditData) -> list[Finding]:
    torn = [path.name for path in data.picture_samples if len(data.parts_of(path)) > 1]
    if not torn:
        return []
    return [
        found(
            "picture_in_two_parts",
            "sick",
            f"{len(torn)} picture(s) hold specimens of different parts: {listed(torn)}",
            causes=("several specimens lie on one picture and were split apart",),
            remedy="split by picture or by a larger group, so that a picture stays on one side",
        )
    ]


CHECK = Check("shared_pictures", frozenset({"landmarks", "parts"}), run)

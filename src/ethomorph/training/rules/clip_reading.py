"""Only a part of each clip reaches the network.

Seen by `training.preflight.clip_reading`: the stretch from the first to the last frame that is read, as a share of the
clip. A warning under 80 %, sick under 50 % or where the middle, where the event is, is not inside (ours).
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding, Severity

MOST, HALF = 0.8, 0.5
CAUSES = (
    "reading stops after a fixed number of frames",
    "frames are taken from the start instead of over the whole clip",
)


def check(evidence: Evidence) -> list[Finding]:
    seen = evidence.facts.get("clips")
    if not seen or seen["span"] >= MOST:
        return []
    text = (
        f"frames {seen['first'] + 1} to {seen['last'] + 1} of {seen['frames']} are read: {seen['span']:.0%} of a clip"
        + ("" if seen["middle_inside"] else ", and its middle is not among them")
    )
    severity: Severity = "sick" if seen["span"] < HALF or not seen["middle_inside"] else "warning"
    return [Finding("clip_reading", severity, None, text, CAUSES, "sample frames evenly over the whole clip")]

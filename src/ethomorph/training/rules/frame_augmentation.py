"""Augmentation that draws anew for every frame: it makes motion where there is none, and hides the motion there is.

Seen by `training.preflight.still_clip`: a clip of one frame repeated must still stand still after augmentation. Sick
where frames differ by over 1 % of the frame's own range (ours; noise of single pixels is allowed up to there).
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding

MOTION = 0.01
CAUSES = ("random numbers drawn inside the loop over frames",)


def check(evidence: Evidence) -> list[Finding]:
    motion = evidence.facts.get("still_clip_motion")
    if motion is None or motion <= MOTION:
        return []
    text = f"a clip that stands still moves after augmentation: frames differ by {motion:.0%} of their range on average"
    remedy = "draw crop, flip and brightness once a clip and apply them to all its frames"
    return [Finding("frame_augmentation", "sick", None, text, CAUSES, remedy)]

"""Units that fire for one group's samples only: they may have learned the group (its tank, its camera), not the animal.

Groups of at least 20 samples count. Mentioned from a tenth of a layer's units on (ours); it changes no verdict, since a
split by group is what shows whether it matters.
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding

TENTH = 0.1
CAUSES = ("background, light or camera that differ between groups", "a class that only one group shows")


def check(evidence: Evidence) -> list[Finding]:
    last = evidence.last
    layers = [one for one in last.layers if one.one_group > max(1, TENTH * one.units)] if last else []
    if last is None or not layers:
        return []
    worst = max(layers, key=lambda one: one.one_group / one.units)
    text = f"{worst.one_group} of {worst.units} units of {worst.layer} fire for the samples of one group only"
    remedy = "split by group, and compare the score on unseen groups"
    return [Finding("shortcut_units", "info", last.epoch, text, CAUSES, remedy)]

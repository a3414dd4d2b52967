"""Scales that cannot belong to one study: five-fold differences, mixed units, or only on some specimens."""

from __future__ import annotations

from collections import Counter

from ethomorph.audit.check import Check, found
from ethomorph.audit.data import AuditData, listed, several
from ethomorph.training.health import Finding

RATIO = 5.0
"""Above zoom and magnification within one study, below the factor ten between mm and cm."""


def run(data: AuditData) -> list[Finding]:
    assert data.landmarks is not None
    scaled = [s for s in data.landmarks if s.scale is not None]
    findings = []
    bad = [s.label for s in scaled if not (s.scale and s.scale > 0)]
    if bad:
        findings.append(
            found(
                "scale_not_positive",
                "sick",
                f"{several(len(bad), 'specimen')} with a scale of zero or less: {listed(bad)}",
                causes=("the ruler was not digitised",),
                remedy="set the scale again or remove it",
            )
        )
    good = sorted((s for s in scaled if s.scale and s.scale > 0), key=lambda s: s.scale or 0.0)
    units = Counter(s.unit for s in good)
    if len(units) > 1:
        findings.append(
            found(
                "mixed_units",
                "warning",
                f"scales lead to {len(units)} units: {listed([f'{u} ({n})' for u, n in units.most_common()])}",
                causes=("files of several people were joined",),
                remedy="convert all to mm",
            )
        )
    elif good and (good[-1].scale or 0) > RATIO * (good[0].scale or 1):
        low, high = good[0], good[-1]
        findings.append(
            found(
                "scale_inconsistent",
                "warning",
                f"scales differ {(high.scale or 0) / (low.scale or 1):.1f}-fold: {low.scale:.4g} ({low.label}) to "
                f"{high.scale:.4g} ({high.label}) {high.unit}/px",
                causes=("some rulers were read in another unit", "pictures were resized after the scale was set"),
                remedy="check the scale of the extremes against the ruler in the picture",
            )
        )
    without = [s.label for s in data.landmarks if s.scale is None]
    if scaled and without:
        findings.append(
            found(
                "scale_missing",
                "info",
                f"{several(len(without), 'specimen')} of {len(data.landmarks)} without a scale: {listed(without)}",
                causes=("no ruler in the picture",),
                remedy="give a scale, or measure only shape on these",
            )
        )
    return findings


CHECK = Check("scale", frozenset({"landmarks"}), run)

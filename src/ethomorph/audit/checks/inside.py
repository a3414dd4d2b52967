"""Landmarks outside their picture, and pictures of another size than the labels were made on."""

from __future__ import annotations

import numpy as np

from ethomorph.audit.check import Check, found
from ethomorph.audit.data import AuditData, listed, several
from ethomorph.training.health import Finding

TOLERANCE_PX = 1.0
"""Programs disagree by up to one pixel about where the border lies."""
MANY = 0.2


def run(data: AuditData) -> list[Finding]:
    if data.landmarks is None or data.landmarks.frame != "image" or data.landmarks.dim != 2:
        return []
    outside, resized, checked = [], [], 0
    for specimen in data.landmarks:
        look = (data.looks or {}).get(specimen.image_path) if specimen.image_path else None
        real = look.size if look else None
        if real and specimen.image_size and tuple(specimen.image_size) != real:
            said, true = specimen.image_size, real
            resized.append(f"{specimen.label} (labels say {said[1]} x {said[0]}, picture {true[1]} x {true[0]} px)")
        size = real or specimen.image_size
        if size is None:
            continue
        checked += 1
        edge = np.array([size[1], size[0]]) + TOLERANCE_PX
        seen = specimen.points[specimen.visible]
        off = int(((seen < -TOLERANCE_PX) | (seen > edge)).any(axis=1).sum())
        if off:
            outside.append(f"{specimen.label} ({off} of {len(seen)})")
    findings = []
    if outside:
        findings.append(
            found(
                "landmarks_outside",
                "sick" if len(outside) > MANY * checked else "warning",
                f"{len(outside)} of {checked} specimens have landmarks outside the picture: {listed(outside)}",
                causes=("the picture was cropped or shrunk after digitising", "y counted from the wrong edge"),
                remedy="find the picture that was digitised, or correct the coordinates",
            )
        )
    if resized:
        findings.append(
            found(
                "image_size_differs",
                "sick",
                f"{several(len(resized), 'picture')} of another size than the labels say: {listed(resized, 3)}",
                causes=("the picture was resized or turned after digitising",),
                remedy="use the pictures that were digitised",
            )
        )
    return findings


CHECK = Check("inside", frozenset({"landmarks"}), run)

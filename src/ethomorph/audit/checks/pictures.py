"""Pictures that are missing, unreadable or empty, and sizes or depths that are mixed."""

from __future__ import annotations

from collections import Counter

from ethomorph.audit.check import Check, found
from ethomorph.audit.data import AuditData, listed, several
from ethomorph.training.health import Finding

RATIO = 1.5
"""Areas that differ by more than this are another magnification or camera rather than another crop."""


def run(data: AuditData) -> list[Finding]:
    looks = data.looks or {}
    findings = []
    absent = [s.label for s in data.landmarks or () if s.image_path is None]
    if absent:
        findings.append(
            found(
                "missing_image",
                "warning",
                f"the picture of {several(len(absent), 'specimen')} was not found: {listed(absent)}",
                causes=("the folder of pictures is another one", "the file name differs in case or suffix"),
                remedy="correct images in study.toml, or the names in the label file",
            )
        )
    broken = [look.error for look in looks.values() if look.error]
    if broken:
        findings.append(
            found(
                "unreadable_image",
                "sick",
                f"{several(len(broken), 'picture')} cannot be read: {listed(broken, 3)}",
                causes=("a copy that broke off", "another kind of file under a picture's name"),
                remedy="copy these again from their source, or take them out of the label file",
            )
        )
    flat = [path.name for path, look in looks.items() if look.constant]
    if flat:
        findings.append(
            found(
                "constant_image",
                "sick",
                f"in {several(len(flat), 'picture')} every pixel has the same value: {listed(flat)}",
                causes=("a failed export", "a window that shows nothing"),
                remedy="export these again",
            )
        )
    return findings + _mixed(data)


def _mixed(data: AuditData) -> list[Finding]:
    read = [look for look in (data.looks or {}).values() if look.size]
    sizes = Counter(look.size for look in read if look.size)
    depths = Counter((look.bits, look.channels) for look in read)
    areas = [h * w for h, w in sizes]
    findings = []
    if len(sizes) > 1:
        wide = max(areas) > RATIO * min(areas)
        said = listed([f"{w} x {h} px ({count})" for (h, w), count in sizes.most_common()], 5)
        findings.append(
            found(
                "mixed_image_size",
                "warning" if wide else "info",
                f"the pictures have {len(sizes)} sizes: {said}",
                causes=("several cameras or crops", "some pictures were shrunk for sharing"),
                remedy="give errors in mm, not px, and see that every part holds every size",
            )
        )
    if len(depths) > 1:
        names = {1: "grey", 3: "colour"}
        said = listed([f"{bits} bit {names.get(c, c)} ({n})" for (bits, c), n in depths.most_common()], 5)
        findings.append(
            found(
                "mixed_image_depth",
                "warning" if len({bits for bits, _ in depths}) > 1 else "info",
                f"the pictures have {len(depths)} kinds of pixels: {said}",
                causes=("several devices or export settings",),
                remedy="export all in one way, or see that every part holds every kind",
            )
        )
    return findings


CHECK = Check("pictures", frozenset({"landmarks", "images"}), run)

"""Every check of a data set, one file each. To add one, write its file and put it into this list."""

from ethomorph.audit.check import Check
from ethomorph.audit.checks import (
    balance,
    copied,
    coverage,
    duplicates,
    group_leakage,
    inside,
    missing,
    outliers,
    parts,
    pictures,
    repeats,
    scale,
    shared_pictures,
)

CHECKS: list[Check] = [
    parts.CHECK,
    group_leakage.CHECK,
    shared_pictures.CHECK,
    pictures.CHECK,
    duplicates.CHECK,
    repeats.CHECK,
    copied.CHECK,
    missing.CHECK,
    inside.CHECK,
    outliers.CHECK,
    scale.CHECK,
    balance.CHECK,
    coverage.CHECK,
]

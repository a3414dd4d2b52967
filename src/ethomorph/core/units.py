"""Units of length, as scale bars, headers and tables name them; everything inside is in millimetres."""

from __future__ import annotations

from pathlib import Path

from ethomorph.core.errors import LabelError

MM_PER_UNIT = {
    "mm": 1.0, "cm": 10.0, "m": 1000.0, "um": 1e-3, "µm": 1e-3, "micron": 1e-3, "in": 25.4, "inch": 25.4,
}  # fmt: skip


def millimetres(unit: str, *, place: str | Path = "") -> float:
    """How many mm a unit of length has; raises LabelError, naming the place, for an unknown unit.

    Examples
    --------
    >>> millimetres("cm")
    10.0
    """
    known = MM_PER_UNIT.get(unit.strip().lower())
    if known is None:
        raise LabelError(
            f"{unit!r} is no unit of length known here", place=place, fix=f"use one of {', '.join(MM_PER_UNIT)}"
        )
    return known

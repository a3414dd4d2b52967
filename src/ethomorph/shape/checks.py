"""What every analysis of shape refuses, once. Repairs nothing: see `missing` for filling gaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ethomorph.core.errors import InputError, LabelError


def complete_sample(points: np.ndarray, *, least: int = 2) -> np.ndarray:
    """`points` (n, p, k) as float64; raises LabelError for gaps, or fewer than `least` specimens."""
    points = np.asarray(points, dtype=float)
    if points.ndim != 3 or points.shape[2] not in (2, 3):
        raise LabelError(f"coordinates have shape {points.shape}", fix="give (specimens, landmarks, 2 or 3)")
    if len(points) < least:
        raise LabelError(f"{len(points)} specimens", fix=f"at least {least} are needed")
    gaps = np.flatnonzero(~np.isfinite(points).all(axis=(1, 2)))
    if len(gaps):
        raise LabelError(
            f"specimens {listed(gaps + 1)} have missing landmarks",
            fix="fill them with ethomorph.shape.missing.fill_missing, or leave these specimens out",
        )
    return points


def labels_for(labels: Sequence[Any] | np.ndarray, count: int, what: str) -> np.ndarray:
    """Labels as a text vector of the given length; raises InputError where one is missing or the count differs."""
    vector = np.asarray(labels, dtype=object).ravel()
    if len(vector) != count:
        raise InputError(f"{len(vector)} labels of {what} for {count} specimens", fix="give one label a specimen")
    missing = [i for i, label in enumerate(vector) if label is None or label != label or str(label).strip() == ""]
    if missing:
        raise InputError(f"{what} is missing for specimens {listed(np.array(missing) + 1)}", fix="fill it in")
    return np.array([_as_text(label) for label in vector])


def listed(numbers: np.ndarray, limit: int = 8) -> str:
    """The first few numbers, and how many more there are."""
    more = f" and {len(numbers) - limit} more" if len(numbers) > limit else ""
    return ", ".join(str(n) for n in numbers[:limit]) + more


def _as_text(label: Any) -> str:
    # A column of whole numbers with a gap somewhere arrives as floats: 3.0 and 3 are one individual.
    return str(int(label)) if isinstance(label, (float, np.floating)) and float(label).is_integer() else str(label)

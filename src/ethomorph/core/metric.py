"""The metric block: a number as every score file writes it, with interval and count, or the reason there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Metric:
    """A measured value and how far to trust it.

    `value` is None exactly when `reason` says why. `low` and `high` bound the 95 % interval; they are None where no
    honest interval exists (too few groups), and `note` then says so. `n` counts what was averaged. `points` holds the
    per-group values where an interval was withheld.

    Examples
    --------
    >>> Metric(2.5, low=2.0, high=3.0, unit="px", n=40).to_dict()
    {'value': 2.5, 'low': 2.0, 'high': 3.0, 'unit': 'px', 'n': 40}
    >>> Metric.missing("no test images").to_dict()
    {'value': None, 'reason': 'no test images', 'n': 0}
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    n: int = 0
    reason: str = ""
    note: str = ""
    points: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.value is None and not self.reason:
            raise ValueError("a metric without a value needs a reason")
        for number in (self.value, self.low, self.high):
            if number is not None and not math.isfinite(number):
                raise ValueError(f"a metric is finite or missing with a reason, not {number}")

    @classmethod
    def missing(cls, reason: str, *, unit: str = "", n: int = 0) -> Metric:
        return cls(None, unit=unit, n=n, reason=reason)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, as the run-folder contract writes it."""
        if self.value is None:
            block: dict[str, Any] = {"value": None, "reason": self.reason}
            if self.unit:
                block["unit"] = self.unit
            return block | {"n": self.n}
        block = {"value": self.value, "low": self.low, "high": self.high, "unit": self.unit, "n": self.n}
        if self.note:
            block["note"] = self.note
        if self.points:
            block["points"] = list(self.points)
        return block

    @classmethod
    def from_dict(cls, block: dict[str, Any]) -> Metric:
        fields: dict[str, Any] = {k: tuple(v) if k == "points" else v for k, v in block.items()}
        return cls(**fields)

    def __str__(self) -> str:
        if self.value is None:
            return f"none ({self.reason})"
        unit = f" {self.unit}" if self.unit else ""
        if self.low is None or self.high is None:
            return f"{self.value:.4g}{unit}"
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]{unit}"

"""The space of a sweep: a TOML file with a table for each key of the task that may vary.

::

    ["settings.learning_rate"]
    low = 1e-4
    high = 1e-1
    log = true

    ["settings.patience"]
    low = 3
    high = 20          # whole numbers stay whole

    ["method"]
    choices = ["tcn", "features"]
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ethomorph.core.errors import StudyError

FIX = "give choices = [...], or low and high, and log = true or step where wanted"
Value = int | float | str | bool


@dataclass(frozen=True)
class Dimension:
    """One key of the task that varies: among `choices`, or from `low` to `high`."""

    key: str
    choices: tuple[Value, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None

    @property
    def whole(self) -> bool:
        """Whether its values are whole numbers."""
        return all(isinstance(one, int) for one in (self.low, self.high, self.step or 1))

    def suggest(self, trial: Any) -> Value:
        """The value that an Optuna trial asks to be tried."""
        if self.choices:
            return trial.suggest_categorical(self.key, list(self.choices))
        if self.whole:
            return trial.suggest_int(self.key, int(self.low), int(self.high), step=int(self.step or 1), log=self.log)
        return trial.suggest_float(self.key, self.low, self.high, step=self.step, log=self.log)

    def to_dict(self) -> dict[str, Any]:
        if self.choices:
            return {"choices": list(self.choices)}
        return {"low": self.low, "high": self.high, "log": self.log} | ({"step": self.step} if self.step else {})


def read_space(path: Path) -> list[Dimension]:
    """The dimensions of a space file.

    Raises
    ------
    StudyError : not readable, empty, or a table that says no range.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise StudyError("no such file", place=path, fix="write a space file, see `ethomorph sweep --help`") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise StudyError(f"not valid TOML: {error}", place=path, fix="correct it") from None
    if not document:
        raise StudyError("an empty space", place=path, fix="add a table for each key that may vary")
    return [dimension(path, key, table) for key, table in flattened(document).items()]


def flattened(document: dict[str, Any], before: str = "") -> dict[str, Any]:
    """Tables by dotted key; ``[settings.learning_rate]`` and ``["settings.learning_rate"]`` mean the same.

    >>> flattened({"settings": {"rate": {"low": 1, "high": 2}}, "method": {"choices": ["a"]}})
    {'settings.rate': {'low': 1, 'high': 2}, 'method': {'choices': ['a']}}
    """
    found: dict[str, Any] = {}
    for key, value in document.items():
        inside = isinstance(value, dict) and value and all(isinstance(one, dict) for one in value.values())
        found |= flattened(value, f"{before}{key}.") if inside else {f"{before}{key}": value}
    return found


def dimension(path: Path, key: str, table: Any) -> Dimension:
    """One table, checked."""

    def refuse(what: str) -> StudyError:
        return StudyError(f"{key}: {what}", place=path, fix=FIX)

    if not isinstance(table, dict):
        raise refuse(f"found {table!r}, not a table")
    unknown = sorted(set(table) - {"choices", "low", "high", "log", "step"})
    if unknown:
        raise refuse(f"unknown key {unknown[0]!r}")
    if "choices" in table:
        choices = table["choices"]
        if not isinstance(choices, list) or not choices or set(table) != {"choices"}:
            raise refuse("choices must be a list of values and stand alone")
        return Dimension(key, choices=tuple(choices))
    low, high, step = table.get("low"), table.get("high"), table.get("step")
    numbers = [one for one in (low, high, step) if one is not None]
    if low is None or high is None or not all(isinstance(one, (int, float)) for one in numbers):
        raise refuse("low and high must be numbers")
    log = bool(table.get("log", False))
    if not low < high or (log and low <= 0):
        raise refuse(f"{low} to {high}" + (" on a logarithmic scale" if log else "") + " is no range")
    if log and step is not None:
        raise refuse("log and step exclude each other")
    return Dimension(key, low=low, high=high, log=log, step=step)

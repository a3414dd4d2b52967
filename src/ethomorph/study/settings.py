"""Settings of a method as a frozen dataclass, changed by the tables of study.toml: unknown keys and types are told."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from ethomorph.core.errors import StudyError

S = TypeVar("S")


def changed(settings: S, values: dict[str, Any], place: str = "settings") -> S:
    """A copy of a frozen settings dataclass with the values of a nested table.

    Raises
    ------
    StudyError : an unknown key, or a value of another type than the one it replaces; it names the key.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Toy:
    ...     rate: float = 0.1
    >>> changed(Toy(), {"rate": 1}).rate
    1.0
    """
    known = [one.name for one in fields(settings)]  # type: ignore[arg-type]
    new: dict[str, Any] = {}
    for key, value in values.items():
        where = f"{place}.{key}"
        if key not in known:
            raise StudyError("there is no such setting", place=where, fix=f"use one of {', '.join(known)}")
        old = getattr(settings, key)
        if is_dataclass(old):
            if not isinstance(value, dict):
                raise StudyError(f"{value!r} is no table", place=where, fix="give a table of settings")
            new[key] = changed(old, value, where)
        elif isinstance(old, bool) or isinstance(value, bool):
            if not (isinstance(old, bool) and isinstance(value, bool)):
                raise StudyError(f"{value!r}", place=where, fix=f"give a value like {old!r}")
            new[key] = value
        elif isinstance(old, str) or isinstance(value, str):
            if not (isinstance(old, str) and isinstance(value, str)):
                raise StudyError(f"{value!r}", place=where, fix=f"give a value like {old!r}")
            new[key] = value
        elif not isinstance(value, (int, float)) or (isinstance(old, int) and int(value) != value):
            kind = "whole number" if isinstance(old, int) else "number"
            raise StudyError(f"{value!r}", place=where, fix=f"give a {kind}")
        else:
            new[key] = type(old)(value)
    return replace(settings, **new)  # type: ignore[type-var]

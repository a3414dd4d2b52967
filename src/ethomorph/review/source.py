"""`Source`: what a kind of task shows and what may be changed in it; one subclass a kind.

A source knows the native files and says what is in them; it never writes. What people changed is in the store.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ethomorph.core.errors import InputError
from ethomorph.review.store import Store
from ethomorph.study.config import Study, TaskSection

STATUS = ("done", "flagged")
MARKS = ("grade", "status", "assigned", "note")
"""Fields that every item of every kind has."""
MAX_TEXT = 2000


class Refused(InputError):
    """A value that does not fit its field, or an item or field that does not exist."""


class Source(ABC):
    """One task of a study, opened for looking."""

    kind: str

    def __init__(self, study: Study, name: str, section: TaskSection, store: Store) -> None:
        self.study, self.name, self.section, self.store = study, name, section, store
        self.warnings: list[str] = []

    @abstractmethod
    def items(self) -> list[str]:
        """The names of what is looked at one by one, in the order of the files."""

    @abstractmethod
    def native(self, item: str, fields: list[str]) -> dict[str, Any]:
        """What the files say of these fields of an item; raises Refused where there is no such item or field."""

    @abstractmethod
    def checked(self, item: str, field: str, value: Any) -> Any:
        """The value as it will be stored; raises Refused where it does not fit."""

    @abstractmethod
    def queue(self) -> list[dict[str, Any]]:
        """A row an item, the neediest first: item, need, reasons, grade, status, assigned, group."""

    def current(self, item: str, fields: list[str]) -> dict[str, tuple[Any, int]]:
        """Value and revision of fields, whether edited or as in the file."""
        held = self.store.values(item).get(item, {})
        native = self.native(item, [f for f in fields if f not in held])
        return {f: held.get(f, (native.get(f), 0)) for f in fields}

    def refuse_unknown(self, item: str) -> None:
        if item not in self._known():
            raise Refused(f"there is no {item!r} in {self.name}")

    def _known(self) -> Mapping[str, Any] | set[str]:
        return set(self.items())

    @abstractmethod
    def detail(self, item: str) -> dict[str, Any]:
        """Everything that the page draws of one item, each field with its revision under ``values``."""

    @abstractmethod
    def scheme(self) -> dict[str, Any]:
        """What is the same for all items: names, colours, what may be chosen."""

    def prepare(self) -> None:  # noqa: B027 - most sources need none
        """What takes long and makes the queue better, run once in the background after opening."""


def checked_mark(field: str, value: Any, grades: list[str]) -> Any:
    """One of `MARKS` as it will be stored; raises Refused."""
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise Refused(f"{field} is a text of at most {MAX_TEXT} characters, or null")
    if field == "grade" and value not in grades:
        raise Refused(f"there is no grade {value!r}", fix=f"use one of {', '.join(grades)}")
    if field == "status" and value not in STATUS:
        raise Refused(f"there is no status {value!r}", fix=f"use one of {', '.join(STATUS)}")
    return value.strip() or None


def text_or_none(row: Mapping[str, tuple[Any, int]], field: str, native: str | None = None) -> str | None:
    """The stored mark of an item, else what the file says."""
    return row[field][0] if field in row else native


def file_version(path: Path | None) -> int | None:
    """A number that changes with the file; None where there is none."""
    try:
        return path.stat().st_mtime_ns // 1000 if path is not None else None
    except OSError:
        return None

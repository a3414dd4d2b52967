"""`Store`: edits of one task, who made them and when, undo and redo across sessions.

A field that nobody edited has no row here; its value is what the native file says (revision 0). Values are plain JSON;
what they mean is the business of the task's source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ethomorph.core.errors import InputError
from ethomorph.review.database import Change, Edit, Value, now, reading, writing


class Conflict(InputError):
    """Somebody else changed the field meanwhile; `current` holds what stands there now."""

    def __init__(self, what: str, current: dict[str, tuple[Any, int]] | None = None) -> None:
        super().__init__(what, fix="look at the present state and decide again")
        self.current = current or {}


@dataclass(frozen=True)
class Wanted:
    """A field's new value; `base` is the revision that the person saw."""

    field: str
    value: Any
    base: int


@dataclass
class Stored:
    """What an edit left: its number, its item, and each changed field's value and revision."""

    edit: int
    item: str
    values: dict[str, tuple[Any, int]] = field(default_factory=dict)


class Store:
    """The edits of one task of one study."""

    def __init__(self, engine: Engine, study: str, task: str) -> None:
        self.engine, self.study, self.task = engine, study, task

    def values(
        self, item: str | None = None, *, fields: list[str] | None = None
    ) -> dict[str, dict[str, tuple[Any, int]]]:
        """Value and revision of every edited field (or of these `fields`), by item and field."""
        query = select(Value.item, Value.field, Value.value, Value.revision).where(*self._mine(Value))
        if item is not None:
            query = query.where(Value.item == item)
        if fields is not None:
            query = query.where(Value.field.in_(fields))
        found: dict[str, dict[str, tuple[Any, int]]] = {}
        with reading(self.engine) as session:
            for name, key, value, revision in session.execute(query):
                found.setdefault(name, {})[key] = (value, revision)
        return found

    def edit(self, item: str, wanted: list[Wanted], *, person: str, key: str, native: Mapping[str, Any]) -> Stored:
        """Store one edit; asking again with the same `key` gives the first answer and stores nothing.

        Parameters
        ----------
        native : what the file says of each field, for those that nobody edited before.

        Raises
        ------
        Conflict : a field's revision is no longer the one the person saw.
        """
        with writing(self.engine) as session:
            if (known := self._by_key(session, key)) is not None:
                return self._told(session, known)
            held = self._held(session, item, [w.field for w in wanted])
            refuse_outdated(wanted, held)
            row = self._new_edit(session, item, person, "edit", key)
            session.execute(
                update(Edit).where(*self._mine(Edit), Edit.item == item, Edit.person == person, Edit.redoable)
                .values(redoable=False)
            )  # fmt: skip
            for one in wanted:
                before = held[one.field][0] if one.field in held else native.get(one.field)
                session.add(Change(edit=row.id, field=one.field, before=before, after=one.value))
                self._put(session, item, one.field, one.value, row.id, held.get(one.field))
            return Stored(row.id, item, {one.field: (one.value, row.id) for one in wanted})

    def undo(self, item: str, *, person: str, key: str) -> Stored | None:
        """Take back the person's last edit of this item; None where there is none. Raises Conflict."""
        return self._turn(item, person, key, "undo")

    def redo(self, item: str, *, person: str, key: str) -> Stored | None:
        """Bring back the person's edit that was last undone; None where there is none. Raises Conflict."""
        return self._turn(item, person, key, "redo")

    def log(self, item: str | None = None, *, limit: int = 100, before: int | None = None) -> list[dict[str, Any]]:
        """The newest edits first, each with its changes."""
        query = select(Edit).where(*self._mine(Edit)).order_by(Edit.id.desc()).limit(limit)
        if item is not None:
            query = query.where(Edit.item == item)
        if before is not None:
            query = query.where(Edit.id < before)
        with reading(self.engine) as session:
            edits = list(session.scalars(query))
            changes: dict[int, list[Change]] = {}
            for change in session.scalars(select(Change).where(Change.edit.in_([e.id for e in edits]))):
                changes.setdefault(change.edit, []).append(change)
            return [_entry(edit, changes.get(edit.id, [])) for edit in edits]

    def signed(self, field: str) -> dict[str, tuple[Any, str, str]]:
        """Each item's value of a field, by whom and when."""
        query = select(Value.item, Value.value, Edit.person, Edit.time).join(Edit, Edit.id == Value.revision)
        with reading(self.engine) as session:
            rows = session.execute(query.where(*self._mine(Value), Value.field == field).order_by(Value.item))
            return {item: (value, person, time) for item, value, person, time in rows}

    def counts(self) -> dict[str, int]:
        """How many edits each person made, undone ones not counted."""
        query = (
            select(Edit.person, func.count()).where(*self._mine(Edit), Edit.kind == "edit", Edit.reverted.is_(False))
            .group_by(Edit.person)
        )  # fmt: skip
        with reading(self.engine) as session:
            return {row[0]: row[1] for row in session.execute(query)}

    def _turn(self, item: str, person: str, key: str, kind: str) -> Stored | None:
        undo = kind == "undo"
        with writing(self.engine) as session:
            if (known := self._by_key(session, key)) is not None:
                return self._told(session, known)
            mine = select(Edit).where(
                *self._mine(Edit), Edit.item == item, Edit.person == person, Edit.kind == "edit",
                Edit.reverted.is_(not undo),
            )  # fmt: skip
            mine = mine.order_by(Edit.id.desc()) if undo else mine.where(Edit.redoable).order_by(Edit.id)
            target = session.scalars(mine.limit(1)).first()
            if target is None:
                return None
            changes = list(session.scalars(select(Change).where(Change.edit == target.id)))
            held = self._held(session, item, [c.field for c in changes])
            refuse_changed_since(changes, held, undo=undo)
            row = self._new_edit(session, item, person, kind, key, target.id)
            target.reverted, target.redoable = undo, undo
            stored = Stored(row.id, item)
            for change in changes:
                old, new = (change.after, change.before) if undo else (change.before, change.after)
                session.add(Change(edit=row.id, field=change.field, before=old, after=new))
                self._put(session, item, change.field, new, row.id, held.get(change.field))
                stored.values[change.field] = (new, row.id)
            return stored

    def _mine(self, table: type[Edit] | type[Value]) -> tuple[Any, Any]:
        return table.study == self.study, table.task == self.task

    def _new_edit(
        self, session: Session, item: str, person: str, kind: str, key: str, target: int | None = None
    ) -> Edit:
        row = Edit(
            study=self.study, task=self.task, item=item, person=person, time=now(), kind=kind, key=key, target=target
        )
        session.add(row)
        session.flush()
        return row

    def _by_key(self, session: Session, key: str) -> Edit | None:
        return session.scalars(select(Edit).where(Edit.study == self.study, Edit.key == key)).first()

    def _told(self, session: Session, edit: Edit) -> Stored:
        changes = session.scalars(select(Change).where(Change.edit == edit.id))
        return Stored(edit.id, edit.item, {c.field: (c.after, edit.id) for c in changes})

    def _held(self, session: Session, item: str, fields: list[str]) -> dict[str, tuple[Any, int]]:
        query = select(Value.field, Value.value, Value.revision).where(
            *self._mine(Value), Value.item == item, Value.field.in_(fields)
        )
        return {key: (value, revision) for key, value, revision in session.execute(query)}

    def _put(
        self, session: Session, item: str, key: str, value: Any, revision: int, held: tuple[Any, int] | None
    ) -> None:
        """Write a value over the revision that was seen; on servers without one writer a race ends as a Conflict."""
        place = {"study": self.study, "task": self.task, "item": item, "field": key}
        if held is None:
            try:
                session.execute(insert(Value).values(**place, value=value, revision=revision))
            except IntegrityError:
                raise Conflict(f"{key} was changed by somebody else at the same moment") from None
            return
        done = session.execute(
            update(Value)
            .where(*self._mine(Value), Value.item == item, Value.field == key, Value.revision == held[1])
            .values(value=value, revision=revision)
        )
        if done.rowcount == 0:  # type: ignore[attr-defined]
            raise Conflict(f"{key} was changed by somebody else at the same moment")


def refuse_outdated(wanted: list[Wanted], held: Mapping[str, tuple[Any, int]]) -> None:
    """Raise Conflict for fields whose revision is not the one that the person saw."""
    late = [one.field for one in wanted if held.get(one.field, (None, 0))[1] != one.base]
    if late:
        current = {key: held[key] for key in late if key in held}
        raise Conflict(f"{', '.join(late[:3])} was changed by somebody else", current)


def refuse_changed_since(changes: list[Change], held: Mapping[str, tuple[Any, int]], *, undo: bool) -> None:
    """Raise Conflict where a field no longer holds what the edit (or its undoing) left there."""
    for change in changes:
        expected = change.after if undo else change.before
        if change.field not in held or held[change.field][0] != expected:
            raise Conflict(f"{change.field} was changed by somebody else since", dict(held))


def _entry(edit: Edit, changes: list[Change]) -> dict[str, Any]:
    return {
        "id": edit.id, "item": edit.item, "person": edit.person, "time": edit.time, "kind": edit.kind,
        "target": edit.target, "reverted": edit.reverted,
        "changes": [{"field": c.field, "before": c.before, "after": c.after} for c in changes],
    }  # fmt: skip

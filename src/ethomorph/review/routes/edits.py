"""What every kind of task shares: the queue, edits with undo and redo, the log, and the stream of events."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse

from ethomorph.review.models import EditStored, EditWanted, HeldValue, LogEntry, QueueRow, QueueShown, TurnWanted
from ethomorph.review.routes.access import Annotates, Desk, Looks
from ethomorph.review.store import Stored, Wanted

router = APIRouter(prefix="/api/studies/{study}")
TaskName = Annotated[str, Path(max_length=200)]
ItemName = Annotated[str, Query(min_length=1, max_length=1000)]


@router.get("/tasks/{task}/queue")
def queue(task: TaskName, desk: Looks) -> QueueShown:
    """Every item, the neediest first; `ready` once shapes and predictions are in the order."""
    source = desk.source(task)
    return QueueShown(
        ready=task in desk.opened.ready,
        items=[QueueRow.model_validate(row) for row in source.queue()],
        scheme=source.scheme(),
        edits=source.store.counts(),
    )


@router.get("/tasks/{task}/item")
def item(task: TaskName, name: ItemName, desk: Looks) -> dict[str, Any]:
    """Everything that the page draws of one item, each field with its revision."""
    source = desk.source(task)
    source.refuse_unknown(name)
    return source.detail(name)


@router.post("/tasks/{task}/edits")
def edit(task: TaskName, wanted: EditWanted, desk: Annotates) -> EditStored:
    """Store one edit; answered only after the commit. The same `key` again gives the same answer."""
    source = desk.source(task)
    source.refuse_unknown(wanted.item)
    changes = [Wanted(c.field, source.checked(wanted.item, c.field, c.value), c.base) for c in wanted.changes]
    native = source.native(wanted.item, [c.field for c in changes])
    stored = source.store.edit(wanted.item, changes, person=desk.visitor.name, key=wanted.key, native=native)
    return _told(desk, task, stored)


@router.post("/tasks/{task}/undo")
def undo(task: TaskName, wanted: TurnWanted, desk: Annotates) -> EditStored:
    """Take back your own last edit of the item, also one of another day."""
    store = desk.source(task).store
    return _told(desk, task, store.undo(wanted.item, person=desk.visitor.name, key=wanted.key), wanted.item)


@router.post("/tasks/{task}/redo")
def redo(task: TaskName, wanted: TurnWanted, desk: Annotates) -> EditStored:
    store = desk.source(task).store
    return _told(desk, task, store.redo(wanted.item, person=desk.visitor.name, key=wanted.key), wanted.item)


@router.get("/tasks/{task}/log")
def log(
    task: TaskName,
    desk: Looks,
    name: Annotated[str | None, Query(max_length=1000)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[int | None, Query(ge=0, le=2**53)] = None,
) -> list[LogEntry]:
    """Who changed what and when, the newest first."""
    return [LogEntry.model_validate(row) for row in desk.source(task).store.log(name, limit=limit, before=before)]


@router.get("/events", response_class=StreamingResponse)
async def events(desk: Looks) -> StreamingResponse:
    """Server-sent events of this study: edits of others, a better queue, training going on."""
    return StreamingResponse(
        desk.server.events.listen(desk.opened.slug), media_type="text/event-stream", headers={"x-accel-buffering": "no"}
    )


def _told(desk: Desk, task: str, stored: Stored | None, item: str = "") -> EditStored:
    if stored is None:
        return EditStored(edit=None, item=item, values={})
    values = {f: HeldValue(value=v, revision=r) for f, (v, r) in stored.values.items()}
    answer = EditStored(edit=stored.edit, item=stored.item, values=values)
    desk.server.events.tell(desk.opened.slug, "edit", task=task, person=desk.visitor.name, **answer.model_dump())
    return answer

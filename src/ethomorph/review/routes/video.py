"""Frames, poses and files of tasks on video."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Response

from ethomorph.review.models import WriteBackShown
from ethomorph.review.routes.access import Desk, Looks, Manages
from ethomorph.review.routes.edits import ItemName, TaskName
from ethomorph.review.source import Refused
from ethomorph.review.video import VideoSource
from ethomorph.review.write_back import keep_copy

router = APIRouter(prefix="/api/studies/{study}/tasks/{task}/video")


@router.get("/frame", response_class=Response)
def frame(
    task: TaskName,
    name: ItemName,
    index: Annotated[int, Query(ge=0, le=10**9)],
    desk: Looks,
    width: Annotated[int, Query(ge=0, le=4000)] = 0,
) -> Response:
    """Exactly this frame of the video, as JPEG."""
    content = video_of(desk, task).frames.jpeg(name, index, width)
    return Response(content, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})


@router.get("/poses")
def poses(
    task: TaskName,
    name: ItemName,
    desk: Looks,
    start: Annotated[int, Query(ge=0, le=10**9)] = 0,
    stop: Annotated[int, Query(ge=0, le=10**9)] = 600,
) -> dict[int, list[dict[str, Any]]]:
    """The animals of a stretch of frames as the file has them."""
    return video_of(desk, task).poses(name, start, stop)


@router.get("/export", response_class=Response)
def export(task: TaskName, desk: Looks, suffix: Annotated[str, Query(max_length=20)] = "") -> Response:
    """The corrected poses (.slp, .csv, .h5, .json) or the corrected events (BORIS's aggregated table)."""
    source = video_of(desk, task)
    chosen = suffix or source.suffixes[0]
    if chosen not in source.suffixes:
        raise Refused(f"nothing can be exported as {chosen!r}")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / f"{source.name}{chosen}"
        notes = source.write(path)
        told = {
            "content-disposition": f"attachment; filename*=UTF-8''{quote(path.name)}",
            "x-notes": quote(" ".join(notes)[:1500]),
        }
        return Response(path.read_bytes(), media_type="application/octet-stream", headers=told)


@router.post("/write-back")
def write(task: TaskName, desk: Manages) -> WriteBackShown:
    """Replace the study's own file by the corrected one; a copy is kept."""
    source = video_of(desk, task)
    try:
        copy = keep_copy(source, source.path)
        notes = source.write(source.path)
    finally:
        desk.opened.close(task)
    desk.server.events.tell(desk.opened.slug, "written", task=task, person=desk.visitor.name, files=[source.path.name])
    return WriteBackShown(files=[source.path.name], copies=[copy], notes=notes)


def video_of(desk: Desk, task: str) -> VideoSource:
    return desk.source_of(task, "video", VideoSource)  # type: ignore[type-abstract]

"""Pictures, write-back and export of landmark tasks."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from ethomorph.formats.registry import FORMATS
from ethomorph.review.landmarks import LandmarkSource
from ethomorph.review.models import FormatShown, JobShown, WriteBackShown
from ethomorph.review.predictions import newest_run, predictions_file
from ethomorph.review.routes.access import Annotates, Desk, Looks, Manages
from ethomorph.review.routes.edits import ItemName, TaskName
from ethomorph.review.source import Refused
from ethomorph.review.uploads import take_in
from ethomorph.review.write_back import export, write_back

router = APIRouter(prefix="/api/studies/{study}/tasks/{task}")
A_DAY = "private, max-age=86400"


@router.get("/picture", response_class=Response)
def picture(
    task: TaskName,
    name: ItemName,
    desk: Looks,
    stretch: bool = False,
    clahe: Annotated[float, Query(ge=0, le=40, allow_inf_nan=False)] = 0,
    denoise: Annotated[int, Query(ge=0, le=31)] = 0,
    width: Annotated[int, Query(ge=0, le=8000)] = 0,
    v: Annotated[int, Query(ge=0, le=2**62)] = 0,
) -> Response:
    """The item's picture as JPEG, enhanced as asked; `v` only tells versions apart for the browser's cache."""
    source = landmarks_of(desk, task)
    path = source.specimen(name).image_path
    if path is None:
        raise Refused(f"the picture of {name!r} was not found")
    odd = denoise | 1 if denoise else 0
    content = desk.server.pictures.jpeg(path, stretch=stretch, clahe=clahe, denoise=odd, width=width)
    return Response(content, media_type="image/jpeg", headers={"cache-control": A_DAY if v else "no-cache"})


@router.get("/formats")
def formats(task: TaskName, desk: Looks) -> list[FormatShown]:
    landmarks_of(desk, task)
    return [FormatShown(name=f.name, title=f.title, suffix=f.suffixes[0]) for f in FORMATS]


@router.get("/export", response_class=Response)
def download(task: TaskName, desk: Looks, format: Annotated[str, Query(max_length=40)] = "all") -> Response:
    """The corrected landmarks of this study in a format, or in all of them as a zip."""
    name, content, notes = export(landmarks_of(desk, task), format)
    told = quote(" ".join(notes)[:1500])
    return Response(
        content,
        media_type="application/octet-stream",
        headers={"content-disposition": f"attachment; filename*=UTF-8''{quote(name)}", "x-notes": told},
    )


@router.post("/write-back")
def write(task: TaskName, desk: Manages) -> WriteBackShown:
    """Replace the study's own label and grade files by the corrected ones; copies of them are kept."""
    try:
        written = write_back(landmarks_of(desk, task))
    finally:
        desk.opened.close(task)
    desk.server.events.tell(desk.opened.slug, "written", task=task, person=desk.visitor.name, files=written.files)
    return WriteBackShown(files=written.files, copies=written.copies, notes=written.notes)


@router.post("/predict")
def predict(task: TaskName, desk: Annotates) -> JobShown:
    """Predict every picture with the newest run, in the background."""
    source = landmarks_of(desk, task)
    run = source.run or newest_run(source.study, task)
    if run is None or source.section.images is None:
        raise Refused("there is no trained run to predict with", fix="train one first")
    out = predictions_file(source.study, task)
    images = str(source.study.path(source.section.images))
    return desk.server.jobs.start(
        desk.opened, f"predict {task}", ["predict", str(run.folder), images, "--out", str(out)],
        done=lambda: desk.opened.close(task),
    )  # fmt: skip


@router.post("/uploads")
async def upload(
    task: TaskName, name: Annotated[str, Query(min_length=1, max_length=300)], request: Request, desk: Manages
) -> list[str]:
    """Add a picture, or a zip of pictures, to the task's images; the body is the file itself."""
    source = await run_in_threadpool(landmarks_of, desk, task)
    if source.section.images is None:
        raise Refused("this task has no folder of images", fix="add `images` to study.toml")
    with tempfile.NamedTemporaryFile(prefix="ethomorph-") as spool:
        async for chunk in request.stream():
            await run_in_threadpool(spool.write, chunk)
        spool.flush()
        folder = source.study.path(source.section.images)
        names = await run_in_threadpool(take_in, Path(spool.name), name, folder)
    desk.opened.close(task)
    desk.server.events.tell(desk.opened.slug, "written", task=task, person=desk.visitor.name, files=names[:20])
    return names


def landmarks_of(desk: Desk, task: str) -> LandmarkSource:
    return desk.source_of(task, "landmarks on pictures", LandmarkSource)

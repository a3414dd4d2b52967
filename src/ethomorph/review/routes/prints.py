"""Pictures of prints, and verdicts on pairs of trails as tables."""

from __future__ import annotations

import io
import zipfile
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Response

from ethomorph.core.files import write_text
from ethomorph.review.models import WriteBackShown
from ethomorph.review.prints import PrintSource, print_tables
from ethomorph.review.routes.access import Desk, Looks, Manages
from ethomorph.review.routes.edits import TaskName
from ethomorph.review.source import Refused
from ethomorph.review.trails import TrailStudy
from ethomorph.review.write_back import keep_copy

router = APIRouter(prefix="/api/studies/{study}/tasks/{task}/prints")


@router.get("/picture", response_class=Response)
def picture(
    task: TaskName,
    name: Annotated[str, Query(min_length=1, max_length=1000)],
    desk: Looks,
    width: Annotated[int, Query(ge=0, le=4000)] = 0,
) -> Response:
    """The picture of a print that the table names, as JPEG."""
    path = prints_of(desk, task).trails.picture(name)
    if path is None:
        raise Refused(f"the picture of print {name!r} was not found")
    content = desk.server.pictures.jpeg(path, width=width)
    return Response(content, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})


@router.get("/export", response_class=Response)
def export(task: TaskName, desk: Looks) -> Response:
    """The verdicts and the individuals at the cut, two tables in a zip."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in print_tables(prints_of(desk, task)).items():
            archive.writestr(name, text)
    told = {"content-disposition": f"attachment; filename*=UTF-8''{quote(task)}.zip"}
    return Response(stream.getvalue(), media_type="application/zip", headers=told)


@router.post("/write-back")
def write(task: TaskName, desk: Manages) -> WriteBackShown:
    """Write both tables beside what was identified; what they were before is kept."""
    source = prints_of(desk, task)
    shown = WriteBackShown(files=[], copies=[], notes=[])
    for name, text in print_tables(source).items():
        path = source.study.folder / (name if isinstance(source.study, TrailStudy) else f"{task}_{name}")
        if path.exists():
            shown.copies.append(keep_copy(source, path))
        write_text(path, text)
        shown.files.append(path.name)
    shown.notes.append(f"count again with them: ethomorph identify ... --verdicts {shown.files[0]}")
    return shown


def prints_of(desk: Desk, task: str) -> PrintSource:
    return desk.source_of(task, "prints", PrintSource)

"""Slices of volumes and of their segmentations; the browser never gets more than it shows."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from ethomorph.review.models import WriteBackShown
from ethomorph.review.routes.access import Desk, Looks, Manages
from ethomorph.review.routes.edits import ItemName, TaskName
from ethomorph.review.source import Refused
from ethomorph.review.surfaces import surfaces
from ethomorph.review.volumes import VolumeSource
from ethomorph.review.write_back import keep_copy

router = APIRouter(prefix="/api/studies/{study}/tasks/{task}/volume")
Axis = Literal["z", "y", "x"]
Index = Annotated[int, Query(ge=0, le=10**6)]
HOUR = {"cache-control": "private, max-age=3600"}
QUALITY = 90


@router.get("/slice", response_class=Response)
def slice_of(task: TaskName, name: ItemName, axis: Axis, index: Index, desk: Looks) -> Response:
    """One slice of the image as JPEG: rows y or z, columns x or y."""
    import cv2

    plane = _plane(desk, task, name, "image", axis, index)
    coded = cv2.imencode(".jpg", plane, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
    return Response(coded, media_type="image/jpeg", headers=HOUR)


@router.get("/labels", response_class=Response)
def labels_of(
    task: TaskName, name: ItemName, which: Literal["truth", "prediction"], axis: Axis, index: Index, desk: Looks
) -> Response:
    """One slice of a segmentation: numbers of segments, 16 bits little-endian, row by row."""
    plane = _plane(desk, task, name, which, axis, index)
    packed = gzip.compress(plane.astype("<u2").tobytes(), 1)
    return Response(packed, media_type="application/octet-stream", headers=HOUR | {"content-encoding": "gzip"})


@router.get("/surfaces", response_class=Response)
def surfaces_of(task: TaskName, name: ItemName, which: Literal["truth", "prediction"], desk: Looks) -> Response:
    """Surfaces of all segments for the 3-D view; see `review.surfaces` for the bytes."""
    planes = volume_of(desk, task).ready_planes(name)
    if which not in planes.facts["segments"]:
        raise Refused(f"{name} has no {which}")
    packed = gzip.compress(surfaces(planes, which), 1)
    return Response(packed, media_type="application/octet-stream", headers=HOUR | {"content-encoding": "gzip"})


@router.post("/write-back")
def write(task: TaskName, desk: Manages) -> WriteBackShown:
    """Write every corrected segmentation into the study's labels; a copy of each is kept."""
    from ethomorph.formats.volumes import write_volume

    source = volume_of(desk, task)
    shown = WriteBackShown(files=[], copies=[], notes=[])
    for item in source.store.values():
        if not any(f.startswith("segment:") for f in source.store.values(item)[item]):
            continue
        path = source.path(item)
        shown.copies.append(keep_copy(source, path))
        shown.notes += write_volume(source.corrected(item), path)
        shown.files.append(path.name)
    return shown


@router.get("/export", response_class=Response)
def export(task: TaskName, name: ItemName, desk: Looks) -> Response:
    """One corrected segmentation as .seg.nrrd of 3D Slicer."""
    import tempfile
    from urllib.parse import quote

    from ethomorph.formats.volumes import write_volume

    source = volume_of(desk, task)
    source.refuse_unknown(name)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "corrected.seg.nrrd"
        write_volume(source.corrected(name), path)
        told = {"content-disposition": f"attachment; filename*=UTF-8''{quote(name)}.seg.nrrd"}
        return Response(path.read_bytes(), media_type="application/octet-stream", headers=told)


def volume_of(desk: Desk, task: str) -> VolumeSource:
    return desk.source_of(task, "volumes", VolumeSource)


def _plane(desk: Desk, task: str, name: str, which: str, axis: str, index: int):  # type: ignore[no-untyped-def]
    try:
        return volume_of(desk, task).ready_planes(name).plane(which, axis, index)
    except (IndexError, FileNotFoundError):
        raise Refused(f"{name} has no {which} at {axis} {index}") from None

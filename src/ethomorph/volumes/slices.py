"""A Hugging Face data set of slices, for laboratories that train 2-D panoptic models.

Every row knows its specimen, axis and slice; instance ids are those of the whole volume, so a tooth keeps its id from
slice to slice. Parts are split by specimen only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ethomorph.core.errors import FormatError, MissingPart
from ethomorph.volumes.classes import IGNORED, ClassMap, Encoded
from ethomorph.volumes.data import Case

AXES = ("z", "y", "x")


def slice_rows(
    case: Case, classes: ClassMap, *, axis: str = "z", every: int = 1, part: str = ""
) -> Iterator[dict[str, Any]]:
    """A row a slice that holds a class.

    Each has ``image`` (16-bit where the volume is), ``annotation`` (instance ids of the volume, int32), ``specimen``,
    ``axis``, ``slice_index``, ``spacing_mm`` (rows, columns, between slices), ``part`` and ``segments_info``: a list of
    ``id``, ``category_id`` (class number from 1), ``area``, ``bbox`` (x, y, width, height) and ``iscrowd``.
    """
    image = case.read_image()
    encoded = classes.encode(case.read_labels(image))
    ids, kind_of = volume_ids(encoded, classes)
    number = AXES.index(axis)
    rest = [a for a in range(3) if a != number]
    zyx = image.grid.spacing_zyx
    for index in range(0, ids.shape[number], every):
        annotation = np.take(ids, index, axis=number)
        info = segments_info(annotation, kind_of)
        if not info:
            continue
        yield {
            "image": np.ascontiguousarray(np.take(image.array, index, axis=number)),
            "annotation": np.ascontiguousarray(annotation),
            "specimen": case.name, "axis": axis, "slice_index": index,
            "spacing_mm": [zyx[rest[0]], zyx[rest[1]], zyx[number]], "part": part, "segments_info": info,
        }  # fmt: skip


def volume_ids(encoded: Encoded, classes: ClassMap) -> tuple[np.ndarray, dict[int, int]]:
    """(z, y, x) int32 ids of the whole volume and the class of each; classes without instances have their number."""
    count = len(classes.names)
    known = np.where(encoded.classes == IGNORED, 0, encoded.classes).astype(np.int32)
    ids = np.where(encoded.instances > 0, encoded.instances.astype(np.int32) + count, known)
    kind_of = {n: n for n in range(1, count + 1)}
    for thing in np.unique(encoded.instances[encoded.instances > 0]):
        here = encoded.classes[encoded.instances == thing]
        kind_of[int(thing) + count] = int(here[0])
    return ids, kind_of


def segments_info(annotation: np.ndarray, kind_of: dict[int, int]) -> list[dict[str, Any]]:
    """COCO's panoptic record of every id in a slice."""
    found = []
    for value in np.unique(annotation):
        if not value:
            continue
        mine = annotation == value
        rows, columns = np.flatnonzero(mine.any(axis=1)), np.flatnonzero(mine.any(axis=0))
        box = [int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1]
        found.append({"id": int(value), "category_id": kind_of[int(value)], "area": int(mine.sum()), "bbox": box,
                      "iscrowd": 0})  # fmt: skip
    return found


def write_slices(
    cases: Sequence[Case],
    parts: Sequence[str],
    classes: ClassMap,
    folder: str | Path,
    *,
    axis: str = "z",
    every: int = 1,
) -> Path:
    """Write a `datasets.DatasetDict` with a split for each part; returns the folder.

    Parameters
    ----------
    parts : the part of each case; all slices of a specimen are in it.

    Raises
    ------
    FormatError : the folder is not empty, ids that 16 bits cannot hold.
    """
    try:
        import datasets
    except ImportError:
        raise MissingPart("a data set of slices needs datasets", fix="pip install 'ethomorph[mask2former]'") from None
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise FormatError("is not empty", place=folder, fix="name a new folder")
    if axis not in AXES:
        raise FormatError(f"axis {axis!r}", fix="use z, y or x")
    info = {"id": datasets.Value("int32"), "category_id": datasets.Value("int32"), "area": datasets.Value("int64"),
            "bbox": datasets.Sequence(datasets.Value("int32")), "iscrowd": datasets.Value("int8")}  # fmt: skip
    features = datasets.Features(
        {"image": datasets.Image(), "annotation": datasets.Image(), "specimen": datasets.Value("string"),
         "axis": datasets.Value("string"), "slice_index": datasets.Value("int32"),
         "spacing_mm": datasets.Sequence(datasets.Value("float64")), "part": datasets.Value("string"),
         "segments_info": [info]}
    )  # fmt: skip

    def rows(wanted: str) -> Iterator[dict[str, Any]]:
        for case, part in zip(cases, parts, strict=True):
            if part == wanted:
                for row in slice_rows(case, classes, axis=axis, every=every, part=part):
                    yield row | {"image": as_png(row["image"]), "annotation": as_png(row["annotation"])}

    datasets.disable_progress_bars()
    found = {part: datasets.Dataset.from_list(list(rows(part)), features=features) for part in dict.fromkeys(parts)}
    datasets.DatasetDict(found).save_to_disk(str(folder))
    return folder


def as_png(array: np.ndarray) -> Any:
    """A PIL picture that loses nothing: 8 or 16 bits grey; raises FormatError where 16 bits are too few."""
    from PIL import Image

    if array.dtype != np.uint8:
        low, high = int(array.min()), int(array.max())
        if array.dtype.kind == "f" or low < 0 or high > 65535:
            raise FormatError(f"values from {low} to {high} do not fit a 16-bit picture", fix="convert to uint16 first")
        array = array.astype(np.uint16)
    return Image.fromarray(array)

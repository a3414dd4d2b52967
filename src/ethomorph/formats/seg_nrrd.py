"""Segmentations of 3D Slicer (.seg.nrrd), plain and layered, cropped or whole, with every key of every segment.

Written files open in Slicer with names, colours, status, terminology and the geometry of the segmented image.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ethomorph.core.errors import FormatError, InputError
from ethomorph.core.grid import Grid
from ethomorph.core.volume import LabelVolume, Segment, color_of
from ethomorph.formats.nrrd import grid_fields, grid_of, read_raw, write_raw

OFFSET = "Segmentation_ReferenceImageExtentOffset"
PARAMETERS = "Segmentation_ConversionParameters"
REFERENCE = "Reference image geometry"
DESCRIPTION = "The grid of the image that was segmented; labelmaps made by conversion lie on it."
STATUS, TERMINOLOGY = "Segmentation.Status", "TerminologyEntry"
STATES = ("notstarted", "inprogress", "completed", "flagged")
TISSUE = (
    "Segmentation category and type - 3D Slicer General Anatomy list~SCT^85756007^Tissue~SCT^85756007^Tissue~^^"
    "~Anatomic codes - DICOM master list~^^~^^"
)
_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SEGMENT_KEY = re.compile(r"Segment(\d+)_(\w+)$")


def read_seg_nrrd(path: str | Path, *, spacing: tuple[float, float, float] | None = None) -> LabelVolume:
    """A segmentation with its table.

    Raises
    ------
    FormatError : damaged, voxels that are not whole numbers, a key that is not what it should be, label values without
        a segment.
    """
    path = Path(path)
    raw = read_raw(path)
    array = raw.array
    layered = array.ndim == 4
    if array.ndim not in (3, 4):
        raise FormatError(f"{array.ndim} axes, where a segmentation has 3, or 4 with layers", place=path,
                          fix="save it from 3D Slicer as a segmentation")  # fmt: skip
    if array.dtype.kind not in "ui":
        raise FormatError(f"voxels of type {array.dtype}, where labels are whole numbers", place=path,
                          fix="save it from 3D Slicer as a segmentation")  # fmt: skip
    grid, notes = grid_of(raw.fields, array.shape, path, spacing=spacing)
    layers = np.moveaxis(array, -1, 0) if layered else array[None]
    layers = _unsigned(np.ascontiguousarray(layers), path)
    segments = segments_of(raw.pairs, layered=layered, path=path, notes=notes)
    kept: dict[str, Any] = {k: v for k, v in raw.pairs.items() if not _SEGMENT_KEY.match(k)}
    for segment in segments:
        if segment.layer >= len(layers):
            raise FormatError(f"segment {segment.name!r} is in layer {segment.layer} of {len(layers)}", place=path,
                              fix="save it from 3D Slicer again")  # fmt: skip
    refuse_unnamed(layers, segments, path)
    try:
        reference = reference_of(kept.get(PARAMETERS, ""))
        return LabelVolume(layers, grid, tuple(segments), reference, str(path), tuple(notes), kept)
    except InputError as error:
        raise FormatError(error.what, place=path, fix=error.fix) from None


def write_seg_nrrd(labels: LabelVolume, path: str | Path, *, crop: bool = False) -> list[str]:
    """Write for 3D Slicer; returns a sentence for everything that is not in the file.

    Parameters
    ----------
    crop : save only the box around the segments, as Slicer may; the reference geometry then tells the whole.
    """
    reference = labels.reference
    if crop:
        reference = reference or labels.grid
        box = _box(labels.layers)
        labels = replace(labels, layers=labels.layers[(slice(None), *box)], grid=labels.grid.cropped(box))
    pairs: dict[str, str] = {}
    for number, segment in enumerate(labels.segments):
        pairs |= {f"Segment{number}_{k}": v for k, v in _keys(labels, segment, number).items()}
    pairs |= _common(labels, reference)
    layers = labels.layers
    array = layers[0] if len(layers) == 1 else np.moveaxis(layers, 0, -1)
    write_raw(Path(path), array, grid_fields(labels.grid, layers=len(layers) > 1), pairs)
    return []


def segments_of(pairs: dict[str, str], *, layered: bool, path: Path, notes: list[str]) -> list[Segment]:
    """The segments in order of their numbers; reading ends at the first number without an ID, as Slicer's does."""
    tables: dict[int, dict[str, str]] = {}
    for key, value in pairs.items():
        if match := _SEGMENT_KEY.match(key):
            tables.setdefault(int(match[1]), {})[match[2]] = value
    segments: list[Segment] = []
    number = 0
    while number in tables and "ID" in tables[number]:
        segments.append(_segment(tables[number], number, layered, len(tables), path))
        number += 1
    if len(tables) > number:
        notes.append(f"segments after number {number} have no ID {number}; 3D Slicer stops there, and so does this")
    doubled = {s.name for s in segments if [o.name for o in segments].count(s.name) > 1}
    if doubled:
        notes.append(f"names given more than once were numbered: {', '.join(sorted(doubled)[:5])}")
        segments = _numbered(segments)
    return segments


def refuse_unnamed(layers: np.ndarray, segments: list[Segment], path: Path) -> None:
    """Raise FormatError where voxels carry a value that no segment of their layer has."""
    for index, layer in enumerate(layers):
        known = [s.value for s in segments if s.layer == index]
        counts = np.bincount(layer.ravel()) if layer.max(initial=0) < 2**16 else None
        found = np.flatnonzero(counts) if counts is not None else np.unique(layer)
        stray = [int(v) for v in found if v and v not in known]
        if stray:
            raise FormatError(
                f"label value {stray[0]} is in the voxels of layer {index} but in no segment "
                f"({len(stray)} such value{'s' if len(stray) > 1 else ''})",
                place=path, fix="name it in 3D Slicer, or remove these voxels",
            )  # fmt: skip


def reference_of(parameters: str) -> Grid | None:
    """The grid of the segmented image from Slicer's conversion parameters; None where they do not say."""
    for parameter in parameters.split("&"):
        name, _, rest = parameter.partition("|")
        values = rest.partition("|")[0].rstrip(";").split(";")
        if name != REFERENCE or len(values) != 22:
            continue
        try:
            numbers = np.array([float(v) for v in values])
        except ValueError:
            return None
        matrix, extent = _RAS @ numbers[:16].reshape(4, 4), numbers[16:].astype(int)
        low, high = extent[0::2], extent[1::2]
        matrix[:3, 3] += matrix[:3, :3] @ low
        return Grid.from_matrix(matrix, tuple(int(n) for n in (high - low + 1)[::-1]))
    return None


def _segment(table: dict[str, str], number: int, layered: bool, count: int, path: Path) -> Segment:
    tags = dict(tag.partition(":")[::2] for tag in table.get("Tags", "").split("|") if ":" in tag)
    status = tags.pop(STATUS, "")
    try:
        color = tuple(float(word) for word in table.get("Color", "").split()) or color_of(number)
        value = int(table["LabelValue"]) if "LabelValue" in table else 1
        layer = int(table["Layer"]) if "Layer" in table else number if layered else 0
    except ValueError as error:
        raise FormatError(f"Segment{number}: {error}", place=path, fix="save it from 3D Slicer again") from None
    if "LabelValue" not in table and not layered and count > 1:
        raise FormatError(f"Segment{number} has no label value", place=path, fix="save it from 3D Slicer 5 again")
    if len(color) != 3 or not all(0 <= c <= 1 for c in color):
        raise FormatError(f"Segment{number}: colour {table['Color']!r}", place=path, fix="give three numbers in 0..1")
    if status not in ("", *STATES):
        tags[STATUS], status = status, ""
    return Segment(
        name=table.get("Name", table["ID"]), value=value, layer=layer, id=table["ID"], color=color, status=status,  # type: ignore[arg-type]
        terminology=tags.pop(TERMINOLOGY, ""), tags=tags, name_generated=table.get("NameAutoGenerated", "0") == "1",
        color_generated=table.get("ColorAutoGenerated", "0") == "1",
    )  # type: ignore[arg-type]  # fmt: skip


def _keys(labels: LabelVolume, segment: Segment, number: int) -> dict[str, str]:
    """Slicer's keys of one segment; the extent is the whole buffer, since Slicer drops voxels outside of it."""
    z, y, x = labels.grid.shape
    tags = ({STATUS: segment.status} if segment.status else {}) | {TERMINOLOGY: segment.terminology or TISSUE}
    return {
        "Color": " ".join(f"{c:.6g}" for c in segment.color),
        "ColorAutoGenerated": str(int(segment.color_generated)),
        "Extent": f"0 {x - 1} 0 {y - 1} 0 {z - 1}",
        "ID": segment.id or f"Segment_{number + 1}",
        "LabelValue": str(segment.value),
        "Layer": str(segment.layer),
        "Name": segment.name,
        "NameAutoGenerated": str(int(segment.name_generated)),
        "Tags": "".join(f"{k}:{v}|" for k, v in (tags | segment.tags).items()),
    }


def _common(labels: LabelVolume, reference: Grid | None) -> dict[str, str]:
    kept = {k: str(v) for k, v in labels.header.items()}
    kept.setdefault("Segmentation_ContainedRepresentationNames", "Binary labelmap|Closed surface|")
    kept.setdefault("Segmentation_MasterRepresentation", "Binary labelmap")
    if reference is not None:
        offset = np.round(reference.to_index(labels.grid.origin)).astype(int)
        kept[OFFSET] = " ".join(str(int(v)) for v in offset)
        said = reference_of(kept.get(PARAMETERS, ""))
        if said is not None and said.is_same(reference):
            return kept
        others = [p for p in kept.get(PARAMETERS, "").split("&") if p and not p.startswith(f"{REFERENCE}|")]
        kept[PARAMETERS] = "&".join([*others, f"{REFERENCE}|{_geometry(reference)}|{DESCRIPTION}"]) + "&"
    else:
        kept.setdefault(OFFSET, "0 0 0")
    return kept


def _geometry(grid: Grid) -> str:
    z, y, x = grid.shape
    numbers = [f"{float(v):.17g}" for v in (_RAS @ grid.matrix).ravel()]
    return ";".join([*numbers, "0", str(x - 1), "0", str(y - 1), "0", str(z - 1)]) + ";"


def _unsigned(layers: np.ndarray, path: Path) -> np.ndarray:
    """The same labels in an unsigned type of the same width or less."""
    if layers.dtype.kind == "u":
        return layers.astype(layers.dtype.newbyteorder("="), copy=False)
    if layers.size and int(layers.min()) < 0:
        raise FormatError(f"label value {int(layers.min())} is negative", place=path, fix="renumber the labels from 1")
    top = int(layers.max(initial=0))
    return layers.astype(np.uint8 if top < 2**8 else np.uint16 if top < 2**16 else np.uint32)


def _numbered(segments: list[Segment]) -> list[Segment]:
    taken: set[str] = set()
    out = []
    for segment in segments:
        name, count = segment.name, 1
        while name in taken:
            count += 1
            name = f"{segment.name}_{count}"
        taken.add(name)
        out.append(replace(segment, name=name))
    return out


def _box(layers: np.ndarray) -> tuple[slice, slice, slice]:
    filled = np.asarray(layers.any(axis=0))
    if not filled.any():
        return slice(0, 1), slice(0, 1), slice(0, 1)
    spans = []
    for axis in range(3):
        line = np.flatnonzero(filled.any(axis=tuple(a for a in range(3) if a != axis)))
        spans.append(slice(int(line[0]), int(line[-1]) + 1))
    return spans[0], spans[1], spans[2]

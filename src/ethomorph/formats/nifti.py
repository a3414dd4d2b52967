"""NIfTI volumes (.nii, .nii.gz): voxels as stored, the label table of connectome-workbench files in and out.

NIfTI's world is RAS; inside it is LPS. Scaled files are read as the scaled numbers, in float32 or the type that holds
them.
"""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import numpy as np

from ethomorph.core.errors import FormatError, InputError, MissingPart
from ethomorph.core.files import atomic_path
from ethomorph.core.grid import Grid
from ethomorph.core.volume import LabelVolume, ScalarVolume, Segment, color_of
from ethomorph.formats.text import check_file

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
UNITS_MM = {"mm": 1.0, "unknown": 1.0, "meter": 1000.0, "micron": 1e-3}
WORKBENCH = 30
"""Code of header extensions that hold a label table; some programs write 0, and any is read."""


def read_nifti(path: str | Path, *, spacing: tuple[float, float, float] | None = None) -> ScalarVolume:
    """A volume of one number a voxel.

    Raises
    ------
    FormatError : damaged, truncated, 4-D, without a usable geometry.
    """
    path = Path(path)
    array, grid, _, notes = _read(path, spacing)
    return ScalarVolume(array, grid, str(path), notes)


def read_nifti_labels(path: str | Path, *, spacing: tuple[float, float, float] | None = None) -> LabelVolume:
    """A segmentation; names and colours come from the header's label table where there is one."""
    path = Path(path)
    array, grid, table, notes = _read(path, spacing)
    array = whole_labels(array, path)
    there = [int(v) for v in np.unique(array) if v]
    named = {s.value: s for s in table}
    segments = list(table) + [
        Segment(f"Segment_{v}", v, color=color_of(v), name_generated=True) for v in there if v not in named
    ]
    return LabelVolume(array[None], grid, tuple(segments), source=str(path), notes=notes)


def write_nifti(volume: ScalarVolume, path: str | Path) -> list[str]:
    """Write a volume in its own type; returns a sentence for everything that is not in the file."""
    _write(np.asarray(volume.array), volume.grid, Path(path), None)
    return []


def write_nifti_labels(labels: LabelVolume, path: str | Path) -> list[str]:
    """Write a segmentation of one layer, names and colours in a label table."""
    _write(labels.array, labels.grid, Path(path), labels.segments)
    lost = [word for word, any_ in (("status", any(s.status for s in labels)),
                                    ("terminology", any(s.terminology for s in labels)),
                                    ("tags", any(s.tags for s in labels))) if any_]  # fmt: skip
    return [f"NIfTI holds no {', '.join(lost)} of segments"] if lost else []


def whole_labels(array: np.ndarray, path: Path) -> np.ndarray:
    """An array of labels in the smallest unsigned type; raises FormatError where values are not whole or negative."""
    if array.dtype.kind == "f":
        if not np.isfinite(array).all() or (array != np.round(array)).any():
            raise FormatError("values between whole numbers cannot be labels", place=path,
                              fix="give the segmentation, not the image")  # fmt: skip
        array = array.astype(np.int64)
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    if low < 0 or high >= 2**32:
        raise FormatError(f"values from {low} to {high} cannot be labels", place=path,
                          fix="give the segmentation, not the image")  # fmt: skip
    if array.dtype.kind == "u":
        return np.ascontiguousarray(array)
    return array.astype(np.uint8 if high < 2**8 else np.uint16 if high < 2**16 else np.uint32)


def _read(
    path: Path, spacing: tuple[float, float, float] | None
) -> tuple[np.ndarray, Grid, list[Segment], tuple[str, ...]]:
    nibabel = _nibabel()
    check_file(path)
    refuse_truncated(path)
    try:
        image: Any = nibabel.load(path)
        shape = image.shape
        while len(shape) > 3 and shape[-1] == 1:
            shape = shape[:-1]
        if len(shape) != 3:
            raise FormatError(f"{len(shape)} axes, where a volume has three", place=path,
                              fix="choose one time point or channel and save that")  # fmt: skip
        array = np.asanyarray(image.dataobj).reshape(shape).transpose(2, 1, 0)
    except InputError:
        raise
    except Exception as error:  # nibabel answers damage with nearly every exception there is
        said = " ".join(str(error).replace(str(path), "").split())[:160]
        raise FormatError(f"is damaged or no NIfTI ({said})", place=path, fix="copy or export it again") from None
    if array.dtype == np.float64 and image.get_data_dtype() != np.float64:
        array = array.astype(np.float32)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    grid, notes = _grid(image, array.shape, path, spacing)
    return array, grid, _table(image), tuple(notes)


def refuse_truncated(path: Path) -> None:
    """Raise FormatError for a gzip stream that is cut off, before any of it is believed."""
    if not path.name.lower().endswith(".gz"):
        return
    try:
        with gzip.open(path) as stream:
            while stream.read(2**24):
                pass
    except (EOFError, OSError, zlib.error) as error:
        raise FormatError(f"its compressed data are damaged or cut off ({error})", place=path,
                          fix="copy or export it again") from None  # fmt: skip


def _grid(
    image: Any, shape: tuple[int, ...], path: Path, spacing: tuple[float, float, float] | None
) -> tuple[Grid, list[str]]:
    notes = []
    header = image.header
    unit = header.get_xyzt_units()[0]
    scale = UNITS_MM.get(unit, 1.0)
    matrix = RAS_TO_LPS @ np.array(image.affine, dtype=float)
    matrix[:3] *= scale
    said = np.array(header["pixdim"][1:4], dtype=float)
    if not header["qform_code"] and not header["sform_code"]:
        if spacing is None and (said <= 0).any():
            raise FormatError(f"its spacing is {' x '.join(f'{v:g}' for v in said)}", place=path,
                              fix="give it in mm with --spacing X,Y,Z")  # fmt: skip
        notes.append("neither qform nor sform: the orientation is not known, left and right may be exchanged")
    if spacing is not None:
        lengths = np.linalg.norm(matrix[:3, :3], axis=0)
        matrix[:3, :3] *= np.array(spacing) / np.where(lengths > 0, lengths, 1)
        notes.append(f"spacing {' x '.join(f'{s:g}' for s in spacing)} mm as given")
    try:
        return Grid.from_matrix(matrix, shape), notes
    except InputError as error:
        raise FormatError(error.what, place=path, fix=error.fix) from None


def _table(image: Any) -> list[Segment]:
    """Segments of a workbench label table in the header's extensions."""
    for extension in image.header.extensions:
        text = bytes(extension.content).decode("utf-8", "replace").rstrip("\0")
        if "<LabelTable>" not in text or "<!DOCTYPE" in text or "<!ENTITY" in text:
            continue
        found = re.search(r"<LabelTable>.*?</LabelTable>", text, re.DOTALL)
        try:
            labels: Any = ElementTree.fromstring(found[0]) if found else []
            return [
                Segment(
                    (one.text or f"Segment_{one.get('Key')}").strip(), int(one.get("Key", 0)),
                    color=tuple(min(1.0, max(0.0, float(one.get(c, 0.5)))) for c in ("Red", "Green", "Blue")),  # type: ignore[arg-type]
                )
                for one in labels if int(one.get("Key", 0)) > 0
            ]  # fmt: skip
        except (ElementTree.ParseError, ValueError):
            return []
    return []


def _write(array: np.ndarray, grid: Grid, path: Path, segments: tuple[Segment, ...] | None) -> None:
    nibabel = _nibabel()
    if array.dtype == bool:
        array = array.astype(np.uint8)
    affine = RAS_TO_LPS @ grid.matrix
    image = nibabel.Nifti1Image(array.transpose(2, 1, 0), affine, dtype=array.dtype)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    if segments is not None:
        rows = "\n".join(
            f'<Label Key="{s.value}" Red="{s.color[0]:.6g}" Green="{s.color[1]:.6g}" Blue="{s.color[2]:.6g}" Alpha="1">'
            f"{escape(s.name)}</Label>"
            for s in segments
        )
        xml = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<CaretExtension><VolumeInformation Index="0">'
            f"<LabelTable>\n{rows}\n</LabelTable><StudyMetaDataLinkSet></StudyMetaDataLinkSet>"
            "<VolumeType><![CDATA[Label]]></VolumeType></VolumeInformation></CaretExtension>"
        )
        image.header.extensions.append(nibabel.nifti1.Nifti1Extension(WORKBENCH, xml.encode("utf-8")))
    with atomic_path(path) as temporary:
        if path.name.lower().endswith(".gz"):
            plain = image.to_bytes()
            with temporary.open("wb") as stream, gzip.GzipFile("", "wb", 4, stream, mtime=0) as packer:
                packer.write(plain)
        else:
            temporary.write_bytes(image.to_bytes())


def _nibabel() -> Any:
    try:
        import nibabel
    except ImportError:
        raise MissingPart("NIfTI needs nibabel", fix="pip install 'ethomorph[volumes]'") from None
    import logging

    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)
    return nibabel

"""Folders of DICOM slices as one volume: sorted by where they lie, gaps found, integers kept.

One series of parallel, equally spaced slices. Single radiographs are pictures and belong to `dicom`.
"""

from __future__ import annotations

import datetime
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from ethomorph.core.errors import FormatError, InputError
from ethomorph.core.grid import Grid
from ethomorph.core.volume import ScalarVolume

EVEN = 0.02
"""How far slices may stand from equal distances, as a share of the distance."""


def is_series(folder: str | Path) -> bool:
    """Whether a folder holds DICOM files, by the first few of them."""
    files = [p for p in sorted(Path(folder).iterdir()) if p.is_file() and not p.name.startswith(".")]
    return any(_is_dicom(p) for p in files[:5])


def read_dicom_series(
    folder: str | Path, *, spacing: tuple[float, float, float] | None = None, series: str | None = None
) -> ScalarVolume:
    """The volume of a folder's slices.

    Parameters
    ----------
    spacing : (x, y, z) mm instead of the headers'.
    series : the series' UID, where the folder holds several.

    Raises
    ------
    FormatError : no slices, several series, mixed sizes or directions, a missing or doubled slice, damaged pixels.
    """
    import pydicom

    folder = Path(folder)
    found: dict[str, list[tuple[Path, Any]]] = defaultdict(list)
    for path in sorted(p for p in folder.iterdir() if p.is_file() and _is_dicom(p)):
        try:
            slice_ = pydicom.dcmread(path)
        except Exception as error:
            raise FormatError(
                f"is damaged ({' '.join(str(error).split())[:120]})", place=path, fix="export it again"
            ) from None
        if "PixelData" in slice_:
            found[str(slice_.get("SeriesInstanceUID", ""))].append((path, slice_))
    if not found:
        raise FormatError("holds no DICOM slices", place=folder, fix="give the folder of the slices")
    if series is None and len(found) > 1:
        listed = ", ".join(f"{uid} ({len(s)} slices)" for uid, s in list(found.items())[:4])
        raise FormatError(f"holds {len(found)} series: {listed}", place=folder, fix="put each into its own folder")
    if series is not None and series not in found:
        raise FormatError(f"no series {series}", place=folder, fix=f"choose of {', '.join(found)}")
    slices = found[series or next(iter(found))]
    return _stacked(slices, folder, spacing)


def write_dicom_series(volume: ScalarVolume, folder: str | Path) -> list[str]:
    """Write 8 or 16 bit slices as CT images into a new or empty folder; returns what is not in the files.

    Raises
    ------
    FormatError : voxels that DICOM cannot hold without loss, or a folder with something in it.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    folder = Path(folder)
    array = np.asarray(volume.array)
    if array.dtype.name not in ("uint8", "uint16", "int16"):
        raise FormatError(f"{array.dtype} voxels do not fit DICOM's 16 bits without loss", place=folder,
                          fix="write NRRD, or convert to uint16 or int16 first")  # fmt: skip
    if folder.exists() and any(folder.iterdir()):
        raise FormatError("is not empty", place=folder, fix="name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    study, series = generate_uid(), generate_uid()
    grid, bits = volume.grid, 8 * array.dtype.itemsize
    axes = np.array(grid.direction).T
    today = datetime.date.today().strftime("%Y%m%d")
    for number, plane in enumerate(array):
        one = Dataset()
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.file_meta.MediaStorageSOPClassUID = CTImageStorage
        one.SOPClassUID, one.SOPInstanceUID = CTImageStorage, generate_uid()
        one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
        one.StudyInstanceUID, one.SeriesInstanceUID, one.Modality = study, series, "CT"
        one.FrameOfReferenceUID = study
        one.PatientName, one.PatientID, one.StudyDate, one.SeriesNumber = "specimen", "specimen", today, 1
        one.InstanceNumber = number + 1
        one.ImagePositionPatient = [_decimal(v) for v in grid.to_lps([0, 0, number])]
        one.ImageOrientationPatient = [_decimal(v) for v in (*axes[0], *axes[1])]
        one.PixelSpacing = [_decimal(grid.spacing[1]), _decimal(grid.spacing[0])]
        one.SliceThickness = one.SpacingBetweenSlices = _decimal(grid.spacing[2])
        one.Rows, one.Columns = plane.shape
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated, one.BitsStored, one.HighBit = bits, bits, bits - 1
        one.PixelRepresentation = int(array.dtype.kind == "i")
        one.RescaleIntercept, one.RescaleSlope = "0", "1"
        one.PixelData = np.ascontiguousarray(plane, dtype=array.dtype.newbyteorder("<")).tobytes()
        one.save_as(folder / f"slice_{number:05d}.dcm", enforce_file_format=True)
    if np.dot(np.cross(axes[0], axes[1]), axes[2]) < 0:
        return ["slices run against the normal of their axes; readers that sort by position turn them round"]
    return []


def _stacked(slices: list[tuple[Path, Any]], folder: Path, spacing: tuple[float, float, float] | None) -> ScalarVolume:
    first = slices[0][1]
    if int(first.get("NumberOfFrames", 1)) > 1 or int(first.get("SamplesPerPixel", 1)) > 1:
        raise FormatError("frames or colours in one file are no series of slices", place=slices[0][0],
                          fix="export single grey slices")  # fmt: skip
    notes = []
    try:
        across = np.array([float(v) for v in first.ImageOrientationPatient]).reshape(2, 3)
        position = np.array([[float(v) for v in s.ImagePositionPatient] for _, s in slices])
        rows, columns = (float(v) for v in first.PixelSpacing)
    except (AttributeError, TypeError, ValueError):
        if spacing is None:
            raise FormatError("slices do not say where they lie or how large a pixel is", place=folder,
                              fix="give the spacing in mm with --spacing X,Y,Z") from None  # fmt: skip
        across = np.eye(3)[:2]
        order = np.array([float(s.get("InstanceNumber", i)) for i, (_, s) in enumerate(slices)])
        position = np.outer(np.argsort(np.argsort(order)), [0, 0, spacing[2]])
        rows, columns = spacing[1], spacing[0]
        notes.append("slices do not say where they lie: taken by instance number")
    refuse_mixed(slices, folder)
    normal = np.cross(across[0], across[1])
    along = position @ normal
    order = np.argsort(along, kind="stable")
    step = _step(along[order], [slices[i][0] for i in order], folder, spacing)
    planes = [_pixels(slices[i]) for i in order]
    array = np.stack(planes)
    given = spacing or (columns, rows, step)
    direction = np.stack([across[0], across[1], normal], axis=1)
    drift = position[order[-1]] - position[order[0]] if len(order) > 1 else normal
    if np.linalg.norm(np.cross(drift / np.linalg.norm(drift), normal)) > 0.02:
        raise FormatError("slices are shifted against each other (gantry tilt)", place=folder,
                          fix="resample them in 3D Slicer with Acquisition geometry regularization")  # fmt: skip
    try:
        grid = Grid(array.shape, given, tuple(position[order[0]]), tuple(map(tuple, direction)))
    except InputError as error:
        raise FormatError(error.what, place=folder, fix=error.fix) from None
    return ScalarVolume(array, grid, str(folder), tuple(notes))


def refuse_mixed(slices: list[tuple[Path, Any]], folder: Path) -> None:
    """Raise FormatError where slices differ in size or direction."""
    path, first = slices[0]
    for other_path, other in slices[1:]:
        if (other.Rows, other.Columns) != (first.Rows, first.Columns):
            raise FormatError(
                f"{other_path.name} has {other.Columns} x {other.Rows} px, {path.name} {first.Columns} x {first.Rows}",
                place=folder, fix="take the other one out",
            )  # fmt: skip
        turned = np.abs(np.array(other.get("ImageOrientationPatient", [0]), float)
                        - np.array(first.get("ImageOrientationPatient", [0]), float)).max()  # fmt: skip
        if turned > 1e-3:
            raise FormatError(f"{other_path.name} looks another way than {path.name}", place=folder,
                              fix="put scouts and other series into their own folders")  # fmt: skip


def _step(along: np.ndarray, paths: list[Path], folder: Path, spacing: tuple[float, float, float] | None) -> float:
    if len(along) < 2:
        if spacing is None:
            raise FormatError("one slice is no volume", place=folder, fix="give the folder of all slices")
        return spacing[2]
    gaps = np.diff(along)
    step = float(np.median(gaps))
    odd = np.flatnonzero(np.abs(gaps - step) > max(EVEN * step, 1e-6))
    if step <= 0 or (gaps <= 1e-6).any():
        k = int(np.argmin(gaps))
        raise FormatError(f"{paths[k].name} and {paths[k + 1].name} lie in one place", place=folder, fix="remove one")
    if len(odd) and spacing is None:
        k = int(odd[0])
        raise FormatError(
            f"{gaps[k]:.4g} mm between {paths[k].name} and {paths[k + 1].name}, {step:.4g} mm elsewhere: "
            f"{max(1, round(gaps[k] / step) - 1)} slice(s) are missing",
            place=folder, fix="add the missing slices",
        )  # fmt: skip
    return step


def _pixels(found: tuple[Path, Any]) -> np.ndarray:
    """A slice's numbers: as stored where slope and intercept keep whole numbers, else float32."""
    path, one = found
    try:
        pixels = one.pixel_array
    except Exception as error:
        raise FormatError(
            f"its pixels are damaged ({' '.join(str(error).split())[:120]})", place=path, fix="export it again"
        ) from None
    slope, intercept = float(one.get("RescaleSlope", 1)), float(one.get("RescaleIntercept", 0))
    if slope == 1 and intercept == 0:
        return pixels
    if slope == 1 and intercept == round(intercept):
        shifted = pixels.astype(np.int32) + int(intercept)
        fits = shifted.min() >= -(2**15) and shifted.max() < 2**15 and int(one.BitsStored) < 16
        return shifted.astype(np.int16) if fits else shifted
    return pixels.astype(np.float32) * np.float32(slope) + np.float32(intercept)


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def _decimal(value: float) -> str:
    """A DICOM decimal string: at most 16 characters, as exact as they allow."""
    for digits in range(16, 5, -1):
        text = f"{float(value):.{digits}g}"
        if len(text) <= 16:
            return text
    return f"{float(value):.6g}"

"""The table of volume formats, and reading, writing and converting by it.

Adding a format is one record in `FORMATS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ethomorph.core.errors import FormatError, InputError
from ethomorph.core.volume import LabelVolume, ScalarVolume, Segment
from ethomorph.formats import dicom_series, metaimage, nifti, nrrd, ome_zarr, seg_nrrd, tiff_stack

Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class VolumeFormat:
    """One format; what it cannot do is None."""

    name: str
    suffixes: tuple[str, ...]
    read: Callable[..., ScalarVolume] | None
    write: Callable[..., list[str]] | None
    read_labels: Callable[..., LabelVolume] | None
    write_labels: Callable[..., list[str]] | None


def _nrrd_labels(path: Path, *, spacing: Spacing | None = None) -> LabelVolume:
    """An .nrrd as labels: a segmentation saved without .seg in its name, or whole numbers."""
    if any(key.startswith("Segment0_") for key in nrrd.parse_header(path)[1]):
        return seg_nrrd.read_seg_nrrd(path, spacing=spacing)
    volume = nrrd.read_nrrd(path, spacing=spacing)
    return LabelVolume.of(nifti.whole_labels(volume.array, path), volume.grid, source=str(path), notes=volume.notes)


FORMATS = (
    VolumeFormat("seg.nrrd", (".seg.nrrd", ".seg.nhdr"), None, None, seg_nrrd.read_seg_nrrd, seg_nrrd.write_seg_nrrd),
    VolumeFormat("nrrd", (".nrrd", ".nhdr"), nrrd.read_nrrd, nrrd.write_nrrd, _nrrd_labels, seg_nrrd.write_seg_nrrd),
    VolumeFormat("nifti", (".nii", ".nii.gz"), nifti.read_nifti, nifti.write_nifti, nifti.read_nifti_labels,
                 nifti.write_nifti_labels),
    VolumeFormat("metaimage", (".mha", ".mhd"), metaimage.read_metaimage, metaimage.write_metaimage,
                 metaimage.read_metaimage_labels, metaimage.write_metaimage_labels),
    VolumeFormat("ome-zarr", (".ome.zarr", ".zarr"), None, ome_zarr.write_ome_zarr, None, ome_zarr.write_ome_zarr),
    VolumeFormat("tiff", (".tif", ".tiff"), tiff_stack.read_tiff_stack, tiff_stack.write_tiff_stack, None, None),
)  # fmt: skip
DICOM = VolumeFormat("dicom", (), dicom_series.read_dicom_series, dicom_series.write_dicom_series, None, None)
STACK = VolumeFormat("tiff", (), tiff_stack.read_tiff_stack, tiff_stack.write_tiff_stack, None, None)


def format_of(path: str | Path) -> VolumeFormat | None:
    """The format that a name says, or a folder's content; None where it is no volume's.

    Examples
    --------
    >>> format_of("a.seg.nrrd").name, format_of("a.nii.gz").name, format_of("a.tps")
    ('seg.nrrd', 'nifti', None)
    """
    path = Path(path)
    if path.is_dir() and not path.name.lower().endswith(".zarr"):
        if tiff_stack.is_stack(path):
            return STACK
        return DICOM if dicom_series.is_series(path) else None
    name = path.name.lower()
    fitting = [(len(s), f) for f in FORMATS for s in f.suffixes if name.endswith(s)]
    return max(fitting, key=lambda one: one[0])[1] if fitting else None


def is_volume(path: str | Path) -> bool:
    """Whether a path is a volume's; single-page TIFFs are pictures."""
    path = Path(path)
    found = format_of(path)
    if found is not None and found.name == "tiff" and path.is_file():
        return _many_pages(path)
    return found is not None


def read_image(path: str | Path, *, spacing: Spacing | None = None, **options: Any) -> ScalarVolume:
    """Read an image volume in any format.

    Parameters
    ----------
    spacing : (x, y, z) mm, where the file holds none or a wrong one.
    options : of the format, such as ``downsample`` and ``log`` of TIFF stacks.

    Raises
    ------
    FormatError : not a volume, a segmentation, damaged, or without a spacing.
    """
    path = Path(path)
    chosen = _known(path)
    if chosen.read is None:
        raise FormatError("is a segmentation, where an image is meant", place=path, fix="give the image")
    return _named(chosen.read, path, spacing=spacing, **options)


def read_labels(path: str | Path, *, spacing: Spacing | None = None) -> LabelVolume:
    """Read a segmentation in any format; values without a name become ``Segment_<value>``."""
    path = Path(path)
    chosen = _known(path)
    if chosen.read_labels is None:
        raise FormatError(f"{chosen.name} holds no segmentation", place=path, fix="save it as .seg.nrrd from 3D Slicer")
    return _named(chosen.read_labels, path, spacing=spacing)


def read_volume(path: str | Path, *, spacing: Spacing | None = None, **options: Any) -> ScalarVolume | LabelVolume:
    """Read a volume as what its file says it is: a segmentation where it names segments, else an image."""
    path = Path(path)
    chosen = _known(path)
    if chosen.read is None or _has_names(path, chosen):
        return read_labels(path, spacing=spacing)
    return read_image(path, spacing=spacing, **options)


def write_volume(volume: ScalarVolume | LabelVolume, path: str | Path, **options: Any) -> list[str]:
    """Write a volume in the format of the name; a name without suffix is a folder of TIFF slices, ``*.dicom`` of DICOM.

    Returns a sentence for everything that the format cannot hold.
    """
    path = Path(path)
    chosen = format_for_writing(path)
    writer = chosen.write_labels if isinstance(volume, LabelVolume) else chosen.write
    if writer is None and isinstance(volume, LabelVolume) and chosen.write is not None:
        said = chosen.write(ScalarVolume(volume.array, volume.grid), path)
        return [*said, f"{chosen.name} holds no names or colours of segments"]
    if writer is None:
        raise FormatError("an image does not go into a segmentation", place=path, fix="name it .nrrd or .nii.gz")
    return writer(volume, path, **options)


def format_for_writing(path: Path) -> VolumeFormat:
    """The format of a new file or folder; FormatError with the known suffixes where the name does not tell."""
    if path.suffix.lower() in (".dicom", ".dcm"):
        return DICOM
    if not path.suffix:
        return STACK
    found = format_of(path)
    if found is None:
        known = ", ".join(s for f in FORMATS for s in f.suffixes)
        raise FormatError(f"no volume format has the suffix {path.suffix!r}", place=path, fix=f"use one of {known}")
    return found


def parse_spacing(text: str | None) -> Spacing | None:
    """``X,Y,Z`` in mm, or one number for all three.

    Examples
    --------
    >>> parse_spacing("0.02"), parse_spacing("1,1,2.5")
    ((0.02, 0.02, 0.02), (1.0, 1.0, 2.5))
    """
    if text is None:
        return None
    try:
        numbers = [float(word) for word in text.replace("x", ",").split(",")]
    except ValueError:
        numbers = []
    if len(numbers) == 1:
        numbers *= 3
    if len(numbers) != 3 or not all(0 < n < float("inf") for n in numbers):
        raise FormatError(f"--spacing {text}", fix="give three numbers in mm, such as --spacing 0.02,0.02,0.02")
    return numbers[0], numbers[1], numbers[2]


def convert_volume(
    source: str | Path,
    target: str | Path,
    *,
    spacing: Spacing | None = None,
    downsample: int = 1,
    log: str | Path | None = None,
    grid: str | Path | None = None,
) -> list[str]:
    """Read `source` and write it to `target`; returns what was decided and what the target does not hold.

    Parameters
    ----------
    spacing, downsample, log : as the reader takes them; the last two are for TIFF stacks.
    grid : an image on whose grid the result is brought, labels by nearest voxel, images linearly.

    Raises
    ------
    FormatError, LabelError : nothing is written then.
    """
    source, target = Path(source), Path(target)
    writer = format_for_writing(target)
    chosen = _known(source)
    options: dict[str, Any] = {}
    if chosen.name == "tiff":
        options = {"downsample": downsample, "log": log}
    elif downsample > 1 or log is not None:
        raise FormatError("--downsample and --log are for TIFF stacks", place=source, fix="leave them out")
    labels = (
        chosen.read is None or (writer.write is None and chosen.read_labels is not None) or _has_names(source, chosen)
    )
    volume: ScalarVolume | LabelVolume
    if labels:
        volume = read_labels(source, spacing=spacing)
    else:
        volume = read_image(source, spacing=spacing, **options)
        if writer.write is None:
            found = nifti.whole_labels(volume.array, source)
            volume = LabelVolume.of(found, volume.grid, source=str(source), notes=volume.notes)
    notes = list(volume.notes)
    if grid is not None:
        reference = _known(Path(grid))
        wanted = (read_labels(grid) if reference.read is None else read_image(grid)).grid
        if not volume.grid.is_same(wanted):
            notes.append(f"resampled from {volume.grid} to {wanted}")
        volume = volume.on(wanted)
        if isinstance(volume, LabelVolume):
            volume = replace(volume, reference=wanted)
    return [*notes, *write_volume(volume, target)]


def _has_names(path: Path, chosen: VolumeFormat) -> bool:
    """Whether a file that could be either is a segmentation: it names its labels."""
    if chosen.name == "nrrd":
        return any(key.startswith("Segment0_") for key in nrrd.parse_header(path)[1])
    if chosen.name == "nifti":
        return any(not s.name_generated for s in _table_of(path))
    return False


def _table_of(path: Path) -> list[Segment]:
    from ethomorph.formats.text import check_file

    check_file(path)
    nifti.refuse_truncated(path)
    try:
        return nifti._table(nifti._nibabel().load(path))
    except InputError:
        raise
    except Exception:
        return []


def _known(path: Path) -> VolumeFormat:
    found = format_of(path)
    if found is None:
        if not path.exists():
            raise FormatError("there is no such file", place=path, fix="check the path")
        raise FormatError("is no volume that is known", place=path,
                          fix="give NRRD, NIfTI, MetaImage, or a folder of DICOM or TIFF slices")  # fmt: skip
    if not path.exists():
        raise FormatError("there is no such file", place=path, fix="check the path")
    return found


def _named(reader: Callable[..., Any], path: Path, **options: Any) -> Any:
    """Call a reader; errors about grids and labels that do not say the file get it."""
    try:
        return reader(path, **options)
    except InputError as error:
        if error.place:
            raise
        raise type(error)(error.what, place=path, fix=error.fix) from None


def _many_pages(path: Path) -> bool:
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            return len(file.pages) > 1
    except Exception:
        return False

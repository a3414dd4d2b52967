"""MetaImage volumes (.mha, .mhd), through SimpleITK once the header has been checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ethomorph.core.errors import FormatError, InputError, MissingPart
from ethomorph.core.files import atomic_path
from ethomorph.core.grid import Grid
from ethomorph.core.volume import LabelVolume, ScalarVolume
from ethomorph.formats.nifti import whole_labels
from ethomorph.formats.text import check_file

HEAD = 64 * 2**10
BYTES = {"MET_CHAR": 1, "MET_UCHAR": 1, "MET_SHORT": 2, "MET_USHORT": 2, "MET_INT": 4, "MET_UINT": 4, "MET_LONG": 4,
         "MET_ULONG": 4, "MET_LONG_LONG": 8, "MET_ULONG_LONG": 8, "MET_FLOAT": 4, "MET_DOUBLE": 8}  # fmt: skip


def read_metaimage(path: str | Path, *, spacing: tuple[float, float, float] | None = None) -> ScalarVolume:
    """A volume of one number a voxel; raises FormatError where it is damaged, 4-D or without a spacing."""
    path = Path(path)
    check_file(path)
    fields = header(path)
    refuse_header(fields, path, spacing)
    sitk = simpleitk()
    try:
        image: Any = sitk.ReadImage(str(path), imageIO="MetaImageIO")
    except RuntimeError as error:
        said = " ".join(str(error).split())[-160:]
        raise FormatError(f"is damaged ({said})", place=path, fix="copy or export it again") from None
    if image.GetNumberOfComponentsPerPixel() > 1:
        raise FormatError("has several numbers a voxel", place=path, fix="save one channel")
    array = sitk.GetArrayFromImage(image)
    try:
        direction = np.array(image.GetDirection()).reshape(3, 3)
        grid = Grid(array.shape, spacing or image.GetSpacing(), image.GetOrigin(), tuple(map(tuple, direction)))
    except InputError as error:
        raise FormatError(error.what, place=path, fix=error.fix) from None
    notes = (f"spacing {' x '.join(f'{s:g}' for s in spacing)} mm as given",) if spacing else ()
    return ScalarVolume(array, grid, str(path), notes)


def read_metaimage_labels(path: str | Path, *, spacing: tuple[float, float, float] | None = None) -> LabelVolume:
    """A segmentation; the format has no names, so values become ``Segment_<value>``."""
    volume = read_metaimage(path, spacing=spacing)
    return LabelVolume.of(whole_labels(volume.array, Path(path)), volume.grid, source=str(path), notes=volume.notes)


def write_metaimage(volume: ScalarVolume, path: str | Path) -> list[str]:
    """Write a volume as .mha, or .mhd with its .zraw beside it."""
    sitk = simpleitk()
    path = Path(path)
    array = np.asarray(volume.array)
    image = sitk.GetImageFromArray(array.astype(np.uint8) if array.dtype == bool else array)
    image.SetSpacing(volume.grid.spacing)
    image.SetOrigin(volume.grid.origin)
    image.SetDirection([v for row in volume.grid.direction for v in row])
    if path.suffix.lower() == ".mha":
        with atomic_path(path) as temporary:
            sitk.WriteImage(image, str(temporary), useCompression=True)
        return []
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path), useCompression=True)
    return []


def write_metaimage_labels(labels: LabelVolume, path: str | Path) -> list[str]:
    """Write a segmentation of one layer; the table is told as lost."""
    write_metaimage(ScalarVolume(labels.array, labels.grid), path)
    return [f"MetaImage holds no names or colours; {', '.join(f'{s.value} = {s.name}' for s in labels.segments[:8])}"]


def header(path: Path) -> dict[str, str]:
    """The text fields before the data."""
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    fields: dict[str, str] = {}
    for line in head.split(b"\n"):
        key, equals, value = line.partition(b"=")
        if not equals or len(key) > 60:
            break
        name = key.strip().decode("latin-1")
        fields[name] = value.strip().decode("latin-1")
        if name == "ElementDataFile":
            break
    if "NDims" not in fields or "DimSize" not in fields:
        raise FormatError("is no MetaImage (NDims or DimSize is missing)", place=path, fix="check what it is")
    return fields


def refuse_header(fields: dict[str, str], path: Path, spacing: tuple[float, float, float] | None) -> None:
    """Raise FormatError where the header cannot be a volume's, or promises more data than the file holds."""
    try:
        sizes = [int(word) for word in fields["DimSize"].split()]
        while len(sizes) > 3 and sizes[-1] == 1:
            sizes.pop()
        words = [float(word) for word in fields.get("ElementSpacing", fields.get("ElementSize", "")).split()]
    except ValueError:
        raise FormatError("DimSize or ElementSpacing are not numbers", place=path, fix="export it again") from None
    if len(sizes) != 3 or int(fields["NDims"]) != 3:
        raise FormatError(f"{fields['NDims']} axes, where a volume has three", place=path,
                          fix="choose one time point or channel and save that")  # fmt: skip
    if spacing is None and not words:
        raise FormatError("holds no spacing", place=path, fix="give it in mm with --spacing X,Y,Z")
    if spacing is None and not all(w > 0 for w in words):
        raise FormatError(f"a spacing of {' x '.join(f'{w:g}' for w in words)} mm", place=path,
                          fix="spacing is positive: give the true one with --spacing X,Y,Z")  # fmt: skip
    matrix = [float(w) for w in fields.get("TransformMatrix", "1 0 0 0 1 0 0 0 1").split()]
    if len(matrix) == 9:
        Grid((1, 1, 1), (1, 1, 1), direction=tuple(map(tuple, np.array(matrix).reshape(3, 3).T)))  # type: ignore[arg-type]
    named = fields.get("ElementDataFile", "LOCAL")
    if named.upper() not in ("LOCAL", "LIST"):
        data = path.parent / named
        if Path(named).is_absolute() or ".." in Path(named).parts or not data.is_file():
            raise FormatError(f"its data file {named!r} is not beside it", place=path, fix="copy both into one folder")
    else:
        data = path
    wanted = int(np.prod(sizes, dtype=np.float64)) * BYTES.get(fields.get("ElementType", ""), 1)
    packed = fields.get("CompressedData", "False").lower() == "true"
    if min(sizes) < 1 or wanted > data.stat().st_size * (1100 if packed else 1):
        raise FormatError(f"holds {data.stat().st_size} bytes, its sizes need {wanted}", place=path,
                          fix="it was cut off or its sizes are wrong: copy or export it again")  # fmt: skip


def simpleitk() -> Any:
    """SimpleITK, or the line that installs it."""
    try:
        import SimpleITK
    except ImportError:
        raise MissingPart("MetaImage needs SimpleITK", fix="pip install 'ethomorph[volumes]'") from None
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    return SimpleITK

"""ITK transform files (.tfm, .txt, .h5), as 3D Slicer, ITK, elastix and ANTs exchange them.

Such a file maps points of the *target* back to the *source*, in LPS mm, since that is what resampling wants. A
`Transform` is told by where points go, so reading inverts and writing inverts back; nobody else has to think of it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from ethomorph.core.errors import FormatError
from ethomorph.core.files import atomic_path, write_text
from ethomorph.core.grid import Grid
from ethomorph.formats.text import check_file

MAX_TEXT = 64 * 2**20
_FRAMES = re.compile(r"#\s*[Ff]rames:\s*(\S+)\s*->\s*(\S+)")
ATTRIBUTE = "ethomorph_frames"


def read_transform(
    path: str | Path, *, source: str | None = None, target: str | None = None, grid: Grid | None = None
) -> Any:
    """A `spatial.Transform` from an ITK file.

    Parameters
    ----------
    source, target : names of the frames, where the file does not say them (files of other programs never do).
    grid : grid of the target frame on which a B-spline is sampled; its own domain where not given.

    Raises
    ------
    FormatError : damaged, of an unknown kind, or without names of frames.
    """
    import SimpleITK as sitk

    from ethomorph.spatial.transform import Transform

    path = Path(path)
    check_file(path)
    said = _frames_of(path)
    source, target = source or said[0], target or said[1]
    if source is None or target is None:
        raise FormatError("does not say between which frames it goes", place=path,
                          fix="name them: source is what was scanned, target where it shall lie")  # fmt: skip
    try:
        found = sitk.ReadTransform(str(path))
    except RuntimeError as error:
        words = str(error)
        what, fix = "is no transform that ITK can read", "export it again as .tfm or .h5"
        if "Inverse" in words:
            what, fix = "is an inverse that only 3D Slicer knows", "convert it there to a displacement field"
        raise FormatError(what, place=path, fix=fix) from None
    # ITK applies the member that was added last first, from target to source: so the first one ends source to target
    return Transform(tuple(_forward(_part(one, grid, path)) for one in _flat(found)), source, target)


def write_transform(transform: Any, path: str | Path) -> Path:
    """Write a transform; a matrix as AffineTransform, a warp as displacement field (.h5 only), a chain as composite.

    A warp that was inverted is solved at the voxels of its own grid, since the file holds one direction only.

    Raises
    ------
    FormatError : another suffix; a warp into a text file.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".tfm", ".txt", ".h5"):
        raise FormatError(f"no transform format has the suffix {path.suffix!r}", place=path, fix="use .tfm or .h5")
    if transform.is_linear and suffix != ".h5":
        return write_text(path, _tfm(transform.inverse.matrix, transform.source, transform.target))
    if suffix != ".h5":
        raise FormatError("a warp in a text file would be of gigabytes", place=path, fix="name it .h5")
    import h5py
    import SimpleITK as sitk

    with atomic_path(path) as temporary:
        sitk.WriteTransform(_itk(transform), str(temporary))
        with h5py.File(temporary, "a") as file:
            file.attrs[ATTRIBUTE] = f"{transform.source} -> {transform.target}"
    return path


def _tfm(matrix: np.ndarray, source: str, target: str) -> str:
    numbers = " ".join(f"{float(v):.17g}" for v in (*matrix[:3, :3].ravel(), *matrix[:3, 3]))
    return (
        "#Insight Transform File V1.0\n"
        f"# Frames: {source.replace(' ', '_')} -> {target.replace(' ', '_')}\n"
        "#Transform 0\nTransform: AffineTransform_double_3_3\n"
        f"Parameters: {numbers}\nFixedParameters: 0 0 0\n"
    )


def _frames_of(path: Path) -> tuple[str | None, str | None]:
    if path.suffix.lower() == ".h5":
        import h5py

        try:
            with h5py.File(path, "r") as file:
                source, _, target = str(file.attrs.get(ATTRIBUTE, "")).partition(" -> ")
        except OSError:
            raise FormatError("is damaged or no HDF5 file", place=path, fix="export it again") from None
        return source or None, target or None
    with path.open("rb") as stream:
        match = _FRAMES.search(stream.read(4096).decode("latin-1"))
    return (match[1], match[2]) if match else (None, None)


def _flat(transform: Any) -> list[Any]:
    """Members of nested composites, in order of addition, each as its own class."""
    import SimpleITK as sitk

    if transform.GetName() != "CompositeTransform":
        return [transform]
    chain = sitk.CompositeTransform(transform)
    return [one for n in range(chain.GetNumberOfTransforms()) for one in _flat(chain.GetNthTransform(n))]


def _part(one: Any, grid: Grid | None, path: Path) -> Any:
    """A 4x4 or a `Warp`, both from target to source."""
    import SimpleITK as sitk

    from ethomorph.spatial.transform import Warp

    if one.GetDimension() != 3:
        raise FormatError(f"is a transform of {one.GetDimension()} dimensions", place=path, fix="give one of three")
    if one.IsLinear():
        origin = np.array(one.TransformPoint((0.0, 0.0, 0.0)))
        matrix = np.eye(4)
        matrix[:3, :3] = np.array([one.TransformPoint(tuple(e)) for e in np.eye(3)]).T - origin[:, None]
        matrix[:3, 3] = origin
        return matrix
    if one.GetName() == "DisplacementFieldTransform":
        image = sitk.DisplacementFieldTransform(one).GetDisplacementField()
    else:
        grid = grid or _domain(one, path)
        image = sitk.TransformToDisplacementField(
            one, sitk.sitkVectorFloat64, grid.shape[::-1], grid.origin, grid.spacing, np.ravel(grid.direction).tolist()
        )
    found = Grid(
        image.GetSize()[::-1], image.GetSpacing(), image.GetOrigin(), tuple(np.reshape(image.GetDirection(), (3, 3)))
    )
    return Warp(found, sitk.GetArrayFromImage(image).astype(np.float32), backward=True)


def _domain(one: Any, path: Path) -> Grid:
    """The box over which a B-spline is defined, sampled five times a knot."""
    import SimpleITK as sitk

    if one.GetName() != "BSplineTransform":
        raise FormatError(f"is a {one.GetName()}, which needs a grid to be sampled on", place=path,
                          fix="give the grid of the target image")  # fmt: skip
    spline = sitk.BSplineTransform(one)
    counts = np.array(spline.GetTransformDomainMeshSize()) * 5 + 1
    spacing = np.array(spline.GetTransformDomainPhysicalDimensions()) / (counts - 1)
    direction = np.reshape(spline.GetTransformDomainDirection(), (3, 3))
    return Grid(tuple(counts[::-1]), tuple(spacing), spline.GetTransformDomainOrigin(), tuple(direction))


def _forward(part: Any) -> Any:
    """A target-to-source part as the source-to-target part of a `Transform`."""
    from ethomorph.spatial.transform import Warp, inverted, refuse_singular

    return part if isinstance(part, Warp) else inverted(refuse_singular(part))


def _itk(transform: Any) -> Any:
    import SimpleITK as sitk

    from ethomorph.spatial.transform import Warp, backward, inverted

    chain: list[Any] = []
    for part in transform.parts:
        if isinstance(part, Warp):
            part = backward(part)
            image = sitk.GetImageFromArray(part.mm.astype(np.float64), isVector=True)
            image.SetSpacing(part.grid.spacing)
            image.SetOrigin(part.grid.origin)
            image.SetDirection(np.ravel(part.grid.direction).tolist())
            chain.append(sitk.DisplacementFieldTransform(image))
        else:
            back = sitk.AffineTransform(3)
            matrix = inverted(part)
            back.SetMatrix(matrix[:3, :3].ravel().tolist())
            back.SetTranslation(matrix[:3, 3].tolist())
            chain.append(back)
    # source -> target is parts in order, so target -> source ends with the first part: ITK applies the last added first
    return chain[0] if len(chain) == 1 else sitk.CompositeTransform(chain)

"""Size, surface, axis, tip and base of each tooth of a segmentation, as 3D Slicer's segment statistics measure them.

Surface area is ITK's Crofton estimate ("perimeter") and the box is ITK's oriented bounding box, both on the image in
RAS, so that a table made here equals one made in Slicer. The tip is told from the base by the true distance to the
jaw's axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ethomorph.biomechanics.levers import JawPoints
from ethomorph.core.errors import LabelError
from ethomorph.core.grid import Grid
from ethomorph.core.volume import LabelVolume

Jaw = Literal["lower", "upper"]
REACH = 1.1
"""Half of the search line for tip and base, in lengths of the box: Dental Dynamics' 2.2 half-lengths."""
STEPS = 20
ROUND = 1.15
"""A box less elongated than this does not tell which of its axes is the tooth's."""
FEW_VOXELS = 30


@dataclass(frozen=True)
class ToothShape:
    """One tooth.

    Attributes
    ----------
    name : its segment.
    voxels : after its holes were filled.
    area_mm2 : ITK's whole surface; Dental Dynamics takes half of it.
    box_mm : (3,) sizes of the oriented box by ascending moment; the last is the long axis.
    axis : (3,) LPS unit vector of the long axis.
    centroid, tip, base : (3,) LPS mm.
    filled : voxels of holes that were filled.
    """

    name: str
    voxels: int
    volume_mm3: float
    area_mm2: float
    box_mm: np.ndarray
    axis: np.ndarray
    centroid: np.ndarray
    tip: np.ndarray
    base: np.ndarray
    filled: int = 0


def tooth_shapes(
    labels: LabelVolume,
    names: list[str],
    points: JawPoints,
    *,
    jaw: Jaw = "lower",
    slicer_compat: bool = False,
    ends: dict[str, tuple[np.ndarray, np.ndarray]] | None = None,
) -> tuple[list[ToothShape], list[str]]:
    """Measure teeth; returns them in the order of `names`, and what had to be said.

    Parameters
    ----------
    points : the jaw's points; the line from joint to tip tells tips from bases.
    slicer_compat : leave holes as they are and choose the tip with the module's own (wrong) closest point.
    ends : name to (tip, base) in LPS mm, where a person has set them.

    Raises
    ------
    LabelError : a segment that is not there or empty.
    """
    notes: list[str] = []
    shapes = []
    for name in names:
        mask, grid = _cut_out(labels, name)
        solid = mask if slicer_compat else filled(mask)
        holes = int(solid.sum() - mask.sum())
        if holes:
            notes.append(f"tooth {name}: {holes} voxels of holes were filled, which would have counted as surface")
        area, box, axis, centroid = itk_shape(solid, grid)
        if (ends or {}).get(name) is not None:
            tip, base = (np.asarray(p, dtype=float) for p in (ends or {})[name])
        else:
            tip, base = tip_and_base(solid, grid, box, axis, centroid, points, jaw=jaw, slicer_compat=slicer_compat)
            if box[2] < ROUND * box[1]:
                notes.append(
                    f"tooth {name} is nearly as wide as high ({box[2]:.3g} and {box[1]:.3g} mm): check its tip and base"
                )
        if solid.sum() < FEW_VOXELS:
            notes.append(f"tooth {name} has {int(solid.sum())} voxels: its surface is uncertain")
        count = int(solid.sum())
        shapes.append(
            ToothShape(name, count, count * grid.voxel_mm3, area, box, axis, centroid, tip, base, holes)
        )  # fmt: skip
    return shapes, notes


def itk_shape(mask: np.ndarray, grid: Grid) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """Surface in mm2, box sizes in mm, long axis and centroid (LPS), of one mask, by ITK in RAS as Slicer does it.

    Parameters
    ----------
    mask : (z, y, x) bool.
    """
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    to_ras = np.diag([-1.0, -1.0, 1.0])
    image.SetSpacing(grid.spacing)
    image.SetOrigin((to_ras @ np.array(grid.origin)).tolist())
    image.SetDirection((to_ras @ np.array(grid.direction)).ravel().tolist())
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.ComputePerimeterOn()
    statistics.ComputeOrientedBoundingBoxOn()
    statistics.Execute(image)
    axes = np.reshape(statistics.GetOrientedBoundingBoxDirection(1), (3, 3))
    return (
        float(statistics.GetPerimeter(1)),
        np.array(statistics.GetOrientedBoundingBoxSize(1)),
        to_ras @ axes[2],
        to_ras @ np.array(statistics.GetCentroid(1)),
    )


def tip_and_base(
    mask: np.ndarray,
    grid: Grid,
    box: np.ndarray,
    axis: np.ndarray,
    centroid: np.ndarray,
    points: JawPoints,
    *,
    jaw: Jaw,
    slicer_compat: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """(3,) tip and (3,) base on the tooth's surface, LPS mm.

    Both are looked for from points 1.1 box lengths from the centroid along the long axis: the tip is the surface's
    nearest point, the base the nearest to where a walk from outside first enters the tooth.
    """
    from scipy.spatial import cKDTree

    from ethomorph.spatial.surface import surface_of

    ends = centroid + np.outer([REACH, -REACH], axis) * box[2]
    distances = jaw_distances(ends, points, jaw=jaw, slicer_compat=slicer_compat)
    # a lower tooth points away from the jaw's line, an upper one towards a line through the first muscle's insertion
    first_is_tip = distances[0] > distances[1] if jaw == "lower" else distances[0] < distances[1]
    outer, inner = ends if first_is_tip else ends[::-1]
    surface = surface_of(mask, grid, smoothing=0.5 if mask.sum() > FEW_VOXELS else 0.0).vertices
    tree = cKDTree(surface)
    tip = surface[tree.query(outer)[1]]
    walk = inner + np.linspace(0, 1, STEPS + 1)[:, None] * (centroid - inner)
    index = np.round(grid.to_index(walk)).astype(int)[:, ::-1]
    within = ((index >= 0) & (index < np.array(mask.shape))).all(axis=1)
    entered = next((k for k in np.flatnonzero(within) if mask[tuple(index[k])]), STEPS)
    return tip, surface[tree.query(walk[entered])[1]]


def jaw_distances(places: np.ndarray, points: JawPoints, *, jaw: Jaw, slicer_compat: bool = False) -> np.ndarray:
    """(n,) mm from the line through joint and tip (lower) or parallel to it through the first insertion (upper).

    With `slicer_compat` the foot point is the module's: it divides by the jaw vector squared *element by element*,
    which is no projection and depends on how the head lies.

    Raises
    ------
    LabelError : an upper jaw without the first muscle's insertion.
    """
    along = points.tip - points.joint
    start = points.joint if jaw == "lower" else points.insertions[0]
    if not np.isfinite(start).all():
        raise LabelError("an upper jaw needs 'Closing Muscle 1 Insertion' to tell tips from bases", fix="set it")
    offsets = places - start
    if slicer_compat:
        with np.errstate(divide="ignore", invalid="ignore"):
            foot = np.nan_to_num((offsets @ along)[:, None] * along / along**2, posinf=0.0, neginf=0.0)
    else:
        foot = np.outer(offsets @ along / (along @ along), along)
    return np.linalg.norm(offsets - foot, axis=1)


def filled(mask: np.ndarray) -> np.ndarray:
    """The mask with closed cavities filled."""
    from scipy import ndimage

    return np.asarray(ndimage.binary_fill_holes(mask))


def _cut_out(labels: LabelVolume, name: str) -> tuple[np.ndarray, Grid]:
    """A segment's mask in its own box, one voxel wider each way, and the grid of that."""
    mask = labels.mask(name)
    if not mask.any():
        raise LabelError(f"segment {name!r} is empty", place=labels.source, fix="leave it out, or segment it")
    spans = []
    for axis in range(3):
        line = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        spans.append(slice(int(line[0]), int(line[-1]) + 1))
    box = (spans[0], spans[1], spans[2])
    cut = labels.grid.cropped(box)
    wider = Grid(tuple(n + 2 for n in cut.shape), cut.spacing, tuple(cut.to_lps([-1, -1, -1])), cut.direction)  # type: ignore[arg-type]
    return np.pad(mask[box], 1), wider

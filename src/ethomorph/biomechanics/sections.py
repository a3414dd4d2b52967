"""Cross-section geometry along a bone: areas, second moments, section moduli, diameters, slice by slice.

The columns of SegmentGeometry (SlicerBiomech). `section_of` measures one slice and is pure algebra on its pixels;
`measure_sections` lays the slices. Where the module deviates from the textbook, the textbook is the default and
`slicer_compat` gives the module's figure (``docs/teeth.md`` lists them).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pandas as pd

from ethomorph.core.errors import LabelError
from ethomorph.core.grid import Grid
from ethomorph.core.volume import LabelVolume, ScalarVolume

Axis = Literal["long", "x", "y", "z"]
COLUMNS = [
    "Segment", "Slice Index", "Percent (%)", "Length (mm)", "Max Feret Diameter (mm)", "Min Feret Diameter (mm)",
    "Perimeter (mm)", "Mean Brightness", "CSA (mm^2)", "Compactness", "Cx", "Cy", "Theta (deg)", "Iminor (mm^4)",
    "Imajor (mm^4)", "Zminor (mm^3)", "Zmajor (mm^3)", "Rminor (mm)", "Rmajor (mm)", "Jz (mm^4)", "Zpol (mm^3)",
    "Rmax (mm)",
]  # fmt: skip
TURNED_COLUMNS = ["Ina (mm^4)", "Ila (mm^4)", "Zna (mm^3)", "Zla (mm^3)", "Rna (mm)", "Rla (mm)"]
FEW_SLICES = 100
"""Below this many slices every slice is measured, whatever the interval."""


def measure_sections(
    labels: LabelVolume,
    name: str,
    *,
    image: ScalarVolume | None = None,
    axis: Axis = "long",
    interval_percent: float = 1.0,
    whole: str | None = None,
    angle_deg: float | None = None,
    slicer_compat: bool = False,
) -> tuple[pd.DataFrame, list[str]]:
    """Sections through one segment, a row a slice; and what had to be said.

    Parameters
    ----------
    image : on the labels' grid, for the mean brightness.
    axis : ``long`` lays slices across the segment's own long axis (resampled once, isotropic); x, y, z take the slices
        as they are stored.
    interval_percent : distance of slices in percent of the segment's length; 0 measures every slice.
    whole : a segment of the bone with its cavities, for compactness; where left out, closed cavities are filled.
    angle_deg : a further pair of axes, turned by this angle from the picture's x axis (neutral and loading axis).

    Raises
    ------
    LabelError : an empty segment, an interval that is not between 0 and 100.
    """
    if not 0 <= interval_percent <= 100:
        raise LabelError(f"an interval of {interval_percent:g} %", fix="give 0 (every slice) to 100")
    mask = labels.mask(name)
    if not mask.any():
        raise LabelError(f"segment {name!r} is empty", place=labels.source, fix="choose another")
    beside: dict[str, np.ndarray] = {} if image is None else {"bright": np.asarray(image.on(labels.grid).array)}
    if whole is not None:
        beside["whole"] = (labels.mask(whole) | mask).astype(np.float32)
    notes: list[str] = []
    mask, beside, spacing = sliced(mask, beside, labels.grid, axis)
    if axis == "long":
        notes.append(f"{name}: resampled across its long axis to voxels of {spacing[0]:.4g} mm")
    if not np.isclose(spacing[0], spacing[1]):
        if slicer_compat:
            raise LabelError("pixels are not square, which the module cannot measure", fix="use --axis long")
        notes.append("pixels are not square: figures are physical, normalised forms use the mean pixel")
    filled = np.flatnonzero(mask.any(axis=(1, 2)))
    first, count = int(filled[0]), int(filled[-1] - filled[0] + 1)
    rows = []
    for offset in chosen_slices(count, interval_percent):
        section = mask[first + offset]
        if not section.any():
            continue
        found: dict[str, Any] = section_of(
            section,
            (spacing[0], spacing[1]),
            length=count,
            whole=beside["whole"][first + offset] >= 0.5 if whole is not None else None,
            angle_deg=angle_deg,
            slicer_compat=slicer_compat,
        )
        found |= {
            "Segment": name,
            "Slice Index": first + offset,
            "Percent (%)": round(100 * (offset + 1) / count, 1),
            "Length (mm)": count * spacing[2],
            "Mean Brightness": float(beside["bright"][first + offset][section].mean()) if image is not None else None,
        }
        rows.append(found)
    table = pd.DataFrame(rows)
    known = [*COLUMNS, *TURNED_COLUMNS]
    normal = [c for c in table.columns if c not in known]
    return table[[c for c in known if c in table.columns] + normal], notes


def sliced(
    mask: np.ndarray, beside: dict[str, np.ndarray], grid: Grid, axis: Axis
) -> tuple[np.ndarray, dict[str, np.ndarray], tuple[float, float, float]]:
    """A mask and volumes beside it with slices along the first axis, and (width, height, depth) of a voxel in mm."""
    if axis == "long":
        return _straightened(mask, beside, grid)
    order = {"z": (0, 1, 2), "y": (1, 0, 2), "x": (2, 0, 1)}[axis]
    depth, height, width = (grid.spacing_zyx[a] for a in order)
    laid = {name: array.transpose(order) for name, array in beside.items()}
    return mask.transpose(order), laid, (width, height, depth)


def chosen_slices(count: int, interval_percent: float) -> list[int]:
    """Offsets of the measured slices: ``round(N k p / 100) - 1``, all where p is 0 or there are under 100.

    Examples
    --------
    >>> chosen_slices(200, 25)
    [49, 99, 149, 199]
    """
    if interval_percent == 0 or count < FEW_SLICES:
        return list(range(count))
    steps = np.arange(1, int(100 / interval_percent + 1e-9) + 1)
    offsets = np.round(count * steps * interval_percent / 100).astype(int) - 1
    return sorted({int(np.clip(o, 0, count - 1)) for o in offsets})


def section_of(
    section: np.ndarray,
    pixel_mm: tuple[float, float] = (1.0, 1.0),
    *,
    length: int = 1,
    whole: np.ndarray | None = None,
    angle_deg: float | None = None,
    slicer_compat: bool = False,
) -> dict[str, Any]:
    """Geometry of one slice.

    The major axis is the section's long one, so the moment *about* it is the smaller of the two, as in the module.

    Parameters
    ----------
    section : (y, x) bool.
    whole : (y, x) bool, the section with its cavities, for compactness; where left out, closed cavities are filled.
    pixel_mm : (width, height) of a pixel.
    length : slices in the whole segment, for the forms normalised by length.
    angle_deg : a further pair of axes.
    slicer_compat : radii to pixel *centres*, polar moment without the pixels' own, perimeter as a chain of centres,
        divisor 16 in the normalised polar modulus, x as the major axis of every section that lies straight.

    Returns
    -------
    dict
        SegmentGeometry's columns from "Max Feret Diameter (mm)" on.

    Examples
    --------
    >>> beam = section_of(np.ones((6, 4), bool), (0.5, 0.5))
    >>> beam["Iminor (mm^4)"], 2 * 3**3 / 12, beam["Imajor (mm^4)"], 3 * 2**3 / 12
    (4.5, 4.5, 2.0, 2.0)
    """
    from scipy import ndimage

    width, height = pixel_mm
    y, x = (a.astype(float) for a in np.nonzero(section))
    n, area = len(x), width * height
    cx, cy = x.mean(), y.mean()
    dx, dy = (x - cx) * width, (y - cy) * height
    own_x, own_y = width**2 / 12, height**2 / 12
    across = float(((dy**2) + own_y).sum())
    beside = float(((dx**2) + own_x).sum())
    mixed = float((dx * dy).sum())
    theta = 0.0
    if abs(mixed) > 1e-12 * (across + beside):
        theta = np.arctan((across - beside + np.sqrt((across - beside) ** 2 + 4 * mixed**2)) / (2 * mixed))
    elif across > beside and not slicer_compat:
        theta = np.pi / 2  # taller than wide: the module calls x the major axis here, whatever the shape
    corner = (0.0, 0.0) if slicer_compat else (width / 2, height / 2)
    major, r_major = _moment(dx, dy, theta, own_x, own_y, corner)
    minor, r_minor = _moment(dx, dy, theta + np.pi / 2, own_x, own_y, corner)
    major, minor = major * area, minor * area
    polar = float((dx**2 + dy**2).sum()) * area
    if slicer_compat:
        r_max = float(np.sqrt(dx**2 + dy**2).max())
    else:
        polar = major + minor
        r_max = float(np.hypot(np.abs(dx) + corner[0], np.abs(dy) + corner[1]).max())
    total = float((ndimage.binary_fill_holes(section) if whole is None else whole).sum()) * area
    longest, shortest = feret(np.stack([dx, dy], axis=1), corner)
    out = {
        "Max Feret Diameter (mm)": longest,
        "Min Feret Diameter (mm)": shortest,
        "Perimeter (mm)": perimeter(section, pixel_mm, slicer_compat=slicer_compat),
        "CSA (mm^2)": n * area,
        "Compactness": min(1.0, n * area / total) if total else 1.0,
        "Cx": cx,
        "Cy": cy,
        "Theta (deg)": float(np.rad2deg(theta)) + 90.0,
        "Iminor (mm^4)": minor,
        "Imajor (mm^4)": major,
        "Zminor (mm^3)": _over(minor, r_minor),
        "Zmajor (mm^3)": _over(major, r_major),
        "Rminor (mm)": r_minor,
        "Rmajor (mm)": r_major,
        "Jz (mm^4)": polar,
        "Zpol (mm^3)": _over(polar, r_max),
        "Rmax (mm)": r_max,
    }
    if angle_deg is not None:
        turn = np.deg2rad(angle_deg)
        neutral, r_neutral = _moment(dx, dy, turn, own_x, own_y, corner)
        loading, r_loading = _moment(dx, dy, turn + np.pi / 2, own_x, own_y, corner)
        out |= {
            "Ina (mm^4)": neutral * area,
            "Ila (mm^4)": loading * area,
            "Zna (mm^3)": _over(neutral * area, r_neutral),
            "Zla (mm^3)": _over(loading * area, r_loading),
            "Rna (mm)": r_neutral,
            "Rla (mm)": r_loading,
        }
    return out | _normalised(out, n, float(np.sqrt(area)), length, slicer_compat)


def feret(centres: np.ndarray, corner: tuple[float, float]) -> tuple[float, float]:
    """Largest and smallest width of (n, 2) pixels, mm, over all directions of their hull's edges.

    Parameters
    ----------
    corner : half a pixel's (width, height); (0, 0) measures from centre to centre.
    """
    from scipy.spatial import ConvexHull, QhullError

    half = np.array(corner)
    signs = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]]) if half.any() else np.zeros((1, 2))
    points = np.unique((centres[:, None] + signs * half).reshape(-1, 2).round(9), axis=0)
    try:
        hull = points[ConvexHull(points).vertices]
    except (QhullError, ValueError):
        return float(np.linalg.norm(np.ptp(points, axis=0))), 0.0
    apart = np.linalg.norm(hull[:, None] - hull[None], axis=-1)
    edges = np.roll(hull, -1, axis=0) - hull
    normals = np.stack([-edges[:, 1], edges[:, 0]], axis=1) / np.linalg.norm(edges, axis=1)[:, None]
    return float(apart.max()), float(np.ptp(hull @ normals.T, axis=0).min())


def perimeter(section: np.ndarray, pixel_mm: tuple[float, float], *, slicer_compat: bool = False) -> float:
    """Length of the outer outline in mm: Crofton's estimate in four directions, or the module's chain of centres."""
    from scipy import ndimage

    solid = np.pad(ndimage.binary_fill_holes(section), 2)
    if slicer_compat:
        if section.sum() == 1:
            return 4 * pixel_mm[0]
        return float(sum(_chain(part) for part in _parts(solid)) * pixel_mm[0])
    width, height = pixel_mm
    diagonal = float(np.hypot(width, height))
    flips = [
        (solid[:, 1:] != solid[:, :-1]).sum(),
        (solid[1:] != solid[:-1]).sum(),
        (solid[1:, 1:] != solid[:-1, :-1]).sum(),
        (solid[1:, :-1] != solid[:-1, 1:]).sum(),
    ]
    # Cauchy-Crofton: half the sum over directions of crossings, distance between lines, and the angle they stand for
    tilt = np.arctan2(height, width)
    weights = np.array([tilt, np.pi / 2 - tilt, np.pi / 4, np.pi / 4])
    spacing = np.array([height, width, width * height / diagonal, width * height / diagonal])
    return float((np.array(flips) * spacing * weights).sum() / 2)


def _chain(part: np.ndarray) -> float:
    """Length of the 8-connected outline through pixel centres, in pixels, of one filled part."""
    ring = _ring(part)
    if len(ring) < 2:
        return 4.0
    return float(np.linalg.norm(np.diff(ring, axis=0, append=ring[:1]), axis=1).sum())


def _ring(part: np.ndarray) -> np.ndarray:
    """(n, 2) border pixels of one part in order, by Moore's walk."""
    around = [(0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1)]
    start = tuple(np.argwhere(part)[0])
    ring, here, came = [start], start, 0
    for _ in range(4 * part.size):
        for turn in range(8):
            direction = (came + turn) % 8
            beside = (here[0] + around[direction][0], here[1] + around[direction][1])
            if part[beside]:
                came = (direction + 5) % 8
                here = beside
                break
        else:
            break
        if here == start and len(ring) > 1:
            break
        ring.append(here)
    return np.array(ring, dtype=float)


def _parts(mask: np.ndarray) -> Iterator[np.ndarray]:
    from scipy import ndimage

    found, count = ndimage.label(mask, np.ones((3, 3)))
    for number in range(1, count + 1):
        yield found == number


def _moment(
    dx: np.ndarray, dy: np.ndarray, theta: float, own_x: float, own_y: float, corner: tuple[float, float]
) -> tuple[float, float]:
    """Second moment (per pixel area) about an axis turned by theta, and the distance of the farthest point from it."""
    cosine, sine = np.cos(theta), np.sin(theta)
    offset = dy * cosine - dx * sine
    own = own_y * cosine**2 + own_x * sine**2
    reach = abs(cosine) * corner[1] + abs(sine) * corner[0]
    return float((offset**2 + own).sum()), float(np.abs(offset).max() + reach)


def _normalised(out: dict[str, float], n: int, pixel: float, length: int, slicer_compat: bool) -> dict[str, float]:
    """Forms without a unit: by the segment's length, and by a solid disk of the same area."""
    radius = np.sqrt(n / np.pi) * pixel
    long = length * pixel
    second = [k for k in ("Iminor", "Imajor", "Jz", "Ina", "Ila") if f"{k} (mm^4)" in out]
    moduli = [k for k in ("Zminor", "Zmajor", "Zpol", "Zna", "Zla") if f"{k} (mm^3)" in out]
    found = {"CSA (LenNorm)": np.sqrt(out["CSA (mm^2)"]) / long}
    found |= {f"{k} (LenNorm)": out[f"{k} (mm^4)"] ** 0.25 / long for k in second}
    found |= {f"{k} (LenNorm)": out[f"{k} (mm^3)"] ** (1 / 3) / long for k in moduli}
    for k in second:
        disk = np.pi * radius**4 / (2 if k == "Jz" else 4)
        found[f"{k} (MatNorm)"] = out[f"{k} (mm^4)"] / disk
    for k in moduli:
        divisor = (16 if slicer_compat else 2) if k == "Zpol" else 4
        found[f"{k} (MatNorm)"] = out[f"{k} (mm^3)"] / (np.pi * radius**3 / divisor)
    return {k: float(v) for k, v in found.items()}


def _over(moment: float, radius: float) -> float:
    """A section modulus; the moment itself where the radius is nothing, as the module has it."""
    return moment / radius if radius > 0 else moment


def _straightened(
    mask: np.ndarray, others: dict[str, np.ndarray], grid: Grid
) -> tuple[np.ndarray, dict[str, np.ndarray], tuple[float, float, float]]:
    """The segment on an isotropic grid whose z is its long axis; the slice's x axis stays nearest to the world's x."""
    from ethomorph.spatial.transform import Transform

    points = grid.to_lps(np.argwhere(mask)[:, ::-1])
    centre = points.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov((points - centre).T))
    long = vectors[:, values.argmax()]
    long = long * np.sign(long[np.abs(long).argmax()])
    beside = np.eye(3)[np.abs(long).argsort()[0]]
    x = beside - (beside @ long) * long
    x /= np.linalg.norm(x)
    turn = np.eye(4)
    turn[:3, :3] = np.stack([x, np.cross(long, x), long])
    turn[:3, 3] = -turn[:3, :3] @ centre
    lay = Transform.linear(turn, "scan", "bone")
    size = min(grid.spacing)
    placed = lay.points(points, frame="scan")
    low, high = placed.min(axis=0) - 2 * size, placed.max(axis=0) + 2 * size
    target = Grid(tuple(np.ceil((high - low) / size).astype(int)[::-1] + 1), (size,) * 3, tuple(low))
    smooth = lay.image(ScalarVolume(mask.astype(np.float32), grid), target, frame="scan").array
    laid = {name: lay.image(ScalarVolume(a, grid), target, frame="scan").array for name, a in others.items()}
    return smooth >= 0.5, laid, (size, size, size)

"""Surfaces as files: to another format, onto a volume's voxels as labels, and from a segment back to a surface."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from ethomorph.core.errors import FormatError, LabelError
from ethomorph.core.grid import Grid
from ethomorph.core.volume import ScalarVolume

Space = Literal["lps", "ras"]


def convert_surface(
    source: str | Path,
    target: str | Path,
    *,
    unit: str | None = None,
    frame: Space | None = None,
    grid: str | Path | None = None,
    spacing: tuple[float, float, float] | None = None,
    segment: str | None = None,
    fill_holes_mm: float = 0.0,
    partial: bool = False,
) -> list[str]:
    """Convert where one side is a surface; returns what was decided, a sentence each.

    Parameters
    ----------
    unit, frame : of a surface that is read; it says neither.
    grid : an image whose voxels the surface is laid on; else voxels of `spacing` around it.
    segment : which segment becomes a surface.
    fill_holes_mm : holes of a surface up to this width are closed.
    partial : write how much of each voxel is inside (0 to 1) instead of labels.

    Raises
    ------
    InputError : an open surface, no unit or frame, a segment that is not there.
    """
    from ethomorph.formats.mesh import is_mesh, read_mesh, write_mesh
    from ethomorph.formats.volumes import read_labels, write_volume
    from ethomorph.spatial.surface import repaired, surface_of
    from ethomorph.spatial.voxelize import coverage, grid_around, labels_from

    source, target = Path(source), Path(target)
    if not is_mesh(source):
        labels = read_labels(source)
        names = labels.names if segment is None else [segment]
        if len(names) != 1:
            raise LabelError(f"{len(names)} segments, a surface is of one", place=source,
                             fix=f"choose with --segment: {', '.join(names[:20])}")  # fmt: skip
        mesh = surface_of(labels.mask(names[0]), labels.grid, source=str(source))
        write_mesh(mesh, target)
        change = mesh.volume_mm3 / (labels.mask(names[0]).sum() * labels.grid.voxel_mm3) - 1
        return [*labels.notes, f"{names[0]}: {len(mesh.faces)} triangles, volume {100 * change:+.1f} % of its voxels'"]
    if unit is None:
        raise FormatError("does not say its unit", place=source, fix="name it with --unit mm, cm, m, um or inch")
    mesh = repaired(read_mesh(source, unit=unit, frame=frame), fill_holes_mm=fill_holes_mm)
    if is_mesh(target):
        write_mesh(mesh, target)
        return [*mesh.notes, "written in millimetres, LPS"]
    if grid is not None:
        place: Grid = _grid_of(grid)
    elif spacing is not None:
        place = grid_around([mesh], spacing)
    else:
        raise LabelError("voxels need a grid", place=source, fix="give --grid IMAGE or --spacing X,Y,Z")
    if partial:
        said = write_volume(ScalarVolume(coverage(mesh, place).astype(np.float32), place), target)
        return [*mesh.notes, *said]
    found = labels_from({source.stem: mesh}, place)
    inside = int(found.array.astype(bool).sum()) * place.voxel_mm3
    return [
        *mesh.notes,
        *write_volume(found, target),
        f"{source.stem}: {inside:.6g} mm3 in voxels, {mesh.volume_mm3:.6g} mm3 enclosed by the surface",
    ]


def _grid_of(path: str | Path) -> Grid:
    from ethomorph.formats.volumes import format_of, read_image, read_labels

    known = format_of(path)
    if known is not None and known.read is None:
        return read_labels(path).grid
    return read_image(path).grid

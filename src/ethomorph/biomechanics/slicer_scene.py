"""A folder that 3D Slicer opens with one script: segmentation, jaw points, tips and bases, transforms, table.

With tips and bases handed over, Dental Dynamics uses the same points as the table made here.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ethomorph.biomechanics.levers import POINT_NAMES
from ethomorph.biomechanics.teeth import ToothRow, ToothTable
from ethomorph.core.errors import LabelError
from ethomorph.core.files import write_text
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.core.volume import LabelVolume

SCRIPT = '''\
"""Open this folder in 3D Slicer: Slicer --python-script open_in_slicer.py

Then go to the module Dental Dynamics (extension SlicerBiomech), choose the segmentation and the jaw points of a row,
deselect what is no tooth, and Apply. Tips and bases of the row below are set already; for another row set ROW.
"""

import os

import slicer

ROW = 0
ROWS = {rows!r}
folder = os.path.dirname(os.path.abspath(globals().get("__file__", "open_in_slicer.py")))


def path(name):
    return os.path.join(folder, name)


slicer.util.loadSegmentation(path("segmentation.seg.nrrd"))
nodes = {{}}
for row in ROWS:
    for kind in ("points", "tips", "bases"):
        nodes[row, kind] = slicer.util.loadMarkups(path(f"{{row}}_{{kind}}.mrk.json"))
for name in {transforms!r}:
    slicer.util.loadTransform(path(name))
slicer.util.loadTable(path("teeth.csv"))
try:
    parameters = slicer.util.getModuleLogic("DentalDynamics").getParameterNode()
    parameters.SetNodeReferenceID("TipPoints", nodes[ROWS[ROW], "tips"].GetID())
    parameters.SetNodeReferenceID("PosPoints", nodes[ROWS[ROW], "bases"].GetID())
except Exception as error:
    print("Install the extension SlicerBiomech to use these points in Dental Dynamics:", error)
'''


def write_scene(
    folder: str | Path,
    labels: LabelVolume,
    rows: list[ToothRow],
    measured: ToothTable,
    *,
    transforms: dict[str, Path] | None = None,
) -> list[str]:
    """Write the folder; returns the names of its files.

    Parameters
    ----------
    transforms : name to an ITK transform file, copied beside the rest.

    Raises
    ------
    LabelError : segments whose names Slicer cannot tell apart from each other.
    """
    from ethomorph.formats.seg_nrrd import write_seg_nrrd
    from ethomorph.formats.slicer_markups import write_mrk_json

    folder = Path(folder)
    names = [s.name for s in labels.segments]
    if len({n.strip().lower() for n in names}) < len(names):
        raise LabelError("two segments differ only in case or blanks", place=labels.source, fix="rename one of them")
    write_seg_nrrd(replace(labels, reference=labels.reference or labels.grid), folder / "segmentation.seg.nrrd")
    written = ["segmentation.seg.nrrd", "teeth.csv", "open_in_slicer.py"]
    by_name = {shape.name: shape for shape in measured.shapes}
    called = row_names(rows)
    for name, row in zip(called, rows, strict=True):
        shapes = [by_name[tooth] for tooth in row.teeth]
        sets = {
            "points": (list(POINT_NAMES), row.points.array()),
            "tips": (row.teeth, np.array([s.tip for s in shapes])),
            "bases": (row.teeth, np.array([s.base for s in shapes])),
        }
        for kind, (point_names, points) in sets.items():
            file = f"{name}_{kind}.mrk.json"
            write_mrk_json(
                LandmarkSet([Specimen(points, id=f"{name}_{kind}")], list(point_names), frame="lps"), folder / file
            )
            written.append(file)
    copied = []
    for name, path in (transforms or {}).items():
        target = folder / f"{name}{path.suffix}"
        target.write_bytes(path.read_bytes())
        copied.append(target.name)
    write_text(folder / "teeth.csv", measured.table.to_csv(index=False))
    write_text(folder / "open_in_slicer.py", SCRIPT.format(rows=called, transforms=copied))
    return [*written, *copied]


def row_names(rows: list[ToothRow]) -> list[str]:
    """A name for each row: jaw and side, numbered where they repeat."""
    names: list[str] = []
    for row in rows:
        name = "_".join(part for part in (row.jaw, row.side) if part)
        count = 1
        while (name if count == 1 else f"{name}_{count}") in names:
            count += 1
        names.append(name if count == 1 else f"{name}_{count}")
    return names

"""The tooth table: position, size, levers, forces and stress of every tooth, with Dental Dynamics' columns and units.

Correct by default. `slicer_compat` reproduces the module's known defects (see ``docs/teeth.md``), to repeat a published
table.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ethomorph.biomechanics.levers import EmpiricalMuscle, JawPoints, Muscle, muscle_force, stress_pa, tooth_forces
from ethomorph.biomechanics.tooth_shape import Jaw, ToothShape, tooth_shapes
from ethomorph.core.errors import LabelError
from ethomorph.core.volume import LabelVolume

JAW_NAMES = {"lower": "Lower Jaw", "upper": "Upper Jaw"}
SIDE_NAMES = {"left": "Left", "right": "Right", "": "NA"}
STRESS = "Stress (N/m^2)"


@dataclass(frozen=True)
class ToothRow:
    """One side of one jaw: which teeth, where the jaw's points are, and its muscles.

    Attributes
    ----------
    teeth : names of segments, in the order of the table.
    muscles : number (1 to 3) to muscle.
    ends : tooth to (tip, base) in LPS mm, where a person has set them.
    """

    teeth: list[str]
    points: JawPoints
    jaw: Jaw = "lower"
    side: str = ""
    muscles: dict[int, Muscle] = field(default_factory=dict)
    ends: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)


@dataclass(frozen=True)
class ToothTable:
    """The measured table.

    Attributes
    ----------
    table : Dental Dynamics' columns; a row a tooth.
    extras : what the module does not say, row by row: relative position, volume, voxels, tip and base.
    shapes : the teeth, in the order of the rows.
    notes : what had to be decided, one sentence each.
    """

    table: pd.DataFrame
    extras: pd.DataFrame
    shapes: list[ToothShape]
    notes: list[str]

    @property
    def joined(self) -> pd.DataFrame:
        """Table and extras side by side."""
        return pd.concat([self.table, self.extras], axis=1)


def measure_teeth(
    labels: LabelVolume, rows: list[ToothRow], *, specimen: str = "", slicer_compat: bool = False
) -> ToothTable:
    """Measure every tooth of every row.

    Raises
    ------
    LabelError : no row, a row without teeth or muscles, empirical and simulated muscles mixed, points that are not set.
    """
    if not rows:
        raise LabelError("no row of teeth was named", fix="name the teeth with --teeth")
    tables, extras, shapes, notes = [], [], [], []
    for row in rows:
        refuse_unusable(row)
        found, said = tooth_shapes(
            labels, row.teeth, row.points, jaw=row.jaw, slicer_compat=slicer_compat, ends=row.ends
        )
        tables.append(row_table(row, found, specimen=specimen, slicer_compat=slicer_compat))
        extras.append(extra_columns(row, found))
        shapes += found
        notes += said
    table = pd.concat(tables, ignore_index=True)
    ordered = [c for c in column_order(rows) if c in table.columns]
    table = table[ordered]
    if slicer_compat:
        numbers = table.select_dtypes("number").columns
        table[numbers] = table[numbers].astype(np.float32)
    return ToothTable(table, pd.concat(extras, ignore_index=True), shapes, list(dict.fromkeys(notes)))


def row_table(
    row: ToothRow, shapes: list[ToothShape], *, specimen: str = "", slicer_compat: bool = False
) -> pd.DataFrame:
    """Dental Dynamics' table of one row, from measured shapes."""
    tips, bases = (np.array([getattr(s, end) for s in shapes]) for end in ("tip", "base"))
    boxes = np.array([s.box_mm for s in shapes])
    out_levers = np.linalg.norm(tips - row.points.joint, axis=1)
    heights = np.linalg.norm(tips - bases, axis=1)
    widths = boxes[:, :2].max(axis=1)
    aspects = heights / widths
    if slicer_compat:
        equal = boxes[:, 0] == boxes[:, 1]
        widths, aspects = _out_of_step(widths, equal), _out_of_step(aspects, equal)
    areas = np.array([s.area_mm2 for s in shapes]) / 2
    columns: dict[str, object] = {
        "Specimen": specimen or "NA",
        "Jaw ID": JAW_NAMES[row.jaw],
        "Side ID": SIDE_NAMES.get(row.side, row.side),
        "Jaw Length (mm)": row.points.length_mm,
        "Tooth ID": [s.name for s in shapes],
        "Position (mm)": np.linalg.norm(bases - row.points.joint, axis=1),
        "Tooth Height (mm)": heights,
        "Tooth Width (mm)": widths,
        "Aspect Ratio": aspects,
        "Surface Area (mm^2)": areas,
        "Out-Lever (mm)": out_levers,
    }
    total = np.zeros(len(shapes))
    for number, muscle in sorted(row.muscles.items()):
        force = muscle_force(number, muscle, row.points, slicer_compat=slicer_compat)
        advantage, at_tooth = tooth_forces(force, out_levers)
        total += at_tooth
        name = f"M{number} "
        columns[name + "In-Lever (mm)"] = force.in_lever_mm
        if isinstance(muscle, EmpiricalMuscle):
            columns[name + "Volume (mm^3)"] = muscle.volume_mm3
            columns[name + "Fiber Length (mm)"] = force.fibre_mm
            columns[name + "Pen Angle (deg)"] = muscle.pennation_deg
            columns[name + "Fmax (N/mm^2)"] = muscle.fmax_n_mm2
        columns |= {
            name + "In Force (N)": force.force_n,
            name + "Angle (deg)": force.angle_deg,
            name + "Mech Adv": advantage,
            name + "F-tooth (N)": at_tooth,
        }
    if len(row.muscles) > 1:
        columns["Total F-tooth (N)"] = total
    columns[STRESS] = stress_pa(total, areas)
    return pd.DataFrame(columns)


def column_order(rows: list[ToothRow]) -> list[str]:
    """Dental Dynamics' columns in its order, for all muscles of all rows."""
    order = [
        "Specimen", "Jaw ID", "Side ID", "Jaw Length (mm)", "Tooth ID", "Position (mm)", "Tooth Height (mm)",
        "Tooth Width (mm)", "Aspect Ratio", "Surface Area (mm^2)", "Out-Lever (mm)",
    ]  # fmt: skip
    for number in sorted({n for row in rows for n in row.muscles}):
        order += [
            f"M{number} {what}"
            for what in (
                "In-Lever (mm)", "Volume (mm^3)", "Fiber Length (mm)", "Pen Angle (deg)", "Fmax (N/mm^2)",
                "In Force (N)", "Angle (deg)", "Mech Adv", "F-tooth (N)",
            )
        ]  # fmt: skip
    return [*order, "Total F-tooth (N)", STRESS]


def extra_columns(row: ToothRow, shapes: list[ToothShape]) -> pd.DataFrame:
    """What Dental Dynamics computes but does not show, or does not compute."""
    tips, bases = (np.array([getattr(s, end) for s in shapes]) for end in ("tip", "base"))
    return pd.DataFrame(
        {
            "RelTooth Position": np.linalg.norm(bases - row.points.joint, axis=1) / row.points.length_mm,
            "Tooth Volume (mm^3)": [s.volume_mm3 for s in shapes],
            "Tooth Voxels": [s.voxels for s in shapes],
            **{f"Tip {a} (LPS mm)": tips[:, i] for i, a in enumerate("LPS")},
            **{f"Base {a} (LPS mm)": bases[:, i] for i, a in enumerate("LPS")},
        }
    )


def homodonty(table: pd.DataFrame) -> pd.DataFrame:
    """How alike the teeth of each row are in function: a row a jaw and side.

    A low coefficient of variation of stress along the row is functional homodonty. `stress_per_position` is the slope
    of log stress on relative position: 0 where stress does not change along the jaw.
    """
    out = []
    for (jaw, side), group in table.groupby(["Jaw ID", "Side ID"], sort=False):
        stress = group[STRESS].to_numpy(dtype=float)
        place = (group["Position (mm)"] / group["Jaw Length (mm)"]).to_numpy(dtype=float)
        several = len(stress) > 1 and np.ptp(place) > 0 and (stress > 0).all()
        out.append(
            {
                "Jaw ID": jaw,
                "Side ID": side,
                "Teeth": len(stress),
                "Mean stress (N/m^2)": stress.mean(),
                "SD stress (N/m^2)": stress.std(ddof=1) if several else None,
                "CV stress": stress.std(ddof=1) / stress.mean() if several else None,
                "Min stress (N/m^2)": stress.min(),
                "Max stress (N/m^2)": stress.max(),
                "Stress per position (log)": float(np.polyfit(place, np.log(stress), 1)[0]) if several else None,
            }
        )
    return pd.DataFrame(out)


def refuse_unusable(row: ToothRow) -> None:
    """Raise LabelError for a row that gives no table."""
    if not row.teeth:
        raise LabelError("a row without teeth", fix="name the teeth with --teeth")
    doubled = next((name for name in row.teeth if row.teeth.count(name) > 1), None)
    if doubled:
        raise LabelError(f"tooth {doubled!r} is named twice", fix="name each once")
    if not row.muscles:
        raise LabelError("a row without a muscle", fix="give --muscle force=1,angle=90")
    if len({type(m) for m in row.muscles.values()}) > 1:
        raise LabelError("simulated and empirical muscles are mixed", fix="give all in one way")
    if row.jaw not in JAW_NAMES:
        raise LabelError(f"jaw {row.jaw!r}", fix="use lower or upper")


def _out_of_step(values: np.ndarray, skipped: np.ndarray) -> np.ndarray:
    """The module adds no value for these teeth, so later ones move up and the end of the column stays empty."""
    out = np.full(len(values), np.nan)
    kept = values[~skipped]
    out[: len(kept)] = kept
    return out

"""What ``ethomorph measure teeth`` and ``measure sections`` do: files in, tables, pictures and a Slicer folder out."""

from __future__ import annotations

import fnmatch
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ethomorph.core.errors import FormatError, LabelError
from ethomorph.core.files import write_text
from ethomorph.core.volume import LabelVolume

if TYPE_CHECKING:
    import pandas as pd

    from ethomorph.biomechanics.levers import JawPoints, Muscle
    from ethomorph.biomechanics.teeth import ToothRow

SIMULATED = {"force": "force_n", "angle": "angle_deg"}
EMPIRICAL = {"volume": "volume_mm3", "pennation": "pennation_deg", "fmax": "fmax_n_mm2"}


def measure_tooth_stress(
    segmentation: str | Path,
    *,
    out: str | Path,
    points: str | Path | None = None,
    rows: str | Path | None = None,
    teeth: list[str] | None = None,
    jaw: Literal["lower", "upper"] = "lower",
    side: str = "",
    muscles: list[str] | None = None,
    tips: str | Path | None = None,
    bases: str | Path | None = None,
    specimen: str = "",
    slicer_compat: bool = False,
    picture: str | Path | None = None,
    page: str | Path | None = None,
    scene: str | Path | None = None,
    transforms: list[Path] | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """Measure every tooth's levers, forces and stress and write a row each; returns the table and what had to be said.

    Parameters
    ----------
    points : the jaw's eight points; with `teeth`, `jaw`, `side`, `muscles` they make one row of teeth.
    rows : instead of these, a TOML file with a ``[[row]]`` for each jaw and side.
    teeth : names of segments, ``*`` stands for anything; ``Tooth*`` where left out.
    muscles : up to three, ``force=1,angle=90`` or ``volume=1,pennation=0,fmax=0.2``.
    tips, bases : points that a person has set, named as the teeth.
    picture, page, scene : a PNG, an interactive page, a folder for 3D Slicer.

    Raises
    ------
    InputError : files or settings that cannot be used.
    """
    from ethomorph.biomechanics.teeth import homodonty, measure_teeth
    from ethomorph.formats.volumes import read_labels

    labels = read_labels(segmentation)
    ends = read_ends(tips, bases)
    if rows is not None:
        chosen, named = read_rows(Path(rows), labels, ends)
        specimen = specimen or named
    elif points is not None:
        chosen = [one_row(labels, points, teeth or ["Tooth*"], jaw, side, parse_muscles(muscles or []), ends)]
    else:
        raise LabelError("no jaw points were given", fix="give --points JAW.mrk.json, or --rows TEETH.toml")
    measured = measure_teeth(labels, chosen, specimen=specimen, slicer_compat=slicer_compat)
    table = measured.table if slicer_compat else measured.joined
    write_text(out, table.to_csv(index=False))
    alike = homodonty(measured.table)
    write_text(Path(out).with_suffix("").with_name(Path(out).stem + "_homodonty.csv"), alike.to_csv(index=False))
    if picture is not None:
        from ethomorph.biomechanics.draw import draw_stress
        from ethomorph.report.style import save

        save(draw_stress(labels, chosen, measured), Path(picture))
    if page is not None:
        from ethomorph.biomechanics.page import write_jaw_page

        write_jaw_page(page, labels, chosen, measured, title=f"Tooth stress {specimen}".strip())
    if scene is not None:
        from ethomorph.biomechanics.slicer_scene import write_scene

        Path(scene).mkdir(parents=True, exist_ok=True)
        write_scene(scene, labels, chosen, measured, transforms={p.name.split(".")[0]: p for p in transforms or []})
    return table, [*labels.notes, *measured.notes]


def measure_bone_sections(
    segmentation: str | Path,
    segments: list[str],
    *,
    out: str | Path,
    image: str | Path | None = None,
    axis: Literal["long", "x", "y", "z"] = "long",
    interval: float = 1.0,
    whole: str | None = None,
    angle: float | None = None,
    slicer_compat: bool = False,
    picture: str | Path | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """Cross-sections along each named segment, a row a slice; returns the table and what had to be said."""
    import pandas as pd

    from ethomorph.biomechanics.sections import measure_sections
    from ethomorph.formats.volumes import read_image, read_labels

    labels = read_labels(segmentation)
    grey = None if image is None else read_image(image)
    names = matching(labels, segments)
    tables, notes = [], list(labels.notes)
    for name in names:
        table, said = measure_sections(
            labels, name, image=grey, axis=axis, interval_percent=interval, whole=whole, angle_deg=angle,
            slicer_compat=slicer_compat,
        )  # fmt: skip
        tables.append(table)
        notes += said
    joined = pd.concat(tables, ignore_index=True)
    write_text(out, joined.to_csv(index=False))
    if picture is not None:
        from ethomorph.biomechanics.draw import draw_sections
        from ethomorph.report.style import save

        save(draw_sections(tables[0], names[0], labels, axis=axis), Path(picture))
    return joined, notes


def one_row(
    labels: LabelVolume, points: str | Path, teeth: list[str], jaw: Any, side: str, muscles: dict[int, Muscle],
    ends: dict[str, tuple[np.ndarray, np.ndarray]],
) -> ToothRow:  # fmt: skip
    from ethomorph.biomechanics.teeth import ToothRow

    return ToothRow(matching(labels, teeth), read_jaw_points(points), jaw, side, muscles, ends)


def read_rows(
    path: Path, labels: LabelVolume, ends: dict[str, tuple[np.ndarray, np.ndarray]]
) -> tuple[list[ToothRow], str]:
    """Rows of teeth from a TOML file, and the specimen's name.

    Raises
    ------
    FormatError : not TOML, unknown keys, a row without points or muscles.
    """
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FormatError(f"is no TOML file ({error})", place=path, fix="see docs/teeth.md for an example") from None
    unknown = set(said) - {"specimen", "row"}
    if unknown or not isinstance(said.get("row"), list) or not said["row"]:
        raise FormatError(
            f"keys {sorted(said)}", place=path, fix='give specimen = "name" and one [[row]] for each jaw and side'
        )
    rows = []
    for number, row in enumerate(said["row"], start=1):
        place = f"{path}, row {number}"
        wrong = set(row) - {"jaw", "side", "points", "teeth", "muscles"}
        if wrong or "points" not in row or "muscles" not in row:
            raise FormatError(f"keys {sorted(row)}", place=place, fix="a row has jaw, side, points, teeth and muscles")
        teeth = row.get("teeth", ["Tooth*"])
        muscles = {k: muscle_of(m, place) for k, m in enumerate(row["muscles"], start=1) if m}
        rows.append(
            one_row(labels, path.parent / row["points"], [teeth] if isinstance(teeth, str) else list(teeth),
                    row.get("jaw", "lower"), row.get("side", ""), muscles, ends)
        )  # fmt: skip
    return rows, str(said.get("specimen", ""))


def read_jaw_points(path: str | Path) -> JawPoints:
    """The eight points, by their order, as Dental Dynamics takes them; raises LabelError where they are not 3-D."""
    from ethomorph.biomechanics.levers import JawPoints
    from ethomorph.formats.registry import read_landmarks

    found = read_landmarks(path)
    if found.frame != "lps" or found.dim != 3 or len(found) != 1:
        raise LabelError("is not one list of points in space", place=path, fix="give a .mrk.json of 3D Slicer")
    return JawPoints.from_array(found[0].points, place=str(path))


def read_ends(tips: str | Path | None, bases: str | Path | None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Tooth to (tip, base) from two point lists; raises LabelError where one of them is missing."""
    from ethomorph.formats.registry import read_landmarks
    from ethomorph.spatial.template import named_points

    if tips is None and bases is None:
        return {}
    if tips is None or bases is None:
        raise LabelError("tips without bases, or bases without tips", fix="give --tips and --bases")
    one, two = (named_points(read_landmarks(p)) for p in (tips, bases))
    return {name: (one[name], two[name]) for name in one if name in two}


def parse_muscles(texts: list[str]) -> dict[int, Muscle]:
    """Muscles 1, 2, 3 from ``key=value,key=value``; one simulated muscle of 1 N at 90 degrees where none is given.

    Examples
    --------
    >>> parse_muscles(["force=12,angle=75"])
    {1: SimulatedMuscle(force_n=12.0, angle_deg=75.0)}
    """
    found = {}
    for number, text in enumerate(texts or ["force=1"], start=1):
        pairs = {key: value for key, _, value in (part.partition("=") for part in text.split(",") if part.strip())}
        try:
            values = {key.strip(): float(value) for key, value in pairs.items()}
        except ValueError:
            raise LabelError(
                f"muscle {text!r}", fix="write force=1,angle=90 or volume=1,pennation=0,fmax=0.2"
            ) from None
        found[number] = muscle_of(values, f"muscle {number}")
    return found


def muscle_of(values: dict[str, Any], place: str) -> Muscle:
    """A muscle from short or full names of its values; raises LabelError for names that do not belong together."""
    from ethomorph.biomechanics.levers import EmpiricalMuscle, SimulatedMuscle, refuse_impossible

    for names, made in ((SIMULATED, SimulatedMuscle), (EMPIRICAL, EmpiricalMuscle)):
        known = names | {v: v for v in names.values()}
        if values and set(values) <= set(known):
            try:
                muscle: Muscle = made(**{known[k]: float(v) for k, v in values.items()})
            except (TypeError, ValueError):
                break
            refuse_impossible(1, muscle)
            return muscle
    raise LabelError(
        f"a muscle of {', '.join(map(str, values)) or 'nothing'}", place=place,
        fix="give force and angle, or volume, pennation and fmax",
    )  # fmt: skip


def matching(labels: LabelVolume, patterns: list[str]) -> list[str]:
    """Segments that fit any of the patterns, in the order of the segmentation; LabelError where one fits none."""
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(name, pattern) for name in labels.names):
            raise LabelError(f"no segment is called {pattern!r}", place=labels.source,
                             fix=f"the segments are {', '.join(labels.names[:20])}")  # fmt: skip
    return [n for n in labels.names if any(fnmatch.fnmatchcase(n, p) for p in patterns)]

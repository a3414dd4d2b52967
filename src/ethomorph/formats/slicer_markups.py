"""3D Slicer markups: ``.mrk.json`` and the older ``.fcsv``, brought to LPS millimetres whatever the file says.

Each point list is a specimen; curves and lines belong to the point list before them.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np

from ethomorph.core.errors import FormatError
from ethomorph.core.files import write_json, write_text
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.formats.record import Format, Holds, fitted, listed, numbered, table_names
from ethomorph.formats.scheme import Gaps, assemble
from ethomorph.formats.text import as_is, finite, get, load_json, number, read_text, shown

JSON_TITLE, FCSV_TITLE = "Slicer markups (.mrk.json)", "Slicer fiducials (.fcsv)"
JSON_HOLDS = Holds(dims=(3,), frames=("lps",), names=True, ids=True, curves=True)
FCSV_HOLDS = Holds(dims=(3,), frames=("lps",), names=True, missing=False)
_FCSV_SETTLED = Holds(dims=(3,), frames=("lps",), names=True, missing=False, ids=True)
SCHEMA = "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/markups-schema-v1.0.3.json#"
# Numbers and names of coordinate systems in both formats; True where x and y point the other way than in LPS.
SYSTEMS = {"0": True, "RAS": True, "1": False, "LPS": False}
MILLIMETRES = {"mm": 1.0, "m": 1000.0, "cm": 10.0, "um": 0.001, "µm": 0.001, "nm": 1e-6}
POINT_LISTS = ("Fiducial", "PointList")
CURVES = ("Curve", "ClosedCurve", "Line")
LARGE_MM = 100.0
"""A configuration this large whose corner is the origin may be counted in voxels."""
_DEFAULT_NAME = re.compile(
    r"(?:F|L|OC|CC|A|R|Fiducials?|MarkupsFiducial|PointList|markups|Fiducial List)(?:_\d+)?", re.I
)
_FCSV_HEAD = re.compile(rb"(?:\xef\xbb\xbf)?\s*#\s*Markups fiducial file version", re.I)


def read_mrk_json(path: str | Path, *, gaps: Gaps = "refuse") -> LandmarkSet:
    """Read a Slicer markups file in frame "lps".

    Points whose ``positionStatus`` is not "defined" are missing. A specimen is called by its list's name, or by the
    file where Slicer gave the name. What is not kept (descriptions, display) is in the notes.

    Raises FormatError where a list lacks its points, coordinate system or unit, or they are not known.
    """
    path = Path(path)
    root = as_is(load_json(path), dict, "the file", str(path))
    markups = get(root, "markups", list, str(path))
    notes: list[str] = []
    specimens: list[Specimen] = []
    schemes: list[list[str]] = []
    descriptions: dict[str, None] = {}
    for index, markup in enumerate(markups, 1):
        place = f"{path}, markup {index}"
        markup = as_is(markup, dict, "it", place)
        kind = markup.get("type", "Fiducial")
        if kind not in POINT_LISTS and kind not in CURVES:
            notes.append(f"markup {index} of type {shown(kind)} is not kept")
            continue
        points, labels, said = _points(markup, place, notes)
        descriptions |= dict.fromkeys(said)
        if kind in CURVES:
            if not specimens:
                specimens.append(Specimen(np.empty((0, 3)), id=file_stem(path)))
                schemes.append([])
            specimens[-1].curves.append(points)
        else:
            specimens.append(Specimen(points, id=_called(markup, path)))
            schemes.append(labels)
    if descriptions:
        notes.append(f"descriptions of points are not kept: {listed(list(descriptions))}")
    notes += index_suspicion([specimen.points for specimen in specimens])
    names = common_names(schemes, notes)
    return assemble(specimens, names, path=path, frame="lps", gaps=gaps, notes=notes)


def write_mrk_json(landmarks: LandmarkSet, path: str | Path) -> list[str]:
    """Write one markups file in LPS and mm, a point list a specimen; returns what it cannot hold, a sentence each.

    Missing points stay in the list with ``positionStatus`` "undefined".
    """
    landmarks, sentences = fitted(landmarks, JSON_TITLE, JSON_HOLDS)
    names = table_names(landmarks.names, JSON_TITLE, sentences)
    markups = []
    unnamed = sum(not specimen.id for specimen in landmarks)
    for specimen in landmarks:
        markups.append(_markup("Fiducial", specimen.id, specimen.points, names))
        markups += [
            _markup("Curve", f"{specimen.id} curve {i}", c, numbered(len(c))) for i, c in enumerate(specimen.curves, 1)
        ]
    write_json(path, {"@schema": SCHEMA, "markups": markups})
    if unnamed:
        sentences.append(f"{unnamed} specimens have no id: they are called by the file when it is read again")
    default = [s.id for s in landmarks if _DEFAULT_NAME.fullmatch(s.id)]
    if default:
        sentences.append(
            f"specimen ids that Slicer gives by default are replaced by the file's name on reading: {listed(default)}"
        )
    return sentences


def read_fcsv(path: str | Path, *, gaps: Gaps = "refuse") -> LandmarkSet:
    """Read a Slicer ``.fcsv`` file (one specimen, called by the file) in frame "lps".

    The header's ``CoordinateSystem`` is 0 or RAS, 1 or LPS; a file without one is refused, for both have been usual.
    """
    path = Path(path)
    system, columns, rows = _fcsv_lines(path)
    if system is None:
        raise FormatError(
            "its header names no CoordinateSystem", place=path, fix="add a line '# CoordinateSystem = LPS' or RAS"
        )
    if system.upper() not in SYSTEMS:
        raise FormatError(f"CoordinateSystem {shown(system)} is not known", place=path, fix="use RAS or LPS")
    lacking = [axis for axis in "xyz" if axis not in columns]
    if lacking:
        raise FormatError(f"has no column {lacking[0]}", place=path)
    at = [columns.index(axis) for axis in "xyz"]
    label = columns.index("label") if "label" in columns else None
    described = columns.index("desc") if "desc" in columns else None
    points, labels = [], []
    said: dict[str, None] = {}
    for line, row in rows:
        place = f"{path}, line {line}"
        if len(row) <= max(at):
            raise FormatError(f"has {len(row)} cells, the columns are {', '.join(columns)[:80]}", place=place)
        points.append([number(row[i], place) for i in at])
        labels.append(row[label] if label is not None and label < len(row) else "")
        if described is not None and described < len(row) and row[described] not in ("", "NA"):
            said[row[described]] = None
    notes = [f"descriptions of points are not kept: {listed(list(said))}"] if said else []
    array = _to_lps(np.array(points, dtype=np.float64).reshape(-1, 3), SYSTEMS[system.upper()])
    notes += index_suspicion([array])
    names = common_names([labels], notes)
    return assemble([Specimen(array, id=file_stem(path))], names, path=path, frame="lps", gaps=gaps, notes=notes)


def write_fcsv(landmarks: LandmarkSet, path: str | Path) -> list[str]:
    """Write one specimen as ``.fcsv`` in LPS, without missing points; returns what it cannot hold, a sentence each."""
    landmarks, sentences = fitted(landmarks, FCSV_TITLE, _FCSV_SETTLED)
    if len(landmarks) > 1:
        raise FormatError(
            f"holds one specimen a file, there are {len(landmarks)}",
            place=FCSV_TITLE,
            fix="write .mrk.json, which holds several",
        )
    specimen = landmarks[0]
    names = table_names(landmarks.names, FCSV_TITLE, sentences)
    out = [
        "# Markups fiducial file version = 4.11",
        "# CoordinateSystem = LPS",
        "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID",
    ]
    for i, (name, row) in enumerate(zip(names, specimen.points.tolist(), strict=True), 1):
        if specimen.visible[i - 1]:
            out.append(f"{i},{','.join(map(repr, row))},0,0,0,1,1,1,0,{_quoted(name)},,")
    write_text(path, "\n".join(out) + "\n")
    called = file_stem(Path(path))
    if specimen.id != called:
        sentences.append(f".fcsv does not hold specimen ids: {specimen.label[:80]!r} is called {called!r}, by the file")
    return sentences


def index_suspicion(points: list[np.ndarray]) -> list[str]:
    """A sentence where LPS mm look like voxel indices: large, and all positive in RAS as indices are.

    >>> index_suspicion([np.array([[-216.6, -75.5, 145.0], [-328.7, -528.9, 46.8]])])[0][:47]
    'coordinates all lie on the positive side of RAS'
    """
    known = np.concatenate([np.empty((0, 3)), *points])
    known = known[np.isfinite(known).all(axis=1)]
    if len(known) < 2 or np.ptp(known, axis=0).max() < LARGE_MM or (known * (-1, -1, 1) < 0).mean() > 0.02:
        return []
    size = " x ".join(f"{v:.0f}" for v in np.ptp(known, axis=0))
    return [
        f"coordinates all lie on the positive side of RAS and span {size} mm: are they voxel indices? If so, multiply "
        "them by the voxel size (convert --spacing X,Y,Z)"
    ]


def common_names(schemes: list[list[str]], notes: list[str]) -> list[str] | None:
    """The names that all point lists share; None, with a note, where they are empty, repeat or differ."""
    first = schemes[0] if schemes else []
    if all(scheme == first for scheme in schemes) and all(first) and len(set(first)) == len(first):
        return first
    if all(numbered_alike(scheme) for scheme in schemes):
        notes.append(
            "labels differ between specimens in what stands before the number: landmarks are named by the number"
        )
    else:
        notes.append("labels are empty, repeat or differ between specimens: landmarks are numbered in order")
    return None


def numbered_alike(labels: list[str]) -> bool:
    """Whether labels are one text followed by 1, 2, 3, ..."""
    heads = {re.sub(r"\d+$", "", label) for label in labels}
    return len(heads) == 1 and labels == [f"{next(iter(heads))}{i}" for i in range(1, len(labels) + 1)]


def file_stem(path: Path) -> str:
    """The file's name without ``.mrk.json``, ``.json`` or ``.fcsv``."""
    return re.sub(r"(?:\.mrk)?\.(?:json|fcsv)$", "", path.name, flags=re.I)


def sniff_mrk_json(head: bytes) -> bool:
    """Whether it is a JSON object with markups in it."""
    return re.match(rb"(?:\xef\xbb\xbf)?\s*\{", head) is not None and b'"markups"' in head


def sniff_fcsv(head: bytes) -> bool:
    """Whether it has Slicer's comment header."""
    return _FCSV_HEAD.match(head) is not None


def _points(markup: dict[str, Any], place: str, notes: list[str]) -> tuple[np.ndarray, list[str], list[str]]:
    """Points in LPS mm, their labels and descriptions."""
    system = str(markup.get("coordinateSystem", "LPS")).upper()
    if system not in SYSTEMS:
        raise FormatError(f"coordinateSystem {shown(system)} is not known", place=place, fix="use LPS or RAS")
    unit = markup.get("coordinateUnits", "mm")
    unit = unit[0] if isinstance(unit, list) and unit else unit
    if not isinstance(unit, str) or unit not in MILLIMETRES:
        raise FormatError(f"coordinateUnits {shown(unit)} is no length that is known", place=place, fix="use mm")
    if unit != "mm":
        notes.append(f"{place}: coordinates are converted from {unit} to mm")
    points, labels, said = [], [], []
    for index, control in enumerate(get(markup, "controlPoints", list, place), 1):
        spot = f"{place}, point {index}"
        control = as_is(control, dict, "it", spot)
        labels.append(str(control.get("label") or ""))
        if control.get("description"):
            said.append(str(control["description"]))
        position = control.get("position")
        if control.get("positionStatus", "defined") not in ("defined", 2):
            points.append([np.nan] * 3)
            continue
        position = as_is(position, list, "position", spot)
        if len(position) != 3:
            raise FormatError(f"position has {len(position)} numbers, expected 3", place=spot)
        points.append([finite(value, spot) for value in position])
    array = np.array(points, dtype=np.float64).reshape(-1, 3) * MILLIMETRES[unit]
    return _to_lps(array, SYSTEMS[system]), labels, said


def _to_lps(points: np.ndarray, mirrored: bool) -> np.ndarray:
    return points * (-1.0, -1.0, 1.0) if mirrored else points


def _called(markup: dict[str, Any], path: Path) -> str:
    name = markup.get("name")
    return name if isinstance(name, str) and name and not _DEFAULT_NAME.fullmatch(name) else file_stem(path)


def _markup(kind: str, name: str, points: np.ndarray, labels: list[str]) -> dict[str, Any]:
    controls = []
    for i, (label, row) in enumerate(zip(labels, points.tolist(), strict=True), 1):
        known = all(v == v for v in row)
        controls.append(
            {
                "id": str(i),
                "label": label,
                "position": row if known else [0.0, 0.0, 0.0],
                "orientation": [-1.0, -0.0, -0.0, -0.0, -1.0, -0.0, 0.0, 0.0, 1.0],
                "selected": True,
                "locked": False,
                "visibility": True,
                "positionStatus": "defined" if known else "undefined",
            }
        )
    named = {"name": name} if name else {}
    return {
        "type": kind,
        **named,
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": False,
        "labelFormat": "%N-%d",
        "lastUsedControlPointNumber": len(controls),
        "controlPoints": controls,
    }


def _quoted(text: str) -> str:
    """A cell, in quotes where it needs them."""
    doubled = text.replace('"', '""')
    return f'"{doubled}"' if any(c in text for c in ',"') else text


def _fcsv_lines(path: Path) -> tuple[str | None, list[str], list[tuple[int, list[str]]]]:
    """The coordinate system as written, the columns, and the rows with their line numbers."""
    text = read_text(path, lone_cr="")  # Slicer leaves one at the end of associatedNodeID
    if not sniff_fcsv(text[:200].encode("utf-8", "replace")):
        raise FormatError("does not begin with '# Markups fiducial file version'", place=path)
    system: str | None = None
    columns = ["id", "x", "y", "z", "ow", "ox", "oy", "oz", "vis", "sel", "lock", "label", "desc", "associatedNodeID"]
    rows = []
    for line_number, line in enumerate(text.split("\n"), 1):
        if line.lstrip().startswith("#"):
            key, _, value = line.lstrip().lstrip("#").partition("=")
            if key.strip().lower() == "coordinatesystem":
                system = value.strip()
            elif key.strip().lower() == "columns":
                columns = [column.strip() for column in value.split(",")]
        elif line.strip():
            try:
                rows.append((line_number, [cell.strip() for cell in next(csv.reader([line]))]))
            except csv.Error as error:
                raise FormatError(f"is not a table row ({error})", place=f"{path}, line {line_number}") from None
    return system, columns, rows


MRK_JSON = Format(
    "slicer", JSON_TITLE, (".mrk.json", ".json"), sniff_mrk_json, read_mrk_json, write_mrk_json, JSON_HOLDS
)
FCSV = Format("fcsv", FCSV_TITLE, (".fcsv",), sniff_fcsv, read_fcsv, write_fcsv, FCSV_HOLDS)

"""From digitised specimens to the shape table: one tidy row a specimen, ready for any statistics program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.core.landmarks import LandmarkSet
from ethomorph.shape.distances import specimen_scales
from ethomorph.shape.missing import fill_missing
from ethomorph.shape.procrustes import Gpa, generalized_procrustes
from ethomorph.shape.tangent import ShapeSpace, tangent_pca

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class ShapeMeasurement:
    """A shape table with what it was computed from.

    Attributes
    ----------
    table : one row a specimen, see `measure_shape`.
    rows : (m,) which specimens are in what follows; the others could not be superimposed.
    gpa : their superimposition, filled landmarks included.
    filled : (m, p), which landmarks were filled by thin-plate spline.
    space : their principal components.
    """

    table: pandas.DataFrame
    rows: np.ndarray
    gpa: Gpa
    filled: np.ndarray
    space: ShapeSpace


def measure_shape(
    landmarks: LandmarkSet,
    *,
    by: pandas.DataFrame | None = None,
    components: int = 10,
    mm_per_px: float | None = None,
) -> pandas.DataFrame:
    """Centroid size, Procrustes distance to the mean and principal component scores of every specimen.

    Parameters
    ----------
    landmarks : at least 3 specimens that can be superimposed.
    by : table with a column "specimen" whose other columns are joined to the rows; every specimen must be in it.
    components : how many principal components at most.
    mm_per_px : overrides the specimens' own scale.

    Returns
    -------
    DataFrame
        specimen, image, the columns of `by`, landmarks_visible, landmarks_filled, centroid_size_px (or _mm in frame
        "lps"), centroid_size_mm where a scale is known, procrustes_distance, pc1 ..., note. A specimen that shows too
        few landmarks keeps its row, with empty values and the reason in `note`.

    Raises
    ------
    LabelError
        Fewer than 3 usable specimens, or specimens missing from `by`.
    """
    return shape_measurement(landmarks, by=by, components=components, mm_per_px=mm_per_px).table


def shape_measurement(
    landmarks: LandmarkSet,
    *,
    by: pandas.DataFrame | None = None,
    components: int = 10,
    mm_per_px: float | None = None,
) -> ShapeMeasurement:
    """`measure_shape` with the superimposition and the shape space that the table was computed from."""
    import pandas

    points = landmarks.array()
    visible = np.isfinite(points).all(axis=2)
    notes = [_objection(own[seen], len(own)) for own, seen in zip(points, visible, strict=True)]
    rows = np.flatnonzero([not note for note in notes])
    refuse_too_few(landmarks, len(rows))
    filled = fill_missing(points[rows])
    gpa = generalized_procrustes(filled.points)
    space = tangent_pca(gpa.aligned, components=components)
    columns: dict[str, Any] = {
        "specimen": [s.label for s in landmarks],
        "image": [s.image or "" for s in landmarks],
        "landmarks_visible": visible.sum(axis=1),
        "landmarks_filled": _spread_out(filled.filled.sum(axis=1), rows, len(landmarks), 0).astype(int),
    }
    size = _spread_out(gpa.centroid_size, rows, len(landmarks))
    if landmarks.frame == "lps":
        columns["centroid_size_mm"] = size
    else:
        columns["centroid_size_px"] = size
        scales = np.array([np.nan if s is None else s for s in specimen_scales(landmarks, mm_per_px)])
        if np.isfinite(scales).any():
            columns["centroid_size_mm"] = size * scales
    columns["procrustes_distance"] = _spread_out(gpa.procrustes_distance, rows, len(landmarks))
    for c in range(space.scores.shape[1]):
        columns[f"pc{c + 1}"] = _spread_out(space.scores[:, c], rows, len(landmarks))
    columns["note"] = notes
    table = pandas.DataFrame(columns)
    if by is not None:
        table = _joined(table, by, landmarks.source)
    return ShapeMeasurement(table, rows, gpa, filled.filled, space)


def refuse_too_few(landmarks: LandmarkSet, usable: int) -> None:
    """Raise LabelError where fewer than 3 specimens can be superimposed."""
    if usable < 3:
        raise LabelError(
            f"{usable} of {len(landmarks)} specimens show enough landmarks to be superimposed",
            place=landmarks.source,
            fix="shape statistics need at least 3",
        )


def _objection(shown: np.ndarray, landmarks: int) -> str:
    """Why a specimen with these visible landmarks (m, k) cannot be superimposed and filled; empty where it can."""
    k = shown.shape[1]
    if len(shown) <= k:
        return f"only {len(shown)} landmarks visible, at least {k + 1} are needed"
    spread = np.linalg.svd(shown - shown.mean(axis=0), compute_uv=False)
    if spread[0] == 0:
        return "all visible landmarks coincide"
    if len(shown) < landmarks and spread[-1] < 1e-6 * spread[0]:
        return f"the visible landmarks lie on one {'line' if k == 2 else 'plane'}, so the others cannot be filled"
    return ""


def _spread_out(values: np.ndarray, rows: np.ndarray, count: int, empty: float = np.nan) -> np.ndarray:
    column = np.full(count, empty, dtype=float)
    column[rows] = values
    return column


def _joined(table: pandas.DataFrame, by: pandas.DataFrame, source: str) -> pandas.DataFrame:
    """Columns of `by` after the specimen's name; specimens that are not in it, or in it twice, are refused."""
    if "specimen" not in by.columns:
        raise LabelError("the table to join has no column 'specimen'", fix=f"its columns are {', '.join(by.columns)}")
    keys = by["specimen"].astype(str)
    twice = sorted(set(keys[keys.duplicated()]) & set(table["specimen"]))
    absent = sorted(set(table["specimen"]) - set(keys))
    for names, problem in ((twice, "are in the table twice"), (absent, "are not in the table")):
        if names:
            more = f" and {len(names) - 8} more" if len(names) > 8 else ""
            raise LabelError(f"specimens {', '.join(names[:8])}{more} {problem}", place=source, fix="correct the table")
    extra = by.assign(specimen=keys).drop(columns="image", errors="ignore").set_index("specimen")
    clash = [column for column in extra.columns if column in table.columns]
    if clash:
        raise LabelError(f"columns {', '.join(clash)} of the table are measured here", fix="rename them in the table")
    joined = table.join(extra, on="specimen")
    front = ["specimen", "image", *extra.columns]
    return joined[front + [c for c in joined.columns if c not in front]]

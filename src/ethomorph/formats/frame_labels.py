"""Labels frame by frame, and poses with them: plain tables, SimBA's target files and CalMS21's JSON.

A frame that a file gives a 0 in every column was scored and shows none of the behaviours: it is `REST`. A frame that
is left empty was not scored, and stays so: absence of a label is not a negative.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ethomorph.core.errors import FormatError
from ethomorph.core.recordings import Recording
from ethomorph.formats.record import listed
from ethomorph.formats.tables import even, read_rows
from ethomorph.formats.text import as_is, load_json, number

REST = "other"
"""The label of frames that were scored and show none of the behaviours."""
FRAME_COLUMNS = ("frame", "frames", "frame_idx", "time", "time_s", "")
LABEL_COLUMNS = ("label", "behavior", "behaviour", "state")
CALMS21_FPS = 30.0


def read_frame_labels(path: str | Path, *, column: str | None = None) -> tuple[np.ndarray, list[str]]:
    """(frames,) labels of a table with a row a frame, and what reading decided.

    Parameters
    ----------
    path : a column ``label`` with codes, or columns of 0, 1 and empty, one a behaviour.
    column : the one to take; all behaviours where left out.

    Raises
    ------
    FormatError : no such column, values other than 0, 1 and empty, or a frame in two behaviours at once.
    """
    path = Path(path)
    rows = read_rows(path)
    header = [cell.strip() for cell in rows[0][1]]
    even(rows, len(header), path)
    body = [cells for _, cells in rows[1:]]
    coded = [h for h in header if h.lower() in LABEL_COLUMNS]
    if column is None and coded:
        return np.array([cells[header.index(coded[0])] for cells in body], dtype=str), []
    if column is not None and column not in header:
        raise FormatError(f"no column {column!r}; there are {listed(header)}", place=path, fix="correct `column`")
    wanted = [column] if column is not None else [h for h in header if h.lower() not in FRAME_COLUMNS]
    table = np.array([[number(cells[header.index(h)], str(path)) for h in wanted] for cells in body])
    labels = labels_of(table, wanted, str(path))
    left_out = [h for h in header if h not in wanted and h.lower() not in FRAME_COLUMNS]
    return labels, [f"columns left aside: {listed(left_out)}"] if left_out else []


def labels_of(table: np.ndarray, behaviors: list[str], place: str) -> np.ndarray:
    """(frames,) labels of 0/1 columns (frames, behaviours), NaN where a frame was not scored."""
    known = table[np.isfinite(table)]
    if not np.isin(known, (0.0, 1.0)).all():
        raise FormatError(
            f"values other than 0 and 1 among {listed(behaviors)}", place=place, fix="name the column of labels"
        )
    at_once = np.nansum(table, axis=1)
    if (at_once > 1).any():
        frame = int(np.flatnonzero(at_once > 1)[0])
        both = [b for b, v in zip(behaviors, table[frame], strict=True) if v == 1]
        raise FormatError(
            f"{int((at_once > 1).sum())} frames have several behaviours, the first is {frame} ({' and '.join(both)})",
            place=place, fix="choose one by `column`, and train a task for each",
        )  # fmt: skip
    labels = np.full(len(table), REST, dtype=object)
    for index, behavior in enumerate(behaviors):
        labels[table[:, index] == 1] = behavior
    labels[np.isnan(table).all(axis=1)] = ""
    return labels.astype(str)


def read_simba(path: str | Path, *, behaviors: list[str] | None = None, fps: float) -> Recording:
    """Read a SimBA ``targets_inserted`` (or features) file: poses in ``Part_x, Part_y, Part_p``, targets of 0 and 1.

    Parameters
    ----------
    behaviors : the target columns; where left out, the last columns that hold nothing but 0 and 1.
    fps : SimBA keeps the frame rate in another file.

    Raises
    ------
    FormatError : no poses, a behaviour without its column.
    """
    path = Path(path)
    rows = read_rows(path)
    header = [cell.strip() for cell in rows[0][1]]
    even(rows, len(header), path)
    values = np.array([[number(cell, f"{path}, line {line}") for cell in cells] for line, cells in rows[1:]])
    at = {name.lower(): i for i, name in enumerate(header)}
    stems = [h[:-2] for h in header if h.lower().endswith("_x")]
    nodes = [s for s in stems if {s.lower() + "_y", s.lower() + "_p"} <= set(at)]
    if not nodes:
        raise FormatError("no columns Part_x, Part_y, Part_p, so not a SimBA file", place=path)
    if behaviors is None:
        behaviors = trailing_targets(header, values)
    missing = [b for b in behaviors if b.lower() not in at]
    if missing:
        raise FormatError(f"no column {listed(missing)}", place=path, fix="name the behaviours as the file does")
    x, y, p = (values[:, [at[n.lower() + end] for n in nodes]] for end in ("_x", "_y", "_p"))
    points = np.stack([x, y], axis=2)[:, None]
    points[(x == 0)[:, None] & (y == 0)[:, None]] = np.nan  # how SimBA writes a part that was not seen
    targets = values[:, [at[b.lower()] for b in behaviors]]
    labels = labels_of(targets, behaviors, str(path)) if behaviors else None
    return Recording(path.stem, points, fps, nodes, ["animal 1"], confidence=p[:, None], labels=labels)


def trailing_targets(header: list[str], values: np.ndarray) -> list[str]:
    """The unbroken run of columns at the end of the table that hold nothing but 0 and 1 and are no pose."""
    names: list[str] = []
    for name, column in zip(reversed(header), values.T[::-1], strict=True):
        if name.lower().endswith(("_x", "_y", "_p")) or not np.isin(column[np.isfinite(column)], (0, 1)).all():
            break
        names.append(name)
    return names[::-1]


def read_calms21(path: str | Path, *, annotator: str | None = None) -> list[Recording]:
    """Read a CalMS21 JSON file: a recording a sequence, two mice of seven points, 30 Hz.

    Parameters
    ----------
    annotator : which ``annotator-id_k``; the first where left out.

    Raises
    ------
    FormatError : not such a file.
    """
    document = as_is(load_json(path), dict, "the file", str(path))
    if not document:
        raise FormatError("holds no annotator", place=path)
    name = annotator or next(iter(document))
    if name not in document:
        raise FormatError(f"no annotator {name!r}; there are {listed(list(document))}", place=path)
    recordings = []
    for sequence, entry in as_is(document[name], dict, name, str(path)).items():
        place = f"{path}, {sequence}"
        entry = as_is(entry, dict, sequence, place)
        try:
            keypoints = np.asarray(entry["keypoints"], dtype=float)
            scores = np.asarray(entry.get("scores", np.ones((len(keypoints), 2, 7))), dtype=float)
            codes = np.asarray(entry["annotations"], dtype=int) if "annotations" in entry else None
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"has no keypoints of (frames, 2 mice, 2, 7) ({error})", place=place) from None
        if keypoints.ndim != 4 or keypoints.shape[1:] != (2, 2, 7):
            raise FormatError(f"keypoints have shape {keypoints.shape}, not (frames, 2, 2, 7)", place=place)
        said = entry.get("metadata") if isinstance(entry.get("metadata"), dict) else {}
        labels = calms21_labels(codes, said or {}, place) if codes is not None else None
        recordings.append(
            Recording(
                sequence, np.moveaxis(keypoints, 2, 3), CALMS21_FPS, list(CALMS21_NODES), ["resident", "intruder"],
                group=str(sequence).split("/")[-1], confidence=scores, labels=labels,
                attributes={"annotator": name},
            )
        )  # fmt: skip
    return recordings


CALMS21_NODES = ("nose", "left_ear", "right_ear", "neck", "left_hip", "right_hip", "tail_base")


def calms21_labels(codes: np.ndarray, metadata: dict, place: str) -> np.ndarray:
    """Codes as names, by the file's own vocabulary, else that of task 1."""
    vocabulary = metadata.get("vocab") or {"attack": 0, "investigation": 1, "mount": 2, "other": 3}
    if not isinstance(vocabulary, dict):
        raise FormatError("its vocabulary is no object", place=place)
    names = {int(v): str(k) for k, v in vocabulary.items()}
    strange = sorted(set(codes.tolist()) - set(names))
    if strange:
        raise FormatError(f"the code {strange[0]} is not in the vocabulary", place=place)
    return np.array([names[int(c)] for c in codes], dtype=str)

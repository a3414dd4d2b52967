"""Bouts, budgets and transitions from scored or predicted behaviour, into tidy CSV files."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ethomorph.core.errors import FormatError
from ethomorph.core.files import atomic_path, write_text

if TYPE_CHECKING:
    import pandas as pd

    from ethomorph.core.events import EventLog


@dataclass
class Measured:
    """What `measure_bouts` made: tables, the files they went to, and what had to be said."""

    bouts: pd.DataFrame
    budget: pd.DataFrame
    files: dict[str, str]
    notes: list[str] = field(default_factory=list)


def measure_bouts(
    source: str | Path,
    *,
    out: str | Path,
    budget: str | Path | None = None,
    transitions: str | Path | None = None,
    bins: str | Path | None = None,
    bin_s: float = 60.0,
    picture: str | Path | None = None,
    fps: float | None = None,
    column: str | None = None,
    group: str = "",
    out_of_view: list[str] | None = None,
    ethogram: str | Path | None = None,
) -> Measured:
    """Write a row a bout, and on request a row a subject and behaviour, what followed what, and rates in bins of time.

    Parameters
    ----------
    source : BORIS project or aggregated export, a table of labels frame by frame, or a run's predictions.csv of frames.
    budget, transitions, bins, picture : further files; the picture shows transitions.
    bin_s : length of a bin in s.
    fps : frames a second of a table of frames.
    column, group : of a table of frames: the column that holds the labels, and the subject.
    out_of_view : states that leave the observed time.
    ethogram : checked against; what does not fit is told.

    Raises
    ------
    InputError : a source that cannot be read, or a table of frames without a frame rate.
    """
    from ethomorph.behavior.bouts import binned, bouts_table, time_budget
    from ethomorph.behavior.bouts import transitions as count_transitions
    from ethomorph.behavior.ethogram import event_problems, read_ethogram

    log = read_scored(Path(source), fps=fps, column=column, group=group)
    notes = list(log.notes)
    hidden = tuple(out_of_view or ())
    strange = [name for name in hidden if name not in log.behaviors]
    if strange:
        raise FormatError(f"no behaviour {strange[0]!r}", place=source, fix=f"there are {', '.join(log.behaviors)}")
    if ethogram is not None:
        notes += [f"{p.what} ({p.count} times)" for p in event_problems(read_ethogram(ethogram), log)]
    table, shares = bouts_table(log), time_budget(log, out_of_view=hidden)
    files = {"bouts": write_table(table, out)}
    if budget is not None:
        files["budget"] = write_table(shares, budget)
    counts = count_transitions(log)
    if transitions is not None:
        files["transitions"] = write_table(counts.reset_index(), transitions)
    if bins is not None:
        files["bins"] = write_table(binned(log, bin_s, out_of_view=hidden), bins)
    if picture is not None:
        from ethomorph.behavior.draw import draw_transitions

        with tempfile.TemporaryDirectory() as folder, atomic_path(picture) as temporary:
            drawn = draw_transitions(counts.to_numpy(), list(counts.index), Path(folder) / "transitions.png")
            temporary.write_bytes(drawn.read_bytes())
        files["picture"] = str(picture)
    cut = int((table["censored_start"] | table["censored_stop"]).sum())
    if cut:
        notes.append(f"{cut} bouts touch the edge of their observation: their durations are lower bounds")
    return Measured(table, shares, files, notes)


def write_table(table: pd.DataFrame, path: str | Path) -> str:
    """Write a CSV with times to the millisecond; returns the path as text."""
    write_text(path, table.round(6).to_csv(index=False))
    return str(path)


def read_scored(source: Path, *, fps: float | None, column: str | None, group: str) -> EventLog:
    """Scored or predicted behaviour as events, whatever the file is."""
    from ethomorph.behavior.bouts import log_of
    from ethomorph.behavior.tracks import fps_or_refuse, is_events
    from ethomorph.formats.boris import read_boris
    from ethomorph.formats.frame_labels import read_frame_labels

    if not source.is_file():
        raise FormatError("there is no such file", place=source, fix="check the path")
    if is_events(source):
        return read_boris(source)
    rate = fps_or_refuse(fps, source)
    with source.open(encoding="utf-8-sig", errors="replace") as stream:
        header = stream.readline().strip().split(",")
    if {"recording", "frame", "predicted"} <= set(header):
        return log_of(predicted_recordings(source, rate, column or "predicted"))
    labels, notes = read_frame_labels(source, column=column)
    log = log_of([as_recording(source.stem, labels, rate, group or source.stem)])
    log.notes += notes
    return log


def predicted_recordings(source: Path, fps: float, column: str) -> list:
    """Recordings of a run's predictions of frames; frames that were not judged stay unscored."""
    import numpy as np
    import pandas as pd

    table = pd.read_csv(source, dtype={"recording": str, "group": str, column: str})
    if column not in table:
        raise FormatError(f"no column {column!r}", place=source, fix="use predicted or truth")
    found = []
    for name, rows in table.groupby("recording", sort=False):
        labels = np.full(int(rows["frame"].max()) + 1, "", dtype=object)
        labels[rows["frame"].to_numpy()] = rows[column].to_numpy()
        subject = str(rows["group"].iloc[0]) if "group" in rows and rows["group"].nunique() == 1 else str(name)
        found.append(as_recording(str(name), labels.astype(str), fps, subject))
    return found


def as_recording(name: str, labels, fps: float, group: str):  # type: ignore[no-untyped-def]
    """Labels alone as a recording without poses."""
    import numpy as np

    from ethomorph.core.recordings import Recording

    return Recording(name, np.zeros((len(labels), 1, 1, 2)), fps, ["none"], ["none"], group=group, labels=labels)

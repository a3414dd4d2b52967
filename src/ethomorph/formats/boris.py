"""BORIS: projects (.boris) and aggregated or tabular exports, read; aggregated exports written.

State events of a project are paired by subject, behaviour and modifiers in order of time, as BORIS pairs them; one
that never ends is closed at the observation's end, and that is told.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

from ethomorph.core.errors import FormatError
from ethomorph.core.events import Event, EventLog, Observation
from ethomorph.core.files import write_text
from ethomorph.formats.record import listed
from ethomorph.formats.tables import read_rows
from ethomorph.formats.text import as_is, finite, get, load_json, number

NO_FOCAL = "No focal subject"
COLUMNS = (
    "Observation id", "Observation date", "Description", "Observation type", "Source", "Time offset (s)",
    "Coding duration", "Media duration (s)", "FPS (frame/s)", "Subject",
    "Observation duration by subject by observation", "Behavior", "Behavioral category", "Modifier #1",
    "Behavior type", "Start (s)", "Stop (s)", "Duration (s)", "Media file name", "Comment start", "Comment stop",
)  # fmt: skip
FACTS = ("Observation date", "Description", "Source")
MAX_UNPACKED = 512 * 2**20


def read_boris(path: str | Path) -> EventLog:
    """Read a BORIS project or an aggregated export, whichever the file is.

    Raises
    ------
    FormatError : neither of both, or damaged.
    """
    path = Path(path)
    if path.suffix == ".gz" or path.suffix.lower() == ".boris":
        return read_project(path)
    return read_aggregated(path)


def read_project(path: str | Path) -> EventLog:
    """Read a .boris project (or .boris.gz): every observation, with its events."""
    path = Path(path)
    document = as_is(_unzipped(path) if path.suffix == ".gz" else load_json(path), dict, "the project", str(path))
    place = str(path)
    codes = {}
    for entry in get(document, "behaviors_conf", dict, place).values():
        codes[str(entry.get("code", ""))] = "point" in str(entry.get("type", "")).lower()
    subjects = [str(s.get("name", "")) for s in (document.get("subjects_conf") or {}).values()]
    events: list[Event] = []
    observations: dict[str, Observation] = {}
    notes: list[str] = []
    for name, entry in get(document, "observations", dict, place).items():
        entry = as_is(entry, dict, f"the observation {name!r}", place)
        rows = [_row(row, f"{place}, {name}, event {i + 1}") for i, row in enumerate(entry.get("events") or [])]
        start, stop = _span(entry, rows, place)
        variables = entry.get("independent_variables") or {}
        attributes = {str(k): str(v) for k, v in variables.items() if v not in ("", None)} | media_of(entry)
        observations[name] = Observation(name, start, stop, attributes=attributes)
        strange = sorted({code for _, _, code, _, _ in rows} - set(codes))
        if strange:
            raise FormatError(f"{name}: {listed(strange)} is not in the ethogram", place=path, fix="add it in BORIS")
        paired, said = _paired(name, rows, codes, stop)
        events += paired
        notes += said
    return EventLog(events, observations, list(codes), subjects, str(path), notes)


def media_of(entry: dict[str, Any]) -> dict[str, str]:
    """The first media file of a project's observation as ``Source``; nothing for a live one."""
    players = entry.get("file")
    files = (
        [one for files in players.values() if isinstance(files, list) for one in files]
        if isinstance(players, dict)
        else []
    )
    return {"Source": str(files[0])} if files else {}


def read_aggregated(path: str | Path) -> EventLog:
    """Read BORIS's aggregated events (CSV or TSV), of any version since 2.9: a row a bout or a point."""
    path = Path(path)
    rows = read_rows(path)
    header = [cell.strip() for cell in rows[0][1]]
    place = {name: i for i, name in enumerate(header)}
    for needed in ("Observation id", "Subject", "Behavior", "Start (s)", "Stop (s)"):
        if needed not in place:
            raise FormatError(
                f"no column {needed!r}, so not BORIS's aggregated events", place=path,
                fix="export them by Observations > Export events > Aggregated events",
            )  # fmt: skip
    events: list[Event] = []
    ends: dict[str, float] = defaultdict(float)
    begins: dict[str, float] = defaultdict(float)
    facts: dict[str, dict[str, str]] = defaultdict(dict)
    for line, cells in rows[1:]:
        cells = cells + [""] * (len(header) - len(cells))

        def cell(*names: str, row: list[str] = cells) -> str:
            return next((row[place[n]] for n in names if n in place), "")

        where = f"{path}, line {line}"
        start, stop = number(cell("Start (s)"), where), number(cell("Stop (s)"), where)
        kind = cell("Behavior type").upper()
        point = kind == "POINT" or (not kind and (stop == start or math.isnan(stop)))
        if math.isnan(start):
            raise FormatError("the event has no start", place=where)
        if math.isnan(stop) and not point:
            raise FormatError("the state has no stop", place=where, fix="pair it in BORIS and export again")
        stop = start if math.isnan(stop) else stop
        if stop < start:
            raise FormatError(f"the state stops at {stop:g} s, before it starts at {start:g} s", place=where)
        name, subject = cell("Observation id"), cell("Subject")
        modifiers = "|".join(filter(None, (cells[i] for n, i in place.items() if n.lower().startswith("modifier"))))
        events.append(
            Event(name, "" if subject == NO_FOCAL else subject, cell("Behavior"), start, stop, point, modifiers,
                  cell("Comment start", "Comment"))
        )  # fmt: skip
        offset = number(cell("Time offset (s)", "Time offset") or "0", where)
        coded = [cell("Media duration (s)", "Total length"), cell("Coding duration")]
        lengths = [number(text, where) for text in coded if text]
        begins[name] = offset if offset == offset else 0.0
        ends[name] = max([ends[name], stop, *(v + begins[name] for v in lengths if v == v)])
        facts[name] |= {n: cells[i] for n, i in place.items() if n in FACTS and cells[i]}
    observations = {name: Observation(name, begins[name], ends[name], attributes=facts[name]) for name in ends}
    notes = []
    if not {"Media duration (s)", "Total length", "Coding duration"} & set(place):
        notes.append("the export does not say how long was watched: an observation is taken to end with its last event")
    return EventLog(events, observations, source=str(path), notes=notes)


def write_aggregated(log: EventLog, path: str | Path) -> list[str]:
    """Write BORIS's aggregated events; returns a sentence for what it cannot hold."""
    stream = io.StringIO()
    separator = "\t" if Path(path).suffix.lower() == ".tsv" else ","
    writer = csv.writer(stream, delimiter=separator, lineterminator="\n")
    writer.writerow(COLUMNS)
    for e in log.events:
        seen = log.observations[e.observation]
        writer.writerow(
            [e.observation, seen.attributes.get("Observation date", ""), seen.attributes.get("Description", ""),
             "Media file", seen.attributes.get("Source", ""), f"{seen.start_s:.3f}", f"{seen.seconds:.3f}",
             f"{seen.seconds:.3f}", seen.attributes.get("fps", ""), e.subject or NO_FOCAL, f"{seen.seconds:.3f}",
             e.behavior, "", e.modifiers, "POINT" if e.point else "STATE", f"{e.start_s:.3f}", f"{e.stop_s:.3f}",
             "NA" if e.point else f"{e.seconds:.3f}", seen.attributes.get("Source", ""), e.comment, ""]
        )  # fmt: skip
    write_text(path, stream.getvalue())
    silent = [name for name in log.observations if not log.of(name)]
    return [f"an aggregated export has no place for observations without events: {listed(silent)}"] if silent else []


Row = tuple[float, str, str, str, str]


def _row(row: Any, place: str) -> Row:
    """(time, subject, code, modifiers, comment) of an event of a project."""
    row = as_is(row, list, "the event", place)
    if len(row) < 3:
        raise FormatError(f"has {len(row)} parts, not time, subject and behaviour", place=place)
    time = number(row[0], place) if isinstance(row[0], str) else finite(row[0], place)
    if math.isnan(time):
        raise FormatError("the event has no time", place=place)
    rest = [str(part or "") for part in row[3:5]] + ["", ""]
    return time, str(row[1] or ""), str(row[2]), rest[0], rest[1]


def _span(entry: dict[str, Any], rows: list[Row], place: str) -> tuple[float, float]:
    """From where to where an observation was watched: its interval, else its media's length, else its last event."""
    offset = _number_or(entry.get("time offset"), 0.0)
    interval = entry.get("observation time interval") or [0, 0]
    last = max([row[0] for row in rows], default=0.0)
    if isinstance(interval, list) and len(interval) == 2 and _number_or(interval[1], 0.0) > 0:
        return _number_or(interval[0], 0.0) + offset, _number_or(interval[1], 0.0) + offset
    lengths = ((entry.get("media_info") or {}).get("length") or {}) if isinstance(entry.get("media_info"), dict) else {}
    files = entry.get("file") or {}
    first = files.get("1") if isinstance(files, dict) else None
    total = sum(_number_or(v, 0.0) for k, v in lengths.items() if not first or k in first) if lengths else 0.0
    return offset, max(offset + total, last)


def _paired(name: str, rows: list[Row], points: dict[str, bool], stop: float) -> tuple[list[Event], list[str]]:
    """Events with start and stop, and what was said about states that never end."""
    events: list[Event] = []
    begun: dict[tuple[str, str, str], tuple[float, str]] = {}
    for time, subject, code, modifiers, comment in sorted(rows, key=lambda row: row[0]):
        if points[code]:
            events.append(Event(name, subject, code, time, time, True, modifiers, comment))
            continue
        key = (subject, code, modifiers)
        if key in begun:
            start, said = begun.pop(key)
            events.append(Event(name, subject, code, start, time, False, modifiers, said or comment))
        else:
            begun[key] = (time, comment)
    for (subject, code, modifiers), (start, comment) in begun.items():
        events.append(Event(name, subject, code, start, max(stop, start), False, modifiers, comment))
    open_ones = [f"{code} at {start:g} s" for (_, code, _), (start, _) in begun.items()]
    said = f"{name}: {len(open_ones)} states never end and are closed with the observation: {listed(open_ones)}"
    return events, [said] if open_ones else []


def _number_or(value: Any, otherwise: float) -> float:
    try:
        result = float(value)
    except (TypeError, ValueError):
        return otherwise
    return result if math.isfinite(result) else otherwise


def _unzipped(path: Path) -> Any:
    try:
        with gzip.open(path, "rb") as stream:
            data = stream.read(MAX_UNPACKED + 1)
        if len(data) > MAX_UNPACKED:
            raise FormatError(f"unfolds to more than {MAX_UNPACKED >> 20} MB", place=path)
        return json.loads(data.decode("utf-8-sig"))
    except (OSError, EOFError, ValueError, RecursionError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"is not a packed BORIS project ({error})", place=path) from None

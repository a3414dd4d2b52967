"""The ethogram: what each code means, whether it lasts, and what it excludes; and checking scores against it.

An ethogram is a TOML or CSV file beside the labels. Without one a study works, but nobody can repeat its coding.
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ethomorph.core.errors import FormatError, LabelError
from ethomorph.core.events import EventLog
from ethomorph.core.files import write_text
from ethomorph.formats.record import listed

STATE, POINT = "state", "point"
TOLERANCE_S = 1e-3  # below it two times are the same: exports round to milliseconds
KEYS = ("code", "name", "definition", "kind", "exclusive_with", "start", "stop", "least_s", "category", "notes")


@dataclass(frozen=True)
class Behavior:
    """One entry.

    Attributes
    ----------
    code : as it is scored.
    name, definition : for people; the definition says what is seen, not what it is for.
    kind : "state", which lasts, or "point".
    exclusive_with : codes that cannot happen to the same subject at the same time.
    start, stop : what begins and what ends it, in words.
    least_s : shorter bouts do not count as it.
    category, notes : free.
    """

    code: str
    name: str = ""
    definition: str = ""
    kind: str = STATE
    exclusive_with: tuple[str, ...] = ()
    start: str = ""
    stop: str = ""
    least_s: float = 0.0
    category: str = ""
    notes: str = ""


@dataclass(frozen=True)
class Problem:
    """What does not fit the ethogram: where, what, and how many times."""

    rule: str
    what: str
    count: int


@dataclass
class Ethogram:
    """All codes of a study, each once.

    Examples
    --------
    >>> ethogram = Ethogram([Behavior("d", "dig", exclusive_with=("s",)), Behavior("s", "swim")])
    >>> ethogram.exclusive("s", "d")
    True
    """

    behaviors: list[Behavior]
    name: str = ""
    version: str = ""
    author: str = ""
    source: str = ""
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        codes = [b.code for b in self.behaviors]
        doubled = sorted({code for code in codes if codes.count(code) > 1})
        if doubled:
            raise LabelError(f"the code {doubled[0]!r} is defined twice", place=self.source, fix="keep one of both")
        for one in self.behaviors:
            if not one.code:
                raise LabelError("a behaviour has no code", place=self.source, fix="give every behaviour a code")
            if one.kind not in (STATE, POINT):
                raise LabelError(
                    f"{one.code}: kind is {one.kind!r}", place=self.source, fix=f"write {STATE!r} or {POINT!r}"
                )
            strange = [other for other in one.exclusive_with if other not in codes]
            if strange:
                raise LabelError(
                    f"{one.code}: exclusive with {strange[0]!r}, which is not defined", place=self.source,
                    fix="define it, or correct the code",
                )  # fmt: skip

    @property
    def codes(self) -> list[str]:
        return [b.code for b in self.behaviors]

    def __getitem__(self, code: str) -> Behavior:
        return next(b for b in self.behaviors if b.code == code)

    def __contains__(self, code: str) -> bool:
        return code in self.codes

    def exclusive(self, a: str, b: str) -> bool:
        """Whether either entry excludes the other."""
        return a in self and b in self and (b in self[a].exclusive_with or a in self[b].exclusive_with)


def read_ethogram(path: str | Path) -> Ethogram:
    """Read a TOML file with a ``[[behavior]]`` table for each code, a CSV with a row for each, or a BORIS project.

    Raises
    ------
    FormatError : damaged, an unknown key, no behaviour.
    LabelError : a doubled code, an unknown kind, an exclusion of what is not defined.
    """
    path = Path(path)
    if path.suffix.lower() == ".boris" or path.suffix == ".gz":
        return of_boris(path)
    head, rows = _toml(path) if path.suffix.lower() == ".toml" else ({}, _table(path))
    if not rows:
        raise FormatError("defines no behaviour", place=path, fix="write a [[behavior]] table for each code")
    entries = [_entry(row, path) for row in rows]
    return Ethogram(entries, head.get("name", ""), head.get("version", ""), head.get("author", ""), str(path))


def write_ethogram(ethogram: Ethogram, path: str | Path) -> None:
    """Write the TOML file that `read_ethogram` reads."""
    import tomli_w

    head = {key: getattr(ethogram, key) for key in ("name", "version", "author") if getattr(ethogram, key)}
    entries = []
    for one in ethogram.behaviors:
        row = {key: getattr(one, key) for key in KEYS}
        row["exclusive_with"] = list(one.exclusive_with)
        entries.append({k: v for k, v in row.items() if v not in ("", [], 0.0)})
    write_text(path, tomli_w.dumps(head | {"behavior": entries}))


def of_boris(path: Path) -> Ethogram:
    """The ethogram of a BORIS project."""
    from ethomorph.formats.boris import _unzipped
    from ethomorph.formats.text import get, load_json

    document = _unzipped(path) if path.suffix == ".gz" else load_json(path)
    entries = get(document, "behaviors_conf", dict, str(path)).values()
    return Ethogram(
        [
            Behavior(
                str(e.get("code", "")), str(e.get("code", "")), str(e.get("description", "")),
                POINT if "point" in str(e.get("type", "")).lower() else STATE,
                tuple(filter(None, (c.strip() for c in str(e.get("excluded", "")).split(",")))),
                category=str(e.get("category", "")),
            )
            for e in entries
        ],
        str(document.get("project_name", "")), author=str(document.get("author", "")), source=str(path),
    )  # fmt: skip


def label_problems(ethogram: Ethogram, labels: Iterable[str]) -> list[Problem]:
    """What is wrong with labels of clips or frames: unknown codes, and codes that differ in case or blanks only."""
    counts: dict[str, int] = defaultdict(int)
    for label in labels:
        if label:
            counts[label] += 1
    known = set(ethogram.codes)
    by_lower = {code.strip().lower(): code for code in ethogram.codes}
    found = []
    for label, count in sorted(counts.items()):
        if label in known:
            continue
        near = by_lower.get(label.strip().lower())
        said = f"{label!r} is written {near!r} in the ethogram" if near else f"{label!r} is not in the ethogram"
        found.append(Problem("case_variant" if near else "unknown_code", said, count))
    never = [code for code in ethogram.codes if code not in counts]
    if never:
        found.append(Problem("never_scored", f"defined and never scored: {listed(never)}", len(never)))
    return found


def event_problems(ethogram: Ethogram, log: EventLog) -> list[Problem]:
    """What is wrong with scored events: codes, kinds, exclusive states at once, bouts too short or outside."""
    found = label_problems(ethogram, (e.behavior for e in log.events))
    kinds: dict[str, int] = defaultdict(int)
    short: dict[str, int] = defaultdict(int)
    outside = 0
    for event in log.events:
        seen = log.observations[event.observation]
        outside += event.start_s < seen.start_s - TOLERANCE_S or event.stop_s > seen.stop_s + TOLERANCE_S
        if event.behavior not in ethogram:
            continue
        entry = ethogram[event.behavior]
        if event.point != (entry.kind == POINT):
            kinds[f"{event.behavior} is a {entry.kind} in the ethogram"] += 1
        elif not event.point and event.seconds < entry.least_s - TOLERANCE_S:
            short[f"{event.behavior} is shorter than {entry.least_s:g} s"] += 1
    found += [Problem("other_kind", what, count) for what, count in kinds.items()]
    found += [Problem("too_short", what, count) for what, count in short.items()]
    if outside:
        found.append(Problem("outside", "events lie outside the observation", outside))
    together = overlaps(ethogram, log)
    found += [Problem("exclusive", f"{a} and {b} at once", count) for (a, b), count in together.items()]
    return found


def overlaps(ethogram: Ethogram, log: EventLog) -> dict[tuple[str, str], int]:
    """How often exclusive states of one subject overlap, by pair of codes."""
    found: dict[tuple[str, str], int] = defaultdict(int)
    by_subject: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for event in log.events:
        if not event.point:
            by_subject[event.observation, event.subject].append(event)
    for events in by_subject.values():
        open_ones: list[Any] = []
        for event in sorted(events, key=lambda e: e.start_s):
            open_ones = [e for e in open_ones if e.stop_s > event.start_s + TOLERANCE_S]
            for other in open_ones:
                same = other.behavior == event.behavior
                if same or ethogram.exclusive(other.behavior, event.behavior):
                    first, second = sorted((other.behavior, event.behavior))
                    found[first, second] += 1
            open_ones.append(event)
    return dict(found)


def _toml(path: Path) -> tuple[dict[str, str], list[dict[str, Any]]]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FormatError(f"is no TOML that can be read ({error})", place=path) from None
    rows = document.pop("behavior", [])
    strange = sorted(set(document) - {"name", "version", "author"})
    if strange or not isinstance(rows, list):
        raise FormatError(f"unknown key {strange[0]!r}" if strange else "behavior is no list of tables", place=path)
    return {key: str(value) for key, value in document.items()}, rows


def _table(path: Path) -> list[dict[str, Any]]:
    from ethomorph.formats.tables import even, read_rows

    rows = read_rows(path)
    header = [cell.strip().lower() for cell in rows[0][1]]
    even(rows, len(header), path)
    return [dict(zip(header, cells, strict=True)) for _, cells in rows[1:]]


def _entry(row: dict[str, Any], path: Path) -> Behavior:
    code = str(row.get("code", ""))
    strange = sorted(set(row) - set(KEYS))
    if strange:
        raise FormatError(
            f"{code or 'a behaviour'}: unknown key {strange[0]!r}", place=path, fix=f"use {', '.join(KEYS)}"
        )
    excluded = row.get("exclusive_with", ())
    if isinstance(excluded, str):
        excluded = [part.strip() for part in excluded.replace(";", ",").split(",") if part.strip()]
    try:
        least = float(row.get("least_s") or 0)
    except (TypeError, ValueError):
        raise FormatError(f"{code}: least_s is {row['least_s']!r}", place=path, fix="give seconds") from None
    words = {key: str(row[key]) for key in KEYS if key in row and key not in ("exclusive_with", "least_s", "kind")}
    kind = str(row.get("kind") or STATE).strip().lower().removesuffix(" event")
    return Behavior(**words, kind=kind, exclusive_with=tuple(map(str, excluded)), least_s=least)

"""Trails of prints as the page sees them: an item a pair of trails, the doubtful first, and the tree that is cut.

Shows what `ethomorph identify` wrote into a folder, or for a study's task what its newest run makes of the trails that
it did not learn from. Fields: ``verdict`` of a pair, ``cut`` of the item `TREE`.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np

from ethomorph.core.errors import InputError
from ethomorph.identity.verdicts import DIFFERENT, SAME, UNSURE
from ethomorph.review.predictions import newest_run
from ethomorph.review.source import MARKS, Refused, Source, checked_mark, text_or_none
from ethomorph.review.store import Store
from ethomorph.review.trails import TREE_FILE, TrailFolder, identified
from ethomorph.study.config import Study, TaskSection
from ethomorph.study.run import Run

TREE = "the tree"
"""The item that holds the cut."""
BETWEEN = " | "
VERDICTS = (SAME, DIFFERENT, UNSURE)
MOST_PAIRS = 2000
"""So many pairs are listed, those whose score is nearest to 0; any other pair can still be opened."""


class PrintSource(Source):
    """``kind = "identity"``."""

    kind = "identity"

    def __init__(self, study: Study, name: str, section: TaskSection, store: Store, run: Run | None = None) -> None:
        super().__init__(study, name, section, store)
        self.run = run or newest_run(study, name)
        self.shown: TrailFolder | None = None
        if (study.folder / TREE_FILE).is_file():
            self.shown = TrailFolder(study.folder)

    def prepare(self) -> None:
        """For a study's task: identify the trails that the newest run did not learn from."""
        if self.shown is not None:
            return
        if self.run is None:
            raise InputError(f"{self.name} has no trained run yet", fix="train one, then its trails can be looked at")
        folder = identified(self.study, self.name, self.section, self.run)
        self.shown = TrailFolder(folder, self.study.path(self.section.images) if self.section.images else None)

    def items(self) -> list[str]:
        return [] if self.shown is None else self.listed

    @property
    def trails(self) -> TrailFolder:
        """What is looked at; raises Refused until it is there."""
        if self.shown is None:
            raise Refused(f"{self.name} is being identified", fix="ask again in a moment")
        return self.shown

    @cached_property
    def listed(self) -> list[str]:
        """Pairs by name, those nearest to a score of 0 first."""
        scores = self.trails.scores
        a, b = np.triu_indices(len(scores), 1)
        value = np.abs(scores[a, b])
        order = np.argsort(np.where(np.isfinite(value), value, np.inf), kind="stable")[:MOST_PAIRS]
        return [self.named(int(a[i]), int(b[i])) for i in order]

    def named(self, a: int, b: int) -> str:
        """The item of two trails, by their numbers."""
        return BETWEEN.join(self.trails.names[i] for i in sorted((a, b)))

    def pair(self, item: str) -> tuple[int, int]:
        """The numbers of an item's two trails; raises Refused."""
        place = self.trails.place
        parts = item.split(BETWEEN)
        for i in range(1, len(parts)):
            first, second = place.get(BETWEEN.join(parts[:i])), place.get(BETWEEN.join(parts[i:]))
            if first is not None and second is not None and first < second:
                return first, second
        raise Refused(f"there is no pair {item!r} in {self.name}")

    def is_pair(self, item: str) -> bool:
        """Whether an item is a pair of trails that are there."""
        try:
            self.pair(item)
        except Refused:
            return False
        return True

    def refuse_unknown(self, item: str) -> None:
        if item != TREE:
            self.pair(item)

    def native(self, item: str, fields: list[str]) -> dict[str, Any]:
        self.refuse_unknown(item)
        allowed = ("cut",) if item == TREE else ("verdict", *MARKS)
        if unknown := [field for field in fields if field not in allowed]:
            raise Refused(f"{item} has no field {unknown[0]!r}")
        return {field: self.trails.cut if field == "cut" else None for field in fields}

    def checked(self, item: str, field: str, value: Any) -> Any:
        self.native(item, [field])
        if field == "cut":
            return self._checked_cut(value)
        if field == "verdict":
            if value not in (None, *VERDICTS):
                raise Refused(f"there is no verdict {value!r}", fix=f"use one of {', '.join(VERDICTS)}, or null")
            return value
        return checked_mark(field, value, [])

    def detail(self, item: str) -> dict[str, Any]:
        if item == TREE:
            values = self.current(item, ["cut"])
            return {
                "item": item, "label": item, "native": self.native(item, ["cut"]),
                "need": {"amount": 0, "reasons": []},
                "values": {f: {"value": v, "revision": r} for f, (v, r) in values.items()},
            }  # fmt: skip
        a, b = self.pair(item)
        native = self.native(item, ["verdict", *MARKS])
        values = {f: (v, 0) for f, v in native.items()} | self.store.values(item).get(item, {})
        amount, reasons = self._need(a, b, self.verdicts())
        return {
            "item": item, "label": item, "native": native, "need": {"amount": round(amount, 3), "reasons": reasons},
            "values": {f: {"value": v, "revision": r} for f, (v, r) in values.items()},
            **self.trails.compared(a, b),
        }  # fmt: skip

    def scheme(self) -> dict[str, Any]:
        if self.shown is None:
            return {"grades": list(VERDICTS), "warnings": self.warnings, "tree": None}
        shown = self.shown
        value, revision = self.current(TREE, ["cut"])["cut"]
        return {
            "grades": list(VERDICTS), "warnings": self.warnings + shown.warnings,
            "tree": {
                "trails": shown.names, "linkage": shown.linkage.tolist(), "height": shown.height, "native": shown.cut,
                "cut": {"value": value, "revision": revision}, "individuals": shown.individuals, "item": TREE,
                "between": BETWEEN, "prints": shown.counts, "sites": shown.sites,
            },
        }  # fmt: skip

    def queue(self) -> list[dict[str, Any]]:
        if self.shown is None:
            return []
        held = self.store.values()
        verdicts = self.verdicts(held)
        known = set(self.listed)
        listed = [*self.listed, *(item for item in held if item not in known and self.is_pair(item))]
        rows = []
        for item in listed:
            mine = held.get(item, {})
            a, b = self.pair(item)
            amount, reasons = self._need(a, b, verdicts)
            amount += 2.0 if text_or_none(mine, "status") == "flagged" else 0.0
            rows.append({
                "item": item, "need": round(amount, 3), "reasons": reasons, "grade": text_or_none(mine, "verdict"),
                "status": text_or_none(mine, "status"), "assigned": text_or_none(mine, "assigned"),
                "group": self.trails.site_of(a, b), "part": None, "edited": bool(mine),
            })  # fmt: skip
        return sorted(rows, key=lambda row: (row["status"] == "done", -row["need"]))

    def verdicts(self, held: dict[str, dict[str, tuple[Any, int]]] | None = None) -> dict[tuple[int, int], str]:
        """What people said of pairs, by the trails' numbers; pairs of trails that are no longer there are left out."""
        held = self.store.values(fields=["verdict"]) if held is None else held
        found = {}
        for item, fields in held.items():
            if (said := fields.get("verdict", (None, 0))[0]) is not None and self.is_pair(item):
                found[self.pair(item)] = said
        return found

    def _need(self, a: int, b: int, verdicts: dict[tuple[int, int], str]) -> tuple[float, list[str]]:
        """How doubtful a pair is, why, and whether people's verdicts on it contradict each other."""
        said = verdicts.get((a, b))
        if said in (SAME, DIFFERENT):
            clash = self._clash(a, b, verdicts)
            return (3.0, [clash]) if clash else (0.0, [])
        score = float(self.trails.scores[a, b])
        if not math.isfinite(score):
            return 0.3, ["not compared"]
        sure = abs(math.tanh(score / 2))
        need, reasons = 1.5 * (1 - sure), []
        if sure < 0.9:
            reasons.append(f"{50 + 50 * sure:.0f} % {'one animal' if score > 0 else 'two animals'}")
        if (score > 0) != (self.trails.individual[a] == self.trails.individual[b]) and sure > 0.5:
            need += 1.0
            reasons.append("the pair by itself says otherwise than the tree")
        if said == UNSURE:
            reasons.append("somebody was unsure")
        return need, reasons

    def _clash(self, a: int, b: int, verdicts: dict[tuple[int, int], str]) -> str:
        """Why a verdict cannot stand beside the others: a chain of "same" that says the contrary."""
        near: dict[int, list[int]] = {}
        for (x, y), said in verdicts.items():
            if said == SAME and (x, y) != (a, b):
                near.setdefault(x, []).append(y)
                near.setdefault(y, []).append(x)
        groups = [_reached(start, near) for start in (a, b)]
        if verdicts[(a, b)] == DIFFERENT:
            return "other verdicts make them one animal" if b in groups[0] else ""
        crossing = any(
            said == DIFFERENT and ((x in groups[0] and y in groups[1]) or (y in groups[0] and x in groups[1]))
            for (x, y), said in verdicts.items()
        )
        return "other verdicts make them two animals" if crossing else ""

    def _checked_cut(self, value: Any) -> float | None:
        if value is None:
            return self.trails.cut
        top = 2 * float(self.trails.linkage[:, 2].max(initial=0.0)) + 1
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= top:
            raise Refused(f"a cut is a height from 0 to {top:.3g}, or null for the one that was found")
        return float(value)


def _reached(start: int, near: dict[int, list[int]]) -> set[int]:
    found, new = {start}, [start]
    while new:
        for other in near.get(new.pop(), []):
            if other not in found:
                found.add(other)
                new.append(other)
    return found


def print_tables(source: PrintSource) -> dict[str, str]:
    """The verdicts, and each trail's individual at the cut, as CSV texts by file name."""
    import pandas as pd

    from ethomorph.identity.clustering import cut_at_height

    shown = source.trails
    rows = []
    notes = source.store.values(fields=["note"])
    for item, (said, person, time) in source.store.signed("verdict").items():
        if said is not None and source.is_pair(item):
            a, b = (shown.names[i] for i in source.pair(item))
            note = notes.get(item, {}).get("note", (None, 0))[0]
            rows.append((a, b, said, person, time, note or ""))
    verdicts = pd.DataFrame(rows, columns=["trail_a", "trail_b", "verdict", "person", "time", "note"])
    cut = source.current(TREE, ["cut"])["cut"][0]
    codes = cut_at_height(shown.linkage, cut)
    wide = len(str(int(codes.max()) + 1))
    names = [f"individual {c + 1:0{wide}d}" for c in codes]
    animals = pd.DataFrame({"trail": shown.names, "individual": names, "prints": shown.counts})
    return {"verdicts.csv": verdicts.to_csv(index=False), "reviewed.csv": animals.to_csv(index=False)}

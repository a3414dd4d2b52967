"""Volumes as the page sees them: an item a specimen, its segments to accept, flag, rename, merge and split.

Fields: ``segment:<id>`` holds ``{"status", "name", "into", "seeds"}`` of a segment of the truth, or of the prediction
where there is no truth. A split is a list of seeds: each voxel goes to the seed that is nearest in mm.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import numpy as np

from ethomorph.core.volume import LabelVolume, Segment, color_of
from ethomorph.review.planes import Planes
from ethomorph.review.predictions import newest_run
from ethomorph.review.source import MARKS, Refused, Source, checked_mark, file_version, text_or_none
from ethomorph.review.store import Store
from ethomorph.study.config import Study, TaskSection
from ethomorph.study.run import Run

KEYS = {"status", "name", "into", "seeds"}
STATES = (None, "accepted", "flagged")
MOST_SEEDS = 20


class VolumeSource(Source):
    """``kind = "segmentation"``."""

    kind = "segmentation"

    def __init__(self, study: Study, name: str, section: TaskSection, store: Store, run: Run | None = None) -> None:
        from ethomorph.volumes.data import find_cases

        super().__init__(study, name, section, store)
        images = study.existing(section.images, f"task.{name}.images") if section.images else None
        cases = find_cases(study.existing(section.labels, f"task.{name}.labels"), images, place=study.file)
        self.cases = {case.name: case for case in cases if isinstance(case.image, Path)}
        self.run = run or newest_run(study, name)
        self._planes: dict[str, Planes] = {}
        self._building: set[str] = set()
        self._lock = Lock()

    def items(self) -> list[str]:
        return list(self.cases)

    def native(self, item: str, fields: list[str]) -> dict[str, Any]:
        self.refuse_unknown(item)
        for field in fields:
            if field not in MARKS:
                self._segment(item, field)
        return dict.fromkeys(fields)

    def checked(self, item: str, field: str, value: Any) -> Any:
        self.refuse_unknown(item)
        if field in MARKS:
            return checked_mark(field, value, ["good", "bad"])
        return self._checked_segment(item, self._segment(item, field), value)

    def detail(self, item: str) -> dict[str, Any]:
        self.refuse_unknown(item)
        native = self.native(item, list(MARKS))
        values = {f: (v, 0) for f, v in native.items()} | self.store.values(item).get(item, {})
        planes = self.planes(item)
        return {
            "item": item, "label": item, "native": native, "need": {"amount": 0, "reasons": self._reasons(item)},
            "values": {f: {"value": v, "revision": r} for f, (v, r) in values.items()},
            "ready": planes.ready, "run": self.run.folder.name if self.run else None,
            **(planes.facts if planes.ready else {"shape": None, "spacing": None, "segments": {}, "instances": []}),
        }  # fmt: skip

    def scheme(self) -> dict[str, Any]:
        return {"grades": [], "warnings": self.warnings}

    def queue(self) -> list[dict[str, Any]]:
        held = self.store.values(fields=["status", "assigned", "grade"])
        edited = set(self.store.values())
        rows = [
            {
                "item": item, "need": self._need(item), "reasons": self._reasons(item), "group": None, "part": None,
                "grade": text_or_none(held.get(item, {}), "grade"), "edited": item in edited,
                "status": text_or_none(held.get(item, {}), "status"),
                "assigned": text_or_none(held.get(item, {}), "assigned"),
            }
            for item in self.items()
        ]  # fmt: skip
        return sorted(rows, key=lambda row: (row["status"] == "done", -row["need"]))

    def planes(self, item: str) -> Planes:
        """The item's planes; begins to cut them where that was not done for these very files."""
        with self._lock:
            if item not in self._planes:
                self._planes[item] = Planes(self.study.folder / "review" / "planes" / self._fingerprint(item))
            planes = self._planes[item]
            if not planes.ready and item not in self._building:
                self._building.add(item)
                Thread(target=self._build, args=(item, planes), daemon=True).start()
        return planes

    def ready_planes(self, item: str) -> Planes:
        """As `planes`; raises Refused while they are being cut."""
        self.refuse_unknown(item)
        planes = self.planes(item)
        if not planes.ready:
            raise Refused(f"{item} is being prepared", fix="ask again in a moment")
        return planes

    def corrected(self, item: str) -> LabelVolume:
        """The item's segmentation with every correction in it."""
        from ethomorph.formats.volumes import read_labels

        labels = read_labels(self.path(item))
        held = {
            int(f.removeprefix("segment:")): v
            for f, (v, _) in self.store.values(item).get(item, {}).items() if f.startswith("segment:") and v
        }  # fmt: skip
        return apply_corrections(labels, held)

    def path(self, item: str) -> Path:
        """The segmentation that is corrected: the study's own, else the prediction."""
        case = self.cases[item]
        found = case.labels if isinstance(case.labels, Path) else self._prediction(item)
        if found is None:
            raise Refused(f"{item} has no segmentation")
        return found

    def _build(self, item: str, planes: Planes) -> None:
        case = self.cases[item]
        truth = case.labels if isinstance(case.labels, Path) else None
        prediction = self._prediction(item)
        given = {"image": str(case.image), "truth": str(truth or ""), "prediction": str(prediction or ""),
                 "folder": str(planes.folder)}  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "ethomorph.review.planes", json.dumps(given)], capture_output=True, text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False,
        )  # fmt: skip
        if done.returncode:
            self.warnings.append(f"{item}: {done.stderr.strip().splitlines()[-1][:200] if done.stderr else 'failed'}")
        else:
            self._building.discard(item)

    def _fingerprint(self, item: str) -> str:
        case = self.cases[item]
        files = [case.image, case.labels, self._prediction(item)]
        parts = [f"{f}:{file_version(f)}" for f in files if isinstance(f, Path)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20]

    def _prediction(self, item: str) -> Path | None:
        if self.run is None:
            return None
        from ethomorph.volumes.data import plain_name

        folder = self.run.folder / "predictions"
        found = [p for p in sorted(folder.iterdir()) if plain_name(p) == item] if folder.is_dir() else []
        return found[0] if found else None

    def _segment(self, item: str, field: str) -> int:
        number = field.removeprefix("segment:")
        planes = self._planes.get(item) or self.planes(item)
        if field.startswith("segment:") and number.isdigit() and planes.ready:
            known = {s["id"] for s in self._segments(planes)}
            if int(number) in known:
                return int(number)
        raise Refused(f"a volume has no field {field!r}")

    def _segments(self, planes: Planes) -> list[dict[str, Any]]:
        tables = planes.facts["segments"]
        found: list[dict[str, Any]] = tables.get("truth") or tables.get("prediction") or []
        return found

    def _checked_segment(self, item: str, number: int, value: Any) -> dict[str, Any] | None:
        if value is None:
            return None
        if not isinstance(value, dict) or not set(value) <= KEYS:
            raise Refused(f"a segment's field holds {', '.join(sorted(KEYS))}")
        planes = self._planes[item]
        if value.get("status") not in STATES:
            raise Refused("status is accepted, flagged or null")
        name = value.get("name")
        if name is not None and (not isinstance(name, str) or not 0 < len(name.strip()) <= 200):
            raise Refused("a name is a text of at most 200 characters")
        into = value.get("into")
        if into is not None and (into == number or into not in {s["id"] for s in self._segments(planes)}):
            raise Refused("a segment is merged into another one of this volume")
        seeds = value.get("seeds")
        if seeds is not None:
            _refuse_bad_seeds(seeds, planes.facts["shape"])
        return {k: v for k, v in value.items() if v is not None} or None

    def _need(self, item: str) -> float:
        planes = self._planes.get(item)
        if planes is None or not planes.ready:
            return 0.0
        dice = [row["dice"] for row in planes.facts["instances"] if row["dice"] is not None]
        return round(float(sum(max(0.0, 0.7 - d) for d in dice)), 3)

    def _reasons(self, item: str) -> list[str]:
        planes = self._planes.get(item)
        if planes is None or not planes.ready:
            return []
        rows = [row for row in planes.facts["instances"] if row["dice"] is not None]
        worst = rows[:1] if rows and rows[0]["dice"] < 0.7 else []
        return [f"{row['name']} agrees least with the prediction, Dice {row['dice']:.2f}" for row in worst]


def apply_corrections(labels: LabelVolume, held: dict[int, dict[str, Any]]) -> LabelVolume:
    """Merge, split and rename segments; `held` goes by a segment's number in the table, from 1."""
    layers = labels.layers.copy()
    segments: list[Segment | None] = list(labels.segments)
    added: list[Segment] = []
    for number, value in sorted(held.items()):
        segment = labels.segments[number - 1]
        mask = labels.mask(segment)
        name = value.get("name", segment.name)
        status: Any = {"accepted": "completed", "flagged": "flagged"}.get(value.get("status", ""), segment.status)
        if (into := value.get("into")) is not None:
            target = labels.segments[_root(into, held) - 1]
            layers[segment.layer][mask] = 0
            layers[target.layer][mask] = target.value
            segments[number - 1] = None
            continue
        segments[number - 1] = replace(segment, name=name, status=status)
        for part, where in enumerate(_parts(mask, value.get("seeds"), labels.grid.spacing)[1:], start=2):
            free = int(layers[segment.layer].max()) + 1
            layers = layers.astype(np.uint16) if free > np.iinfo(layers.dtype).max else layers
            layers[segment.layer][where] = free
            colour = color_of(len(segments) + len(added))
            added.append(Segment(f"{name}_{part}", free, segment.layer, color=colour))
    kept = [s for s in segments if s is not None] + added
    present = [s for s in kept if (layers[s.layer] == s.value).any()]
    return replace(labels, layers=layers, segments=tuple(_unique(present)))


def _parts(mask: np.ndarray, seeds: list[list[int]] | None, spacing: tuple[float, float, float]) -> list[np.ndarray]:
    """The mask cut by which seed (z, y, x) is nearest in mm; one part without seeds."""
    if not seeds or len(seeds) < 2:
        return [mask]
    where = np.argwhere(mask)
    size = np.array(spacing[::-1])
    gaps = np.stack([(((where - seed) * size) ** 2).sum(axis=1) for seed in np.array(seeds)])
    nearest = gaps.argmin(axis=0)
    found = []
    for i in range(len(seeds)):
        part = np.zeros_like(mask)
        part[tuple(where[nearest == i].T)] = True
        found.append(part)
    return found


def _root(number: int, held: dict[int, dict[str, Any]]) -> int:
    """Where a merged segment ends up when its target is merged too."""
    seen = {number}
    while (into := held.get(number, {}).get("into")) is not None and into not in seen:
        number = into
        seen.add(number)
    return number


def _unique(segments: list[Segment]) -> list[Segment]:
    """Names that were given twice get a number, for a segmentation names each thing once."""
    times: dict[str, int] = {}
    found = []
    for segment in segments:
        times[segment.name] = times.get(segment.name, 0) + 1
        found.append(
            segment if times[segment.name] == 1 else replace(segment, name=f"{segment.name}_{times[segment.name]}")
        )
    return found


def _refuse_bad_seeds(seeds: Any, shape: list[int]) -> None:
    fine = isinstance(seeds, list) and 2 <= len(seeds) <= MOST_SEEDS
    fine = fine and all(
        isinstance(s, list)
        and len(s) == 3
        and all(isinstance(v, int) and 0 <= v < n for v, n in zip(s, shape, strict=True))
        for s in seeds
    )
    if not fine:
        raise Refused(f"seeds are 2 to {MOST_SEEDS} voxels (z, y, x) of this volume")

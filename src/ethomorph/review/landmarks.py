"""Landmarks on stills as the page sees them: items, points, the ghost of a prediction, and where others put a point.

Pictures in the images folder that nobody labelled yet are items too, with all their landmarks missing.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from ethomorph.core.errors import InputError
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.core.units import millimetres
from ethomorph.review.need import Need, Shapes, grade_of, needs_of_predictions
from ethomorph.review.predictions import newest_predictions
from ethomorph.review.source import MARKS, Refused, Source, checked_mark, file_version, text_or_none
from ethomorph.review.store import Store
from ethomorph.study.config import Study, TaskSection
from ethomorph.study.run import Run
from ethomorph.study.task import open_task

FAR_PX = 1e6
NINETY_FIVE = 5.991
"""Squared Mahalanobis radius that holds 95 % of a Gaussian in the plane."""


class LandmarkSource(Source):
    """``kind = "landmarks"``.

    Attributes
    ----------
    landmarks : every labelled specimen, then the unlabelled pictures, in the order of `items`.
    ghosts : the newest prediction of each item, by name.
    """

    kind = "landmarks"

    def __init__(self, study: Study, name: str, section: TaskSection, store: Store, run: Run | None = None) -> None:
        super().__init__(study, name, section, store)
        self.run = run
        self.read_at = file_version(study.path(section.labels))
        task: Any = open_task(study, name)
        self.warnings += task.warnings
        labelled: LandmarkSet = task.landmarks
        if labelled.dim != 2:
            raise Refused("landmarks in three dimensions have no picture to look at", place=study.file)
        self.labelled = len(labelled)
        self.groups = dict(zip(task.samples["sample"], task.samples["group"], strict=True))
        new = self._unlabelled(labelled)
        self.landmarks = replace(labelled, specimens=[*labelled.specimens, *new])
        names = [*task.samples["sample"], *(str(s.image) for s in new)]
        self.index = {name: i for i, name in enumerate(names)}
        self.ghosts: dict[str, Specimen] = {}
        self.ghost_origin = ""
        self.parts = run.read_split() if run is not None else {}
        self.by_prediction: dict[str, Need] = {}
        self.by_shape: dict[str, Need] = {}
        self._judged: dict[str, tuple[int, Need]] = {}
        self.shapes: Shapes | None = None
        self.grades = self._grades()

    def items(self) -> list[str]:
        return list(self.index)

    def specimen(self, item: str) -> Specimen:
        """The specimen as the file has it; raises Refused."""
        if item not in self.index:
            raise Refused(f"there is no {item!r} in {self.name}")
        return self.landmarks[self.index[item]]

    def native(self, item: str, fields: list[str]) -> dict[str, Any]:
        specimen = self.specimen(item)
        found: dict[str, Any] = {}
        for field in fields:
            if field.startswith("point:"):
                x, y = specimen.points[self._landmark(field)]
                found[field] = [float(x), float(y)] if math.isfinite(x) and math.isfinite(y) else None
            elif field == "grade":
                found[field] = grade_of(specimen)
            elif field == "scale":
                found[field] = native_scale(specimen)
            elif field in MARKS:
                found[field] = None
            else:
                raise Refused(f"a specimen has no field {field!r}")
        return found

    def checked(self, item: str, field: str, value: Any) -> Any:
        self.specimen(item)
        if field.startswith("point:"):
            self._landmark(field)
            return checked_point(value)
        if field == "scale":
            return checked_scale(value)
        if field in MARKS:
            return checked_mark(field, value, self.grades)
        raise Refused(f"a specimen has no field {field!r}")

    def current_specimen(self, item: str, held: dict[str, tuple[Any, int]] | None = None) -> Specimen:
        """The specimen with every correction in it."""
        held = self.store.values(item).get(item, {}) if held is None else held
        return corrected(self.specimen(item), self.landmarks.names, held)

    def detail(self, item: str) -> dict[str, Any]:
        """Everything that the page draws of one item."""
        specimen = self.specimen(item)
        held = self.store.values(item).get(item, {})
        now = corrected(specimen, self.landmarks.names, held)
        fields = [f"point:{name}" for name in self.landmarks.names]
        native = self.native(item, [*fields, *MARKS, "scale"])
        values = {f: held.get(f, (native[f], 0)) for f in native}
        size = specimen.image_size
        return {
            "item": item, "label": specimen.label, "group": self.groups.get(item), "part": self.parts.get(item),
            "width": size[1] if size else None, "height": size[0] if size else None,
            "version": file_version(specimen.image_path), "attributes": specimen.attributes,
            "values": {f: {"value": v, "revision": r} for f, (v, r) in values.items()},
            "native": native, "ghost": self._ghost(item), "expected": self._expected(now.points),
            "need": self.need(item, now, held).as_dict(),
        }  # fmt: skip

    def scheme(self) -> dict[str, Any]:
        """What is the same for all items: names, lines between them, grades, named distances, the ruler."""
        scale = self.section.scale
        ruler = {"ends": list(scale.landmarks), "mm": scale.mm} if scale and scale.landmarks else None
        return {
            "names": self.landmarks.names, "edges": self.landmarks.edges, "grades": self.grades, "ruler": ruler,
            "distances": {k: list(v) for k, v in self.section.distances.items()},
            "ghost": self.ghost_origin, "warnings": self.warnings,
        }  # fmt: skip

    def queue(self) -> list[dict[str, Any]]:
        held = self.store.values()
        names = self.landmarks.names
        specimens = {item: corrected(self.landmarks[i], names, held.get(item, {})) for item, i in self.index.items()}
        self._judge(specimens, held)
        rows = []
        for item, i in self.index.items():
            mine = held.get(item, {})
            need = self.need(item, specimens[item], mine)
            rows.append({
                "item": item, "need": round(need.amount, 3), "reasons": need.reasons,
                "grade": text_or_none(mine, "grade", grade_of(self.landmarks[i])),
                "status": text_or_none(mine, "status"), "assigned": text_or_none(mine, "assigned"),
                "group": self.groups.get(item), "part": self.parts.get(item), "edited": bool(mine),
            })  # fmt: skip
        return sorted(rows, key=lambda row: (row["status"] == "done", -row["need"]))

    def need(self, item: str, specimen: Specimen, held: dict[str, tuple[Any, int]]) -> Need:
        """Why a person should look at the item, and how much."""
        need = Need()
        if self.section.grades is not None and text_or_none(held, "grade", grade_of(specimen)) is None:
            need.add(1.0, "no grade")
        missing = int((~specimen.visible).sum())
        if missing:
            share = missing / len(specimen.points)
            what = "no landmarks yet" if share == 1 else f"{missing} landmark{'s' * (missing > 1)} missing"
            need.add(0.5 + share, what)
        self._judge({item: specimen}, {item: held})
        judged = self._judged.get(item)
        of_shape = judged[1] if judged is not None and judged[0] == _moved_at(held) else self.by_shape.get(item)
        for found in (of_shape, self.by_prediction.get(item)):
            if found is not None:
                need.add(found.amount, *found.reasons)
        if text_or_none(held, "status") == "flagged":
            need.add(2.0, "flagged")
        return need

    def prepare(self) -> None:
        """Predictions and the shape prior; the queue is in the files' order of need before."""
        self.ghosts, self.ghost_origin = newest_predictions(self.study, self.name, self.run, list(self.index))
        self.by_prediction = needs_of_predictions(self.landmarks, list(self.index), self.ghosts)
        ends = self.section.scale.landmarks or () if self.section.scale else ()
        shapes = Shapes(self.landmarks, [i for i, name in enumerate(self.landmarks.names) if name not in ends])
        self.by_shape = dict(zip(self.index, shapes.needs(self.landmarks.array()), strict=True))
        self.shapes = shapes
        self.queue()  # judges the shapes that were moved before today, so that nobody waits for it

    def _known(self) -> dict[str, int]:
        return self.index

    def _landmark(self, field: str) -> int:
        name = field.removeprefix("point:")
        if name not in self.landmarks.names:
            raise Refused(f"there is no landmark {name!r}", fix=f"landmarks: {', '.join(self.landmarks.names[:5])} ...")
        return self.landmarks.names.index(name)

    def _unlabelled(self, labelled: LandmarkSet) -> list[Specimen]:
        from ethomorph.formats.images import find_images, image_size

        if self.section.images is None:
            return []
        known = {s.image_path.resolve() for s in labelled if s.image_path is not None}
        names = {s.image for s in labelled}
        found = []
        for path in find_images([self.study.path(self.section.images)]):
            if path.resolve() in known or path.name in names:
                continue
            try:
                size = image_size(path)
            except InputError as error:
                self.warnings.append(str(error))
                continue
            empty = np.full((len(labelled.names), 2), np.nan)
            found.append(Specimen(empty, id=path.stem, image=path.name, image_path=path, image_size=size))
        return found

    def _grades(self) -> list[str]:
        trained = list(self.section.grades.train) if self.section.grades else []
        seen = sorted({g for s in self.landmarks if (g := grade_of(s))})
        return list(dict.fromkeys([*trained, "good", "bad", *seen]))

    def _ghost(self, item: str) -> list[dict[str, float | None]] | None:
        ghost = self.ghosts.get(item)
        if ghost is None:
            return None
        spread = ghost.spread if ghost.spread is not None else np.full(len(ghost.points), np.nan)
        sure = ghost.confidence if ghost.confidence is not None else np.full(len(ghost.points), np.nan)
        return [
            {"x": _plain(x), "y": _plain(y), "spread": _plain(s), "confidence": _plain(c)}
            for (x, y), s, c in zip(ghost.points, spread, sure, strict=True)
        ]

    def _judge(self, specimens: dict[str, Specimen], held: dict[str, dict[str, tuple[Any, int]]]) -> None:
        """Judge the shapes in which somebody moved a landmark since they were judged, all at once."""
        moved = {item: at for item in specimens if (at := _moved_at(held.get(item, {})))}
        new = [item for item, at in moved.items() if self._judged.get(item, (0, None))[0] != at]
        if self.shapes is None or not new:
            return
        needs = self.shapes.needs(np.stack([specimens[item].points for item in new]))
        self._judged.update({item: (moved[item], need) for item, need in zip(new, needs, strict=True)})

    def _expected(self, points: np.ndarray) -> list[dict[str, float] | None] | None:
        """Where all other landmarks put each one: centre and half axes (px) of the 95 % ellipse, turned by `angle`."""
        if self.shapes is None:
            return None
        return [None if one is None else ellipse(*one) for one in self.shapes.expected(points)]


def _moved_at(held: dict[str, tuple[Any, int]]) -> int:
    """The last edit that moved a landmark of an item; 0 for none."""
    return max((revision for field, (_, revision) in held.items() if field.startswith("point:")), default=0)


def ellipse(centre: np.ndarray, covariance: np.ndarray) -> dict[str, float]:
    """The 95 % ellipse of a Gaussian in the plane: centre, half axes and the long axis' angle in radians.

    >>> found = ellipse(np.array([1.0, 2.0]), np.diag([4.0, 1.0]))
    >>> round(found["a"], 2), round(found["b"], 2)
    (4.9, 2.45)
    """
    values, vectors = np.linalg.eigh(covariance)
    a, b = np.sqrt(NINETY_FIVE * np.maximum(values[::-1], 0))
    angle = math.atan2(vectors[1, 1], vectors[0, 1])
    return {"x": float(centre[0]), "y": float(centre[1]), "a": float(a), "b": float(b), "angle": angle}


def corrected(specimen: Specimen, names: list[str], held: dict[str, tuple[Any, int]]) -> Specimen:
    """A specimen with the stored values of its fields in it."""
    if not held:
        return specimen
    points = specimen.points.copy()
    changes: dict[str, Any] = {}
    for i, name in enumerate(names):
        if (entry := held.get(f"point:{name}")) is not None:
            points[i] = entry[0] if entry[0] is not None else np.nan
    if "grade" in held:
        kept = {k: v for k, v in specimen.attributes.items() if k != "grade"}
        changes["attributes"] = kept | ({"grade": held["grade"][0]} if held["grade"][0] else {})
    if "scale" in held:
        given = held["scale"][0]
        changes |= {"scale": given["mm_per_px"] if given else None, "unit": "mm"}
    return replace(specimen, points=points, **changes)


def native_scale(specimen: Specimen) -> dict[str, float] | None:
    """The scale that study or file give, as the field holds it."""
    if specimen.scale is None:
        return None
    return {"mm_per_px": specimen.scale * millimetres(specimen.unit)}


def checked_point(value: Any) -> list[float] | None:
    """``[x, y]`` in px, or None for a landmark that cannot be seen; raises Refused."""
    if value is None:
        return None
    fine = isinstance(value, (list, tuple)) and len(value) == 2
    fine = fine and all(isinstance(v, (int, float)) and not isinstance(v, bool) and abs(v) < FAR_PX for v in value)
    if not fine:
        raise Refused("a point is [x, y] in px, or null where it cannot be seen")
    return [float(v) for v in value]


def checked_scale(value: Any) -> dict[str, Any] | None:
    """``{"mm_per_px"}``, or ``{"a", "b", "mm"}`` for two points a known way apart; raises Refused."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise Refused("a scale is {a, b, mm} or {mm_per_px}")
    if "a" not in value:
        return {"mm_per_px": _positive(value.get("mm_per_px"), "mm_per_px")}
    a, b, mm = checked_point(value.get("a")), checked_point(value.get("b")), _positive(value.get("mm"), "mm")
    if a is None or b is None or math.dist(a, b) < 1:
        raise Refused("the two points of a scale lie on each other", fix="set them further apart")
    return {"mm_per_px": mm / math.dist(a, b), "a": a, "b": b, "mm": mm}


def _positive(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < FAR_PX:
        raise Refused(f"{name} is a number above 0")
    return float(value)


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None

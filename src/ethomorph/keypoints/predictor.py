"""Landmarks of many pictures: a part a picture, merged into one file of any landmark format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ethomorph.core.errors import FormatError
from ethomorph.core.files import write_text
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.formats.images import find_images
from ethomorph.formats.registry import format_for_writing, write_landmarks
from ethomorph.keypoints.estimator import CHUNK, LandmarkRegressor
from ethomorph.study.config import TaskSection
from ethomorph.study.predictor import Predictor
from ethomorph.study.run import Run


class LandmarkPredictor(Predictor):
    """A trained landmark run; the regressor is loaded at the first batch."""

    batch = CHUNK
    suffix = ".json"

    def __init__(self, run: Run, section: TaskSection, out: Path) -> None:
        format_for_writing(out)
        self.run, self.section = run, section
        self.regressor: LandmarkRegressor | None = None

    def inputs(self, given: list[str]) -> list[Path]:
        return [path for one in given for path in find_images([one])]

    def predict(self, inputs: list[Path], parts: list[Path]) -> list[str | None]:
        regressor = self.regressor = self.regressor or LandmarkRegressor.load(self.run.model)
        found = regressor.predict(inputs, progress=False, on_error="report")
        told: list[str | None] = []
        for path, part in zip(inputs, parts, strict=True):
            mine = [s for s in found if s.image_path == path]
            if mine:
                write_text(part, json.dumps([specimen_to_plain(s) for s in mine], allow_nan=False))
            told.append(None if mine else _line_about(path, regressor.skipped_))
        return told

    def merge(self, parts: list[Path], out: Path) -> list[str]:
        from ethomorph.keypoints.task import with_scale

        regressor = self.regressor or LandmarkRegressor.load(self.run.model)
        specimens = [specimen_from_plain(one) for part in parts for one in _read(part)]
        landmarks = LandmarkSet(
            specimens, list(regressor.names_), edges=list(regressor.edges_), symmetry=list(regressor.symmetry_),
            source="prediction",
        )  # fmt: skip
        landmarks, said = with_scale(landmarks, self.section.scale)
        return said + write_landmarks(landmarks, out)


def specimen_to_plain(specimen: Specimen) -> dict[str, Any]:
    """Every attribute as JSON can hold it; NaN becomes null."""

    def numbers(array: np.ndarray | None) -> Any:
        if array is None:
            return None
        return np.where(np.isfinite(array), array.astype(object), np.array(None)).tolist()

    return {
        "points": numbers(specimen.points), "id": specimen.id, "image": specimen.image,
        "image_path": None if specimen.image_path is None else str(specimen.image_path),
        "image_size": specimen.image_size, "scale": specimen.scale, "unit": specimen.unit,
        "box": None if specimen.box is None else [float(v) for v in specimen.box],
        "curves": [numbers(curve) for curve in specimen.curves], "confidence": numbers(specimen.confidence),
        "spread": numbers(specimen.spread), "attributes": specimen.attributes,
    }  # fmt: skip


def specimen_from_plain(plain: dict[str, Any]) -> Specimen:
    """The inverse of `specimen_to_plain`."""

    def array(value: Any) -> Any:
        return None if value is None else np.array(value, dtype=float)

    return Specimen(
        array(plain["points"]), id=plain["id"], image=plain["image"],
        image_path=Path(plain["image_path"]) if plain["image_path"] else None,
        image_size=tuple(plain["image_size"]) if plain["image_size"] else None, scale=plain["scale"],
        unit=plain["unit"], box=tuple(plain["box"]) if plain["box"] else None,
        curves=[array(curve) for curve in plain["curves"]], confidence=array(plain["confidence"]),
        spread=array(plain["spread"]), attributes=dict(plain["attributes"]),
    )  # fmt: skip


def _read(part: Path) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = json.loads(part.read_text(encoding="utf-8"))
        return found
    except (OSError, ValueError) as error:
        raise FormatError(f"a part that cannot be read ({error})", place=part, fix="delete it and run again") from None


def _line_about(path: Path, skipped: list[str]) -> str:
    return next((line for line in skipped if path.name in line), f"{path}: could not be read")

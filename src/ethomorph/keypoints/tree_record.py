"""history.csv and health.json of regression trees, which have no epochs: one row, and what its two errors say.

Trees nearly memorise their training shapes, so a training error says nothing about new pictures; it is written down
beside the validation error so that nobody has to guess.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ethomorph.core.files import write_text
from ethomorph.core.landmarks import LandmarkSet
from ethomorph.keypoints.estimator import LandmarkRegressor
from ethomorph.keypoints.pairing import pair_specimens
from ethomorph.training.health import Finding, Health

MEMORISED = 3.0
"""Validation error over training error above which the report says that the training shapes were memorised."""


def record_trees(
    model: LandmarkRegressor, train: LandmarkSet, validation: LandmarkSet, folder: Path, *, seconds: float
) -> None:
    """Write history.csv and health.json of a fitted ``ert`` model."""
    row = {
        "epoch": 1,
        "train_error_px": mean_error(train, model.predict_in_boxes(train)),
        "validation_error_px": mean_error(validation, model.predict(validation, progress=False))
        if len(validation)
        else None,
        "seconds": round(seconds, 3),
    }
    write_text(folder / "history.csv", pd.DataFrame([row]).to_csv(index=False))
    Health(judge(row["train_error_px"], row["validation_error_px"])).write(folder)


def judge(train: float | None, validation: float | None) -> list[Finding]:
    """What two mean errors in px say about trees; nothing where either is not known."""
    if validation is None or train is None:
        return []
    if validation <= MEMORISED * train:
        return []
    said = f"mean error {validation:.3g} px in validation, {train:.3g} px in training"
    causes = (
        "few specimens",
        "much oversampling or deep trees",
        "boxes that the detector finds differ from drawn ones",
    )
    remedy = "judge by the test error alone; for a smaller one add specimens or use method = 'heatmap'"
    return [Finding("memorised", "info", None, said, causes, remedy)]


def mean_error(truth: LandmarkSet, predicted: LandmarkSet | None) -> float | None:
    """Mean distance in px over the specimens that were found; None where none was."""
    if predicted is None or not len(predicted):
        return None
    distance = np.linalg.norm(pair_specimens(truth, predicted).predicted - truth.array(), axis=2)
    distance = distance[np.isfinite(distance)]
    return float(distance.mean()) if len(distance) else None

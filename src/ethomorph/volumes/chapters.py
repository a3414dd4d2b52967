"""The volume chapters of a report: every test volume drawn, every thing listed, the plan, worst first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ethomorph.study.task import Chapter, Part
from ethomorph.volumes.classes import ClassMap
from ethomorph.volumes.data import Case
from ethomorph.volumes.draw import busiest, draw_case
from ethomorph.volumes.plan import Plan

DRAWN = 8
LISTED = 40


def volume_chapters(
    cases: list[Case], predictions: Path, things: pd.DataFrame, samples: pd.DataFrame, classes: ClassMap, folder: Path
) -> list[Chapter]:
    """Pictures of the worst volumes through their worst thing, and the list of things.

    Parameters
    ----------
    predictions : folder of the predicted segmentations. things : a row a true thing. samples : a row a volume.
    """
    from ethomorph.formats.volumes import read_labels

    by_name = {case.name: case for case in cases}
    parts = []
    ranked = samples.sort_values(samples.columns[2], na_position="first")["sample"].tolist()
    for name in [n for n in ranked if n in by_name][:DRAWN]:
        case = by_name[name]
        image = case.read_image()
        truth = classes.encode(case.read_labels(image))
        predicted = classes.encode_prediction(read_labels(predictions / f"{name}.seg.nrrd").on(image.grid))
        worst = things[things["sample"] == name].sort_values("iou") if len(things) else things
        centre, through = None, ""
        if len(worst):
            first = worst.iloc[0]
            index = truth.names.index(first["thing"]) + 1
            centre = busiest(truth.instances == index, fallback=truth.classes > 0)
            through = f", through {first['thing']}, whose overlap is {first['iou']:.2f}"
        picture = draw_case(image, truth, predicted, classes, folder / f"{name}.png", centre=centre)
        parts.append(Part(title=name, figure=picture, caption=f"Truth, prediction and disagreement{through}."))
    chapters = [Chapter("Volumes, worst first", parts)]
    if len(things):
        chapters.append(things_chapter(things))
    return chapters


def things_chapter(things: pd.DataFrame) -> Chapter:
    """The worst things by overlap."""
    worst = things.sort_values("iou").head(LISTED)
    table = pd.DataFrame(
        {
            "thing": worst["thing"], "volume": worst["sample"], "overlap (IoU)": worst["iou"].map("{:.2f}".format),
            "found": np.where(worst["found"], "yes", "no"), "mm3": worst["volume_mm3"].map("{:.3g}".format),
            "predicted mm3": worst["predicted_mm3"].map(lambda v: "" if pd.isna(v) else f"{v:.3g}"),
        }
    )  # fmt: skip
    found = int(things["found"].sum())
    caption = f"{found} of {len(things)} things were found; the {len(table)} with the least overlap are listed."
    return Chapter("Things", [Part(table=table, caption=caption)])


def plan_chapter(plan: Plan, notes: list[str]) -> Chapter:
    """What the data decided, and why."""
    shown: dict[str, Any] = {
        "voxels (x, y, z)": " x ".join(f"{s:.4g}" for s in plan.spacing) + " mm",
        "patch (z, y, x)": " x ".join(map(str, plan.patch)),
        "features by level": ", ".join(map(str, plan.channels)),
        "steps": plan.steps,
        "patches in a step": plan.batch_size,
        "feature maps of a step": f"{plan.memory_mb:.0f} MiB",
        "decoding": ", ".join(f"{k} {v:.3g}" for k, v in plan.thresholds.items()),
    }
    table = pd.DataFrame({"what": list(shown), "value": [str(v) for v in shown.values()]})
    return Chapter("Plan", [Part(table=table), *(Part(text=line) for line in [*plan.because, *notes])])

"""Scores of segmented volumes: panoptic quality of things, Dice and surface distances of every class, by specimen.

What is empty on both sides has no value and is left out, and how often is said; what is empty on one side has an
overlap of 0 and no distance. Intervals are over specimens and come from `statistics`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ethomorph.core.grid import Grid
from ethomorph.core.metric import Metric
from ethomorph.statistics.intervals import clustered_function, clustered_interval
from ethomorph.volumes.classes import IGNORED, ClassMap, Encoded
from ethomorph.volumes.panoptic import (
    Panoptic,
    compare_instances,
    panoptic_quality,
    recognition_quality,
    segmentation_quality,
)
from ethomorph.volumes.surface import bounding_box, hausdorff, mean_distance, surface_dice, surface_distances

Blocks = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class ClassScore:
    """One class in one volume; None where it has no value.

    Attributes
    ----------
    truth_mm3, predicted_mm3 : volumes.
    dice, nsd : overlap, and share of the surfaces within one voxel of each other.
    hd95_mm, assd_mm : 95th percentile and mean of the distances between the surfaces.
    volume_error : (predicted - true) / true.
    """

    truth_mm3: float
    predicted_mm3: float
    dice: float | None = None
    nsd: float | None = None
    hd95_mm: float | None = None
    assd_mm: float | None = None
    volume_error: float | None = None


@dataclass(frozen=True)
class VolumeScore:
    """All of one volume: by class name its score, and by name of a class with instances its panoptic counts."""

    name: str
    group: str
    classes: dict[str, ClassScore]
    things: dict[str, Panoptic] = field(default_factory=dict)

    @property
    def mean_dice(self) -> float | None:
        """Over the classes that are there on either side."""
        found = [c.dice for c in self.classes.values() if c.dice is not None]
        return float(np.mean(found)) if found else None


def score_volume(
    name: str, group: str, truth: Encoded, predicted: Encoded, classes: ClassMap, grid: Grid, *, surfaces: bool = True
) -> VolumeScore:
    """Compare a prediction with the truth on one grid.

    Parameters
    ----------
    surfaces : measure surface distances too; they take most of the time.
    """
    counted = truth.classes != IGNORED
    scores, things = {}, {}
    for number, class_ in enumerate(classes.learned, start=1):
        mine, other = truth.classes == number, (predicted.classes == number) & counted
        scores[class_.name] = score_class(mine, other, grid, surfaces=surfaces)
        if class_.instances:
            true_ids = np.where(mine, truth.instances, 0)
            things[class_.name] = compare_instances(true_ids, np.where(other, predicted.instances, 0))
    return VolumeScore(name, group, scores, things)


def score_class(truth: np.ndarray, predicted: np.ndarray, grid: Grid, *, surfaces: bool = True) -> ClassScore:
    """Overlap and distances of two masks."""
    mine, other = int(truth.sum()), int(predicted.sum())
    sizes = {"truth_mm3": mine * grid.voxel_mm3, "predicted_mm3": other * grid.voxel_mm3}
    if not mine and not other:
        return ClassScore(**sizes)
    if not mine or not other:
        return ClassScore(**sizes, dice=0.0, nsd=0.0, volume_error=-1.0 if mine else None)
    both = int((truth & predicted).sum())
    found: dict[str, float] = {"dice": 2 * both / (mine + other), "volume_error": (other - mine) / mine}
    if surfaces:
        box = bounding_box(truth | predicted)
        apart = surface_distances(truth[box], predicted[box], grid.spacing_zyx)
        found |= {"nsd": surface_dice(apart, max(grid.spacing) * (1 + 1e-6)), "hd95_mm": hausdorff(apart),
                  "assd_mm": mean_distance(apart)}  # fmt: skip
    return ClassScore(**sizes, **found)


def score_set(scores: Sequence[VolumeScore], classes: ClassMap, *, seed: int = 0) -> dict[str, Any]:
    """The scores block: metrics with intervals over groups, a row a group, and what must be said."""
    groups = [one.group for one in scores]
    metrics: dict[str, Metric] = {"mean_dice": _mean([s.mean_dice for s in scores], groups, "", seed, "no class")}
    for class_ in classes.learned:
        if class_.instances:
            metrics |= thing_metrics([s.things[class_.name] for s in scores], groups, class_.name, seed)
    for class_ in classes.learned:
        metrics |= class_metrics([s.classes[class_.name] for s in scores], groups, class_.name, seed)
    return {
        "metrics": {name: metric.to_dict() for name, metric in metrics.items()},
        "by_group": [_row(group, [s for s in scores if s.group == group]) for group in sorted(set(groups))],
        "warnings": _said(scores, classes),
    }


def thing_metrics(found: Sequence[Panoptic], groups: Sequence[str], name: str, seed: int) -> dict[str, Metric]:
    """Panoptic, segmentation and recognition quality pooled over volumes; counts, splits and merges as means."""
    rows = np.array([one.sums for one in found], dtype=float)
    pooled = {
        "pq": clustered_function(panoptic_quality, groups, rows, seed=seed),
        "sq": clustered_function(segmentation_quality, groups, rows, seed=seed),
        "rq": clustered_function(recognition_quality, groups, rows, seed=seed),
    }
    pooled["f1_at_iou_0.5"] = pooled["rq"]
    number = int(sum(one.truth for one in found))
    metrics = {
        f"{name}_{k}": _counted(m, number, "intersection over union above 0.5, strictly") for k, m in pooled.items()
    }
    means = {
        "count_error": [float(abs(one.predicted - one.truth)) for one in found],
        "splits": [float(len(one.split)) for one in found],
        "merges": [float(len(one.merged)) for one in found],
    }
    return metrics | {f"{name}_{k}": _mean(v, groups, "per volume", seed, "no volume") for k, v in means.items()}


def class_metrics(found: Sequence[ClassScore], groups: Sequence[str], name: str, seed: int) -> dict[str, Metric]:
    """Means over volumes of what a class has a value for."""
    columns = {"dice": ("dice", ""), "nsd_1_voxel": ("nsd", ""), "hd95": ("hd95_mm", "mm"), "assd": ("assd_mm", "mm"),
               "volume_error": ("volume_error", "")}  # fmt: skip
    return {
        f"{name}_{key}": _mean([getattr(one, column) for one in found], groups, unit, seed, f"no volume has {name}")
        for key, (column, unit) in columns.items()
    }


def per_instance(truth: Encoded, predicted: Encoded, classes: ClassMap, grid: Grid) -> list[dict[str, Any]]:
    """A row a true thing: name, volume, best overlap, whether it matched, and the volume of its match."""
    things = np.isin(truth.classes, classes.things)
    true_ids = np.where(things, truth.instances, 0)
    found = compare_instances(true_ids, predicted.instances)
    matched = dict(found.pairs)
    sizes, others = np.bincount(true_ids.ravel()), np.bincount(predicted.instances.ravel())
    overlap = {pair[0]: float(o) for pair, o in zip(found.pairs, found.overlaps, strict=True)}
    rows = []
    for number in range(1, len(truth.names) + 1):
        if number >= len(sizes) or not sizes[number]:
            continue
        here = predicted.instances[true_ids == number]
        counts = np.bincount(here)
        counts[0] = 0
        best = int(counts.argmax()) if counts.any() else 0
        iou = overlap.get(number)
        if iou is None:
            iou = float(counts[best] / (sizes[number] + others[best] - counts[best])) if best else 0.0
        match = matched.get(number)
        rows.append(
            {"thing": truth.names[number - 1], "iou": round(iou, 4), "found": match is not None,
             "volume_mm3": float(sizes[number] * grid.voxel_mm3),
             "predicted_mm3": float(others[match] * grid.voxel_mm3) if match is not None else None}
        )  # fmt: skip
    return rows


def _mean(values: Sequence[float | None], groups: Sequence[str], unit: str, seed: int, reason: str) -> Metric:
    known = [(v, g) for v, g in zip(values, groups, strict=True) if v is not None]
    if not known:
        return Metric.missing(f"{reason} with anything to compare, true and predicted", unit=unit)
    metric = clustered_interval([v for v, _ in known], [g for _, g in known], unit=unit, seed=seed)
    lost = len(values) - len(known)
    if not lost:
        return metric
    return _noted(
        metric, f"{lost} of {len(values)} volumes have no value: empty on both sides, or nothing to measure to"
    )


def _counted(metric: Metric, number: int, note: str) -> Metric:
    if metric.value is None:
        return Metric.missing("nothing matched, or there was nothing to find", unit=metric.unit)
    made = _noted(metric, note)
    return Metric(made.value, made.low, made.high, made.unit, number, note=made.note, points=made.points)


def _noted(metric: Metric, note: str) -> Metric:
    joined = f"{metric.note}; {note}" if metric.note else note
    return Metric(metric.value, metric.low, metric.high, metric.unit, metric.n, note=joined, points=metric.points)


def _row(group: str, scores: Sequence[VolumeScore]) -> dict[str, Any]:
    dice = [s.mean_dice for s in scores if s.mean_dice is not None]
    row: dict[str, Any] = {"group": group, "samples": len(scores), "mean_dice": float(np.mean(dice)) if dice else None}
    for name in scores[0].things if scores else ():
        rows = np.array([s.things[name].sums for s in scores])
        quality = panoptic_quality(rows)
        row |= {f"{name}_pq": quality if quality == quality else None,
                f"{name}_true": sum(s.things[name].truth for s in scores),
                f"{name}_predicted": sum(s.things[name].predicted for s in scores)}  # fmt: skip
    return row


def _said(scores: Sequence[VolumeScore], classes: ClassMap) -> list[str]:
    said = []
    for class_ in classes.learned:
        absent = [s.name for s in scores if s.classes[class_.name].dice is None]
        if absent:
            said.append(
                f"{class_.name} is neither true nor predicted in {len(absent)} volume(s): {', '.join(absent[:6])}"
            )
    if any(c.instances for c in classes.learned):
        said.append("things match above an intersection over union of 0.5; at exactly 0.5 some tools count a match")
    return said

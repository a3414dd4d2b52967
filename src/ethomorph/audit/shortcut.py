"""How much of the labels the table alone gives away, on a random split and on animals held out.

Not for judging a trained model: that is done beside the same baseline on the model's own folds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ethomorph.audit.classes import ClassFacts
from ethomorph.audit.metadata_model import cross_predicted, random_folds
from ethomorph.core.metric import Metric
from ethomorph.statistics.intervals import clustered_interval, clustered_weighted
from ethomorph.study.split import fold_parts

MOST_FOLDS = 10
RESAMPLES = 500


@dataclass(frozen=True)
class Shortcut:
    """Scores of the metadata-only model, by kind of split ("random", "grouped"), and of the commonest class.

    Attributes
    ----------
    blocks : what audit.json holds under ``metadata_only``.
    majority : share of the commonest class.
    columns : of the table that were read.
    """

    blocks: dict[str, dict[str, Any]]
    majority: float
    columns: list[str]

    def accuracy(self, kind: str) -> float | None:
        """Accuracy on a kind of split; None where it could not be judged."""
        return self.blocks.get(kind, {}).get("accuracy", {}).get("value")


def measure_shortcut(facts: ClassFacts) -> Shortcut:
    """Judge the metadata-only model on five random folds, and with whole animals left out (ten folds at most)."""
    codes, groups, count = facts.codes, facts.groups, len(facts.classes)
    majority = float(np.bincount(codes, minlength=count).max() / len(codes))
    animals = len(np.unique(groups))
    folds = {"random": random_folds(len(codes), min(5, len(codes)), seed=facts.seed)}
    if animals >= 2:
        folds["grouped"] = np.array(fold_parts(groups.tolist(), min(MOST_FOLDS, animals), seed=facts.seed))
    blocks: dict[str, dict[str, Any]] = {}
    for kind, fold in folds.items():
        said = cross_predicted(facts.metadata, codes, fold, count, seed=facts.seed).argmax(1)
        blocks[kind] = scores_block(codes, said, groups, count, facts.seed) | {"folds": len(np.unique(fold))}
    if "grouped" not in blocks:
        reason = "all samples are of one animal"
        blocks["grouped"] = {"accuracy": Metric.missing(reason).to_dict(), "macro_f1": Metric.missing(reason).to_dict()}
    return Shortcut(blocks, majority, facts.metadata.names)


def scores_block(truth: np.ndarray, said: np.ndarray, groups: np.ndarray, classes: int, seed: int) -> dict[str, Any]:
    """Accuracy, balanced accuracy, macro F1 and kappa with intervals over animals."""
    options: dict[str, Any] = {"seed": seed, "resamples": RESAMPLES}

    def table(weights: np.ndarray) -> np.ndarray:
        return np.bincount(truth * classes + said, weights, classes**2).reshape(classes, classes)

    def balanced(weights: np.ndarray) -> float:
        found = table(weights)
        there = found.sum(1) > 0
        return float((np.diag(found)[there] / found.sum(1)[there]).mean())

    def macro_f1(weights: np.ndarray) -> float:
        found = table(weights)
        there = found.sum(1) > 0
        return float((2 * np.diag(found) / np.maximum(found.sum(0) + found.sum(1), 1e-9))[there].mean())

    def kappa(weights: np.ndarray) -> float:
        found = table(weights)
        total = found.sum()
        chance = float(found.sum(0) @ found.sum(1)) / total**2
        return (float(np.trace(found)) / total - chance) / (1 - chance) if chance < 1 else float("nan")

    return {
        "accuracy": clustered_interval((truth == said).astype(float), groups, **options).to_dict(),
        "balanced_accuracy": clustered_weighted(balanced, groups, **options).to_dict(),
        "macro_f1": clustered_weighted(macro_f1, groups, **options).to_dict(),
        "kappa": clustered_weighted(kappa, groups, **options).to_dict(),
    }

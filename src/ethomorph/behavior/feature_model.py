"""The method ``features``: boosted trees blended with a linear model, both as arrays, chosen by groups held out.

How many rounds of trees, how strong the linear model and what share of each: the validation part decides, or inner
folds of whole groups where there is none; never the test part. Probabilities are of the classes as they were taught;
`estimator` makes them true of nature's.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ethomorph.behavior.boosting import BoostSettings, Trees, fit_trees, softmax, stopping_round
from ethomorph.behavior.imbalance import Imbalance
from ethomorph.behavior.linear import STRENGTHS, Linear, fit_linear
from ethomorph.core.errors import FormatError
from ethomorph.study.split import fold_parts

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
INNER_FOLDS = 3  # where no validation part is given
USUAL_STRENGTH, USUAL_SHARE = 0.03, 0.5  # where there are too few groups to choose by
FILE = "features.safetensors"


@dataclass
class Rows:
    """Samples as rows.

    Attributes
    ----------
    values, codes, groups : (n, features), (n,) class, (n,) unit of independence.
    times : (n,) place in time in steps of the data, so that rows of neighbouring frames are known; None where rows are
        no series.
    guard : rows so near in time to a held-out one do not teach.
    """

    values: np.ndarray
    codes: np.ndarray
    groups: np.ndarray
    times: np.ndarray | None = None
    guard: float = 0.0

    def at(self, which: np.ndarray) -> Rows:
        times = None if self.times is None else self.times[which]
        return Rows(self.values[which], self.codes[which], self.groups[which], times, self.guard)

    def apart(self, held: np.ndarray) -> np.ndarray:
        """(n,) which rows are not held out and not too near to one that is, of a boolean (n,)."""
        if self.times is None or self.guard <= 0 or not held.any():
            return ~held
        ends = np.sort(self.times[held])
        place = np.searchsorted(ends, self.times)
        before = np.abs(self.times - ends[np.maximum(place - 1, 0)])
        after = np.abs(ends[np.minimum(place, len(ends) - 1)] - self.times)
        return ~held & (np.minimum(before, after) > self.guard)


@dataclass
class FeatureModel:
    """Trees and a linear model, and how much of each."""

    trees: Trees
    linear: Linear
    share: float

    def probabilities(self, values: np.ndarray) -> np.ndarray:
        """(n, classes) of (n, features)."""
        found = np.zeros((len(values), self.trees.classes))
        if self.share < 1:
            found += (1 - self.share) * self.trees.probabilities(values)
        if self.share > 0:
            found += self.share * self.linear.probabilities(values)
        return found

    def save(self, folder: Path) -> None:
        """Write the arrays."""
        from safetensors.numpy import save_file

        arrays = {f"trees.{k}": v for k, v in asdict(self.trees).items() if isinstance(v, np.ndarray)}
        arrays |= {f"linear.{k}": v for k, v in asdict(self.linear).items() if isinstance(v, np.ndarray)}
        arrays["numbers"] = np.array([self.trees.classes, self.linear.strength, self.share])
        save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, str(folder / FILE))

    @classmethod
    def load(cls, folder: Path) -> FeatureModel:
        """The inverse of `save`; raises FormatError where the file is damaged."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            arrays = load_file(str(folder / FILE))
            classes, strength, share = arrays.pop("numbers").tolist()
            parts: dict[str, dict[str, Any]] = {"trees": {}, "linear": {}}
            for key, value in arrays.items():
                part, name = key.split(".")
                parts[part][name] = value
            return cls(
                Trees(classes=int(classes), **parts["trees"]), Linear(strength=strength, **parts["linear"]), share
            )
        except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
            raise FormatError(f"not a whole model ({error})", place=folder / FILE, fix="train it again") from None


def fit_features(
    train: Rows,
    validation: Rows | None,
    *,
    classes: int,
    settings: BoostSettings,
    imbalance: Imbalance,
    linear_share: float,
    seed: int,
) -> tuple[FeatureModel, list[dict[str, float]]]:
    """Fit both models.

    Parameters
    ----------
    validation : decides rounds, strength and share; where it is None, `INNER_FOLDS` folds of the training groups do,
        and then everything is fitted again on all.

    Returns
    -------
    The model, and a row a round as `fit_trees` gives them.
    """
    if validation is not None and len(validation.codes):
        return _fitted(train, validation, classes, settings, imbalance, linear_share, seed)
    folds = inner_folds(train.groups, seed)
    if folds is None:
        share = linear_share if linear_share >= 0 else USUAL_SHARE
        return _once(train, classes, settings, imbalance, USUAL_STRENGTH, share, seed)
    rounds, strength, share, rows = _chosen(train, folds, classes, settings, imbalance, linear_share, seed)
    final, _ = _once(train, classes, replace(settings, rounds=rounds), imbalance, strength, share, seed)
    return final, rows


def inner_folds(groups: np.ndarray, seed: int) -> np.ndarray | None:
    """(n,) fold of each sample, whole groups; None with fewer than three groups."""
    names = [str(group) for group in groups]
    if len(set(names)) < INNER_FOLDS:
        return None
    return np.array(fold_parts(names, INNER_FOLDS, seed=seed + 3))


def _chosen(
    train: Rows, folds: np.ndarray, classes: int, settings: BoostSettings, imbalance: Imbalance, linear_share: float,
    seed: int,
) -> tuple[int, float, float, list[dict[str, float]]]:  # fmt: skip
    """Rounds, strength and share with the least loss over all inner folds together, and a row a round."""
    count = len(train.codes)
    by_line = np.zeros((len(STRENGTHS), count, classes))
    by_round = np.zeros((settings.rounds, count))  # probability of the right class
    by_trees = []
    judged = np.zeros(count, bool)
    for fold in np.unique(folds):
        held = folds == fold
        taught = _taught(train.at(train.apart(held)), classes, imbalance, seed)
        there = np.unique(taught.rows.codes)
        if len(there) < 2:
            continue
        test = np.flatnonzero(held & np.isin(train.codes, there))
        judged[test] = True
        for k, strength in enumerate(STRENGTHS):
            model = fit_linear(
                taught.rows.values, taught.rows.codes, classes=classes, strength=strength, weights=taught.weights
            )
            by_line[k, test] = model.probabilities(train.values[test])
        trees, _ = _trees(taught, classes, settings, seed)
        for i, scores in enumerate(trees.staged(train.values[test])):
            by_round[i, test] = softmax(scores)[np.arange(len(test)), train.codes[test]]
        by_trees.append((test, trees))
    if not judged.any():
        share = linear_share if linear_share >= 0 else USUAL_SHARE
        return settings.rounds, USUAL_STRENGTH, share, []
    known = np.flatnonzero(judged)
    losses = -np.log(np.maximum(by_round[:, known], 1e-6)).mean(1)
    rounds = stopping_round(losses.tolist(), settings.patience)
    line_losses = [loss_of(one[known], train.codes[known]) for one in by_line]
    best = int(np.argmin(line_losses))
    boosted = np.zeros((count, classes))
    for test, trees in by_trees:
        boosted[test] = trees.cut(rounds).probabilities(train.values[test])
    shares = SHARES if linear_share < 0 else (linear_share,)
    blends = [loss_of((1 - s) * boosted[known] + s * by_line[best, known], train.codes[known]) for s in shares]
    rows = [{"epoch": i + 1, "validation_loss": float(loss)} for i, loss in enumerate(losses)]
    return rounds, STRENGTHS[best], shares[int(np.argmin(blends))], rows


@dataclass
class Taught:
    """Rows as they are taught: some left out or repeated, with a weight each."""

    rows: Rows
    weights: np.ndarray | None


def _taught(rows: Rows, classes: int, imbalance: Imbalance, seed: int) -> Taught:
    picked = rows.at(imbalance.chosen(rows.codes, classes, seed=seed))
    weights = imbalance.weights(picked.codes, classes)[picked.codes] if imbalance.class_weights else None
    return Taught(picked, weights)


def _trees(
    taught: Taught, classes: int, settings: BoostSettings, seed: int, validation: Rows | None = None
) -> tuple[Trees, list[dict[str, float]]]:
    there = np.unique(taught.rows.codes)
    place = np.full(classes, -1)
    place[there] = np.arange(len(there))
    held = None
    if validation is not None:
        known = place[validation.codes] >= 0
        held = (validation.values[known], place[validation.codes[known]])
    trees, rows = fit_trees(
        taught.rows.values, place[taught.rows.codes], classes=len(there), weights=taught.weights, validation=held,
        settings=settings, seed=seed,
    )  # fmt: skip
    return spread_out(trees, there, classes), rows


def _once(
    train: Rows, classes: int, settings: BoostSettings, imbalance: Imbalance, strength: float, share: float, seed: int,
) -> tuple[FeatureModel, list[dict[str, float]]]:  # fmt: skip
    taught = _taught(train, classes, imbalance, seed)
    trees, rows = _trees(taught, classes, settings, seed)
    linear = fit_linear(
        taught.rows.values, taught.rows.codes, classes=classes, strength=strength, weights=taught.weights
    )
    return FeatureModel(trees, linear, share), rows


def _fitted(
    train: Rows, validation: Rows, classes: int, settings: BoostSettings, imbalance: Imbalance, linear_share: float,
    seed: int,
) -> tuple[FeatureModel, list[dict[str, float]]]:  # fmt: skip
    taught = _taught(train, classes, imbalance, seed)
    trees, rows = _trees(taught, classes, settings, seed, validation)
    tried = [
        fit_linear(taught.rows.values, taught.rows.codes, classes=classes, strength=s, weights=taught.weights)
        for s in STRENGTHS
    ]
    losses = [loss_of(one.probabilities(validation.values), validation.codes) for one in tried]
    linear = tried[int(np.argmin(losses))]
    by_trees, by_line = trees.probabilities(validation.values), linear.probabilities(validation.values)
    shares = SHARES if linear_share < 0 else (linear_share,)
    blends = [loss_of((1 - s) * by_trees + s * by_line, validation.codes) for s in shares]
    return FeatureModel(trees, linear, shares[int(np.argmin(blends))]), rows


def loss_of(probabilities: np.ndarray, codes: np.ndarray) -> float:
    """Mean log loss."""
    return float(-np.log(np.maximum(probabilities[np.arange(len(codes)), codes], 1e-6)).mean())


def spread_out(trees: Trees, there: np.ndarray, classes: int) -> Trees:
    """Trees of the classes that occur as trees of all: an absent class gets a score that is never highest."""
    if len(there) == classes:
        return trees
    nodes = np.vstack([[[-1, 0, 0, 0, 0, 0]], trees.nodes])
    starts = np.zeros((len(trees.starts), classes), int)
    baseline = np.full(classes, -30.0)
    columns = there if trees.starts.shape[1] == len(there) else there[1:]
    starts[:, columns] = trees.starts + 1
    baseline[columns] = trees.baseline
    if len(columns) < len(there):
        baseline[there[0]] = 0.0
    return Trees(nodes, starts, baseline, classes, trees.gain)

"""The method ``features``: boosted trees blended with a linear model, both as arrays, chosen by groups held out.

How many rounds of trees, how strong the linear model and what share of each: held-out groups decide, never the test
part. Probabilities are of the classes as they were taught; `estimator` makes them true of nature's.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ethomorph.behavior.boosting import BoostSettings, Trees, fit_trees
from ethomorph.behavior.imbalance import Imbalance
from ethomorph.behavior.linear import STRENGTHS, Linear, fit_linear
from ethomorph.core.errors import FormatError

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
HELD_SHARE = 0.2  # of the groups, where no validation part is given
FILE = "features.safetensors"


@dataclass
class Rows:
    """Samples as rows: (n, features) values, (n,) codes, (n,) groups."""

    values: np.ndarray
    codes: np.ndarray
    groups: np.ndarray

    def at(self, which: np.ndarray) -> Rows:
        return Rows(self.values[which], self.codes[which], self.groups[which])


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
    validation : decides rounds, strength and share; where it is None a fifth of the training groups does, and then
        everything is fitted again on all.

    Returns
    -------
    The model, and a row a round as `fit_trees` gives them.
    """
    if validation is not None and len(validation.codes):
        return _fitted(train, validation, classes, settings, imbalance, linear_share, seed)
    held = held_groups(train.groups, seed)
    inside = ~held & np.isin(train.codes, np.unique(train.codes))
    if held.any() and len(np.unique(train.codes[inside])) == len(np.unique(train.codes)):
        chosen, rows = _fitted(train.at(inside), train.at(held), classes, settings, imbalance, linear_share, seed)
        rounds = max(1, len(chosen.trees.starts))
        strength, share = chosen.linear.strength, chosen.share
    else:  # too few groups to hold any out
        rounds, strength, share, rows = settings.rounds, 0.03, linear_share if linear_share >= 0 else 0.5, []
    final, history = _once(train, classes, replace(settings, rounds=rounds), imbalance, strength, share, seed)
    return final, rows or history


def held_groups(groups: np.ndarray, seed: int) -> np.ndarray:
    """(n,) whether a sample is held out: about a fifth of the samples, whole groups; none where there is one group."""
    names, counts = np.unique(groups, return_counts=True)
    if len(names) < 2:
        return np.zeros(len(groups), bool)
    order = np.random.default_rng([seed, 3]).permutation(len(names))
    reach = np.cumsum(counts[order])
    taken = order[: max(1, int(np.searchsorted(reach, HELD_SHARE * len(groups))))]
    return np.isin(groups, names[taken])


def _once(
    train: Rows, classes: int, settings: BoostSettings, imbalance: Imbalance, strength: float, share: float, seed: int,
    validation: Rows | None = None,
) -> tuple[FeatureModel, list[dict[str, float]]]:  # fmt: skip
    picked = imbalance.chosen(train.codes, classes, seed=seed)
    taught = train.at(picked)
    weights = imbalance.weights(taught.codes, classes)[taught.codes] if imbalance.class_weights else None
    there = np.unique(taught.codes)
    place = np.full(classes, -1)
    place[there] = np.arange(len(there))
    held = None
    if validation is not None:
        known = place[validation.codes] >= 0
        held = (validation.values[known], place[validation.codes[known]])
    trees, rows = fit_trees(
        taught.values, place[taught.codes], classes=len(there), weights=weights, validation=held, settings=settings,
        seed=seed,
    )  # fmt: skip
    linear = fit_linear(taught.values, taught.codes, classes=classes, strength=strength, weights=weights)
    return FeatureModel(spread_out(trees, there, classes), linear, share), rows


def _fitted(
    train: Rows, validation: Rows, classes: int, settings: BoostSettings, imbalance: Imbalance, linear_share: float,
    seed: int,
) -> tuple[FeatureModel, list[dict[str, float]]]:  # fmt: skip
    model, rows = _once(train, classes, settings, imbalance, STRENGTHS[0], 0.5, seed, validation)
    picked = imbalance.chosen(train.codes, classes, seed=seed)
    taught = train.at(picked)
    weights = imbalance.weights(taught.codes, classes)[taught.codes] if imbalance.class_weights else None
    tried = [fit_linear(taught.values, taught.codes, classes=classes, strength=s, weights=weights) for s in STRENGTHS]
    losses = [loss_of(one.probabilities(validation.values), validation.codes) for one in tried]
    linear = tried[int(np.argmin(losses))]
    by_trees, by_line = model.trees.probabilities(validation.values), linear.probabilities(validation.values)
    shares = SHARES if linear_share < 0 else (linear_share,)
    blends = [loss_of((1 - s) * by_trees + s * by_line, validation.codes) for s in shares]
    return FeatureModel(model.trees, linear, shares[int(np.argmin(blends))]), rows


def loss_of(probabilities: np.ndarray, codes: np.ndarray) -> float:
    """Mean log loss."""
    return float(-np.log(np.maximum(probabilities[np.arange(len(codes)), codes], 1e-6)).mean())


def spread_out(trees: Trees, there: np.ndarray, classes: int) -> Trees:
    """Trees of the classes that occur as trees of all: an absent class gets a score that is never highest."""
    if len(there) == classes:
        return trees
    rounds = len(trees.starts)
    stump = len(trees.nodes)
    nodes = np.vstack([trees.nodes, [[-1, 0, 0, 0, 0, 0]]])
    starts = np.full((rounds, classes), stump)
    baseline = np.full(classes, -30.0)
    columns = there if trees.starts.shape[1] == len(there) else there[1:]
    starts[:, columns] = trees.starts
    baseline[columns] = trees.baseline
    if len(columns) < len(there):
        baseline[there[0]] = 0.0
    return Trees(nodes, starts, baseline, classes, trees.gain)

"""Gradient-boosted trees that are kept as plain arrays: fitted by scikit-learn, predicted and saved without it.

scikit-learn keeps models as pickles, which run whatever a stranger put into them. A tree is six columns of numbers;
that is what is written here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

COLUMNS = ("feature", "threshold", "left", "right", "value", "missing_left")


@dataclass(frozen=True)
class BoostSettings:
    """Settings of the trees.

    Parameters
    ----------
    rounds : trees a class at most; fewer where the validation part says so.
    learning_rate, leaves, least_leaf, ridge : of each tree: shrinkage, most leaves, fewest samples in one, L2.
    feature_share : share of the features that a split may choose from, drawn anew at each.
    patience : rounds without a better validation loss after which to stop.
    """

    rounds: int = 120
    learning_rate: float = 0.08
    leaves: int = 15
    least_leaf: int = 8
    ridge: float = 1.0
    feature_share: float = 0.25
    patience: int = 30


@dataclass
class Trees:
    """A fitted ensemble.

    Attributes
    ----------
    nodes : (nodes, 6) float64, all trees after each other, columns as in `COLUMNS`; a leaf has feature -1; left and
        right count from the tree's own first node.
    starts : (rounds, outputs) where each tree begins.
    baseline : (outputs,) raw score before the first tree. One output for two classes.
    classes : number of classes.
    gain : (features,) how much each feature lowered the loss.
    """

    nodes: np.ndarray
    starts: np.ndarray
    baseline: np.ndarray
    classes: int
    gain: np.ndarray

    def staged(self, values: np.ndarray) -> Any:
        """Yield the raw scores (n, outputs) after each round."""
        values = np.asarray(values, dtype=np.float64)
        scores = np.repeat(self.baseline[None], len(values), axis=0)
        for row in self.starts:
            for output, start in enumerate(row):
                scores[:, output] += self._tree(values, int(start))
            yield scores

    def probabilities(self, values: np.ndarray) -> np.ndarray:
        """(n, classes) of (n, features); NaN is a missing value."""
        scores = np.repeat(self.baseline[None], len(values), axis=0)
        for scores in self.staged(values):  # noqa: B007 - the last one is wanted
            pass
        return softmax(scores)

    def cut(self, rounds: int) -> Trees:
        """The ensemble's first rounds."""
        if rounds >= len(self.starts):
            return self
        following = self.starts[rounds]
        end = int(following[following > 0].min())  # 0 is the empty tree of a class that was never taught
        return Trees(self.nodes[:end], self.starts[:rounds], self.baseline, self.classes, self.gain)

    def _tree(self, values: np.ndarray, start: int) -> np.ndarray:
        feature, threshold = self.nodes[:, 0], self.nodes[:, 1]
        place = np.full(len(values), start)
        rows = np.arange(len(values))
        while True:
            which = feature[place].astype(int)
            inner = which >= 0
            if not inner.any():
                return self.nodes[place, 4]
            x = values[rows, np.where(inner, which, 0)]
            left = np.where(np.isnan(x), self.nodes[place, 5] > 0, x <= threshold[place])
            step = start + np.where(left, self.nodes[place, 2], self.nodes[place, 3]).astype(int)
            place = np.where(inner, step, place)


def softmax(scores: np.ndarray) -> np.ndarray:
    """Probabilities of raw scores (n, classes), or (n, 1) for the second of two classes."""
    if scores.shape[1] == 1:
        scores = np.concatenate([np.zeros_like(scores), scores], axis=1)
    shifted = np.exp(scores - scores.max(1, keepdims=True))
    return shifted / shifted.sum(1, keepdims=True)


def log_loss(scores: np.ndarray, codes: np.ndarray) -> float:
    """Mean of minus the logarithm of the right class's probability."""
    return float(-np.log(np.maximum(softmax(scores)[np.arange(len(codes)), codes], 1e-12)).mean())


def fit_trees(
    values: np.ndarray,
    codes: np.ndarray,
    *,
    classes: int,
    weights: np.ndarray | None = None,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    settings: BoostSettings | None = None,
    seed: int = 0,
) -> tuple[Trees, list[dict[str, float]]]:
    """Fit trees, keep as many rounds as the validation part likes best.

    Parameters
    ----------
    values : (n, features), NaN where missing.
    codes : (n,) class of each, 0 .. classes - 1; every class must occur.
    weights : (n,) of the samples.
    validation : values and codes that choose the number of rounds; all rounds are kept without them.

    Returns
    -------
    The trees, and a row a round: ``epoch``, ``train_loss``, ``validation_loss`` (of the classes that were taught).
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    settings = settings or BoostSettings()
    model = HistGradientBoostingClassifier(
        max_iter=settings.rounds,
        learning_rate=settings.learning_rate,
        max_leaf_nodes=settings.leaves,
        min_samples_leaf=settings.least_leaf,
        l2_regularization=settings.ridge,
        max_features=settings.feature_share,
        early_stopping=False,
        random_state=seed,
    )
    model.fit(values, codes, sample_weight=weights)
    trees = taken(model, classes, values.shape[1])
    train = [log_loss(scores, codes) for scores in trees.staged(values)]
    rows: list[dict[str, float]] = [{"epoch": i + 1, "train_loss": loss} for i, loss in enumerate(train)]
    if validation is None or not len(validation[0]):
        return trees, rows
    held = [log_loss(scores, validation[1]) for scores in trees.staged(validation[0])]
    for row, loss in zip(rows, held, strict=True):
        row["validation_loss"] = loss
    best = stopping_round(held, settings.patience)
    return trees.cut(best), rows


def stopping_round(losses: list[float], patience: int) -> int:
    """How many rounds to keep: the best before the first stretch of `patience` rounds without a better one.

    Examples
    --------
    >>> stopping_round([3, 2, 1, 4, 4, 4, 0], patience=3)
    3
    """
    best = 0
    for i, loss in enumerate(losses):
        if loss < losses[best]:
            best = i
        elif i - best >= patience:
            break
    return best + 1


def taken(model: Any, classes: int, features: int) -> Trees:
    """The arrays of a fitted ``HistGradientBoostingClassifier``."""
    blocks, starts, place, gain = [], [], 0, np.zeros(features)
    for trees in model._predictors:
        row = []
        for tree in trees:
            node = tree.nodes
            leaf = node["is_leaf"].astype(bool)
            block = np.column_stack(
                [
                    np.where(leaf, -1, node["feature_idx"]),
                    np.where(leaf, 0.0, node["num_threshold"]),
                    node["left"],
                    node["right"],
                    node["value"],
                    node["missing_go_to_left"],
                ]
            ).astype(np.float64)
            np.add.at(gain, node["feature_idx"][~leaf], np.maximum(node["gain"][~leaf], 0))
            row.append(place)
            place += len(block)
            blocks.append(block)
        starts.append(row)
    return Trees(np.concatenate(blocks), np.array(starts), np.ravel(model._baseline_prediction), classes, gain)

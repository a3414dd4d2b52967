"""A model that never looks: how well the class of a sample can be told from its table alone.

Where, when, by whom and of which animal something was recorded often says what is going on. Whatever a network scores
has to be read beside what this scores on the same folds, and the gap between a random and a grouped split is how far
that table is a shortcut. No pixels, no poses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

NOT_METADATA = frozenset(
    {"sample", "label", "part", "second_label", "lid", "id", "clip", "cluster", "mlabeltime", "path", "index"}
)
"""Columns that name the sample or say its label; they are no circumstances of its recording."""
MAX_CATEGORIES = 250
ROUNDS, LEAVES, RATE = 60, 15, 0.12


@dataclass(frozen=True)
class Metadata:
    """A table as numbers: (samples, columns) float64 with NaN for missing, names, and which columns are categories."""

    values: np.ndarray
    names: list[str]
    categories: list[bool]


def metadata_of(samples: pd.DataFrame) -> Metadata:
    """The columns of a table of samples that say something about circumstances.

    A column of numbers is a number, a date or time of day too; any other column with fewer values than samples is a
    category. Columns that are constant, or text that is different in every row, say nothing and are left out.

    Examples
    --------
    >>> table = pd.DataFrame({"sample": ["a", "b", "c"], "site": ["N", "N", "S"], "second": ["1", "5", "9"]})
    >>> metadata_of(table).names
    ['site', 'second']
    """
    columns: list[np.ndarray] = []
    names: list[str] = []
    categories: list[bool] = []
    for name in samples.columns:
        if str(name).lower() in NOT_METADATA:
            continue
        text = samples[name]
        numbers = pd.to_numeric(text, errors="coerce")
        known = text.notna() & (text.astype(str) != "")
        if known.sum() and numbers[known].notna().all() and numbers.nunique() > 6:
            column, category = numbers.to_numpy(float), False
        else:
            codes, values = pd.factorize(text.where(known), sort=True)
            if not 2 <= len(values) <= min(MAX_CATEGORIES, max(2, len(samples) // 2)):
                continue
            column, category = np.where(codes < 0, np.nan, codes).astype(float), True
        said_before = any(same_partition(column, other) for other in columns)
        if not said_before and np.nanmax(column, initial=-np.inf) > np.nanmin(column, initial=np.inf):
            columns.append(column)
            names.append(str(name))
            categories.append(category)
    table = np.column_stack(columns) if columns else np.zeros((len(samples), 0))
    return Metadata(table, names, categories)


def same_partition(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two columns divide the samples alike, so that the second says nothing new."""
    pairs = len(np.unique(np.column_stack([np.nan_to_num(a, nan=-1e9), np.nan_to_num(b, nan=-1e9)]), axis=0))
    return pairs == len(np.unique(np.nan_to_num(a, nan=-1e9))) == len(np.unique(np.nan_to_num(b, nan=-1e9)))


def metadata_probabilities(
    metadata: Metadata, codes: np.ndarray, train: np.ndarray, test: np.ndarray, classes: int, *, seed: int = 0
) -> np.ndarray:
    """(test, classes) probabilities of a small boosted model of the table, learned on the rows `train`.

    Without a usable column they are the class shares of `train`.
    """
    shares = np.bincount(codes[train], minlength=classes) / len(train)
    there = np.flatnonzero(shares > 0)
    found = np.tile(shares, (len(test), 1))
    if not metadata.names or len(there) < 2:
        return found
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        max_iter=ROUNDS, max_leaf_nodes=LEAVES, learning_rate=RATE, min_samples_leaf=10, l2_regularization=1.0,
        categorical_features=metadata.categories if any(metadata.categories) else None, early_stopping=False,
        random_state=seed,
    )  # fmt: skip
    model.fit(metadata.values[train], codes[train])
    found[:] = 0
    found[:, model.classes_] = model.predict_proba(metadata.values[test])
    return found


def cross_predicted(
    metadata: Metadata, codes: np.ndarray, folds: Sequence[int] | np.ndarray, classes: int, *, seed: int = 0
) -> np.ndarray:
    """(samples, classes) probabilities, each fold predicted from the others."""
    fold = np.asarray(folds)
    found = np.zeros((len(codes), classes))
    for one in np.unique(fold):
        test, train = np.flatnonzero(fold == one), np.flatnonzero(fold != one)
        found[test] = metadata_probabilities(metadata, codes, train, test, classes, seed=seed)
    return found


def random_folds(count: int, folds: int = 5, *, seed: int = 0) -> np.ndarray:
    """(count,) folds dealt at random, whatever belongs together."""
    return np.random.default_rng(seed).permutation(np.arange(count) % folds)

"""Cross-validation over groups: every sample predicted by a model that never saw its group.

Leave-one-group-out up to ten groups, then ten folds of whole groups. Refits the method as often; for networks that is
the caller's decision to pay.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from ethomorph.behavior.boosting import BoostSettings
from ethomorph.behavior.feature_model import Rows, fit_features
from ethomorph.behavior.imbalance import Imbalance, natural_prior
from ethomorph.behavior.prediction import decided
from ethomorph.statistics.calibration import correct_prior_shift
from ethomorph.study.split import fold_parts

MOST_FOLDS = 10


def grouped_folds(groups: Sequence[str], folds: int = 0, *, seed: int = 0) -> np.ndarray:
    """(n,) test fold of each sample; a group is never divided. 0 folds: one a group, `MOST_FOLDS` at most."""
    names = [str(group) for group in groups]
    number = min(len(set(names)), folds or MOST_FOLDS)
    return np.array(fold_parts(names, number, seed=seed))


def cross_predict(
    rows: Rows,
    folds: np.ndarray,
    *,
    classes: int,
    trees: BoostSettings,
    imbalance: Imbalance,
    linear_share: float = -1.0,
    favour_rare: float = 0.0,
    seed: int = 0,
    time_left_s: float | None = None,
) -> tuple[np.ndarray, np.ndarray] | None:
    """(n, classes) probabilities and (n,) decisions of the method ``features``, each fold predicted from the others.

    Parameters
    ----------
    time_left_s : None comes back where the first fold says that all would take longer.
    """
    probabilities = np.zeros((len(rows.codes), classes))
    codes = np.zeros(len(rows.codes), int)
    every = np.unique(folds)
    started = time.monotonic()
    for done, fold in enumerate(every):
        held = folds == fold
        test, train = np.flatnonzero(held), np.flatnonzero(rows.apart(held))
        model, _ = fit_features(
            rows.at(train), None, classes=classes, settings=trees, imbalance=imbalance, linear_share=linear_share,
            seed=seed,
        )  # fmt: skip
        prior = natural_prior(rows.codes[train], classes)
        taught = imbalance.taught_prior(rows.codes[train], classes)
        found = model.probabilities(rows.values[test])
        there = prior > 0
        if imbalance.correct_prior and not np.allclose(prior, taught):
            shares = found[:, there] / found[:, there].sum(1, keepdims=True)
            found[:] = 0
            found[:, there] = correct_prior_shift(shares, taught[there], prior=prior[there]).probabilities
        probabilities[test], codes[test] = found, decided(found, prior, favour_rare)
        spent = time.monotonic() - started
        if time_left_s is not None and done == 0 and spent * len(every) > time_left_s:
            return None
    return probabilities, codes

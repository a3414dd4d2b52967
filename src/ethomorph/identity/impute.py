"""Fill gaps in measurements from the other variables, learned on reference prints alone.

Rows are never dropped. `Imputer` keeps the reference and learns a variable's forest when that variable first has a gap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from ethomorph.core.errors import LabelError

if TYPE_CHECKING:
    from sklearn.ensemble import ExtraTreesRegressor

PREDICTORS = 20
"""A variable is predicted from so many others, those most correlated with it."""

ROUNDS = 4
"""Passes over the variables; later ones change little."""


class Imputer:
    """Iterative forest imputation after missForest (Stekhoven & Buhlmann 2012, Bioinformatics 28:112), or the mean.

    Parameters
    ----------
    method : "forest" or "mean".
    seed : of the forests.

    Attributes
    ----------
    reference_ : (n, p) the reference prints, completed.
    mean_ : (p,) their means.

    Examples
    --------
    >>> x = np.arange(40.0)
    >>> filled = Imputer().fit(np.column_stack([x, 2 * x])).transform(np.array([[20.0, np.nan]]))
    >>> bool(abs(filled[0, 1] - 40) < 3)
    True
    """

    def __init__(self, *, method: Literal["forest", "mean"] = "forest", seed: int = 0) -> None:
        self.method, self.seed = method, seed

    def fit(self, values: np.ndarray) -> Self:
        """Learn from reference prints (n, p), gaps allowed; raises LabelError where a variable is missing in all."""
        values = np.asarray(values, dtype=np.float64)
        empty = int((~np.isfinite(values).any(axis=0)).sum())
        if empty:
            raise LabelError(f"{empty} variables are missing in every reference print", fix="leave these variables out")
        self.mean_ = np.nanmean(values, axis=0)
        self.reference_ = np.where(np.isfinite(values), values, self.mean_)
        self._forests: dict[int, tuple[np.ndarray, Any]] = {}
        self.reference_ = self._completed(values, learn_from=~np.isnan(values))
        self._forests.clear()  # those learned on half-filled prints
        return self

    def resume(self, values: np.ndarray, completed: np.ndarray) -> Self:
        """Take up what `fit` found: the reference prints with gaps, and completed."""
        self.mean_, self.reference_, self._forests = np.nanmean(values, axis=0), completed, {}
        return self

    def transform(self, values: np.ndarray) -> np.ndarray:
        """A copy of prints (n, p) with their gaps filled. Raises LabelError where a print has no measurement at all."""
        values = np.asarray(values, dtype=np.float64)
        bare = np.flatnonzero(~np.isfinite(values).any(axis=1))
        if len(bare):
            raise LabelError(
                f"{len(bare)} prints have no measurement (such as row {bare[0] + 1})", fix="leave them out"
            )
        return self._completed(values, learn_from=None)

    def _completed(self, values: np.ndarray, learn_from: np.ndarray | None) -> np.ndarray:
        gaps = ~np.isfinite(values)
        filled = np.where(gaps, self.mean_, values)
        holed = np.flatnonzero(gaps.any(axis=0))
        if self.method == "mean" or not len(holed) or filled.shape[1] < 2:
            return filled
        holed = holed[np.argsort(gaps[:, holed].sum(axis=0), kind="stable")]
        for _ in range(ROUNDS):
            before = filled.copy()
            for j in holed:
                rows = None if learn_from is None else learn_from[:, j]
                predictors, forest = self._forest(int(j), filled if learn_from is not None else self.reference_, rows)
                filled[gaps[:, j], j] = forest.predict(filled[np.ix_(gaps[:, j], predictors)])
            scale = np.maximum(np.nanstd(self.reference_, axis=0), 1e-12)
            if np.abs((filled - before) / scale)[gaps].mean() < 0.01:
                break
        return filled

    def _forest(self, j: int, source: np.ndarray, rows: np.ndarray | None) -> tuple[np.ndarray, ExtraTreesRegressor]:
        """Predictors and forest of variable j; kept while the reference stands still (`rows` is None)."""
        from sklearn.ensemble import ExtraTreesRegressor

        if rows is None and j in self._forests:
            return self._forests[j]
        learning = source if rows is None else source[rows]
        centred = learning - learning.mean(0)
        norm = np.sqrt((centred**2).sum(0))
        likeness = np.abs(centred.T @ centred[:, j]) / np.maximum(norm * norm[j], 1e-12)
        likeness[j] = -1.0
        predictors = np.argsort(likeness)[::-1][: min(PREDICTORS, len(likeness) - 1)]
        forest = ExtraTreesRegressor(n_estimators=30, min_samples_leaf=3, max_features=0.5, random_state=self.seed)
        self._forests[j] = predictors, forest.fit(learning[:, predictors], learning[:, j])
        return self._forests[j]

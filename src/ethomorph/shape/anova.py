"""Procrustes ANOVA: how much of shape variation a factor or covariate explains, tested by permuting residuals.

Sums of squares are sums of squared Procrustes distances (Goodall 1991, J R Stat Soc B 53:285-339); significance comes
from randomised residuals of the reduced model (RRPP; Collyer, Sekora & Adams 2015, Heredity 115:357-365).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ethomorph.core.errors import InputError
from ethomorph.shape.checks import complete_sample, labels_for, listed

if TYPE_CHECKING:
    import pandas

Table = Mapping[str, Sequence[Any] | np.ndarray]


@dataclass(frozen=True)
class Row:
    """One line of the table; what a line has no value for (F of the residuals) is None.

    `z` is the standard deviate of ln F among its permutations, `p` the share of permutations, the observed order
    included, with an F at least as large.
    """

    term: str
    df: int
    ss: float
    ms: float | None = None
    r2: float | None = None
    f: float | None = None
    z: float | None = None
    p: float | None = None
    error: str = ""


@dataclass(frozen=True)
class Anova:
    """A Procrustes ANOVA table: one row a term, then "residual" (where degrees of freedom are left) and "total"."""

    rows: tuple[Row, ...]
    permutations: int

    def __getitem__(self, term: str) -> Row:
        for row in self.rows:
            if row.term == term:
                return row
        raise KeyError(term)

    def to_frame(self) -> pandas.DataFrame:
        """The table as a DataFrame, indexed by term."""
        import pandas

        return pandas.DataFrame([asdict(row) for row in self.rows]).set_index("term")

    def to_dict(self) -> list[dict[str, Any]]:
        """The table for JSON: what has no value is left out of its row."""
        return [{k: v for k, v in asdict(row).items() if v is not None and v != ""} for row in self.rows]


def procrustes_anova(
    shape: np.ndarray,
    table: Table | pandas.DataFrame,
    *,
    terms: Sequence[str],
    factors: Sequence[str] = (),
    error: Mapping[str, str] | None = None,
    strata: str | Sequence[Any] | None = None,
    permutations: int = 999,
    seed: int = 0,
) -> Anova:
    """Type I (sequential) Procrustes ANOVA with residual permutation.

    Parameters
    ----------
    shape : (n, p, k) superimposed shapes (in tangent space, as linear models suppose), or (n, q) variables.
    table : columns of length n. Numbers are covariates, everything else is a factor.
    terms : in the order in which they may claim variation; "a:b" is an interaction, or b within a.
    factors : columns of numbers that are labels (individual 1, 2, 3).
    error : which term another is tested against, e.g. ``{"treatment": "treatment:family"}``; the rest are tested
        against the residual. The error term must come later in `terms`.
    strata : a column or labels (n,): residuals are exchanged within a stratum only.
    permutations : random orders besides the observed one.

    Returns
    -------
    Anova

    Raises
    ------
    InputError
        Unknown columns, a term without degrees of freedom, or nothing left to test against.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> shape = rng.normal(size=(20, 5, 2))
    >>> shape[10:] += 3
    >>> species = ["a"] * 10 + ["b"] * 10
    >>> result = procrustes_anova(shape, {"species": species}, terms=["species"], permutations=99)
    >>> result["species"].df, result["residual"].df, result["species"].p
    (1, 18, 0.01)
    """
    y = _variables(shape)
    n = len(y)
    spaces = _term_spaces(table, terms, factors, n)
    error = dict(error or {})
    refuse_bad_errors(error, list(terms))
    residual_df = n - 1 - sum(space.shape[1] for space in spaces)
    if residual_df < 1 and set(terms) - set(error) - set(error.values()):
        raise InputError(
            f"no degrees of freedom are left to test {', '.join(terms)} against",
            fix="leave out a term, or name an error term for each",
        )
    y = y - y.mean(axis=0)
    total = float((y**2).sum())
    observed = np.array([float(((space.T @ y) ** 2).sum()) for space in spaces])
    degrees = np.array([space.shape[1] for space in spaces])
    residual = max(total - observed.sum(), 0.0)
    testable = [i for i, term in enumerate(terms) if term in error or residual_df >= 1]
    orders = _orders(n, _strata(strata, table, n), permutations, seed)
    rows = []
    for i, term in enumerate(terms):
        r2 = float(observed[i] / total) if total else None
        row = Row(term, int(degrees[i]), float(observed[i]), float(observed[i] / degrees[i]), r2)
        if i in testable:
            against = spaces[list(terms).index(error[term])] if term in error else None
            f = _permuted_f(y, spaces, i, against, residual_df, orders)
            row = Row(**{**asdict(row), **_test(f), "error": error.get(term, "residual")})
        rows.append(row)
    if residual_df >= 1:
        rows.append(Row("residual", residual_df, residual, residual / residual_df, residual / total if total else None))
    rows.append(Row("total", n - 1, total))
    return Anova(tuple(rows), permutations)


def refuse_bad_errors(error: Mapping[str, str], terms: list[str]) -> None:
    """Raise InputError where a term or its error term is not in the model, or the error term does not come later."""
    for term, against in error.items():
        if term not in terms or against not in terms:
            raise InputError(f"error term {against!r} of {term!r}: not both among the terms {terms}")
        if terms.index(against) <= terms.index(term):
            raise InputError(f"error term {against!r} must come after {term!r}", fix="put it later in terms")


def _variables(shape: np.ndarray) -> np.ndarray:
    """Shapes as (n, variables), rotated to as few columns as carry variation: sums of squares stay the same."""
    shape = np.asarray(shape, dtype=float)
    y = complete_sample(shape).reshape(len(shape), -1) if shape.ndim == 3 else shape
    if y.ndim != 2 or not np.isfinite(y).all():
        raise InputError("shape variables must be a finite array (n, q) or (n, p, k)")
    if y.shape[1] > len(y):
        u, singular, _ = np.linalg.svd(y - y.mean(axis=0), full_matrices=False)
        y = u * singular
    return y


def _term_spaces(table: Any, terms: Sequence[str], factors: Sequence[str], n: int) -> list[np.ndarray]:
    """For each term an orthonormal basis (n, df) of what it adds to the terms before it."""
    if not terms:
        raise InputError("no terms", fix="name at least one column")
    columns = {name: _coding(table, name, name in factors, n) for term in terms for name in term.split(":")}
    basis = np.full((n, 1), 1 / np.sqrt(n))
    spaces = []
    for term in terms:
        design = np.ones((n, 1))
        for name in term.split(":"):
            design = (design[:, :, None] * columns[name][:, None, :]).reshape(n, -1)
        design = design[:, np.abs(design).max(axis=0) > 0]
        scale = np.linalg.norm(design, axis=0)
        rest = design / scale
        for _ in range(2):  # twice, so that rounding leaves no shadow of the earlier terms
            rest = rest - basis @ (basis.T @ rest)
        u, singular, _ = np.linalg.svd(rest, full_matrices=False)
        space = u[:, singular > 1e-9]
        if not space.shape[1]:
            raise InputError(
                f"term {term!r} adds no degrees of freedom to the terms before it",
                fix="leave it out, or put it before the term that contains it",
            )
        spaces.append(space)
        basis = np.hstack([basis, space])
    return spaces


def _coding(table: Any, name: str, factor: bool, n: int) -> np.ndarray:
    """A covariate as (n, 1), a factor as indicators (n, levels)."""
    if name not in table:
        raise InputError(f"no column {name!r}", fix=f"the columns are {', '.join(map(str, table))}")
    column = np.asarray(table[name])
    if not factor and column.dtype.kind in "iuf":
        bad = np.flatnonzero(~np.isfinite(column.astype(float)))
        if len(column) != n or len(bad):
            raise InputError(f"covariate {name!r}: {len(column)} values for {n} shapes, not finite: {listed(bad + 1)}")
        centred = column.astype(float) - column.mean()
        return centred[:, None] if np.abs(centred).max() > 0 else np.zeros((n, 1))
    labels = labels_for(column, n, name)
    return (labels[:, None] == np.unique(labels)[None]).astype(float)


def _strata(strata: Any, table: Any, n: int) -> np.ndarray:
    if strata is None:
        return np.zeros(n, dtype=int)
    labels = labels_for(table[strata] if isinstance(strata, str) else strata, n, "strata")
    return np.unique(labels, return_inverse=True)[1]


def _orders(n: int, strata: np.ndarray, permutations: int, seed: int) -> np.ndarray:
    """Row orders (permutations + 1, n), the observed one first, exchanging rows within strata only."""
    rng = np.random.default_rng(seed)
    keys = rng.random((permutations, n)) + strata
    shuffled = np.argsort(keys, axis=1)
    orders = np.empty((permutations + 1, n), dtype=np.intp)
    orders[0] = np.arange(n)
    orders[1:, np.argsort(strata, kind="stable")] = shuffled
    return orders


def _permuted_f(
    y: np.ndarray, spaces: list[np.ndarray], i: int, against: np.ndarray | None, residual_df: int, orders: np.ndarray
) -> np.ndarray:
    """F of term i for every order; the reduced model (all earlier terms) is fitted and its residuals are exchanged."""
    reduced = np.hstack([np.full((len(y), 1), 1 / np.sqrt(len(y))), *spaces[:i]])
    residuals = y - reduced @ (reduced.T @ y)
    # The fitted part is orthogonal to every space used below, so it need not be added back.
    total = float((residuals**2).sum())
    later = np.hstack(spaces[i:])
    width = spaces[i].shape[1]
    ratios = np.empty(len(orders))
    for b, order in enumerate(orders):
        exchanged = residuals[order]
        effect = later.T @ exchanged
        ss = (effect[:width] ** 2).sum()
        if against is None:
            shadow = reduced.T @ exchanged
            rest = total - (effect**2).sum() - (shadow**2).sum()
            ratios[b] = (ss / width) / max(rest / residual_df, 1e-300)
        else:
            rest = ((against.T @ exchanged) ** 2).sum()
            ratios[b] = (ss / width) / max(rest / against.shape[1], 1e-300)
    return ratios


def _test(f: np.ndarray) -> dict[str, float | None]:
    logarithm = np.log(np.maximum(f, 1e-300))
    spread = logarithm.std()
    z = float((logarithm[0] - logarithm.mean()) / spread) if spread > 0 else None
    # Equal orders give equal F up to rounding: they count as at least as large.
    return {"f": float(f[0]), "z": z, "p": float((f >= f[0] * (1 - 1e-9)).mean())}

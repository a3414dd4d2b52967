"""Metadata, grades among them, that are spread unevenly over the parts.

One value a group counts, because samples of a group are not independent. The probability comes from dealing the groups
anew to the parts, so it holds for small counts where the chi-square table does not.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from ethomorph.audit.check import Check, found
from ethomorph.audit.data import PARTS, AuditData
from ethomorph.training.health import Finding

LEVEL = 0.01
"""Probability below which an uneven spread is told, shared out over the columns looked at."""
MIN_EFFECT = 0.3
"""Cramér's V, or standardized difference, that is large enough to matter."""
MAX_CATEGORIES = 12
DEALS = 2000


def run(data: AuditData) -> list[Finding]:
    rows = pd.DataFrame({"group": data.groups, "part": data.parts})
    findings = []
    for column in data.metadata_columns:
        rows[column] = pd.Series(data.metadata(column), dtype=object)
        known = rows.loc[rows["part"].isin(PARTS), ["group", "part", column]].dropna().drop_duplicates("group")
        if known["part"].nunique() < 2 or len(known) < 10:
            continue
        kind, values = as_numbers(known[column])
        measure = standardized_difference if kind != "category" else cramers_v
        if kind == "category" and not 2 <= len(set(values)) <= min(MAX_CATEGORIES, len(values) // 2):
            continue
        parts = known["part"].map(list(PARTS).index).to_numpy()
        effect, probability = dealt_anew(measure, values, parts)
        if effect > MIN_EFFECT and probability < LEVEL / len(data.metadata_columns):
            size = f"{'Cramér V' if kind == 'category' else 'standardized difference'} {effect:.2f}"
            findings.append(
                found(
                    "grade_imbalance" if column == "grade" else "metadata_imbalance",
                    "warning",
                    f"{column} is spread unevenly over the parts: {_said(known, column, kind, values)} "
                    f"({size}, p {probability:.2g})",
                    causes=("the parts were chosen by hand or by date", f"{column} goes with the groups"),
                    remedy=f"split at random by group, or stratify by {column}; give scores for each {column} apart",
                )
            )
    return findings


def as_numbers(values: pd.Series) -> tuple[str, np.ndarray]:
    """("number" or "date", float array), or ("category", codes), whichever the texts are."""
    numbers = pd.to_numeric(values, errors="coerce")
    if numbers.notna().all() and numbers.nunique() > 2:
        return "number", numbers.to_numpy(float)
    if values.str.contains(r"\d{4}-\d\d-\d\d", na=False).all():
        dates = pd.to_datetime(values, errors="coerce", format="ISO8601")
        if dates.notna().all() and dates.nunique() > 2:
            return "date", dates.to_numpy("datetime64[s]").astype(float)
    return "category", pd.factorize(values)[0]


def cramers_v(values: np.ndarray, parts: np.ndarray) -> float:
    """Cramér's V of category codes against parts, 0 (independent) to 1.

    Examples
    --------
    >>> cramers_v(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]))
    1.0
    """
    table = np.zeros((values.max() + 1, parts.max() + 1))
    np.add.at(table, (values, parts), 1)
    table = table[:, table.sum(axis=0) > 0]
    total = table.sum()
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / total
    chi_square = ((table - expected) ** 2 / expected).sum()
    return float(np.sqrt(chi_square / total / (min(table.shape) - 1)))


def standardized_difference(values: np.ndarray, parts: np.ndarray) -> float:
    """Largest difference between the means of two parts, in standard deviations of all."""
    spread = values.std()
    means = [values[parts == part].mean() for part in np.unique(parts)]
    return float((max(means) - min(means)) / spread) if spread > 0 else 0.0


def dealt_anew(
    measure: Callable[[np.ndarray, np.ndarray], float], values: np.ndarray, parts: np.ndarray
) -> tuple[float, float]:
    """The measure, and how often groups dealt to the parts at random reach it."""
    rng = np.random.default_rng(0)
    effect = measure(values, parts)
    if effect <= MIN_EFFECT:
        return effect, 1.0
    reached, deals = 0, 0
    while deals < DEALS and reached <= LEVEL * DEALS:  # more can no longer be rare enough to be told
        deals += 1
        reached += measure(values, rng.permutation(parts)) >= effect - 1e-12
    return effect, (reached + 1) / (deals + 1)


def _said(known: pd.DataFrame, column: str, kind: str, values: np.ndarray) -> str:
    said = []
    for part in PARTS:
        inside = (known["part"] == part).to_numpy()
        if not inside.any():
            continue
        if kind == "category":
            counts = known.loc[inside, column].value_counts()
            said.append(f"{part} " + " ".join(f"{name} {count}" for name, count in counts.head(5).items()))
        elif kind == "number":
            said.append(f"{part} mean {values[inside].mean():.4g}")
        else:
            middle = np.array(values[inside].mean(), dtype="datetime64[s]").astype("datetime64[D]")
            said.append(f"{part} around {middle}")
    return ", ".join(said)


CHECK = Check("balance", frozenset({"groups", "parts", "metadata"}), run)

"""The hold-out procedure: count animals that are known, for several numbers of them, by models that never saw them.

It shows what the method is worth at the size of a survey, and where it begins to count too many or too few. Everything
learned in a round (reference values, scaling, axes, imputation, cut) comes from the animals that stayed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.core.metric import Metric
from ethomorph.core.prints import PrintTable
from ethomorph.identity.estimator import Identifier
from ethomorph.identity.plda import SMALLEST_REFERENCE
from ethomorph.identity.score import balanced_accuracy, rand_of_pairs

SHARES = (0.15, 0.3, 0.45, 0.6)
"""Shares of the known animals that are held out in turn."""


def count_by_size(
    table: PrintTable,
    make: Callable[[], Identifier],
    *,
    rounds: int = 4,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Hold out random animals, learn from the others, count; `rounds` times for each of `SHARES`.

    Parameters
    ----------
    table : prints; those of unknown animals are not used.
    make : returns a fresh, unfitted Identifier.
    progress : called with (done, to do).

    Returns
    -------
    list of dict
        ``animals`` (the truth), ``learned_from``, ``trails``, ``round``, ``counted``, ``low``, ``high``, ``covered``,
        ``balanced_accuracy`` (of pairs; None where no animal has two trails), ``adjusted_rand``.

    Raises
    ------
    LabelError
        With too few known animals.
    """
    known = table.where(table.known)
    animals = np.unique(known.animal)
    sizes = sorted({round(share * len(animals)) for share in SHARES})
    sizes = [size for size in sizes if size >= 2 and len(animals) - size >= SMALLEST_REFERENCE + 2]
    if not sizes:
        raise LabelError(
            f"{len(animals)} known animals are too few to hold some out", place=table.source,
            fix=f"give at least {SMALLEST_REFERENCE + 4}",
        )  # fmt: skip
    generator, rows = np.random.default_rng(seed), []
    for number, size in enumerate(np.repeat(sizes, rounds).tolist()):
        out = np.isin(known.animal, generator.permutation(animals)[:size])
        survey = known.where(out)
        found = make().fit(known.where(~out)).predict(survey)
        owner = survey.of_trails(survey.animal)
        upper = np.triu_indices(len(owner), 1)
        same = (owner[:, None] == owner)[upper]
        together = np.where((found.individual[:, None] == found.individual)[upper], 1.0, -1.0)
        count = found.individuals
        rows.append(
            {
                "animals": size, "learned_from": len(animals) - size, "trails": len(owner),
                "round": number % rounds + 1, "counted": count.value, "low": count.low, "high": count.high,
                "covered": _inside(count, size),
                "balanced_accuracy": _finite(balanced_accuracy(found.scores[upper], same)),
                "adjusted_rand": _finite(rand_of_pairs(together, same)),
            }
        )  # fmt: skip
        if progress:
            progress(number + 1, len(sizes) * rounds)
    return rows


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean ratio of counted to true number, and the share of intervals that held it."""
    return {
        "rounds": len(rows),
        "mean_ratio": float(np.mean([row["counted"] / row["animals"] for row in rows])),
        "covered": float(np.mean([row["covered"] for row in rows])),
    }


def _inside(count: Metric, truth: int) -> bool:
    return count.low is not None and count.high is not None and count.low <= truth <= count.high


def _finite(value: float) -> float | None:
    return round(value, 4) if np.isfinite(value) else None

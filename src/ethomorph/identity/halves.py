"""Identifying a table in which every animal is known: each half by a model that learned from the other half alone.

That is how a table of captive animals tells what the method is worth. For a survey of unknown animals there is
`Identifier` itself.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.core.prints import PrintTable
from ethomorph.identity.clustering import sorted_tree
from ethomorph.identity.estimator import Identifier
from ethomorph.identity.plda import SMALLEST_REFERENCE
from ethomorph.identity.result import Identification
from ethomorph.statistics.counts import count_interval


def identify_halves(table: PrintTable, make: Callable[[], Identifier], *, seed: int = 0) -> Identification:
    """Split the animals at random into two halves, identify each by the other, and join the results.

    Trails of different halves are not compared (their scores are NaN): that they differ is known by design. The number
    of individuals is the sum of both counts, its interval from sums of their draws.

    Parameters
    ----------
    table : prints, all of known animals.
    make : returns a fresh, unfitted Identifier.
    seed : of the split.

    Raises
    ------
    LabelError
        With too few animals for two halves.
    """
    animals = np.random.default_rng(seed).permutation(np.unique(table.animal))
    if len(animals) < 2 * SMALLEST_REFERENCE:
        raise LabelError(
            f"{len(animals)} known animals are too few to learn from one half and identify the other",
            place=table.source, fix=f"give at least {2 * SMALLEST_REFERENCE}, or a reference table",
        )  # fmt: skip
    first = np.isin(table.animal, animals[: len(animals) // 2])
    models = [make().fit(table.where(~first)), make().fit(table.where(first))]
    parts = [models[0].predict(table.where(first)), models[1].predict(table.where(~first))]
    return _joined(table, models, parts, seed)


def _joined(table: PrintTable, models: list[Identifier], parts: list[Identification], seed: int) -> Identification:
    a, b = parts
    trails = table.trails
    place = [np.searchsorted(trails, part.trails) for part in parts]
    individual, probability = np.zeros(len(trails), dtype=int), np.zeros(len(trails))
    scores = np.full((len(trails), len(trails)), np.nan)
    for part, where, offset in zip(parts, place, (0, int(a.individual.max()) + 1), strict=True):
        individual[where], probability[where] = part.individual + offset, part.probability
        scores[np.ix_(where, where)] = part.scores
    generator = np.random.default_rng(seed)
    sums = generator.choice(a.draws, 1000) + generator.choice(b.draws, 1000)
    spread = float(np.mean([model.count_error_.overdispersion for model in models]))
    rounds = min(model.count_error_.rounds for model in models)
    individuals = count_interval(
        sums, overdispersion=spread, freedom=max(rounds - 1, 3), largest=len(trails), unit="animals",
        note="sum of two halves, each identified by a model of the other",
    )  # fmt: skip
    tree, cut = _one_tree(a, b, place)
    notes = ["animals were split into two halves; trails of different halves were not compared"]
    return Identification(
        trails=trails, individual=individual, probability=probability, individuals=individuals, scores=scores,
        tree=tree, cut=cut, height=a.height, method=a.method, in_sample=False, variables=a.variables,
        usage=(a.usage + b.usage) / 2, draws=sums, warnings=[*notes, *dict.fromkeys(a.warnings + b.warnings)],
    )  # fmt: skip


def _one_tree(a: Identification, b: Identification, place: list[np.ndarray]) -> tuple[np.ndarray, float]:
    """Both trees under one root, the second's heights stretched so that one cut serves both."""
    stretched = b.tree.copy()
    if b.cut > 0:
        stretched[:, 2] *= a.cut / b.cut
    sizes = [len(part.trails) for part in (a, b)]
    total = sum(sizes)
    rows = []
    offset = total
    for tree, where, size in ((a.tree, place[0], sizes[0]), (stretched, place[1], sizes[1])):
        for left, right, height, count in tree:
            nodes = [int(where[int(n)]) if n < size else int(n) - size + offset for n in (left, right)]
            rows.append([*nodes, height, count])
        offset += len(tree)
    roots = [total + sizes[0] - 2, total + sizes[0] + sizes[1] - 3]
    rows.append([*roots, 1.05 * max(a.tree[-1, 2], stretched[-1, 2], a.cut), total])
    return sorted_tree(np.array(rows, dtype=float), total), a.cut

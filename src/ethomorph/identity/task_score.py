"""The scores block of an identity task: pairs, partition and number, beside a plain distance as baseline."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ethomorph.core.metric import Metric
from ethomorph.core.prints import PrintTable
from ethomorph.identity.clustering import cut_at_height, grow_tree
from ethomorph.identity.impute import Imputer
from ethomorph.identity.plda import group_means
from ethomorph.identity.result import Identification
from ethomorph.identity.score import adjusted_rand, balanced_accuracy, pair_scores


def score_part(found: Identification, survey: PrintTable, train: PrintTable) -> dict[str, Any]:
    """`metrics`, `baselines`, `by_group` and `warnings` of an identified part whose animals are known."""
    owner = survey.of_trails(survey.animal)
    metrics = pair_scores(found.scores, owner) | {
        "adjusted_rand": adjusted_rand(found.individual, owner),
        "individuals": found.individuals,
        "count_ratio": count_ratio(found.individuals, len(np.unique(owner))),
    }
    plain, together = plain_distance(survey, train)
    baseline = pair_scores(plain, owner) | {"adjusted_rand": adjusted_rand(together, owner)}
    count = Metric(float(together.max() + 1), unit="animals", n=len(owner), note="no interval")
    baseline |= {"individuals": count, "count_ratio": count_ratio(count, len(np.unique(owner)))}
    return {
        "metrics": {name: metric.to_dict() for name, metric in metrics.items()},
        "baselines": {"plain_distance": {name: metric.to_dict() for name, metric in baseline.items()}},
        "by_group": by_animal(found, owner),
        "warnings": list(found.warnings),
    }


def count_ratio(count: Metric, truth: int) -> Metric:
    """Counted over true number."""
    ends = [None if v is None else v / truth for v in (count.value, count.low, count.high)]
    return Metric(ends[0], ends[1], ends[2], n=truth, note=count.note)


def plain_distance(survey: PrintTable, train: PrintTable) -> tuple[np.ndarray, np.ndarray]:
    """Scores and individuals by the distance of mean standardised measurements, cut where training pairs part best.

    What anyone could do in a spreadsheet; scaling, means for gaps and cut come from the training animals.
    """
    survey = survey.with_variables(train.variables)
    imputer = Imputer(method="mean").fit(train.values)
    centre, scale = imputer.reference_.mean(0), np.where(imputer.reference_.std(0) > 0, imputer.reference_.std(0), 1)

    def distances(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
        means, _ = group_means((values - centre) / scale, codes)
        squares = (means**2).sum(1)
        return np.sqrt(np.maximum(squares[:, None] + squares - 2 * means @ means.T, 0.0) / means.shape[1])

    known = distances(imputer.reference_, train.trail_codes)
    owner = train.of_trails(train.animal)
    upper = np.triu_indices(len(owner), 1)
    same = (owner[:, None] == owner)[upper]
    steps = np.quantile(known[upper], np.linspace(0.002, 0.6, 200))
    worth = [np.nan_to_num(balanced_accuracy(step - known[upper], same)) for step in steps]
    cut = float(steps[int(np.argmax(worth))])
    apart = distances(imputer.transform(survey.values), survey.trail_codes)
    np.fill_diagonal(apart, 0.0)
    return cut - apart, cut_at_height(grow_tree(apart), cut)


def by_animal(found: Identification, owner: np.ndarray) -> list[dict[str, Any]]:
    """A row an animal: its trails, the individuals they were put into, and animals it shares one with."""
    rows = []
    for animal in np.unique(owner):
        mine = np.unique(found.individual[owner == animal])
        others = np.unique(owner[np.isin(found.individual, mine) & (owner != animal)])
        rows.append(
            {"group": str(animal), "samples": int((owner == animal).sum()), "individuals": len(mine),
             "mixed_with": others.tolist()}
        )  # fmt: skip
    return rows


def per_trail(found: Identification, owner: np.ndarray) -> pd.DataFrame:
    """A row a trail: the balanced accuracy of its own pairs, empty where its animal has no other trail."""
    same = owner[:, None] == owner
    values = []
    for i in range(len(owner)):
        others = (np.arange(len(owner)) != i) & np.isfinite(found.scores[i])
        values.append(balanced_accuracy(found.scores[i][others], same[i][others]))
    return pd.DataFrame({"sample": found.trails, "group": owner, "balanced_accuracy": values})

"""The identity chapters of a report: the count and its tree, every pair, what was mistaken, what was measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ethomorph.core.prints import PrintTable
from ethomorph.identity.classes import discriminate_classes
from ethomorph.identity.result import Identification
from ethomorph.identity.write import DRAWN
from ethomorph.study.task import Chapter, Part

SHOWN = 20


def identity_chapters(found: Identification, survey: PrintTable, train: PrintTable, folder: Path) -> list[Chapter]:
    """Everything about an identified part that the numbers at the top do not show; pictures go into `folder`."""
    from ethomorph.identity.draw import draw_count, draw_pairs, draw_tree

    owner = survey.of_trails(survey.animal)
    individuals = [Part(figure=draw_count(found, folder / "count.png"), caption="How many animals left these trails.")]
    pairs = []
    if len(found.trails) <= DRAWN:
        tree, matrix = draw_tree(found, folder / "tree.png"), draw_pairs(found, folder / "matrix.png")
        individuals.append(Part(figure=tree, caption="Trails that one individual left share a colour."))
        pairs.append(Part(figure=matrix, caption="Trails in the order of the tree; squares are the individuals found."))
    wrong = mistaken(found, owner)
    if len(wrong):
        title = f"{len(wrong)} pairs judged wrong" + (f", the worst {SHOWN}" if len(wrong) > SHOWN else "")
        pairs.append(Part(title=title, table=wrong.head(SHOWN)))
    else:
        pairs.append(Part(text="Every pair of trails was judged right."))
    usage = pd.DataFrame({"variable": found.variables, "weight": found.usage}).sort_values("weight", ascending=False)
    usage["weight"] = usage["weight"].map("{:.3g}".format)
    chapters = [
        Chapter("Individuals", individuals),
        Chapter("Pairs", pairs),
        Chapter("Variables", [Part(table=usage.head(15), caption="What told the animals apart, most first.")]),
    ]
    sexes = sex_table(train, survey)
    return chapters if sexes is None else [*chapters, Chapter("Sex", [sexes])]


def mistaken(found: Identification, owner: np.ndarray) -> pd.DataFrame:
    """Pairs called the same that are not, and the other way round, the surest first."""
    first, second = np.triu_indices(len(owner), 1)
    score, same = found.scores[first, second], owner[first] == owner[second]
    wrong = np.flatnonzero(np.isfinite(score) & ((score > 0) != same))
    wrong = wrong[np.argsort(-np.abs(score[wrong]))]
    rows = [
        {
            "trail": found.trails[first[k]], "and": found.trails[second[k]],
            "are": "one animal" if same[k] else "two animals", "log-likelihood ratio": f"{score[k]:.2f}",
        }
        for k in wrong
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["trail", "and", "are", "log-likelihood ratio"])


def sex_table(train: PrintTable, survey: PrintTable) -> Part | None:
    """Sex by trail: left out one by one within training, called in this part, and the in-sample figure beside."""
    judged, called = discriminate_classes(train, survey, ["sex"])
    block = judged.get("sex", {})
    if "leave_one_animal_out" not in block:
        return None
    stated = [row for row in called if row["stated"]]
    right = f"{np.mean([row['called'] == row['stated'] for row in stated]):.3f}" if stated else ""
    table = pd.DataFrame(
        [
            {"judged on": "training, each animal left out", "right by trail": _value(block["leave_one_animal_out"])},
            {"judged on": "training, in-sample", "right by trail": _value(block["in_sample"])},
            {"judged on": "test", "right by trail": right},
        ]
    )
    return Part(table=table, caption="In-sample figures are what is usually published, and what animals left out miss.")


def _value(levels: dict) -> str:
    return f"{levels['trail']['value']:.3f}"

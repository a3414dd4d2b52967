"""Both methods on the public tiger and puma tables: in-sample as published, and on animals held out.

The tiger table names no trails: consecutive prints of one animal are taken in sevens, which is optimistic.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import adjusted_rand_score

from benchmarks.footprints.pieces import rows_of
from benchmarks.record import Claim
from ethomorph.core.prints import PrintTable
from ethomorph.identity.discriminate import discriminate
from ethomorph.identity.estimator import Identifier
from ethomorph.identity.fit import PRESETS, compare_pairs
from ethomorph.identity.score import area_under_curve, balanced_accuracy, precision, recall, score_identification
from ethomorph.identity.table import read_prints

SPLITS = 20
MANY = 100
"""Splits on which the interval's coverage is measured too: of 20, one more or less is 5 %."""
FILES = {"puma": "MountainLion.csv", "tiger": "AmurTiger.csv"}
WITHIN = 0.15

# The original's own rows on these tables (complete data), as published with the imputation study.
ORIGINAL = {
    "tiger": {"balanced_accuracy": 0.929, "recall": 0.88, "precision": 0.35, "animals": 38, "truth": 44},
    "puma": {"balanced_accuracy": 0.911, "recall": 0.83, "precision": 0.70, "animals": 33, "truth": 35},
}


def run(data: Path, work: Path) -> tuple[list[Claim], dict[str, Any], float]:
    claims: list[Claim] = []
    result: dict[str, Any] = {"splits": SPLITS}
    spent = 0.0
    for species, file in FILES.items():
        table = read_prints(data / file)
        block: dict[str, Any] = {"prints": len(table), "trails": len(table.trails), "notes": table.notes}
        block["animals"] = len(np.unique(table.animal))
        block["fit_in_sample"] = in_sample_fit(table, species)
        for method in ("plda", "fit"):
            one = partial(held_out, data / file, method, species)
            splits = range(MANY if method == "plda" else SPLITS)
            rows, seconds = rows_of(work, f"{species}-{method}", one, splits, piece=10)
            spent += seconds
            block[f"{method}_held_out"] = summary(rows[:SPLITS])
            block[f"{method}_coverage"] = {"splits": len(rows), "covered": float(np.mean([r["covered"] for r in rows]))}
        sexes = discriminate(table.values, table.attributes["sex"], table.animal, table.trail, table.variables)
        block["sex"] = sexes.to_dict()
        result[species] = block
        claims += claims_of(species, block)
    return claims, result, spent


def in_sample_fit(table: PrintTable, species: str) -> dict[str, Any]:
    """The pairwise method with the whole table as reference, as the original was scored."""
    found = Identifier(method="fit", species=species).fit(table).predict(table)
    assert found.in_sample
    owner = table.of_trails(table.animal)
    upper = np.triu_indices(len(owner), 1)
    same = (owner[:, None] == owner)[upper]
    preset = PRESETS[species]
    pairs = compare_pairs(table.values, table.trail, table.values, variables=preset.variables)
    contours = {}
    for contour in ("pooled", "own"):
        for coverage in (0.5, 0.8, 0.9):
            calls = np.where(pairs.same(coverage, contour=contour), 1.0, -1.0)[upper]
            contours[f"{contour} {coverage}"] = {
                "balanced_accuracy": round(balanced_accuracy(calls, same), 4),
                "recall": round(recall(calls, same), 4),
                "precision": round(float(np.nan_to_num(precision(calls, same))), 4),
            }
    return {
        "label": "in-sample: the trails are among the reference and the presets were set on such tables",
        "original": ORIGINAL[species],
        "preset": preset._asdict(),
        "scores": score_identification(found, owner),
        "individuals": found.individuals.value,
        "contours": contours,
    }


def held_out(path: Path, method: str, species: str, seed: int) -> dict[str, Any]:
    """Learn from a random half of the animals, identify the other half."""
    table = read_prints(path)
    animals = np.unique(table.animal)
    learned = np.isin(table.animal, np.random.default_rng(seed).permutation(animals)[: len(animals) // 2])
    survey = table.where(~learned)
    found = Identifier(method=method, species=species, seed=seed).fit(table.where(learned)).predict(survey)
    owner = survey.of_trails(survey.animal)
    upper = np.triu_indices(len(owner), 1)
    same, scores = (owner[:, None] == owner)[upper], found.scores[upper]
    truth, count = len(np.unique(owner)), found.individuals
    return {
        "seed": seed, "truth": truth, "count": count.value, "low": count.low, "high": count.high,
        "covered": bool(count.low <= truth <= count.high), "ratio": count.value / truth,
        "balanced_accuracy": balanced_accuracy(scores, same), "auc": area_under_curve(scores, same),
        "precision": float(np.nan_to_num(precision(scores, same))), "recall": recall(scores, same),
        "adjusted_rand": float(adjusted_rand_score(owner, found.individual)),
    }  # fmt: skip


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the splits, coverage and width of the interval, and the rows."""
    keys = ("balanced_accuracy", "auc", "precision", "recall", "adjusted_rand", "ratio")
    return {
        **{key: spread([row[key] for row in rows]) for key in keys},
        "coverage": float(np.mean([row["covered"] for row in rows])),
        "within_15_percent": float(np.mean([abs(row["ratio"] - 1) <= WITHIN for row in rows])),
        "mean_interval_width": float(np.mean([row["high"] - row["low"] for row in rows])),
        "rows": rows,
    }


def spread(values: list[float]) -> dict[str, float]:
    array = np.asarray(values, dtype=float)
    return {
        key: round(float(f(array)), 4)
        for key, f in (("mean", np.mean), ("sd", np.std), ("min", np.min), ("max", np.max))
    }


def claims_of(species: str, block: dict[str, Any]) -> list[Claim]:
    """One table's rows of the book."""
    inside, original = block["fit_in_sample"], ORIGINAL[species]
    accuracy = inside["scores"]["pairs"]["balanced_accuracy"]["value"]
    plda, fit, sex = block["plda_held_out"], block["fit_held_out"], block["sex"]
    ratio, covered, rand = plda["ratio"]["mean"], plda["coverage"], plda["adjusted_rand"]["mean"]
    many = block["plda_coverage"]["covered"]
    trail = sex["leave_one_animal_out"]["trail"]["value"]
    of = f"{species}, {block['trails']} trails of {block['animals']} animals"
    halves = f"{species}, {SPLITS} random halves of the animals held out"

    def mean(block: dict[str, Any], key: str, digits: int = 3) -> str:
        return f"{block[key]['mean']:.{digits}f} (sd {block[key]['sd']:.{digits}f})"

    return [
        Claim(
            f"{of}: pairs by the pairwise method, in-sample, balanced accuracy",
            f"{accuracy:.3f}",
            f"JMP FIT, published: {original['balanced_accuracy']}",
            ratio=accuracy / original["balanced_accuracy"],
            goal="as JMP FIT or above",
            met=accuracy >= original["balanced_accuracy"],
        ),
        Claim(
            f"{of}: animals counted by the pairwise method, in-sample",
            f"{inside['individuals']:.0f} of {original['truth']}",
            f"JMP FIT, published: {original['animals']} of {original['truth']}",
            goal="as near as JMP FIT",
            met=abs(inside["individuals"] - original["truth"]) <= abs(original["animals"] - original["truth"]),
        ),
        Claim(
            f"{halves}: pairs by plda, balanced accuracy",
            mean(plda, "balanced_accuracy"),
            f"pairwise method: {mean(fit, 'balanced_accuracy')}",
            ratio=plda["balanced_accuracy"]["mean"] / fit["balanced_accuracy"]["mean"],
            goal="0.97",
            met=plda["balanced_accuracy"]["mean"] >= 0.97,
        ),
        Claim(
            f"{halves}: area under the curve of pairs by plda",
            mean(plda, "auc", 4),
            f"pairwise method: {mean(fit, 'auc', 4)}",
            goal="0.99",
            met=plda["auc"]["mean"] >= 0.99,
        ),
        Claim(
            f"{halves}: adjusted Rand index at the estimated number of animals, plda",
            mean(plda, "adjusted_rand"),
            f"pairwise method: {mean(fit, 'adjusted_rand')}",
            goal="0.9" if species == "puma" else "",
            met=rand >= 0.9 if species == "puma" else None,
        ),
        Claim(
            f"{halves}: animals counted over true number, plda",
            f"{mean(plda, 'ratio')}, within 15 % in {plda['within_15_percent']:.0%} of splits",
            f"pairwise method: {mean(fit, 'ratio')}, within 15 % in {fit['within_15_percent']:.0%}",
            goal="within 15 % on average",
            met=abs(ratio - 1) <= WITHIN,
        ),
        Claim(
            f"{species}, random halves of the animals held out: the 95 % interval for their number holds it, plda",
            f"{many:.0%} of {MANY} splits ({covered:.0%} of the first {SPLITS}), "
            f"mean width {plda['mean_interval_width']:.1f}",
            f"pairwise method: {fit['coverage']:.0%}, mean width {fit['mean_interval_width']:.1f}",
            goal="90 to 97 % of splits",
            met=0.90 <= many <= 0.97,
        ),
        Claim(
            f"{of}: sex by trail, each animal left out in turn",
            f"{trail:.3f}",
            f"in-sample, which is what is usually published: {sex['in_sample']['trail']['value']:.3f}",
            goal="0.96",
            met=trail >= 0.96,
        ),
    ]

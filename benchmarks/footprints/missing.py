"""What missing landmarks cost, with each way of filling in, beside the figures published with the original.

Each print loses each of its 25 placed landmarks with the stated chance, and with it every point and variable that
depends on it, by the species' own table of dependence.
"""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.footprints.pieces import rows_of
from benchmarks.record import Claim
from ethomorph.core.prints import PrintTable
from ethomorph.identity.estimator import Identifier
from ethomorph.identity.score import balanced_accuracy
from ethomorph.identity.table import read_prints

FILES = {
    "puma": ("MountainLion.csv", "Missing_Patterns_Mountain_Lion.csv"),
    "tiger": ("AmurTiger.csv", "Missing_Patterns_Amur_Tiger.csv"),
}
SHARES = (0.0, 0.05, 0.1, 0.2)
METHODS = ("forest", "mean")
PLACED, DERIVED = 25, 15

# Mean balanced accuracy of the original over five species, by share of landmarks missing.
PUBLISHED = {"forest": (0.929, 0.914, 0.906, 0.844), "mean": (0.929, 0.866, 0.803, 0.736)}
PUBLISHED_DROPPED = (0.929, 0.621, 0.553, 0.117)


def run(data: Path, work: Path) -> tuple[list[Claim], dict[str, Any], float]:
    jobs = [
        (species, way, method, share)
        for species in FILES
        for way in ("fit in-sample", "plda held-out")
        for method in METHODS
        for share in SHARES
        if share or method == METHODS[0]
    ]
    rows, seconds = rows_of(work, "missing", partial(one, data), jobs, piece=2)
    accuracy = {
        way: {
            method: [
                float(np.mean([r["balanced_accuracy"] for r in rows if (r["way"], r["share"]) == (way, share)
                               and (r["method"] == method or not share)]))
                for share in SHARES
            ]
            for method in METHODS
        }
        for way in ("fit in-sample", "plda held-out")
    }  # fmt: skip
    return claims_of(accuracy), {"shares": SHARES, "accuracy": accuracy, "published": PUBLISHED, "rows": rows}, seconds


def one(data: Path, job: tuple[str, str, str, float]) -> dict[str, Any]:
    species, way, method, share = job
    file, pattern = FILES[species]
    table = read_prints(data / file)
    holed = lose_landmarks(table, dependence(data / pattern, data / file, table), share, np.random.default_rng(1))
    row = {"species": species, "way": way, "method": method, "share": share}
    row["cells_missing"] = round(float(np.isnan(holed.values).mean()), 4)
    if way == "fit in-sample":
        found = Identifier(method="fit", species=species, imputation=method).fit(holed).predict(holed)
        owner = holed.of_trails(holed.animal)
    else:
        animals = np.unique(holed.animal)
        learned = np.isin(holed.animal, np.random.default_rng(0).permutation(animals)[: len(animals) // 2])
        survey = holed.where(~learned)
        found = Identifier(imputation=method, replicas=0).fit(holed.where(learned)).predict(survey)
        owner = survey.of_trails(survey.animal)
    upper = np.triu_indices(len(owner), 1)
    return row | {"balanced_accuracy": balanced_accuracy(found.scores[upper], (owner[:, None] == owner)[upper])}


def dependence(pattern: Path, file: Path, table: PrintTable) -> np.ndarray:
    """(25, variables) whether a placed landmark is needed, through derived points too."""
    with pattern.open(encoding="utf-8-sig", newline="") as stream:
        cells = np.array(list(csv.reader(stream, delimiter=";"))[1:], dtype=int).astype(bool)
    with file.open(encoding="utf-8-sig", newline="") as stream:
        header = next(csv.reader(stream))
    columns = header[header.index("V1") :]
    points, variables = cells[:, :DERIVED], cells[:, DERIVED:]
    needs = np.zeros((PLACED, PLACED + DERIVED), dtype=bool)  # which points go when a placed one does
    needs[:, :PLACED] = np.eye(PLACED, dtype=bool)
    for _ in range(DERIVED):
        needs[:, PLACED:] |= needs.astype(int) @ points.astype(int) > 0
    lost = needs.astype(int) @ variables.astype(int) > 0
    return lost[:, [columns.index(name) for name in table.variables]]


def lose_landmarks(table: PrintTable, needed: np.ndarray, share: float, generator: np.random.Generator) -> PrintTable:
    """The table without the variables of landmarks lost at random; a print keeps at least one variable."""
    lost = generator.random((len(table), PLACED)) < share
    gone = lost.astype(int) @ needed.astype(int) > 0
    bare = gone.all(axis=1)
    gone[bare, 0] = False
    values = np.where(gone, np.nan, table.values)
    return PrintTable(values, table.variables, table.trail, table.animal, source=table.source)


def claims_of(accuracy: dict[str, dict[str, list[float]]]) -> list[Claim]:
    def shown(values: Any) -> str:
        return ", ".join(f"{v:.3f}" for v in values)

    fit, plda = accuracy["fit in-sample"], accuracy["plda held-out"]
    share = "0, 5, 10, 20 % of the landmarks missing"
    dropped = shown(PUBLISHED_DROPPED)
    return [
        Claim(
            f"Balanced accuracy of pairs, pairwise method in-sample, puma and tiger, {share}: forest imputation",
            shown(fit["forest"]),
            f"published, mean of five species, missForest: {shown(PUBLISHED['forest'])}; rows dropped: {dropped}",
        ),
        Claim(
            "The same with means filled in", shown(fit["mean"]), f"published, five species: {shown(PUBLISHED['mean'])}"
        ),
        Claim(
            f"Balanced accuracy of pairs, plda, half of the animals held out, {share}: forest imputation",
            shown(plda["forest"]),
            f"means filled in: {shown(plda['mean'])}; published, pairwise, in-sample: {shown(PUBLISHED['forest'])}",
            goal="as published or above",
            met=all(a >= b for a, b in zip(plda["forest"], PUBLISHED["forest"], strict=True)),
        ),
    ]

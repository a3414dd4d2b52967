"""Who left this print: both methods on the public tiger and puma tables, on simulations, and at scale.

Run: ``python benchmarks/identity.py DATA [--part PART]``, where DATA holds ``AmurTiger.csv`` and
``MountainLion.csv`` (footprint tables of the imputation study of Alibhai et al.; not shipped, their licence is not
stated). Each part writes ``benchmarks/results/identity_<part>.json``; the tables take minutes, the simulations about
half an hour on two cores.

The tiger table names no trails: consecutive prints of one animal are taken in sevens, which is optimistic.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import adjusted_rand_score

from ethomorph.core.files import write_json
from ethomorph.core.prints import PrintTable
from ethomorph.identity.discriminate import discriminate
from ethomorph.identity.estimator import Identifier
from ethomorph.identity.fit import PRESETS, compare_pairs
from ethomorph.identity.score import area_under_curve, balanced_accuracy, precision, recall, score_identification
from ethomorph.identity.table import read_table
from ethomorph.phantoms.prints import CAPTIVE, FIELD, simulate_prints

RESULTS = Path(__file__).parent / "results"
SPLITS, SIMULATIONS = 20, 500
SHARES_MISSING = (0.05, 0.2)
FILES = {"puma": "MountainLion.csv", "tiger": "AmurTiger.csv"}
PARTS = ("tables", "scale", "imputation", "simulations")

Save = Callable[[dict[str, Any]], None]

# the original's own rows on these tables (complete data), as published with the imputation study
ORIGINAL = {
    "tiger": {"balanced_accuracy": 0.929, "recall": 0.88, "precision": 0.35, "animals": 38, "truth": 44},
    "puma": {"balanced_accuracy": 0.911, "recall": 0.83, "precision": 0.70, "animals": 33, "truth": 35},
}


def frame(command: str, seconds: float, figures: dict[str, Any]) -> dict[str, Any]:
    """Figures with what is needed to repeat them."""
    return {
        "command": command,
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "system": platform.system()},
        "versions": {n: version(n) for n in ("numpy", "scipy", "scikit-learn", "ethomorph")}
        | {"python": sys.version.split()[0]},
        "seconds": round(seconds, 1),
        **figures,
    }


def spread(values: list[float]) -> dict[str, float]:
    array = np.asarray(values, dtype=float)
    return {
        key: round(float(f(array)), 4)
        for key, f in (("mean", np.mean), ("sd", np.std), ("min", np.min), ("max", np.max))
    }


# ---------------------------------------------------------------------- public tables


def in_sample_fit(table: PrintTable, species: str) -> dict[str, Any]:
    """The pairwise method with the whole table as reference, as the original was scored."""
    found = Identifier(method="fit", species=species).fit(table).predict(table)
    assert found.in_sample
    owner = table.of_trails(table.animal)
    upper = np.triu_indices(len(owner), 1)
    same = (owner[:, None] == owner)[upper]
    preset = PRESETS[species]
    start = time.perf_counter()
    pairs = compare_pairs(table.values, table.trail, table.values, variables=preset.variables)
    seconds = time.perf_counter() - start
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
        "seconds_pairs": round(seconds, 2),
    }


def held_out(job: tuple[PrintTable, int, str, str]) -> dict[str, Any]:
    """Learn from a random half of the animals, identify the other half."""
    table, seed, method, species = job
    animals = np.unique(table.animal)
    learned = np.isin(table.animal, np.random.default_rng(seed).permutation(animals)[: len(animals) // 2])
    survey = table.where(~learned)
    model = Identifier(method=method, species=species, seed=seed).fit(table.where(learned))
    found = model.predict(survey)
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


def imputation(job: tuple[PrintTable, int, float, str]) -> tuple[str, float, float]:
    """Held-out balanced accuracy with a share of the cells of both halves emptied."""
    table, seed, share, method = job
    generator = np.random.default_rng([seed, int(100 * share)])
    values = np.where(generator.random(table.values.shape) < share, np.nan, table.values)
    animals = np.unique(table.animal)
    learned = np.isin(table.animal, np.random.default_rng(seed).permutation(animals)[: len(animals) // 2])
    holed = PrintTable(values, table.variables, table.trail, table.animal, source=table.source)
    survey = holed.where(~learned)
    found = Identifier(imputation=method, replicas=0, seed=seed).fit(holed.where(learned)).predict(survey)
    owner = survey.of_trails(survey.animal)
    upper = np.triu_indices(len(owner), 1)
    return method, share, balanced_accuracy(found.scores[upper], (owner[:, None] == owner)[upper])


def tables(data: Path, pool: ProcessPoolExecutor, save: Save) -> dict[str, Any]:
    result: dict[str, Any] = {"splits": SPLITS}
    for species, file in FILES.items():
        table = read_table(data / file)
        block: dict[str, Any] = {"prints": len(table), "trails": len(table.trails), "notes": table.notes}
        block["animals"] = len(np.unique(table.animal))
        block["fit_in_sample"] = in_sample_fit(table, species)
        for method in ("plda", "fit"):
            rows = list(pool.map(held_out, [(table, seed, method, species) for seed in range(SPLITS)]))
            keys = ("balanced_accuracy", "auc", "precision", "recall", "adjusted_rand", "ratio")
            block[f"{method}_held_out"] = {
                **{key: spread([row[key] for row in rows]) for key in keys},
                "coverage": float(np.mean([row["covered"] for row in rows])),
                "within_15_percent": float(np.mean([abs(row["ratio"] - 1) <= 0.15 for row in rows])),
                "mean_interval_width": float(np.mean([row["high"] - row["low"] for row in rows])),
                "rows": rows,
            }
            log(f"{species} {method} held out: {block[f'{method}_held_out']['balanced_accuracy']}")
        sexes = discriminate(table.values, table.attributes["sex"], table.animal, table.trail, table.variables)
        block["sex"] = sexes.to_dict()
        result[species] = block
        save(result)
    return result


def imputations(data: Path, pool: ProcessPoolExecutor, save: Save) -> dict[str, Any]:
    """Held-out balanced accuracy against the share of measurements missing."""
    result: dict[str, Any] = {"splits": 2}
    for species, file in FILES.items():
        table = read_table(data / file)
        jobs = [(table, s, share, m) for m in ("forest", "mean") for share in SHARES_MISSING for s in range(2)]
        rows = list(pool.map(imputation, jobs))
        result[species] = {
            f"{method} {share:.0%} missing": round(
                float(np.mean([v for m, s, v in rows if (m, s) == (method, share)])), 4
            )
            for method in ("forest", "mean")
            for share in SHARES_MISSING
        }
        save(result)
    return result


# ---------------------------------------------------------------------- simulations


def simulated(seed: int) -> dict[str, Any]:
    """One survey of random size and quality, counted by a model learned on 25 other animals."""
    generator = np.random.default_rng([11, seed])
    shares = CAPTIVE if seed % 2 else FIELD
    animals, prints = int(generator.integers(3, 21)), int(generator.integers(3, 9))
    known = simulate_prints(animals=25, shares=shares, seed=2 * seed + 100_000, form=seed)
    survey = simulate_prints(
        animals=animals, trails=(1, 4), prints=(prints, prints), shares=shares, seed=2 * seed + 1, form=seed
    )
    count = Identifier(seed=seed).fit(known).predict(survey).individuals
    return {
        "kind": "captive" if seed % 2 else "field", "animals": animals, "prints": prints, "trails": len(survey.trails),
        "count": count.value, "low": count.low, "high": count.high, "covered": bool(count.low <= animals <= count.high),
    }  # fmt: skip


def one_animal(seed: int) -> bool:
    """Is the single animal that left eight trails claimed to be several (its interval excludes 1)?"""
    known = simulate_prints(animals=25, seed=200_000 + seed, form=seed)
    survey = simulate_prints(animals=1, trails=(8, 8), prints=(6, 8), seed=300_000 + seed, form=seed)
    return bool(Identifier(seed=seed).fit(known).predict(survey).individuals.low > 1)


def width(job: tuple[int, int]) -> tuple[int, float]:
    """Width of the interval of a survey of 12 animals with so many prints a trail, field conditions."""
    seed, prints = job
    known = simulate_prints(animals=25, shares=FIELD, seed=400_000 + seed, form=seed)
    survey = simulate_prints(
        animals=12, trails=(2, 2), prints=(prints, prints), shares=FIELD, seed=500_000 + seed, form=seed
    )
    count = Identifier(seed=seed).fit(known).predict(survey).individuals
    return prints, count.high - count.low


def shifted(job: tuple[int, float]) -> tuple[float, bool, float]:
    """Is a shift of the ground between the two sites of a survey reported, and what does it do to the count?"""
    seed, shift = job
    known = simulate_prints(animals=25, seed=600_000 + seed, form=seed)
    survey = simulate_prints(animals=16, sites=2, substrate_shift=shift, seed=700_000 + seed, form=seed)
    found = Identifier(seed=seed, replicas=4).fit(known).predict(survey)
    return shift, any("differ between sites" in w for w in found.warnings), found.individuals.value / 16


def coverage_by_kind(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Coverage, bias and width of the interval over all simulations and over some of them."""

    def share(keep: Callable[[dict[str, Any]], bool]) -> dict[str, float]:
        kept = [row for row in rows if keep(row)]
        return {
            "simulations": len(kept),
            "coverage": round(float(np.mean([row["covered"] for row in kept])), 4),
            "mean_ratio": round(float(np.mean([row["count"] / row["animals"] for row in kept])), 4),
            "mean_width": round(float(np.mean([row["high"] - row["low"] for row in kept])), 2),
        }

    return {
        "all": share(lambda r: True),
        "captive": share(lambda r: r["kind"] == "captive"),
        "field": share(lambda r: r["kind"] == "field"),
        "3 to 5 prints": share(lambda r: r["prints"] <= 5),
        "6 to 8 prints": share(lambda r: r["prints"] >= 6),
        "3 to 9 animals": share(lambda r: r["animals"] <= 9),
        "10 to 20 animals": share(lambda r: r["animals"] >= 10),
    }


def simulations(pool: ProcessPoolExecutor, save: Save) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    result: dict[str, Any] = {"nominal": 0.95, "asked_for": SIMULATIONS}
    for row in pool.map(simulated, range(SIMULATIONS), chunksize=5):
        rows.append(row)
        if len(rows) % 25 == 0 or len(rows) == SIMULATIONS:
            result["coverage"] = coverage_by_kind(rows)
            save(result)
            log(f"{len(rows)} of {SIMULATIONS}: {result['coverage']['all']}")
    result["one_animal_claimed_several"] = float(np.mean(list(pool.map(one_animal, range(100), chunksize=5))))
    widths = list(pool.map(width, [(s, p) for p in (3, 5, 8) for s in range(20)], chunksize=5))
    result["width_by_prints"] = {str(p): float(np.mean([w for q, w in widths if q == p])) for p in (3, 5, 8)}
    shifts = list(pool.map(shifted, [(s, d) for d in (0.0, 0.5, 1.0) for s in range(30)], chunksize=5))
    result["substrate_shift"] = {
        str(d): {
            "reported": float(np.mean([said for x, said, _ in shifts if x == d])),
            "count_ratio": round(float(np.mean([ratio for x, _, ratio in shifts if x == d])), 3),
        }
        for d in (0.0, 0.5, 1.0)
    }
    return result


# ---------------------------------------------------------------------- scale


def scale() -> dict[str, Any]:
    known = simulate_prints(animals=60, seed=1)
    survey = simulate_prints(animals=2000, trails=(1, 2), prints=(6, 7), seed=2)
    start = time.perf_counter()
    model = Identifier().fit(known)
    learned = time.perf_counter()
    found = model.predict(survey)
    done = time.perf_counter()
    owner = survey.of_trails(survey.animal)
    return {
        "prints": len(survey), "trails": len(survey.trails), "animals": 2000,
        "seconds_learning": round(learned - start, 1), "seconds_identifying": round(done - learned, 1),
        "peak_memory_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "individuals": found.individuals.to_dict(),
        "adjusted_rand": round(float(adjusted_rand_score(owner, found.individual)), 4),
    }  # fmt: skip


def log(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--part", choices=PARTS, action="append")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for part in arguments.part or PARTS:
        start = time.perf_counter()
        command = f"python benchmarks/identity.py DATA --part {part}"

        def save(figures: dict[str, Any], part: str = part, start: float = start, command: str = command) -> None:
            """Write what there is so far: a part that is cut short leaves what it had."""
            write_json(RESULTS / f"identity_{part}.json", frame(command, time.perf_counter() - start, figures))

        if part == "scale":
            save(scale())
        else:
            with ProcessPoolExecutor(max_workers=2) as pool:
                if part == "simulations":
                    save(simulations(pool, save))
                else:
                    save((tables if part == "tables" else imputations)(arguments.data, pool, save))
        log(f"{part} done")


if __name__ == "__main__":
    main()

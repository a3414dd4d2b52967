"""Counts on simulated surveys with known truth: coverage, one animal, few prints, a shift of the ground."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.footprints.pieces import rows_of
from benchmarks.record import Claim
from ethomorph.identity.estimator import Identifier
from ethomorph.phantoms.prints import CAPTIVE, FIELD, simulate_prints

SURVEYS, SINGLES, PRINTS, SHIFTS = 500, 100, (3, 5, 8), (0.0, 0.5, 1.0)
ALPHA = 0.05


def run(data: Path, work: Path) -> tuple[list[Claim], dict[str, Any], float]:
    rows, first = rows_of(work, "survey", simulated, range(SURVEYS), piece=25)
    singles, second = rows_of(work, "single", one_animal, range(SINGLES), piece=25)
    widths, third = rows_of(work, "width", width, [(s, p) for p in PRINTS for s in range(20)], piece=30)
    shifts, fourth = rows_of(work, "shift", shifted, [(s, d) for d in SHIFTS for s in range(30)], piece=45)
    result: dict[str, Any] = {
        "nominal": 0.95,
        "coverage": coverage_by_kind(rows),
        "one_animal_claimed_several": float(np.mean([row["several"] for row in singles])),
        "width_by_prints": {str(p): float(np.mean([r["width"] for r in widths if r["prints"] == p])) for p in PRINTS},
        "substrate_shift": {
            str(d): {
                "reported": float(np.mean([r["reported"] for r in shifts if r["shift"] == d])),
                "count_ratio": round(float(np.mean([r["ratio"] for r in shifts if r["shift"] == d])), 3),
            }
            for d in SHIFTS
        },
        "rows": rows,
    }
    return claims_of(result), result, first + second + third + fourth


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


def one_animal(seed: int) -> dict[str, Any]:
    """Is the single animal that left eight trails claimed to be several (its interval excludes 1)?"""
    known = simulate_prints(animals=25, seed=200_000 + seed, form=seed)
    survey = simulate_prints(animals=1, trails=(8, 8), prints=(6, 8), seed=300_000 + seed, form=seed)
    return {"several": bool(Identifier(seed=seed).fit(known).predict(survey).individuals.low > 1)}


def width(job: tuple[int, int]) -> dict[str, Any]:
    """Width of the interval of a survey of 12 animals with so many prints a trail, field conditions."""
    seed, prints = job
    known = simulate_prints(animals=25, shares=FIELD, seed=400_000 + seed, form=seed)
    survey = simulate_prints(
        animals=12, trails=(2, 2), prints=(prints, prints), shares=FIELD, seed=500_000 + seed, form=seed
    )
    count = Identifier(seed=seed).fit(known).predict(survey).individuals
    return {"prints": prints, "width": count.high - count.low}


def shifted(job: tuple[int, float]) -> dict[str, Any]:
    """Is a shift of the ground between the two sites of a survey reported, and what does it do to the count?"""
    seed, shift = job
    known = simulate_prints(animals=25, seed=600_000 + seed, form=seed)
    survey = simulate_prints(animals=16, sites=2, substrate_shift=shift, seed=700_000 + seed, form=seed)
    found = Identifier(seed=seed, replicas=4).fit(known).predict(survey)
    said = any("differ between sites" in warning for warning in found.warnings)
    return {"shift": shift, "reported": said, "ratio": found.individuals.value / 16}


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


def claims_of(result: dict[str, Any]) -> list[Claim]:
    field, captive = (result["coverage"][kind] for kind in ("field", "captive"))
    several, widths, shift = (result[k] for k in ("one_animal_claimed_several", "width_by_prints", "substrate_shift"))
    narrow = [widths[str(p)] for p in PRINTS]
    return [
        Claim(
            f"{field['simulations']} simulated surveys, field conditions: the 95 % interval for the number of animals "
            "holds it",
            f"{field['coverage']:.1%}, mean width {field['mean_width']}",
            goal="90 to 97 %",
            met=0.90 <= field["coverage"] <= 0.97,
        ),
        Claim(
            f"{captive['simulations']} simulated surveys, captive conditions, where nearly every count is exact",
            f"{captive['coverage']:.1%}, mean width {captive['mean_width']}",
        ),
        Claim(
            f"One animal that left eight trails is claimed to be several, {SINGLES} simulations",
            f"{several:.0%}",
            goal=f"{ALPHA:.0%} or less",
            met=several <= ALPHA,
        ),
        Claim(
            "Mean width of the interval for 12 animals with 3, 5 and 8 prints a trail, field conditions",
            ", ".join(f"{w:.2f}" for w in narrow),
            goal="falls with the prints",
            met=narrow[0] > narrow[1] > narrow[2],
        ),
        Claim(
            "A shift of the ground between two sites, of 1 standard deviation, is reported",
            f"{shift['1.0']['reported']:.0%} of 30 surveys; animals counted over true number "
            f"{shift['1.0']['count_ratio']:.2f}",
            f"without shift: {shift['0.0']['reported']:.0%}, {shift['0.0']['count_ratio']:.2f}",
            goal="reported",
            met=shift["1.0"]["reported"] >= 0.95 and shift["0.0"]["reported"] <= ALPHA,
        ),
    ]

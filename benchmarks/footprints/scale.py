"""20,000 prints of 2,000 animals through ``ethomorph identify``: seconds and peak memory, read to written."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.footprints.pieces import rows_of
from benchmarks.record import Claim
from ethomorph.core.prints import PrintTable
from ethomorph.phantoms.prints import simulate_prints

ANIMALS = 2000
MOST_MINUTES, MOST_GIB = 5.0, 4.0
SURVEYS: dict[str, dict[str, Any]] = {
    "trails of 6 or 7 prints": {"trails": (1, 2), "prints": (6, 7)},
    "trails of a single print": {"trails": (10, 10), "prints": (1, 1)},
}


def run(data: Path, work: Path) -> tuple[list[Claim], dict[str, Any], float]:
    work = work.absolute()
    rows, seconds = rows_of(work, "scale", partial(measured, work), list(SURVEYS), piece=1)
    return claims_of(rows), {"rows": rows}, seconds


def measured(work: Path, name: str) -> dict[str, Any]:
    """One survey written to disk, identified by the command line in a process of its own."""
    survey = simulate_prints(animals=ANIMALS, seed=2, **SURVEYS[name])
    known = write(simulate_prints(animals=60, seed=1), work / "known.csv", animals=True)
    table = write(survey, work / "survey.csv", animals=False)
    command = [sys.executable, "-m", "ethomorph", "identify", str(table), "--reference", str(known)]
    begun = time.perf_counter()
    with subprocess.Popen([*command, "--out", str(work / "out")], stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - begun
    if process.returncode:
        raise RuntimeError(f"identify ended with {process.returncode}")
    result = json.loads((work / "out" / "identity.json").read_text(encoding="utf-8"))
    return {
        "survey": name, "prints": len(survey), "trails": len(survey.trails), "animals": ANIMALS,
        "seconds": round(seconds, 1), "peak_gib": round(usage.ru_maxrss / 2**20, 2),
        "individuals": result["individuals"], "warnings": result["warnings"],
    }  # fmt: skip


def write(table: PrintTable, path: Path, *, animals: bool) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow([*(["animal"] if animals else []), "trail", *table.variables])
        for who, trail, values in zip(table.animal, table.trail, table.values, strict=True):
            writer.writerow([*([who] if animals else []), trail, *(f"{v:.5g}" for v in values)])
    return path


def claims_of(rows: list[dict[str, Any]]) -> list[Claim]:
    return [
        Claim(
            f"{row['prints']:,} prints of {row['animals']:,} animals in {row['trails']:,} {row['survey']}, "
            "`ethomorph identify` from file to folder",
            f"{row['seconds'] / 60:.1f} min, {row['peak_gib']:.1f} GiB",
            f"animals counted: {row['individuals']['value']:.0f}",
            goal="5 min, 4 GiB",
            met=row["seconds"] <= 60 * MOST_MINUTES and row["peak_gib"] <= MOST_GIB,
        )
        for row in rows
    ]

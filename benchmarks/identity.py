"""Who left this print: both methods on the public tiger and puma tables, on simulations, and at scale.

Run: ``python -m benchmarks.identity [--part PART] [--data FOLDER] [--work FOLDER]``; each part writes
``benchmarks/results/identity_<part>.json``. The folder holds ``AmurTiger.csv``, ``MountainLion.csv`` and their tables
of missing patterns (footprint tables of the imputation study of Alibhai et al.; not shipped, their licence is not
stated). With ``--work`` finished pieces are kept there, and a part that was cut short goes on.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.footprints import missing, pictures, scale, simulations, tables
from benchmarks.record import write_result
from ethomorph.study.provenance import Stopwatch

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "footprints"
PARTS = {
    "tables": tables.run,
    "missing": missing.run,
    "simulations": simulations.run,
    "scale": scale.run,
    "pictures": pictures.run,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--work", type=Path, default=None, help="keep finished pieces here, to go on later")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for part in arguments.part or PARTS:
        watch = Stopwatch()
        with tempfile.TemporaryDirectory(prefix="identity-") as scratch:
            claims, figures, seconds = PARTS[part](arguments.data, (arguments.work or Path(scratch)) / part)
        path = write_result(
            f"identity_{part}", claims, seed=0, watch=watch, **figures,
            command=f"python -m benchmarks.identity --part {part}",
            minutes=round(max(seconds, watch.seconds) / 60, 1),
        )  # fmt: skip
        print(path, file=sys.stderr)


if __name__ == "__main__":
    main()

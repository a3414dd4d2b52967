"""Prediction over many files: cost against their number, bytes read, and what an array on Slurm adds.

``python -m benchmarks.many [--part growth|slurm]``: about 12 minutes on two slow cores. Small simulated radiographs and
small regression trees, so that what is measured is the handling of files rather than a network. The Slurm part needs a
Slurm that `sbatch` reaches and is left out, saying so, where there is none.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import RESULTS, Claim, write_result
from ethomorph.cli.app import execute
from ethomorph.phantoms.radiograph import simulate_radiographs
from ethomorph.study.provenance import Stopwatch

SOURCES = 100
SLURM_FILES = 10_000
SLURM_TASKS = 2
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "many.png"
SCANS, NODES = 100_000, 50
STUDY = """\
[study]
name = "many"
[split]
test = 0.2
validation = 0.0
[task.t]
kind = "landmarks"
labels = "landmarks.tps"
images = "images"
method = "ert"
[task.t.settings]
cascade_depth = 4
num_trees_per_cascade_level = 40
oversampling_amount = 5
[slurm]
cpus = 1
memory_gb = 2
minutes = 60
tasks = 2
"""


def make(folder: Path, seed: int) -> tuple[Path, list[Path]]:
    """A trained run, and pictures to copy."""
    simulate_radiographs(12, size=(240, 320), seed=seed).write(folder)
    simulate_radiographs(SOURCES, size=(240, 320), seed=seed + 1).write(folder / "new")
    (folder / "study.toml").write_text(STUDY)
    if execute(["train", str(folder), "--run", "r", "--quiet"]) != 0:
        raise RuntimeError("the small run could not be trained")
    return folder / "runs" / "t" / "r", sorted((folder / "new" / "images").iterdir())


def copies(sources: list[Path], count: int, folder: Path) -> Path:
    """So many pictures in a folder."""
    folder.mkdir()
    for i in range(count):
        shutil.copy(sources[i % len(sources)], folder / f"{i:06d}.png")
    return folder


def measured(run: Path, pictures: Path, out: Path, *more: str) -> dict[str, float]:
    """Wall seconds, peak memory in MB and bytes read by one call in a process of its own."""
    script = (
        "import resource, sys, time; from pathlib import Path; from ethomorph.cli.app import execute; "
        "begun = time.monotonic(); code = execute(sys.argv[1:]); seconds = time.monotonic() - begun; "
        "read = [line.split()[1] for line in Path('/proc/self/io').read_text().splitlines() if line[:5] == 'rchar']; "
        "print('measured', code, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, *read)"
    )
    arguments = ["predict", str(run), str(pictures), "--out", str(out), "--tasks", "1", "--quiet", *more]
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    words = next(line.split() for line in done.stdout.splitlines() if line.startswith("measured"))
    if words[1] != "0":
        raise RuntimeError(done.stderr[-500:])
    return {"seconds": float(words[2]), "memory_mb": float(words[3]), "bytes_read": float(words[4])}


def growth(run: Path, sources: list[Path], work: Path, most: int) -> dict[int, dict[str, float]]:
    """Cost of 10, 100, ... files."""
    found = {}
    for count in (10**k for k in range(1, len(str(most)))):
        pictures = copies(sources, count, work / f"p{count}")
        size = sum(file.stat().st_size for file in pictures.iterdir())
        found[count] = measured(run, pictures, work / f"{count}.tps") | {"bytes_of_input": size}
        # called again, nothing is left to predict: what remains is to start, look and merge
        found[count]["merging_seconds"] = measured(run, pictures, work / f"{count}.tps")["seconds"]
        print(count, found[count], file=sys.stderr, flush=True)
        shutil.rmtree(pictures)
    return found


def on_slurm(run: Path, sources: list[Path], work: Path) -> dict[str, Any]:
    """Wall time of an array on this node and of as many local processes, on the same files."""
    pictures = copies(sources, SLURM_FILES, work / "slurm")
    times: dict[str, Any] = {"files": SLURM_FILES, "tasks": SLURM_TASKS}
    for name, more in (("local", []), ("slurm", ["--on", "slurm", "--wait"])):
        begun = time.monotonic()
        out = work / f"{name}.tps"
        arguments = [
            "predict",
            str(run),
            str(pictures),
            "--out",
            str(out),
            "--tasks",
            str(SLURM_TASKS),
            "--quiet",
            *more,
        ]
        if execute(arguments) != 0 or not out.exists():
            raise RuntimeError(f"the prediction by {name} failed")
        times[name] = time.monotonic() - begun
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--most", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", choices=("growth", "slurm"), help="one part alone, beside the other's last figures")
    options = parser.parse_args()
    watch = Stopwatch()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        run, sources = make(work / "study", options.seed)
        before = last_figures() if options.part else {}
        found = before["growth"] if options.part == "slurm" else growth(run, sources, work, options.most)
        if options.part == "growth":
            slurm = before["slurm"]
        else:
            slurm = on_slurm(run, sources, work) if shutil.which("sbatch") else "left out: there is no sbatch here"
    path = write_result(
        "many", claims(found, slurm), seed=options.seed, watch=watch, growth=found, slurm=slurm,
        command="python -m benchmarks.many",
    )  # fmt: skip
    draw(found, PICTURE)
    print(path, file=sys.stderr)


def draw(found: dict[int, dict[str, float]], path: Path) -> None:
    """Seconds and memory against the number of files."""
    from ethomorph.report.style import figure, save

    counts = sorted(found)
    drawn, (time_axes, memory_axes) = figure(columns=2, width=8.0, height=3.0)
    seconds = [found[n]["seconds"] for n in counts]
    time_axes.loglog(counts, seconds, "o-", label="measured")
    pace = seconds[-1] / counts[-1]
    time_axes.loglog(counts, [pace * n for n in counts], ":", color="0.5", label="in proportion to the files")
    time_axes.set(xlabel="files", ylabel="seconds")
    time_axes.legend(frameon=False)
    memory_axes.semilogx(counts, [found[n]["memory_mb"] for n in counts], "o-")
    memory_axes.set(xlabel="files", ylabel="peak memory, MB", ylim=(0, 500))
    save(drawn, path)


def last_figures() -> dict[str, Any]:
    """Growth and Slurm's share as last written."""
    block = json.loads((RESULTS / "many.json").read_text(encoding="utf-8"))
    block["growth"] = {int(count): row for count, row in block["growth"].items()}
    return block


def estimate(found: dict[int, dict[str, float]]) -> Claim:
    """How long `SCANS` of these pictures take on `NODES` one-process nodes, from the slopes measured here."""
    few, most = min(found), max(found)
    slope = {k: (found[most][k] - found[few][k]) / (most - few) for k in ("seconds", "merging_seconds")}
    start = found[few]["merging_seconds"]
    predicting = (slope["seconds"] - slope["merging_seconds"]) * SCANS / NODES
    merging = slope["merging_seconds"] * SCANS
    return Claim(
        f"{SCANS:,} such files on {NODES} nodes of one process each, computed from these figures: starting, "
        "predicting, and merging on one node",
        f"{start:.0f} s, {predicting:.0f} s, {merging:.0f} s",
        f"one process here: {slope['seconds'] * SCANS / 60:.0f} min",
    )


def claims(found: dict[int, dict[str, float]], slurm: dict[str, Any] | str) -> list[Claim]:
    """Time and memory against the number of files, bytes read for a byte of input, and Slurm's share."""
    counts = sorted(found)
    most, before = counts[-1], counts[-2]
    big, small = found[most], found[before]
    # the slopes between the two largest leave out what starting costs
    exponent = float(np.log10(big["seconds"] / small["seconds"]))
    memory = big["memory_mb"] / small["memory_mb"]
    inputs = big["bytes_of_input"] - small["bytes_of_input"]
    bytes_read = (big["bytes_read"] - small["bytes_read"]) / inputs
    pace = (big["seconds"] - small["seconds"]) / (most - before)
    made = [
        Claim(
            f"prediction of {most:,} files: time grows as files to the power, from {before:,}",
            f"{exponent:.2f} ({pace * 1000:.0f} ms a file)", goal="at most 1.1", met=exponent <= 1.1,
        ),
        Claim(
            f"peak memory at {most:,} files against {before:,}", f"{big['memory_mb']:.0f} MB",
            f"{small['memory_mb']:.0f} MB", ratio=memory, goal="ratio at most 1.2", met=memory <= 1.2,
        ),
        Claim(
            "bytes read for a byte of input", f"{bytes_read:.3f}", goal="at most 1.1", met=bytes_read <= 1.1,
        ),
    ]  # fmt: skip
    made.append(estimate(found))
    if not isinstance(slurm, str):
        share = slurm["slurm"] / slurm["local"]
        made.append(
            Claim(
                f"{slurm['files']:,} files as {slurm['tasks']} Slurm tasks on one node against local processes",
                f"{slurm['slurm']:.0f} s", f"{slurm['local']:.0f} s", ratio=share, goal="ratio at most 1.15",
                met=share <= 1.15,
            )
        )  # fmt: skip
    return made


if __name__ == "__main__":
    main()

"""Segmentation of simulated CT heads, trained on a CPU, judged on heads and scanners that training never drew.

Steps, each kept in ``--work`` so that a benchmark cut short goes on: simulate, train, score.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import Claim, write_result
from ethomorph.core.files import write_json
from ethomorph.phantoms.head import simulate_head
from ethomorph.phantoms.scanner import draw_scanner
from ethomorph.study.provenance import Stopwatch
from ethomorph.volumes.data import Case, find_cases
from ethomorph.volumes.estimator import VolumeSegmenter
from ethomorph.volumes.score import VolumeScore, score_set, score_volume
from ethomorph.volumes.task import intensity_only

CLASSES: dict[str, Any] = {
    "jaw": ["LowerJaw*", "Replacement_lower*"],
    "tooth": {"match": "Tooth_*", "instances": True},
    "bone": ["OtherBone", "Replacement_upper*"],
}
"""Replacement teeth are left with the bone that they sit in."""

SPACINGS, UNSEEN_SPACINGS = (0.11, 0.14), (0.095, 0.165)
"""mm: a head is some 200 voxels long and a tooth 8 to 13 wide, still coarser than microCT of a lizard."""

PARTS = {"train": (1000, 32), "validation": (2000, 4), "test": (3000, 10), "unseen": (4000, 4)}
SETTINGS: dict[str, Any] = {
    "steps": 1700, "patch_voxels": 96**3, "batch_size": 1, "learning_rate": 7e-3, "mirrored": True,
}  # fmt: skip
"""A patch holds 12 mm of a head, so that it shows which jaw a piece of bone belongs to."""


CORES = 2


def simulate(work: Path, part: str) -> list[Case]:
    """The heads of a part; `unseen` has spacings and scanners beyond all that training drew."""
    first, count = PARTS[part]
    folder = work / part
    for number in range(count):
        seed = first + number
        name = f"head_{seed:04d}"
        if (folder / "truth" / f"{name}.json").is_file():
            continue
        rng = np.random.default_rng(seed)
        unseen = part == "unseen"
        spacing = UNSEEN_SPACINGS[number % 2] if unseen else float(rng.uniform(*SPACINGS))
        scanner = draw_scanner(rng, unseen=unseen)
        simulate_head(seed=seed, spacing=spacing, scanner=scanner, name=name).write(folder)
    return find_cases(folder / "labels", folder / "images")


def train(work: Path, seed: int, minutes: float) -> VolumeSegmenter:
    """Train, or go on; CPU seconds of all pieces are added up in ``cpu.json``."""
    cases = {part: simulate(work, part) for part in ("train", "validation")}
    model = VolumeSegmenter(classes=CLASSES, settings=SETTINGS, seed=seed, device="cpu", max_minutes=minutes or None)
    run = work / "run"
    resume = (run / "plan.toml").is_file()
    with cpu_counted(work / "cpu.json"):
        model.fit(cases["train"], validation=cases["validation"], folder=run, resume=resume, progress=False)
    model.save(work / "model")
    return model


@contextmanager
def cpu_counted(kept: Path) -> Iterator[None]:
    """Add this process's CPU seconds to what earlier pieces used, kept up to date in case it is killed."""
    before = json.loads(kept.read_text())["seconds"] if kept.is_file() else 0.0
    began, done = time.process_time(), threading.Event()

    def write() -> None:
        write_json(kept, {"seconds": before + time.process_time() - began})

    def watch() -> None:
        while not done.wait(5):
            write()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        write()


def judge(model: VolumeSegmenter, cases: list[Case], *, trivial: bool = False) -> list[VolumeScore]:
    """Score held-out heads; `trivial` scores what intensity alone gives."""
    scores = []
    for case in cases:
        image = case.read_image()
        truth = model.classes.encode(case.read_labels(image))
        if trivial:
            found = intensity_only(model.baseline(image), model.classes)
        else:
            found = model.classes.encode_prediction(model.predict_case(case, progress=False))
        scores.append(score_volume(case.name, case.name, truth, found, model.classes, image.grid, surfaces=not trivial))
        things = scores[-1].things["tooth"]
        print(f"{case.name}: {scores[-1].mean_dice:.3f} {things.truth} {things.predicted}", file=sys.stderr, flush=True)
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--work", type=Path, default=None, help="keep heads, training and predictions here, to go on later"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--minutes", type=float, default=0, help="bound of the training, time before included; 0 for none"
    )
    parser.add_argument("--train-only", action="store_true")
    options = parser.parse_args()
    watch = Stopwatch()
    work = options.work or Path(tempfile.mkdtemp(prefix="volumes-"))
    finished = (work / "model" / "model.toml").is_file() and not options.train_only
    model = VolumeSegmenter.load(work / "model") if finished else train(work, options.seed, options.minutes)
    if not options.train_only:
        report(model, work, options.seed, watch)


def report(model: VolumeSegmenter, work: Path, seed: int, watch: Stopwatch) -> None:
    """Score both held-out parts and write the result."""
    blocks: dict[str, Any] = {}
    counts: dict[str, list[int]] = {}
    for part in ("test", "unseen"):
        cases = simulate(work, part)
        scores = judge(model, cases)
        blocks[part] = score_set(scores, model.classes, seed=seed)
        blocks[f"{part}_intensity_only"] = score_set(judge(model, cases, trivial=True), model.classes, seed=seed)
        counts[part] = [abs(s.things["tooth"].predicted - s.things["tooth"].truth) for s in scores]
    minutes = json.loads((work / "cpu.json").read_text())["seconds"] / 60
    claims = [
        Claim("training of the heads' segmenter on a CPU, tuning included: CPU time of its one thread",
              f"{minutes:.0f} minutes", goal=f"at most {CORES * 40}: 40 minutes of {CORES} cores",
              met=minutes <= CORES * 40),
    ]  # fmt: skip
    goals = {"jaw_dice": 0.95, "bone_dice": 0.95, "tooth_pq": 0.85, "tooth_f1_at_iou_0.5": 0.95}
    titles = {
        "test": f"{PARTS['test'][1]} held-out heads",
        "unseen": f"{PARTS['unseen'][1]} heads of unseen spacings and scanners",
    }
    for part, title in titles.items():
        metrics, plain = blocks[part]["metrics"], blocks[f"{part}_intensity_only"]["metrics"]
        for name, goal in goals.items():
            value = metrics[name]["value"]
            claims.append(
                Claim(f"{title}: {name.replace('_', ' ')}, against intensity alone", spoken(metrics[name]),
                      spoken(plain[name]), goal=f"at least {goal}", met=value is not None and value >= goal)
            )  # fmt: skip
        worst = max(counts[part])
        mean = float(np.mean(counts[part]))
        claims.append(
            Claim(
                f"{title}: error of the number of teeth",
                f"mean {mean:.2f}, worst {worst}",
                goal="at most 1",
                met=mean <= 1,
            )
        )
    path = write_result(
        "volumes", claims, seed=seed, watch=watch, scores=blocks, count_errors=counts, cpu_minutes=minutes,
        plan=model.model_.plan_.to_dict(), notes=model.notes_,
    )  # fmt: skip
    print(path, file=sys.stderr)


def spoken(block: dict[str, Any]) -> str:
    """A metric block as a cell of a table."""
    if block["value"] is None:
        return "none"
    if block["low"] is None:
        return f"{block['value']:.3f}"
    return f"{block['value']:.3f} [{block['low']:.3f}, {block['high']:.3f}]"


if __name__ == "__main__":
    main()

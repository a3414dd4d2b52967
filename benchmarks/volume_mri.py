"""The skull in MRI-like heads: plain, and with the brain found and removed first; the skull's network trains alike.

Dice and mean surface distance on held-out heads, side by side, as the study of MRI skulls by removed brains did.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import Claim, write_result
from benchmarks.volumes import cpu_counted, spoken
from ethomorph.phantoms.head import simulate_head
from ethomorph.statistics.paired import paired_difference
from ethomorph.study.provenance import Stopwatch
from ethomorph.volumes.data import Case, find_cases
from ethomorph.volumes.estimator import VolumeSegmenter
from ethomorph.volumes.score import score_set, score_volume

CLASSES: dict[str, Any] = {"brain": "Brain", "skull": ["OtherBone", "LowerJaw*", "Tooth*", "Replacement*"]}
SKULL: dict[str, Any] = {"skull": CLASSES["skull"]}
PARTS = {"train": (5000, 12), "validation": (5500, 2), "test": (6000, 10)}
SPACING = (0.30, 0.36)


def simulate(work: Path, part: str) -> list[Case]:
    first, count = PARTS[part]
    folder = work / part
    for seed in range(first, first + count):
        name = f"head_{seed}"
        if not (folder / "truth" / f"{name}.json").is_file():
            spacing = float(np.random.default_rng(seed).uniform(*SPACING))
            simulate_head(seed=seed, spacing=spacing, contrast="mri", brain=True, name=name).write(folder)
    return find_cases(folder / "labels", folder / "images")


def trained(
    folder: Path, method: Any, classes: dict[str, Any], settings: dict[str, Any], parts: dict[str, list[Case]],
    seed: int,
) -> tuple[VolumeSegmenter, float]:  # fmt: skip
    """A model and its CPU minutes: trained, taken up where it broke off, or as it was kept."""
    if not (folder / "model" / "model.toml").is_file():
        model = VolumeSegmenter(method=method, classes=classes, settings=settings, seed=seed, device="cpu")
        with cpu_counted(folder / "cpu.json"):
            resume = (folder / "run").is_dir()
            model.fit(
                parts["train"], validation=parts["validation"], folder=folder / "run", resume=resume, progress=False
            )
        model.save(folder / "model")
    minutes = json.loads((folder / "cpu.json").read_text())["seconds"] / 60
    return VolumeSegmenter.load(folder / "model", device="cpu"), minutes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=500, help="of every network")
    options = parser.parse_args()
    watch = Stopwatch()
    work = options.work or Path(tempfile.mkdtemp(prefix="volume-mri-"))
    parts = {part: simulate(work, part) for part in PARTS}
    # a patch holds most of a head: a smaller one, normalised by itself, does not show whose brightness it is
    common = {"patch_voxels": 48**3, "batch_size": 1}
    ways: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
        "plain": ("unet3d", SKULL, common | {"steps": options.steps}),
        "brain removed": (
            "two-stage", CLASSES,
            {"first": common | {"steps": options.steps}, "second": common | {"steps": options.steps}},
        ),
    }  # fmt: skip
    blocks: dict[str, Any] = {}
    dice: dict[str, list[float]] = {}
    minutes: dict[str, float] = {}
    for name, (method, classes, settings) in ways.items():
        folder = work / "runs" / name.replace(" ", "_")
        model, minutes[name] = trained(folder, method, classes, settings, parts, options.seed)
        scores = []
        for case in parts["test"]:
            image = case.read_image()
            truth = model.classes.encode(case.read_labels(image))
            found = model.classes.encode_prediction(model.predict_case(case, progress=False))
            scores.append(score_volume(case.name, case.name, truth, found, model.classes, image.grid))
        blocks[name] = score_set(scores, model.classes, seed=options.seed)
        dice[name] = [s.classes["skull"].dice or 0.0 for s in scores]
        print(name, blocks[name]["metrics"]["skull_dice"], minutes[name], file=sys.stderr, flush=True)
    difference = paired_difference(
        np.array(dice["brain removed"]), np.array(dice["plain"]), [c.name for c in parts["test"]], seed=options.seed
    )
    metrics = {name: block["metrics"] for name, block in blocks.items()}
    claims = [
        Claim("skull in MRI-like heads, Dice: brain removed (ours) against plain (peer)",
              spoken(metrics["brain removed"]["skull_dice"]), spoken(metrics["plain"]["skull_dice"])),
        Claim("skull in MRI-like heads, mean surface distance in mm: brain removed against plain",
              spoken(metrics["brain removed"]["skull_assd"]), spoken(metrics["plain"]["skull_assd"])),
        Claim("brain in MRI-like heads, Dice of the first stage", spoken(metrics["brain removed"]["brain_dice"])),
    ]  # fmt: skip
    path = write_result(
        "volume_mri", claims, seed=options.seed, watch=watch, scores=blocks, cpu_minutes=minutes,
        difference=difference.to_dict() if hasattr(difference, "to_dict") else str(difference),
    )  # fmt: skip
    print(path, file=sys.stderr)


if __name__ == "__main__":
    main()

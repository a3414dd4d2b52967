"""The skull in MRI-like heads: plain, with the brain found and removed first, and with labels that came from CT.

Dice and mean surface distance on held-out heads, side by side, as the study of MRI skulls by removed brains did. Its
labels came from CT of the same heads: surfaces of the CT's bone, laid rigidly on the MRI by mutual information and cut
into its voxels. That chain is run here too; what it makes of the labels is scored, and what is learned from them.
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
from ethomorph.formats.seg_nrrd import write_seg_nrrd
from ethomorph.formats.volumes import read_labels
from ethomorph.phantoms.head import simulate_head
from ethomorph.spatial.overlap import dice
from ethomorph.spatial.register import register_linear
from ethomorph.spatial.surface import surface_of
from ethomorph.spatial.transform import Transform
from ethomorph.spatial.voxelize import labels_from
from ethomorph.statistics.paired import paired_difference
from ethomorph.study.provenance import Stopwatch
from ethomorph.volumes.data import Case, find_cases
from ethomorph.volumes.estimator import VolumeSegmenter
from ethomorph.volumes.score import score_set, score_volume

CLASSES: dict[str, Any] = {"brain": "Brain", "skull": ["OtherBone", "LowerJaw*", "Tooth*", "Replacement*"]}
SKULL: dict[str, Any] = {"skull": CLASSES["skull"]}
PARTS = {"train": (5000, 12), "validation": (5500, 2), "test": (6000, 10)}
SPACING, CT_SPACING = (0.30, 0.36), 0.2
TURN_DEG = 10.0


def simulate(work: Path, part: str) -> list[Case]:
    first, count = PARTS[part]
    folder = work / part
    for seed in range(first, first + count):
        name = f"head_{seed}"
        if not (folder / "truth" / f"{name}.json").is_file():
            spacing = float(np.random.default_rng(seed).uniform(*SPACING))
            simulate_head(seed=seed, spacing=spacing, contrast="mri", brain=True, name=name).write(folder)
    return find_cases(folder / "labels", folder / "images")


def labelled_by_ct(work: Path, part: str, cases: list[Case]) -> tuple[list[Case], list[float]]:
    """The part with labels of its skulls from CT, brains as before; and the Dice of those skulls with the truth.

    The head lay otherwise in the CT scanner: turned by some 10 degrees, and moved.
    """
    folder, agreement = work / f"{part}_by_ct", []
    for case in cases:
        image = case.read_image()
        truth = case.read_labels(image)
        brain = truth.mask("Brain")
        skull = (truth.array > 0) & ~brain
        path = folder / f"{case.name}.seg.nrrd"
        if not path.is_file():
            seed = int(case.name.split("_")[1])
            rng = np.random.default_rng([seed, 1])
            turn = turned(rng)
            mine = np.array(json.loads((work / part / "truth" / f"{case.name}.json").read_text())["head_to_lps"])
            ct = simulate_head(seed=seed, spacing=CT_SPACING, rotation=turn @ mine[:3, :3])
            start = Transform.linear(np.eye(4), "ct", "mri")  # both scans are centred on the head
            found = register_linear(image, ct.image, start, seed=seed)
            surface = surface_of(ct.labels.array > 0, ct.labels.grid)
            laid = {"Brain": surface_of(brain, image.grid), "OtherBone": found.mesh(surface, frame="ct")}
            write_seg_nrrd(labels_from(laid, image.grid), path)
        made = read_labels(path).on(image.grid)
        agreement.append(dice(made.mask("OtherBone"), skull) or 0.0)
    return find_cases(folder, work / part / "images"), agreement


def turned(rng: np.random.Generator) -> np.ndarray:
    """(3, 3) a turn of 10 degrees about an axis of any direction."""
    from scipy.spatial.transform import Rotation

    axis = rng.standard_normal(3)
    return Rotation.from_rotvec(np.deg2rad(TURN_DEG) * axis / np.linalg.norm(axis)).as_matrix()


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
    parser.add_argument("--steps", type=int, default=400, help="of every network")
    options = parser.parse_args()
    watch = Stopwatch()
    work = options.work or Path(tempfile.mkdtemp(prefix="volume-mri-"))
    parts = {part: simulate(work, part) for part in PARTS}
    by_ct, agreement = dict(parts), []
    for part in ("train", "validation"):
        by_ct[part], found = labelled_by_ct(work, part, parts[part])
        agreement += found
    # a patch holds most of a head: a smaller one, normalised by itself, does not show whose brightness it is
    common = {"patch_voxels": 64**3, "batch_size": 1}
    once = common | {"steps": options.steps}
    twice = {"first": once, "second": once}
    ways: dict[str, tuple[str, dict[str, Any], dict[str, Any], dict[str, list[Case]]]] = {
        "plain": ("unet3d", SKULL, once, parts),
        "brain removed": ("two-stage", CLASSES, twice, parts),
        "labels from CT": ("two-stage", CLASSES, twice, by_ct),
    }
    blocks: dict[str, Any] = {}
    overlap: dict[str, list[float]] = {}
    minutes: dict[str, float] = {}
    for name, (method, classes, settings, drawn) in ways.items():
        folder = work / "runs" / name.replace(" ", "_")
        model, minutes[name] = trained(folder, method, classes, settings, drawn, options.seed)
        scores = []
        for case in parts["test"]:
            image = case.read_image()
            truth = model.classes.encode(case.read_labels(image))
            found = model.classes.encode_prediction(model.predict_case(case, progress=False))
            scores.append(score_volume(case.name, case.name, truth, found, model.classes, image.grid))
        blocks[name] = score_set(scores, model.classes, seed=options.seed)
        overlap[name] = [s.classes["skull"].dice or 0.0 for s in scores]
        print(name, blocks[name]["metrics"]["skull_dice"], minutes[name], file=sys.stderr, flush=True)
    difference = paired_difference(
        np.array(overlap["brain removed"]),
        np.array(overlap["plain"]),
        [c.name for c in parts["test"]],
        seed=options.seed,
    )
    metrics = {name: block["metrics"] for name, block in blocks.items()}
    claims = [
        Claim("skull in MRI-like heads, Dice: brain removed (ours) against plain (peer)",
              spoken(metrics["brain removed"]["skull_dice"]), spoken(metrics["plain"]["skull_dice"])),
        Claim("skull in MRI-like heads, mean surface distance in mm: brain removed against plain",
              spoken(metrics["brain removed"]["skull_assd"]), spoken(metrics["plain"]["skull_assd"])),
        Claim("brain in MRI-like heads, Dice of the first stage", spoken(metrics["brain removed"]["brain_dice"])),
        Claim(f"{len(agreement)} skulls from CT laid on the MRI by mutual information: Dice with the truth, lowest",
              f"{np.mean(agreement):.3f}, {min(agreement):.3f}"),
        Claim("the same network trained on those labels, tested against the truth: Dice, mean surface distance in mm",
              "; ".join(spoken(metrics["labels from CT"][k]) for k in ("skull_dice", "skull_assd"))),
    ]  # fmt: skip
    path = write_result(
        "volume_mri", claims, seed=options.seed, watch=watch, scores=blocks, cpu_minutes=minutes,
        difference=difference.to_dict() if hasattr(difference, "to_dict") else str(difference),
    )  # fmt: skip
    print(path, file=sys.stderr)


if __name__ == "__main__":
    main()

"""A small Mask2Former from scratch learns four slices by heart: the loss falls, and panoptic quality on them rises.

A check that codec, losses and decoding fit together. It says nothing about new specimens.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.record import Claim, write_result
from benchmarks.volumes import CLASSES, cpu_counted
from ethomorph.core.volume import LabelVolume
from ethomorph.phantoms.head import simulate_head
from ethomorph.study.provenance import Stopwatch
from ethomorph.training.history import read_history
from ethomorph.volumes.data import Case
from ethomorph.volumes.estimator import VolumeSegmenter
from ethomorph.volumes.panoptic import compare_instances, panoptic_quality
from ethomorph.volumes.score import score_volume


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=None, help="keep the training here, to go on later")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=2000)
    options = parser.parse_args()
    watch = Stopwatch()
    head = simulate_head(seed=7, spacing=0.25, teeth=24)
    teeth = np.isin(head.labels.array, [s.value for s in head.labels if s.name.startswith("Tooth")])
    middle = int(teeth.sum(axis=(0, 2)).argmax())  # coronal slices cut both jaws and their teeth
    box = (slice(None), slice(middle - 2, middle + 2), slice(None))
    labels = LabelVolume(head.labels.layers[(slice(None), *box)], head.labels.grid.cropped(box), head.labels.segments)
    case = Case("four", head.image.cropped(box), labels)
    # whole slices, so that prediction sees what training saw
    settings = {"steps": options.steps, "crop": 96, "magnify": 2, "batch_size": 2, "learning_rate": 1e-3,
                "width": 64, "queries": 40, "axis": "y"}  # fmt: skip
    model = VolumeSegmenter(method="mask2former", classes=CLASSES, settings=settings, seed=options.seed, device="cpu")
    work = options.work or Path(tempfile.mkdtemp(prefix="volume-slices-"))
    with cpu_counted(work / "cpu.json"):
        model.fit([case], folder=work / "run", resume=(work / "run").is_dir(), progress=False)
    history = read_history(work / "run" / "history.csv")
    minutes = json.loads((work / "cpu.json").read_text())["seconds"] / 60
    truth = model.classes.encode(labels)
    found = model.classes.encode_prediction(model.predict_case(case, progress=False))
    score = score_volume("four", "four", truth, found, model.classes, case.image.grid, surfaces=False)
    pairs = zip(np.moveaxis(truth.instances, 1, 0), np.moveaxis(found.instances, 1, 0), strict=True)
    rows = [compare_instances(a, b).sums for a, b in pairs]
    quality = panoptic_quality(np.array(rows))
    losses = [row["train_loss"] for row in history]
    dice = {name: one.dice for name, one in score.classes.items()}
    claims = [
        Claim("Mask2Former from scratch on four slices: loss at the last epoch against the first",
              f"{losses[-1]:.1f}", f"{losses[0]:.1f}", ratio=losses[-1] / losses[0], goal="below a third",
              met=losses[-1] < losses[0] / 3),
        Claim("panoptic quality of the teeth on the same four slices", f"{quality:.3f}", goal="at least 0.8",
              met=quality >= 0.8),
    ]  # fmt: skip
    path = write_result(
        "volume_slices", claims, seed=options.seed, watch=watch, losses=losses, tooth_pq=quality, dice=dice,
        volume_tooth_pq=panoptic_quality(np.array([score.things["tooth"].sums])), cpu_minutes=minutes,
        settings=settings,
    )  # fmt: skip
    print(path, claims, file=sys.stderr)


if __name__ == "__main__":
    main()

"""From pictures to a count: landmarks learned on some simulated prints, predicted on others, measured and identified.

Free and known animals are both landmarked by the machine, and neither taught it. Leaves ``docs/images/footprints.png``.
"""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.footprints.pieces import rows_of
from benchmarks.record import Claim
from ethomorph.core.files import atomic_path, write_text
from ethomorph.core.landmarks import LandmarkSet
from ethomorph.formats.registry import read_landmarks
from ethomorph.identity.identify import identify
from ethomorph.phantoms.paws import NAMES, PawSample, simulate_paws
from ethomorph.study.run import Run
from ethomorph.workflow.measure import measure_footprints
from ethomorph.workflow.predict import predict
from ethomorph.workflow.train import train

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "footprints.png"
MINUTES = 15
ANIMALS = {"teachers": (14, (1, 1), 1), "known": (24, (1, 2), 2), "free": (8, (2, 3), 3)}
"""Animals, trails an animal and seed of the pictures that teach landmarks, of known animals, and of those to count."""

STUDY = f"""\
[study]
name = "Prints"
specimens = "teachers/specimens.csv"
[split]
test = 0.2
validation = 0.0
[task.paws]
kind = "landmarks"
labels = "teachers/landmarks.tps"
images = "teachers/images"
names = {json.dumps(NAMES)}
method = "heatmap"
scale = {{ landmarks = ["scale_start", "scale_end"], mm = 100.0 }}
"""


def run(data: Path, work: Path) -> tuple[list[Claim], dict[str, Any], float]:
    rows, seconds = rows_of(work, "pictures", partial(chain, work.absolute()), ["heatmap"])
    return claims_of(rows[0]), rows[0], seconds


def chain(work: Path, method: str) -> dict[str, Any]:
    folder = work / "chain"
    samples = {name: simulate_paws(animals=n, trails=t, prints=(6, 7), seed=seed, name=name, px_per_cm=16)
               for name, (n, t, seed) in ANIMALS.items()}  # fmt: skip
    for name, sample in samples.items():
        if not (folder / name / "specimens.csv").exists():
            sample.write(folder / name)
    write_text(folder / "study.toml", STUDY)
    trained = Run(folder / "runs" / "paws" / "a")
    if not trained.is_finished:
        shutil.rmtree(trained.folder, ignore_errors=True)
        trained = train(folder, run="a", overrides={"method": method}, max_minutes=MINUTES, progress=False)
    error = {}
    for name in ("known", "free"):
        labels = folder / f"{name}.tps"
        if not labels.exists():
            predict(trained.folder, [str(folder / name / "images")], out=labels, progress=False)
        found = read_landmarks(labels, images=folder / name / "images", gaps="missing").renamed(NAMES)
        error[name] = landmark_error(samples[name], found)
        for source in (labels, folder / name / "landmarks.tps"):
            suffix = "" if source is labels else "-by-hand"
            measure_footprints(
                source, images=folder / name / "images", study=folder, specimens=folder / name / "specimens.csv",
                out=folder / f"{name}{suffix}.csv",
            )  # fmt: skip
    counts = {}
    for kind, suffix in (("by machine", ""), ("by hand", "-by-hand")):
        result = identify(
            folder / f"free{suffix}.csv", reference=folder / f"known{suffix}.csv", out=folder / f"who{suffix}"
        )
        counts[kind] = {key: result[key] for key in ("individuals", "pairs", "adjusted_rand", "truth", "warnings")}
    draw(samples["free"], read_landmarks(folder / "free.tps", images=folder / "free" / "images").renamed(NAMES),
         folder / "who" / "tree.png")  # fmt: skip
    return {"landmark_error_mm": error, "animals": ANIMALS["free"][0], "counts": counts}


def landmark_error(sample: PawSample, found: LandmarkSet) -> float:
    """Mean distance in mm of the 25 points of the print."""
    place = {specimen.image: specimen for specimen in found}
    gaps = [np.linalg.norm(place[s.image].points - s.points, axis=1)[2:] * s.scale for s in sample.landmarks]
    return round(float(np.nanmean(gaps)), 3)


def draw(sample: PawSample, found: LandmarkSet, tree: Path) -> None:
    """Two prints as the machine landmarked them, and the tree of all trails."""
    import cv2
    from matplotlib.figure import Figure

    image_of = dict(zip(sample.image_names, sample.images, strict=True))
    figure = Figure(figsize=(10.5, 5.0), layout="constrained", dpi=130)
    grid = figure.subplot_mosaic([["a", "tree"], ["b", "tree"]], width_ratios=[1, 3.1])
    animal = [(specimen.image or "").split("_")[0] for specimen in found]
    shown = [found[0], found[next(i for i, name in enumerate(animal) if name != animal[0])]]
    for axes, specimen in zip((grid["a"], grid["b"]), shown, strict=True):
        axes.imshow(image_of[Path(specimen.image or "").name], cmap="gray", vmin=0, vmax=255)
        for a, b in sample.landmarks.edges:
            axes.plot(*specimen.points[[a, b]].T, color="white", alpha=0.5, lw=0.8)
        axes.plot(*specimen.points.T, "o", ms=2.6, color="#e07b39", mec="white", mew=0.4)
        axes.set_title(Path(specimen.image or "").stem, loc="left", fontsize=8, color="#22313f")
    grid["tree"].imshow(cv2.cvtColor(cv2.imread(str(tree)), cv2.COLOR_BGR2RGB))
    for axes in grid.values():
        axes.set_axis_off()
    with atomic_path(PICTURE) as temporary:
        figure.savefig(temporary, format="png")


def claims_of(result: dict[str, Any]) -> list[Claim]:
    def shown(kind: str) -> str:
        count = result["counts"][kind]["individuals"]
        rand = result["counts"][kind]["adjusted_rand"]["value"]
        return f"{count['value']:.0f} [{count['low']:.0f}, {count['high']:.0f}], adjusted Rand {rand:.2f}"

    count, truth = result["counts"]["by machine"]["individuals"], result["animals"]
    return [
        Claim(
            f"From pictures to a count, simulated prints of {truth} free animals: landmarked, measured and identified "
            f"by machine (landmark error {result['landmark_error_mm']['free']:.1f} mm)",
            f"{shown('by machine')}",
            f"landmarks without error: {shown('by hand')}",
            goal="the interval holds the number",
            met=count["low"] <= truth <= count["high"],
        )
    ]

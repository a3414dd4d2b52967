"""How far two landmarkings of the same lizard radiographs lie apart, and how repeatable shape is.

``python -m benchmarks.repeatability [--data FOLDER]`` writes ``benchmarks/results/repeatability.json``. The folder is
the Lizard-XRAYs repository: ``combined.tps`` and ``combined-manual.tps`` (all radiographs, processed by script and
exported by hand), ``subset_auto.tps`` and ``subset_manual.tps`` (its own choice of pairs), ``image_mapping.txt``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import Claim, write_result
from ethomorph.core.landmarks import LandmarkSet
from ethomorph.formats.registry import read_landmarks
from ethomorph.shape.automation import automation_effect
from ethomorph.shape.repeat_error import repeat_error
from ethomorph.shape.repeatability import measurement_error
from ethomorph.study.provenance import Stopwatch

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "lizard-xray"
LANDMARKS = 34
BAR = 2
"""The first two landmarks are the ends of a metal bar, not of the animal."""
BAR_MM = 27.0
FOUND_PX = 6.37
"""Mean repeat difference that an independent computation found on the combined files."""


def paired_codings(folder: Path, first: str, second: str) -> tuple[LandmarkSet, LandmarkSet]:
    """Two landmarkings in the same order, joined by the list of image names; only specimens complete in both."""
    a, b = (read_landmarks(folder / name, gaps="missing") for name in (first, second))
    lines = (folder / "image_mapping.txt").read_text(encoding="utf-8").splitlines()
    partner = dict(line.rsplit(",", 1) for line in lines if line.strip())
    place = {specimen.image: i for i, specimen in enumerate(b)}
    rows = [(i, place[partner[s.image]]) for i, s in enumerate(a) if partner.get(s.image or "") in place]
    kept = [(i, j) for i, j in rows if a[i].visible[:LANDMARKS].all() and b[j].visible[:LANDMARKS].all()]
    print(f"{first} ({len(a)}), {second} ({len(b)}): {len(rows)} pairs, {len(kept)} complete", file=sys.stderr)
    return a.subset(i for i, _ in kept), b.subset(j for _, j in kept)


def figures(first: LandmarkSet, second: LandmarkSet, *, resamples: int, permutations: int, seed: int) -> dict[str, Any]:
    """Distances between the codings in px and mm, repeatability of shape, and what the second does to shape."""
    a, b = first.array()[:, :LANDMARKS], second.array()[:, :LANDMARKS]
    body_a, body_b, names = a[:, BAR:], b[:, BAR:], first.names[BAR:LANDMARKS]
    animals = [specimen.image for specimen in second]
    options: dict[str, Any] = {"groups": animals, "resamples": resamples, "seed": seed}
    mm_per_px = BAR_MM / np.linalg.norm(a[:, 1] - a[:, 0], axis=1)
    shape = measurement_error(
        np.concatenate([body_a, body_b]),
        animals * 2,
        replicates=["first"] * len(a) + ["second"] * len(a),
        names=names,
        permutations=permutations,
        resamples=resamples,
        seed=seed,
    )
    fitted_mm = repeat_error(body_a, body_b, names=names, scale=mm_per_px, unit="mm", **options)
    return {
        "specimens": len(a),
        "landmarks": len(names),
        "after_similarity_fit_px": repeat_error(body_a, body_b, names=names, **options).to_dict(),
        "after_similarity_fit_mm": fitted_mm.to_dict(),
        "raw_all_landmarks_px": repeat_error(a, b, fit="none", **options).to_dict(),
        "shape": shape.to_dict(),
        "second_against_first": automation_effect(body_a, body_b, names=names, **options).to_dict(),
    }


def claims(combined: dict[str, Any]) -> list[Claim]:
    """The rows of the book."""
    fit, raw, shape = (combined[key] for key in ("after_similarity_fit_px", "raw_all_landmarks_px", "shape"))
    mean, low, high = (fit["mean"][key] for key in ("value", "low", "high"))
    return [
        Claim(
            f"Mean difference between two human landmarkings of {combined['specimens']} lizard radiographs, "
            f"{combined['landmarks']} body points, after a similarity fit",
            ours=f"{mean:.2f} px [{low:.2f}, {high:.2f}], median {fit['median']['value']:.2f} px",
            peer=f"found before: {FOUND_PX} px, median 4.93 px",
            ratio=round(mean / FOUND_PX, 3),
            goal="within 0.01 px",
            met=abs(mean - FOUND_PX) <= 0.01,
        ),
        Claim(
            "The same without a fit, all landmarks, median",
            ours=f"{raw['median']['value']:.2f} px",
            peer="found before: 5.1 px",
            goal="within 0.05 px",
            met=abs(raw["median"]["value"] - 5.1) <= 0.05,
        ),
        Claim(
            "Share of shape variance that the second landmarking reproduces (intraclass correlation)",
            ours=f"{shape['icc']['value']:.3f} [{shape['icc']['low']:.3f}, {shape['icc']['high']:.3f}]",
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    watch = Stopwatch()
    files = {
        "combined": ("combined.tps", "combined-manual.tps"),
        "subset": ("subset_auto.tps", "subset_manual.tps"),
    }
    raw = {
        name: figures(*paired_codings(arguments.data, *pair), resamples=2000, permutations=999, seed=arguments.seed)
        for name, pair in files.items()
    }
    path = write_result("repeatability", claims(raw["combined"]), seed=arguments.seed, watch=watch, figures=raw)
    print(path)


if __name__ == "__main__":
    main()

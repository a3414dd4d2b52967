"""Landmarks on fly wings by regression trees and by heat maps, in the same five folds, every wing tested once.

``python -m benchmarks.landmarks [--data FOLDER] [--work FOLDER]`` writes ``benchmarks/results/landmarks.json``. The
folder holds ``landmarks.tps`` and ``images/``. Predictions of finished folds are kept in ``--work`` and not made again.

No method is given a box: each finds the wing by itself, and a wing that is not found counts as a miss. The error of
regression trees in boxes around the true landmarks, which is what ml-morph reports, stands beside it by that name, as
do dlib's own evaluation of the same trees in the same boxes and plain dlib trained in such boxes with equal options.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import Claim, write_result
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.formats.images import read_image
from ethomorph.formats.registry import read_landmarks
from ethomorph.keypoints.boxes import landmark_box
from ethomorph.keypoints.ert_settings import ErtSettings
from ethomorph.keypoints.estimator import LandmarkRegressor, method_settings
from ethomorph.keypoints.plain_dlib import plain_dlib
from ethomorph.statistics.intervals import clustered_function, clustered_interval
from ethomorph.study.provenance import Stopwatch

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "fly-wings"
FOLDS = 5
GOAL = 0.65
METHODS: dict[str, dict[str, Any]] = {
    "ert ml-morph": {"method": "ert", "settings": {"preset": "ml-morph"}},
    "ert readme": {"method": "ert", "settings": {"preset": "readme"}},
    "ert dlib": {"method": "ert", "settings": {"preset": "dlib"}},
    "ert lizardmorph": {"method": "ert", "settings": {"preset": "lizardmorph"}},
    "heatmap": {"method": "heatmap"},
}
PLAIN = "plain dlib readme"
"""dlib alone, trained and tested in boxes around the true landmarks; told apart from `METHODS`, which get no boxes."""
IMAGES_A_MINUTE = 200
ERT_FASTER = 20


def folds(count: int, seed: int) -> list[np.ndarray]:
    """Test indices of each fold."""
    order = np.random.default_rng(seed).permutation(count)
    return [np.sort(order[k::FOLDS]) for k in range(FOLDS)]


def run_fold(name: str, wings: LandmarkSet, test: np.ndarray, seed: int) -> dict[str, Any]:
    """Train on the other wings and predict these: points, seconds, and for trees what annotation boxes give."""
    train = np.setdiff1d(np.arange(len(wings)), test)
    began = time.perf_counter()
    model = LandmarkRegressor(seed=seed, **METHODS[name]).fit(wings.subset(train), progress=False)
    trained = time.perf_counter() - began
    held = wings.subset(test)
    predicted = model.predict(held, progress=False)
    out: dict[str, Any] = {"points": best_per_wing(held, predicted), "seconds": trained}
    out["spread"] = [None if s.spread is None else s.spread.tolist() for s in predicted][: len(test)]
    if METHODS[name]["method"] == "ert":
        out |= in_annotation_boxes(model, held)
    return out


def picture_of(wing: Specimen) -> np.ndarray:
    """Its grey picture, float32 (y, x) in 0..1."""
    assert wing.image_path is not None
    return read_image(wing.image_path).grey()


def run_plain(wings: LandmarkSet, test: np.ndarray, seed: int) -> dict[str, Any]:
    """Train dlib alone with the README's options and test it in boxes around the true landmarks."""
    train = np.setdiff1d(np.arange(len(wings)), test)
    pixels = [np.round(picture_of(s) * 255).astype(np.uint8) for s in wings]
    truth = wings.array()
    settings = method_settings("ert", METHODS["ert readme"]["settings"])
    assert isinstance(settings, ErtSettings)
    began = time.perf_counter()
    found = plain_dlib(
        [pixels[i] for i in train],
        list(truth[train]),
        [pixels[i] for i in test],
        list(truth[test]),
        settings,
        seed=seed,
    )
    return {"points": found.tolist(), "seconds": time.perf_counter() - began}


def best_per_wing(held: LandmarkSet, predicted: LandmarkSet) -> list[Any]:
    """The highest-scoring specimen found in each picture (one wing a picture), or None."""
    points: list[Any] = []
    for wing in held:
        here = [s for s in predicted if s.image_path == wing.image_path and s.attributes["status"] == "found"]
        points.append(max(here, key=lambda s: float(s.attributes["score"])).points.tolist() if here else None)
    return points


def in_annotation_boxes(model: LandmarkRegressor, held: LandmarkSet) -> dict[str, Any]:
    """The same trees in boxes around the true landmarks: by us in one view, and by dlib itself."""
    import dlib

    trees: Any = model.model_
    images = [picture_of(s) for s in held]
    boxes = [landmark_box(s.points) for s in held]
    before = trees.settings
    trees.settings = replace(before, views=1)
    ours = [found[0].points.tolist() for found in trees.fit_boxes(images, [b[None] for b in boxes])]
    trees.settings = before
    with tempfile.TemporaryDirectory() as folder:
        predictor = dlib.shape_predictor(str(trees.to_dat(Path(folder) / "trees.dat")))
    theirs = []
    for wing, box in zip(held, boxes, strict=True):
        pixels = np.round(picture_of(wing) * 255).astype(np.uint8)
        shape = predictor(pixels, dlib.rectangle(*(int(v) for v in np.floor(box + 0.5))))
        theirs.append([[shape.part(i).x, shape.part(i).y] for i in range(shape.num_parts)])
    return {"annotation_box": ours, "dlib": theirs}


def errors(points: list[Any], truth: np.ndarray) -> np.ndarray:
    """Distances in px, (wings, landmarks); NaN for wings that were not found."""
    filled = np.array([np.full(truth.shape[1:], np.nan) if p is None else p for p in points], dtype=float)
    return np.linalg.norm(filled - truth, axis=-1)


def summary(error: np.ndarray, seed: int) -> dict[str, Any]:
    """Mean with interval, median, 95th percentile, misses and every landmark's mean."""
    found = np.isfinite(error).all(1)
    wings = np.repeat(np.arange(len(error))[found], error.shape[1])
    values = error[found]
    return {
        "mean_error": clustered_interval(values.ravel(), wings, unit="px", seed=seed).to_dict(),
        "median_error": clustered_interval(values.ravel(), wings, statistic="median", unit="px", seed=seed).to_dict(),
        "p95_px": float(np.percentile(values, 95)),
        "max_px": float(values.max()),
        "missed": int((~found).sum()),
        "by_landmark_px": values.mean(0).round(3).tolist(),
        "by_wing_px": [None if not ok else round(float(row.mean()), 3) for ok, row in zip(found, error, strict=True)],
    }


def images_a_minute(name: str, wings: LandmarkSet, seed: int, steps: int) -> float:
    """Pictures predicted in a minute, reading them included; the best of three passes over all wings.

    Speed does not depend on what was learned, so the heat maps are trained for a moment only, until wings are found.
    """
    options = dict(METHODS[name])
    if options["method"] == "heatmap":
        options["settings"] = {"steps": steps}
    model = LandmarkRegressor(seed=seed, **options).fit(wings, progress=False)
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        predicted = model.predict(wings, progress=False)
        seconds.append(time.perf_counter() - began)
    found = sum(s.attributes["status"] == "found" for s in predicted)
    if found < 0.9 * len(wings):
        raise RuntimeError(f"{name}: only {found} of {len(wings)} wings were found, the speed would mean nothing")
    return 60 * len(wings) / min(seconds)


def label_noise_px(wings: LandmarkSet, predicted: np.ndarray, seed: int) -> dict[str, Any]:
    """How inconsistently the labels were placed, judged by the pictures alone.

    Patches about a landmark, turned and sized alike, differ the less between wings the more consistently they are
    centred. The predictions' patches are disturbed with normal noise until they differ as much as the labels' do; the
    mean length of that noise is a lower bound of what labelling adds to any method's error, since along an edge, where
    patches do not change, it sees nothing.
    """
    from ethomorph.keypoints.augment import warp
    from ethomorph.keypoints.refine import patch_matrix
    from ethomorph.keypoints.template import Template, robust_similarity

    side, truth = 33, wings.array()
    pictures = [picture_of(s) for s in wings]
    mean = Template.fit(predicted).mean
    frames = [robust_similarity(points, mean) for points in predicted]
    rng = np.random.default_rng(seed)

    def disagreement(points: np.ndarray) -> float:
        found = []
        for landmark in range(points.shape[1]):
            stack = [
                warp(picture, patch_matrix(frame, one[landmark], side, np.eye(3)), (side, side))
                for picture, frame, one in zip(pictures, frames, points, strict=True)
            ]
            patches = np.array([(p - p.mean()) / p.std() for p in stack])
            found.append(patches.var(axis=0).mean())
        return float(np.mean(found))

    sigmas = np.arange(0, 3.01, 0.25)
    curve = [np.mean([disagreement(predicted + rng.normal(0, s, truth.shape)) for _ in range(3)]) for s in sigmas]
    labels = disagreement(truth)
    sigma = float(np.interp(labels, np.maximum.accumulate(curve), sigmas))
    return {
        "labels": labels, "predictions": curve[0], "label_noise_px": sigma * float(np.sqrt(np.pi / 2)),
        "curve": {f"{s:g}": float(v) for s, v in zip(sigmas, curve, strict=True)},
    }  # fmt: skip


def ratio_of(ours: np.ndarray, theirs: np.ndarray, seed: int) -> dict[str, Any]:
    """Ratio of mean errors on the wings that both found, with its interval over wings."""
    both = np.isfinite(ours).all(1) & np.isfinite(theirs).all(1)
    return clustered_function(
        lambda a, b: float(a.mean() / b.mean()),
        np.flatnonzero(both),
        ours[both].mean(1),
        theirs[both].mean(1),
        seed=seed,
    ).to_dict()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--work", type=Path, default=None, help="keep the folds' predictions here, to go on later")
    parser.add_argument("--methods", nargs="*", choices=[*METHODS, PLAIN], default=[*METHODS, PLAIN])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-result", action="store_true", help="run the folds only")
    options = parser.parse_args()
    watch = Stopwatch()
    wings = read_landmarks(options.data / "landmarks.tps", images=options.data / "images")
    work = options.work or Path(tempfile.mkdtemp(prefix="landmarks-"))
    work.mkdir(parents=True, exist_ok=True)
    parts = folds(len(wings), options.seed)
    for name in options.methods:
        for number, test in enumerate(parts):
            kept = work / f"{name.replace(' ', '-')}-{options.seed}-{number}.json"
            if not kept.exists():
                one = run_plain if name == PLAIN else partial(run_fold, name)
                kept.write_text(json.dumps(one(wings, test, options.seed)), encoding="utf-8")
            done = json.loads(kept.read_text(encoding="utf-8"))
            mean = np.nanmean(errors(done["points"], wings.array()[test]))
            print(f"{name}, fold {number + 1}: {mean:.3f} px, {done['seconds']:.0f} s", file=sys.stderr, flush=True)
    if not options.no_result:
        report(options.methods, wings, parts, work, options.seed, watch)


def report(
    methods: list[str], wings: LandmarkSet, parts: list[np.ndarray], work: Path, seed: int, watch: Stopwatch
) -> None:
    """Put the folds together and write the result."""
    truth = wings.array()
    raw: dict[str, Any] = {}
    error: dict[str, np.ndarray] = {}
    place: dict[str, list[Any]] = {}
    for name in methods:
        done = [json.loads((work / f"{name.replace(' ', '-')}-{seed}-{k}.json").read_text()) for k in range(FOLDS)]
        order = np.argsort(np.concatenate(parts))

        def joined(key: str, done: list[dict[str, Any]] = done, order: np.ndarray = order) -> np.ndarray:
            return errors([p for fold in done for p in fold[key]], truth[np.concatenate(parts)])[order]

        error[name] = joined("points")
        found = [p for fold in done for p in fold["points"]]
        place[name] = [found[i] for i in order]
        raw[name] = summary(error[name], seed) | {"training_seconds": [round(fold["seconds"]) for fold in done]}
        if "dlib" in done[0]:
            raw[name]["annotation_box"] = summary(joined("annotation_box"), seed)
            raw[name]["dlib_in_annotation_box"] = summary(joined("dlib"), seed)
    best = min(
        (n for n in methods if METHODS.get(n, {}).get("method") == "ert"), key=lambda n: raw[n]["mean_error"]["value"]
    )
    speed = {name: images_a_minute(name, wings, seed, steps=200) for name in ("heatmap", best)}
    ratio = ratio_of(error["heatmap"], error[best], seed)
    complete = [i for i, p in enumerate(place["heatmap"]) if p is not None]
    noise = label_noise_px(wings.subset(complete), np.array([place["heatmap"][i] for i in complete]), seed)
    ours, theirs = raw["heatmap"]["mean_error"], raw[best]["mean_error"]
    readme = raw["ert readme"]
    box, same, plain = (
        block["mean_error"]["value"]
        for block in (readme["annotation_box"], readme["dlib_in_annotation_box"], raw[PLAIN])
    )
    claims = [
        Claim(
            f"fly wings, 5 folds of 40, no boxes given: heatmap against the best ert preset ({best})",
            spoken(ours), spoken(theirs), ratio=ratio["value"], goal=f"ratio at most {GOAL}",
            met=ratio["value"] <= GOAL,
        ),
        Claim(
            "how inconsistently the labels were placed, judged by the pictures: no method's error falls below it",
            f"{noise['label_noise_px']:.2f} px",
        ),
        Claim(
            "ert readme against plain dlib with the same options, both in annotation boxes",
            f"{box:.2f} px", f"{plain:.2f} px", ratio=box / plain, goal="within 10 %", met=box / plain <= 1.1,
        ),
        Claim(
            "ert readme in annotation boxes, one view, against dlib's own evaluation of the same trees",
            f"{box:.2f} px", f"{same:.2f} px", ratio=box / same, goal="within 10 %", met=abs(box / same - 1) <= 0.1,
        ),
        Claim(
            "heatmap, pictures of 632 x 480 a minute, reading included", f"{speed['heatmap']:.0f} a minute",
            goal=f"at least {IMAGES_A_MINUTE}", met=speed["heatmap"] >= IMAGES_A_MINUTE,
        ),
        Claim(
            f"{best}, pictures of 632 x 480 a minute, reading included", f"{speed[best]:.0f} a minute",
            goal=f"at least {ERT_FASTER * IMAGES_A_MINUTE}", met=speed[best] >= ERT_FASTER * IMAGES_A_MINUTE,
        ),
    ]  # fmt: skip
    path = write_result(
        "landmarks", claims, seed=seed, watch=watch, folds=[part.tolist() for part in parts], methods=raw, ratio=ratio,
        images_a_minute=speed, label_noise=noise,
    )  # fmt: skip
    print(path, file=sys.stderr)


def spoken(block: dict[str, Any]) -> str:
    """A metric block as a cell of a table."""
    return f"{block['value']:.2f} px [{block['low']:.2f}, {block['high']:.2f}]"


if __name__ == "__main__":
    main()

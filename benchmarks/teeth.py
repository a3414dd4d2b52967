"""The tooth table on simulated heads: areas, tips and bases, stress against the analytic truth, with its interval.

With ``--model``, a segmenter that ``benchmarks.volumes`` has trained, also on what it predicts for that benchmark's
test heads, which it has never seen. Predicted heads are kept in ``--work``, so the run may be cut.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import Claim, write_result
from benchmarks.volumes import PARTS, SPACINGS
from ethomorph.biomechanics.levers import JawPoints, SimulatedMuscle, muscle_force, tooth_forces
from ethomorph.biomechanics.sections import section_of
from ethomorph.biomechanics.teeth import STRESS, ToothRow, measure_teeth
from ethomorph.biomechanics.tooth_shape import jaw_distances
from ethomorph.core.files import write_json
from ethomorph.core.volume import LabelVolume
from ethomorph.phantoms.head import HeadPhantom, ToothTruth, simulate_head
from ethomorph.phantoms.scanner import draw_scanner
from ethomorph.statistics.intervals import clustered_interval
from ethomorph.study.provenance import Stopwatch
from ethomorph.volumes.data import Case
from ethomorph.volumes.estimator import VolumeSegmenter

HEADS, SPACING_MM, POSES = 12, 0.15, 300
MUSCLE = SimulatedMuscle(10.0, 80.0)


def points_of(head: HeadPhantom, side: str) -> JawPoints:
    marks = head.landmarks
    rows = [marks[f"jaw_joint_{side}"], marks["jaw_tip"]]
    rows += [marks[f"muscle_{k}_{end}_{side}"] for k in (1, 2, 3) for end in ("insertion", "origin")]
    return JawPoints.from_array(np.array(rows))


def one_head(seed: int) -> list[dict[str, Any]]:
    """Every tooth of the lower jaw: measured on the true labels, against the solid's own figures."""
    head = simulate_head(seed=seed, spacing=SPACING_MM, pose=3)
    return [row | {"head": seed} for row in measured_teeth(head, head.labels, {t.name: t.name for t in head.teeth})]


def measured_teeth(head: HeadPhantom, labels: LabelVolume, called: dict[str, str]) -> list[dict[str, Any]]:
    """The lower jaw's teeth, measured in a segmentation.

    Parameters
    ----------
    called : true name to the name of its segment in `labels`; teeth without one are left out.
    """
    out = []
    for side in ("left", "right"):
        truth = {called[t.name]: t for t in lower_teeth(head, side) if t.name in called}
        names = [n for n in truth if labels.mask(n).any()]
        if not names:
            continue
        points = points_of(head, side)
        row = ToothRow(names, points, "lower", side, {1: MUSCLE})
        measured = measure_teeth(labels, [row])
        for shape, stress in zip(measured.shapes, measured.table[STRESS], strict=True):
            known = truth[shape.name]
            tip, base, expected = expectation(known, points)
            out.append(
                {
                    "tooth": known.name,
                    "voxels": shape.voxels,
                    "area_ratio": shape.area_mm2 / known.area_mm2,
                    "stress_error": abs(float(stress) / expected - 1),
                    "tip_voxels": float(np.linalg.norm(shape.tip - tip)) / min(labels.grid.spacing),
                    "base_voxels": float(np.linalg.norm(shape.base - base)) / min(labels.grid.spacing),
                    "swapped": bool(np.linalg.norm(shape.tip - tip) > np.linalg.norm(shape.tip - base)),
                }
            )
    return out


def lower_teeth(head: HeadPhantom, side: str) -> list[ToothTruth]:
    return [t for t in head.teeth if t.jaw == "lower" and t.side == side and not t.replacement]


def expectation(known: ToothTruth, points: JawPoints) -> tuple[np.ndarray, np.ndarray, float]:
    """Tip and base of a tooth's solid, and the stress that its own area and out-lever give."""
    ends = np.array([known.tip, known.base])
    far = jaw_distances(ends, points, jaw="lower")
    tip, base = ends[far.argmax()], ends[far.argmin()]
    force = muscle_force(1, MUSCLE, points)
    at_tooth = tooth_forces(force, np.array([np.linalg.norm(tip - points.joint)]))[1][0]
    return tip, base, float(at_tooth / (known.area_mm2 / 2 * 1e-6))


def predicted_head(model: VolumeSegmenter, seed: int) -> dict[str, Any]:
    """A test head of the volumes benchmark: teeth found in its prediction, and the same teeth on its true labels."""
    rng = np.random.default_rng(seed)
    spacing = float(rng.uniform(*SPACINGS))
    head = simulate_head(seed=seed, spacing=spacing, scanner=draw_scanner(rng, unseen=False))
    found = model.predict_case(Case(f"head_{seed}", head.image), progress=False)
    things = [n for n in found.names if n.startswith("tooth")]
    wanted = [t.name for side in ("left", "right") for t in lower_teeth(head, side) if head.labels.mask(t.name).any()]
    called = {}
    for name in wanted:
        mask = head.labels.mask(name)
        for thing in things:
            other = found.mask(thing)
            both = int((mask & other).sum())
            if both and both / int((mask | other).sum()) > 0.5:
                called[name] = thing
    return {
        "head": seed, "spacing_mm": spacing, "teeth": len(wanted), "found": len(called),
        "predicted": measured_teeth(head, found, called),
        "true_labels": measured_teeth(head, head.labels, {n: n for n in wanted}),
    }  # fmt: skip


def predicted_rows(model: Path, work: Path) -> list[dict[str, Any]]:
    """All test heads, each kept once it is done."""
    first, count = PARTS["test"]
    loaded = VolumeSegmenter.load(model, device="cpu")
    rows = []
    for seed in range(first, first + count):
        path = work / f"teeth_{seed}.json"
        if not path.exists():
            write_json(path, predicted_head(loaded, seed))
            print(seed, flush=True)
        rows.append(json.loads(path.read_text()))
    return rows


def predicted_claims(heads: list[dict[str, Any]]) -> list[Claim]:
    """Stress on predicted teeth; a tooth that was not found counts as wrong by 100 %."""
    errors, groups, plain, plain_groups = [], [], [], []
    for head in heads:
        here = [row["stress_error"] for row in head["predicted"]]
        here += [1.0] * (head["teeth"] - len(here))
        errors += here
        groups += [head["head"]] * len(here)
        plain += [row["stress_error"] for row in head["true_labels"]]
        plain_groups += [head["head"]] * len(head["true_labels"])
    block = clustered_interval(errors, groups, statistic="median")
    same = clustered_interval(plain, plain_groups, statistic="median")
    teeth, found = sum(h["teeth"] for h in heads), sum(h["found"] for h in heads)
    swapped = sum(row["swapped"] for head in heads for row in head["predicted"])
    return [
        Claim(
            f"stress on predicted segmentations of {len(heads)} heads never seen, {teeth} lower teeth, those not found "
            "counted as wrong by 100 %: relative error, median",
            percent(block),
            percent(same) + " (on true labels)",
            goal="at most 10 %",
            met=block.value is not None and block.value <= 0.1,
        ),
        Claim("lower teeth found (overlap over union above one half)", f"{found} of {teeth}"),
        Claim("tips taken for bases on predicted teeth", f"{swapped} of {found}", goal="0", met=swapped == 0),
    ]


def percent(block: Any) -> str:
    return f"{100 * block.value:.1f} % [{100 * (block.low or 0):.1f}, {100 * (block.high or 0):.1f}]"


def swapped_by_the_module(rng: np.random.Generator) -> tuple[float, float]:
    """Share of random poses in which an outer point counts as the inner one: the module's projection, the true one."""
    points = np.array([[0.5, 0.5, 0.5], [0.5, -59.5, 0.5], [0.5, -6, 4]])
    ends = np.array([[0.5, -30, 10.0], [0.5, -30, 1.0]])
    wrong = [0, 0]
    for _ in range(POSES):
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        turn *= np.sign(np.linalg.det(turn))
        jaw = JawPoints.from_array(points @ turn.T)
        for k, compat in enumerate((True, False)):
            outer, inner = jaw_distances(ends @ turn.T, jaw, jaw="lower", slicer_compat=compat)
            wrong[k] += int(outer < inner)
    return wrong[0] / POSES, wrong[1] / POSES


def disks() -> dict[int, float]:
    out = {}
    for radius in (10, 20, 35, 50):
        y, x = np.indices((2 * radius + 5,) * 2) - radius - 2
        found = section_of(x**2 + y**2 <= radius**2)
        out[radius] = float(found["Imajor (mm^4)"] / (np.pi * radius**4 / 4) - 1)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="a segmenter of benchmarks.volumes, for predicted segmentations")
    parser.add_argument("--work", type=Path, default=None, help="where finished heads are kept")
    chosen = parser.parse_args()
    watch = Stopwatch()
    heads_predicted = []
    if chosen.model is not None:
        heads_predicted = predicted_rows(chosen.model, chosen.work or Path(tempfile.mkdtemp(prefix="teeth-")))
    rows = [row for seed in range(HEADS) for row in one_head(1000 + seed)]
    heads = [row["head"] for row in rows]
    error = clustered_interval([row["stress_error"] for row in rows], heads, statistic="median")
    area = clustered_interval([row["area_ratio"] for row in rows], heads, statistic="median")
    swapped = sum(row["swapped"] for row in rows)
    module, true = swapped_by_the_module(np.random.default_rng(0))
    round_parts = disks()
    largest = max(abs(v) for r, v in round_parts.items() if r >= 20)
    tips, bases = (np.median([row[k] for row in rows]) for k in ("tip_voxels", "base_voxels"))
    claims = [
        Claim(
            f"stress on {len(rows)} teeth of {HEADS} simulated heads, true labels, against the analytic solids: "
            "relative error, median",
            percent(error),
        ),
        Claim("surface area by ITK's estimate over the solid's own, median", f"{area}"),
        Claim("tips taken for bases", f"{swapped} of {len(rows)}", goal="0", met=swapped == 0),
        Claim("tip and base, median distance from the solid's, voxels", f"{tips:.2f} and {bases:.2f}"),
        Claim(
            "poses in which an outer end counts as the inner one",
            f"{100 * true:.0f} %",
            f"{100 * module:.0f} % (the module's projection, restated)",
            goal="0",
            met=true == 0,
        ),
        Claim(
            "second moment of a disk, largest error from 20 pixels radius on",
            f"{100 * largest:.2f} %",
            goal="within 0.3 %",
            met=largest < 0.003,
        ),
    ]
    if heads_predicted:
        claims = predicted_claims(heads_predicted) + claims
    print(
        write_result(
            "teeth", claims, seed=list(range(1000, 1000 + HEADS)), watch=watch, disks=round_parts, rows=rows,
            predicted=heads_predicted,
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()

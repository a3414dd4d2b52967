"""The tooth table on simulated heads: areas, tips and bases, stress against the analytic truth, with its interval."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.record import Claim, write_result
from ethomorph.biomechanics.levers import JawPoints, SimulatedMuscle, muscle_force, tooth_forces
from ethomorph.biomechanics.sections import section_of
from ethomorph.biomechanics.teeth import STRESS, ToothRow, measure_teeth
from ethomorph.biomechanics.tooth_shape import jaw_distances
from ethomorph.phantoms.head import HeadPhantom, simulate_head
from ethomorph.statistics.intervals import clustered_interval
from ethomorph.study.provenance import Stopwatch

HEADS, SPACING_MM, POSES = 12, 0.15, 300


def points_of(head: HeadPhantom, side: str) -> JawPoints:
    marks = head.landmarks
    rows = [marks[f"jaw_joint_{side}"], marks["jaw_tip"]]
    rows += [marks[f"muscle_{k}_{end}_{side}"] for k in (1, 2, 3) for end in ("insertion", "origin")]
    return JawPoints.from_array(np.array(rows))


def one_head(seed: int) -> list[dict[str, Any]]:
    """Every tooth of the lower jaw: measured on the true labels, against the solid's own figures."""
    head = simulate_head(seed=seed, spacing=SPACING_MM, pose=3)
    out = []
    for side in ("left", "right"):
        truth = {t.name: t for t in head.teeth if t.jaw == "lower" and t.side == side and not t.replacement}
        names = [n for n in truth if head.labels.mask(n).any()]
        points = points_of(head, side)
        row = ToothRow(names, points, "lower", side, {1: SimulatedMuscle(10.0, 80.0)})
        measured = measure_teeth(head.labels, [row])
        force = muscle_force(1, row.muscles[1], points)
        for shape, stress in zip(measured.shapes, measured.table[STRESS], strict=True):
            known = truth[shape.name]
            ends = np.array([known.tip, known.base])
            far = jaw_distances(ends, points, jaw="lower")
            tip, base = ends[far.argmax()], ends[far.argmin()]
            at_tooth = tooth_forces(force, np.array([np.linalg.norm(tip - points.joint)]))[1][0]
            true_stress = at_tooth / (known.area_mm2 / 2 * 1e-6)
            out.append(
                {
                    "head": seed,
                    "tooth": shape.name,
                    "voxels": shape.voxels,
                    "area_ratio": shape.area_mm2 / known.area_mm2,
                    "stress_error": abs(float(stress) / true_stress - 1),
                    "tip_voxels": float(np.linalg.norm(shape.tip - tip)) / SPACING_MM,
                    "base_voxels": float(np.linalg.norm(shape.base - base)) / SPACING_MM,
                    "swapped": bool(np.linalg.norm(shape.tip - tip) > np.linalg.norm(shape.tip - base)),
                }
            )
    return out


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
    watch = Stopwatch()
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
            f"{100 * error.value:.1f} % [{100 * (error.low or 0):.1f}, {100 * (error.high or 0):.1f}]",
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
    print(
        write_result("teeth", claims, seed=list(range(1000, 1000 + HEADS)), watch=watch, disks=round_parts, rows=rows)
    )


if __name__ == "__main__":
    main()

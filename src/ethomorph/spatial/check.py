"""The registration test: a head is turned into known random poses, aligned again, and everything compared.

What is asked: does the alignment come back to the same frame, do points and labels survive the way there and back, is
the inverse an inverse, does anything fold. Landmarks that took part in a fit are never used to say how good it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from ethomorph.core.grid import Grid
from ethomorph.core.metric import Metric
from ethomorph.core.volume import LabelVolume, ScalarVolume
from ethomorph.spatial.align import HEAD, SCAN, Alignment, Anchors, Method, find_alignment, of
from ethomorph.spatial.overlap import dice, surface_dice
from ethomorph.spatial.rigid import applied, turn_angle_deg
from ethomorph.spatial.symmetry import angle_deg
from ethomorph.spatial.template import Template
from ethomorph.spatial.transform import Transform, Warp, folded_share, inverted

POINTS = 1000
SHIFT_MM = 20.0
RIGHT_DEG, RIGHT_VOXELS = 0.5, 0.5


@dataclass(frozen=True)
class Check:
    """What the test found.

    Attributes
    ----------
    rows : one a pose: status, rotation and plane errors, target registration errors, Dice.
    metrics : summaries by name.
    worst : the worst pose's image beside the reference, on one grid.
    """

    rows: list[dict[str, Any]]
    metrics: dict[str, Metric]
    worst: tuple[ScalarVolume, ScalarVolume] | None = field(default=None, repr=False)


def check_alignment(
    image: ScalarVolume,
    *,
    poses: int = 10,
    seed: int = 0,
    labels: LabelVolume | None = None,
    targets: np.ndarray | None = None,
    template: Template | None = None,
    anchors: Anchors | None = None,
    method: Method = "auto",
    threshold: float | None = None,
    landmarks: Any = None,
    find: Callable[..., Alignment] | None = None,
    tell: Callable[[int], None] | None = None,
) -> Check:
    """Turn the scan into random poses, align each and compare with the alignment of the scan as it lies.

    Parameters
    ----------
    poses : how many; 0 asks only what the alignment of the scan as it lies tells.
    targets : (n, 3) LPS mm, landmarks held out of every fit.
    landmarks : landmarks that the method may use; they are turned with the scan.
    find : aligns ``(image, labels=, landmarks=)`` instead of `find_alignment` with these options; linearly.
    tell : called with the number of poses done.
    """
    if find is None:
        find = partial(
            find_alignment, seed=seed, template=template, anchors=anchors, method=method, threshold=threshold
        )
    reference = find(image, labels=labels, landmarks=landmarks)
    transform = of(reference)
    rng = np.random.default_rng(seed)
    grid = _grid_of(transform, reference, image)
    still = transform.image(image, grid, frame=SCAN, outside=air_of(image))
    still_labels = None if labels is None else transform.labels(labels, grid, frame=SCAN)
    rows: list[dict[str, Any]] = []
    worst, worst_turn = None, -1.0
    for number in range(poses):
        turn = Transform.linear(random_pose(rng), SCAN, "turned")
        placed, placed_labels, marks = turned(turn, image, labels, landmarks)
        again = find(placed, labels=placed_labels, landmarks=marks)
        row: dict[str, Any] = {"pose": number + 1, "status": "refused" if again.refused else "aligned"}
        if again.refused:
            rows.append(row | {"reason": again.reason})
        else:
            back = of(again)
            whole = Transform.linear(back.matrix, "turned", HEAD) @ turn
            row |= _compared(whole, transform, image.grid, targets)
            if still_labels is not None and labels is not None:
                row |= _overlaps(whole, labels, still_labels, grid)
            rows.append(row)
            if row["rotation_deg"] > worst_turn:
                worst_turn = row["rotation_deg"]
                worst = (still, back_image(back, placed, grid))
        if tell is not None:
            tell(number + 1)
    metrics = (summary(rows, targets) if poses else {}) | round_trips(transform, image.grid, labels, rng)
    return Check(rows, metrics, worst)


def random_pose(rng: np.random.Generator) -> np.ndarray:
    """(4, 4) any rotation and a shift of up to 20 mm."""
    from scipy.spatial.transform import Rotation

    out = np.eye(4)
    out[:3, :3] = Rotation.random(rng=rng).as_matrix()
    out[:3, 3] = rng.uniform(-SHIFT_MM, SHIFT_MM, 3)
    return out


def turned(
    turn: Transform, image: ScalarVolume, labels: LabelVolume | None, landmarks: Any
) -> tuple[ScalarVolume, LabelVolume | None, Any]:
    """A scan, its labels and landmarks resampled in another pose, as if the animal had been scanned so."""
    step = min(image.grid.spacing)
    corners = turn.points(image.grid.corners, frame=SCAN)
    low = corners.min(axis=0)
    counts = np.ceil(np.ptp(corners, axis=0) / step).astype(int) + 1
    grid = Grid(tuple(counts[::-1]), (step,) * 3, tuple(low))
    return (
        turn.image(image, grid, frame=SCAN, outside=air_of(image)),
        None if labels is None else turn.labels(labels, grid, frame=SCAN),
        None if landmarks is None else turn.landmarks(landmarks, frame=SCAN),
    )


def back_image(back: Transform, placed: ScalarVolume, grid: Grid) -> ScalarVolume:
    """The turned scan in the head frame."""
    return back.image(placed, grid, frame=SCAN, outside=air_of(placed))


def air_of(image: ScalarVolume) -> float:
    """The grey value that stands for nothing: the lowest percent."""
    return float(np.percentile(np.asarray(image.array).ravel()[:: max(1, image.grid.voxels // 100_000)], 1))


def round_trips(
    transform: Transform, grid: Grid, labels: LabelVolume | None, rng: np.random.Generator
) -> dict[str, Metric]:
    """Points and labels there and back, and folding."""
    points = grid.to_lps(rng.uniform(0, 1, (POINTS, 3)) * (np.array(grid.shape[::-1]) - 1))
    there = transform.points(points, frame=transform.source)
    apart = np.linalg.norm(transform.inverse.points(there, frame=transform.target) - points, axis=1)
    out = {
        "points_there_and_back": Metric(float(apart.max()), unit="mm", n=POINTS, note="largest"),
        "folded": Metric(
            max([folded_share(p) for p in transform.parts if isinstance(p, Warp)], default=0.0), unit="share of voxels",
            n=grid.voxels,
        ),
    }  # fmt: skip
    if labels is None:
        return out
    corners = transform.points(labels.grid.corners, frame=transform.source)
    step = min(labels.grid.spacing)
    counts = np.ceil(np.ptp(corners, axis=0) / step).astype(int) + 3
    space = Grid(tuple(counts[::-1]), (step,) * 3, tuple(corners.min(axis=0) - step))
    there_labels = transform.labels(labels, space, frame=transform.source)
    again = transform.inverse.labels(there_labels, labels.grid, frame=transform.target)
    for segment in labels.segments:
        before, after = labels.mask(segment), again.mask(segment)
        count = int(before.sum())
        if not count:
            continue
        moved = there_labels.mask(segment).sum() * space.voxel_mm3
        out[f"labels_there_and_back/{segment.name}"] = Metric(
            dice(before, after), unit="Dice", n=count,
            note=f"volume changed by {100 * (moved / (count * labels.grid.voxel_mm3) - 1):+.1f} %",
        )  # fmt: skip
    return out


def summary(rows: list[dict[str, Any]], targets: np.ndarray | None) -> dict[str, Metric]:
    """Over all poses."""
    done = [row for row in rows if row["status"] == "aligned"]
    right = [r for r in done if r["rotation_deg"] < RIGHT_DEG and r["plane_offset_voxels"] < RIGHT_VOXELS]
    out = {
        "right": Metric(len(right), unit=f"of {len(rows)} poses", n=len(rows)),
        "refused": Metric(len(rows) - len(done), unit=f"of {len(rows)} poses", n=len(rows)),
    }
    if not done:
        return out | {"rotation_error": Metric.missing("every pose was refused", unit="deg")}
    for key, unit in (("rotation_deg", "deg"), ("plane_deg", "deg"), ("plane_offset_voxels", "voxels")):
        values = np.array([row[key] for row in done])
        out[key] = Metric(float(np.median(values)), unit=unit, n=len(done), note=f"largest {values.max():.3g}")
    if targets is None:
        out["target_registration_error"] = Metric.missing("no landmarks were held out; give --targets", unit="mm")
    else:
        apart = np.concatenate([row["target_mm"] for row in done])
        out["target_registration_error"] = Metric(
            float(apart.mean()), unit="mm", n=len(apart),
            note=f"95 % {np.quantile(apart, 0.95):.3g}, largest {apart.max():.3g}; landmarks held out of the fit",
        )  # fmt: skip
    for key in ("dice", "surface_dice"):
        values = np.array([row[key] for row in done if row.get(key) is not None])
        if len(values):
            out[f"{key}_after"] = Metric(
                float(values.mean()), unit="share", n=len(values), note=f"least {values.min():.3g}"
            )
    return out


def _compared(whole: Transform, reference: Transform, grid: Grid, targets: np.ndarray | None) -> dict[str, Any]:
    """The turned scan's frame against the reference's."""
    a, b = whole.matrix, reference.matrix
    centre = grid.centre[None]
    row: dict[str, Any] = {
        "rotation_deg": turn_angle_deg(a, b),
        "plane_deg": angle_deg(a[0, :3], b[0, :3]),
        "plane_offset_voxels": float(abs(applied(a, centre)[0, 0] - applied(b, centre)[0, 0])) / min(grid.spacing),
        "inverse_consistency_mm": float(np.abs(applied(inverted(a), applied(a, grid.corners)) - grid.corners).max()),
    }
    if targets is not None:
        row["target_mm"] = np.linalg.norm(applied(a, targets) - applied(b, targets), axis=1).tolist()
    return row


def _overlaps(whole: Transform, labels: LabelVolume, still: LabelVolume, grid: Grid) -> dict[str, Any]:
    moved = whole.labels(labels, grid, frame=SCAN)
    a, b = (np.any([v.mask(s) for s in v.segments], axis=0) for v in (still, moved))
    return {"dice": dice(a, b), "surface_dice": surface_dice(a, b, grid.spacing_zyx, min(grid.spacing))}


def _grid_of(transform: Transform, alignment: Alignment, image: ScalarVolume) -> Grid:
    assert alignment.points is not None
    placed = transform.points(alignment.points, frame=SCAN)
    step = min(image.grid.spacing)
    low = placed.min(axis=0) - 3 * step
    counts = np.ceil((placed.max(axis=0) - low) / step).astype(int) + 4
    return Grid(tuple(counts[::-1]), (step,) * 3, tuple(low))

"""One image laid on another: an atlas on a scan, a CT on the MRI of the same head, with everything that belongs to it.

The frame is that of the reference image, not an anatomical one. Start and refinement are apart: the start finds the
orientation and never mirrors, the refinement is `spatial.register`'s.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.core.grid import Grid
from ethomorph.core.metric import Metric
from ethomorph.core.volume import LabelVolume, ScalarVolume
from ethomorph.spatial.anatomy import refuse_mirrored
from ethomorph.spatial.overlap import dice, surface_dice
from ethomorph.spatial.register import Metric as Likeness
from ethomorph.spatial.register import (
    bone_window,
    register_elastic,
    register_linear,
    register_spline,
    start_by_bone,
)
from ethomorph.spatial.rigid import Kind as Linear
from ethomorph.spatial.rigid import fit_map, without_outliers
from ethomorph.spatial.transform import Transform, Warp, folded_share

Bend = Literal["rigid", "similarity", "affine", "spline", "elastic"]
Start = Literal["bone", "landmarks", "header"]


def register_onto(
    image: ScalarVolume,
    reference: ScalarVolume,
    start: Transform,
    *,
    bend: Bend = "rigid",
    likeness: Likeness = "mutual_information",
    seed: int = 0,
) -> Transform:
    """Improve a start so that the image agrees with the reference, as far as `bend` lets it change.

    Parameters
    ----------
    bend : "rigid" for the same head, "similarity" for another size, "affine" for other proportions, "spline" and
        "elastic" (demons, for CT on CT) for another individual.
    likeness : mutual information where grey values mean different things, correlation of bone where they mean the same.
    """
    if bend not in get_args(Bend):
        raise LabelError(f"bend {bend!r}", fix=f"use one of {', '.join(get_args(Bend))}")
    if bend == "elastic":
        return register_elastic(reference, image, start, seed=seed)
    if bend == "spline":
        return register_spline(reference, image, start, metric=likeness, seed=seed)
    windowed = likeness == "correlation"
    fixed, moving = (bone_window(v) if windowed else v for v in (reference, image))
    return register_linear(fixed, moving, start, kind=bend, metric=likeness, seed=seed)


def start_of(
    image: ScalarVolume,
    reference: ScalarVolume,
    way: Start,
    *,
    bend: Bend,
    landmarks: dict[str, np.ndarray] | None = None,
    reference_landmarks: dict[str, np.ndarray] | None = None,
    source: str,
    target: str,
) -> Transform:
    """Where the image roughly lies in the reference: by the surfaces of bone, shared landmarks, or the headers.

    Raises
    ------
    LabelError : under 4 shared landmarks, or left and right swapped in them.
    """
    if way == "header":
        return Transform.linear(np.eye(4), source, target)
    if way == "bone":
        stretch = bend not in ("rigid", "similarity")
        return start_by_bone(reference, image, source=source, target=target, stretch=stretch)
    ours, theirs = landmarks or {}, reference_landmarks or {}
    names = [name for name in ours if name in theirs]
    if len(names) < 4:
        raise LabelError(
            f"{len(names)} landmarks have names that the template has too, a start needs 4",
            fix="give --landmarks and --template-landmarks with the same names, or --start bone",
        )
    one, two = (np.array([points[n] for n in names]) for points in (ours, theirs))
    kind: Linear = "rigid" if bend == "rigid" else "similarity"
    _, keep = without_outliers(one, two, kind)
    refuse_mirrored(one[keep], two[keep])
    return Transform.linear(fit_map(one[keep], two[keep], kind), source, target)


def agreement(
    transform: Transform,
    image: ScalarVolume,
    reference: ScalarVolume,
    *,
    labels: LabelVolume | None = None,
    reference_labels: LabelVolume | None = None,
    held_out: tuple[np.ndarray, np.ndarray] | None = None,
) -> dict[str, Metric]:
    """What can be said about a registration: likeness of the images, segments that both have, landmarks held out.

    Parameters
    ----------
    held_out : (n, 3) landmarks of the image and of the reference that took no part in the registration.
    """
    moved = transform.image(image, reference.grid, frame=transform.source, outside=float(np.asarray(image.array).min()))
    out = {
        "mutual_information": Metric(
            shared_information(np.asarray(reference.array), moved.array), unit="share of the smaller entropy",
            n=reference.grid.voxels, note="of the two images' grey values",
        ),
        "folded": Metric(
            max([folded_share(p) for p in transform.parts if isinstance(p, Warp)], default=0.0), unit="share of voxels",
            n=reference.grid.voxels,
        ),
        "there_and_back": Metric(_there_and_back(transform, image.grid), unit="mm", n=500, note="largest"),
    }  # fmt: skip
    if labels is not None and reference_labels is not None:
        brought = transform.labels(labels, reference_labels.grid, frame=transform.source)
        spacing = reference_labels.grid.spacing_zyx
        for name in (n for n in labels.names if n in reference_labels.names):
            a, b = brought.mask(name), reference_labels.mask(name)
            value = dice(a, b)
            near = surface_dice(a, b, spacing, min(spacing))
            if value is not None and near is not None:
                out[f"overlap/{name}"] = Metric(
                    value, unit="Dice", n=int(b.sum()), note=f"{100 * near:.1f} % of both surfaces within a voxel"
                )
    if held_out is not None and len(held_out[0]):
        apart = np.linalg.norm(transform.points(held_out[0], frame=transform.source) - held_out[1], axis=1)
        out["target_registration_error"] = Metric(
            float(apart.mean()), unit="mm", n=len(apart),
            note=f"95 % {np.quantile(apart, 0.95):.3g}, largest {apart.max():.3g}; landmarks held out of the fit",
        )  # fmt: skip
    return out


def shared_information(a: np.ndarray, b: np.ndarray, *, bins: int = 48) -> float:
    """Mutual information of two images' grey values over the smaller of their entropies: 0 unrelated, 1 the same."""
    joint = np.histogram2d(_ranked(a, bins), _ranked(b, bins), bins=bins, range=[[0, bins], [0, bins]])[0]
    joint /= joint.sum()

    def entropy(p: np.ndarray) -> float:
        return float(-(p[p > 0] * np.log(p[p > 0])).sum())

    one, two, both = entropy(joint.sum(axis=1)), entropy(joint.sum(axis=0)), entropy(joint)
    least = min(one, two)
    return max(0.0, (one + two - both) / least) if least > 0 else 0.0


def _ranked(array: np.ndarray, bins: int) -> np.ndarray:
    values = array.ravel()[:: max(1, array.size // 1_000_000)].astype(float)
    low, high = np.percentile(values, [0.5, 99.8])
    return np.clip((values - low) / max(high - low, 1e-12) * bins, 0, bins - 1e-6)


def _there_and_back(transform: Transform, grid: Grid) -> float:
    points = grid.to_lps(np.random.default_rng(0).uniform(0.1, 0.9, (500, 3)) * (np.array(grid.shape[::-1]) - 1))
    there = transform.points(points, frame=transform.source)
    return float(np.linalg.norm(transform.inverse.points(there, frame=transform.target) - points, axis=1).max())

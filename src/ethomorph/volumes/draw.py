"""Pictures of segmented volumes without a screen: three orthogonal slices and a surface rendering, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import ndimage

from ethomorph.core.grid import Grid
from ethomorph.core.volume import LabelVolume, ScalarVolume, Segment, color_of
from ethomorph.report.style import figure, save
from ethomorph.volumes.classes import ClassMap, Encoded
from ethomorph.volumes.panoptic import compare_instances
from ethomorph.volumes.surface import bounding_box

MISSED, EXTRA, OTHER_CLASS, OTHER_THING = 1, 2, 3, 4
DISAGREEMENT = (
    Segment("missed", MISSED, id="missed", color=(0.82, 0.29, 0.36)),
    Segment("extra", EXTRA, id="extra", color=(0.04, 0.43, 0.60)),
    Segment("other class", OTHER_CLASS, id="other_class", color=(0.93, 0.68, 0.29)),
    Segment("other thing", OTHER_THING, id="other_thing", color=(0.48, 0.32, 0.58)),
)
"""What a voxel can be wrong about: something missed, something that is not there, another class or instance."""

RENDERED = 125
"""Pixels of the longest side of a rendering."""

VIEW = (20.0, -35.0, 0.0)
"""Turn of a rendering about z, then x, then y, in degrees."""


def disagreement(truth: Encoded, predicted: Encoded, classes: ClassMap, grid: Grid) -> LabelVolume:
    """Where prediction and truth differ and how, for 3D Slicer."""
    array = np.zeros(truth.classes.shape, np.uint8)
    mine, other = truth.classes, predicted.classes
    counted = mine != 255
    array[(mine > 0) & (other == 0) & counted] = MISSED
    array[(mine == 0) & (other > 0)] = EXTRA
    array[(mine > 0) & (other > 0) & (mine != other) & counted] = OTHER_CLASS
    for number in classes.things:
        both = (mine == number) & (other == number)
        ids, found = np.where(mine == number, truth.instances, 0), np.where(other == number, predicted.instances, 0)
        match = np.zeros(int(ids.max(initial=0)) + 1, np.int64)
        for true_id, predicted_id in compare_instances(ids, found).pairs:
            match[true_id] = predicted_id
        array[both & (match[ids] != found)] = OTHER_THING
    return LabelVolume(array[None], grid, DISAGREEMENT, grid)


def draw_case(
    image: ScalarVolume, truth: Encoded, predicted: Encoded, classes: ClassMap, path: Path, *,
    centre: Sequence[int] | None = None, title: str = "",
) -> Path:  # fmt: skip
    """Truth, prediction and disagreement as rows; axial, coronal and sagittal slice and a rendering as columns.

    Parameters
    ----------
    centre : (z, y, x) voxel that all three slices go through; the middle of the disagreement where left out.
    """
    wrong = disagreement(truth, predicted, classes, image.grid)
    if centre is None:
        centre = busiest(wrong.array > 0, fallback=truth.classes > 0)
    rows = [
        ("truth", *colored(truth, classes)),
        ("prediction", *colored(predicted, classes)),
        ("disagreement", wrong.array, np.array([(0, 0, 0), *(s.color for s in DISAGREEMENT)])),
    ]
    z, y, x = image.grid.shape
    sizes = image.grid.spacing_zyx
    widths = [x * sizes[2], x * sizes[2], y * sizes[1], 1.0 * max(x * sizes[2], y * sizes[1])]
    fig, axes = figure(
        rows=3, columns=4, width=9.6, height=7.2 * 3 * max(y * sizes[1], z * sizes[0]) / sum(widths) * 0.9 + 0.6,
        gridspec_kw={"width_ratios": widths},
    )  # fmt: skip
    pixels = np.asarray(image.array)
    low, high = np.percentile(pixels[:: max(1, z // 40), ::2, ::2], [1, 99.7])
    for number, (name, labels, colors) in enumerate(rows):
        for axis in range(3):
            ax = axes[4 * number + axis]
            rest = [a for a in range(3) if a != axis]
            grey = np.take(pixels, centre[axis], axis=axis)
            here = np.take(labels, centre[axis], axis=axis)
            ax.imshow(
                blended(grey, here, colors, float(low), float(high)),
                aspect=sizes[rest[0]] / sizes[rest[1]], origin="lower" if axis else "upper", interpolation="nearest",
            )  # fmt: skip
            if number == 0:
                ax.set_title(("axial", "coronal", "sagittal")[axis], fontsize=8)
        axes[4 * number].set_ylabel(name, fontsize=9)
        axes[4 * number + 3].imshow(rendering(labels, colors, sizes), interpolation="bilinear")
    for ax in axes:
        ax.set_xticks([])
        ax.set_yticks([])
        ax.grid(False)
        for spine in ax.spines.values():
            spine.set_visible(False)
    handles = legend_handles()
    fig.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=7, frameon=False)
    if title:
        fig.suptitle(title, fontsize=10, x=0.01, ha="left")
    return save(fig, path)


def colored(encoded: Encoded, classes: ClassMap) -> tuple[np.ndarray, np.ndarray]:
    """(z, y, x) codes and (codes, 3) colours: a colour a class, and a colour of its own for each thing."""
    count = len(classes.names)
    palette = [(0.0, 0.0, 0.0), *(PLAIN[i % len(PLAIN)] for i in range(count))]
    palette += [color_of(i) for i in range(int(encoded.instances.max(initial=0)))]
    codes = np.where(encoded.classes == 255, 0, encoded.classes).astype(np.int32)
    return np.where(encoded.instances > 0, encoded.instances.astype(np.int32) + count, codes), np.array(palette)


PLAIN = ((0.80, 0.70, 0.42), (0.35, 0.66, 0.60), (0.72, 0.76, 0.82), (0.80, 0.52, 0.52), (0.55, 0.60, 0.85))
"""Colours of classes without instances."""


def blended(grey: np.ndarray, labels: np.ndarray, colors: np.ndarray, low: float, high: float) -> np.ndarray:
    """(rows, columns, 3) a slice with its labels laid over it; their outlines are strong."""
    share = np.clip((grey.astype(np.float32) - low) / max(high - low, 1e-9), 0, 1)[..., None]
    base = np.repeat(share, 3, axis=2)
    edge = np.zeros(labels.shape, bool)
    for axis in range(2):
        step = np.diff(labels, axis=axis) != 0
        front = [slice(None)] * 2
        front[axis] = slice(0, -1)
        edge[tuple(front)] |= step
    weight = np.where(labels > 0, np.where(edge, 0.85, 0.45), 0.0)[..., None]
    return base * (1 - weight) + colors[labels] * weight


def rendering(labels: np.ndarray, colors: np.ndarray, spacing_zyx: Sequence[float]) -> np.ndarray:
    """(rows, columns, 3) the labels as solid things, seen from the upper left front, lit from the viewer's side.

    A volume is turned by nearest neighbour and the first label along each ray is taken; shading comes from the smoothed
    surface.
    """
    from scipy.spatial.transform import Rotation

    if not labels.any():
        return np.ones((8, 8, 3))
    size = np.array(labels.shape) * np.array(spacing_zyx)
    step = float(size.max()) / RENDERED
    turn = Rotation.from_euler("zyx", VIEW, degrees=True).as_matrix()
    side = int(np.ceil(np.linalg.norm(size) / step))
    matrix = turn * step / np.array(spacing_zyx)[:, None]
    offset = (np.array(labels.shape) - 1) / 2 - matrix @ np.full(3, (side - 1) / 2)
    turned = ndimage.affine_transform(labels.astype(np.uint16), matrix, offset, (side,) * 3, order=0, mode="constant")
    turned = turned[bounding_box(turned > 0)]
    solid = turned > 0
    first = solid.argmax(axis=1)  # rays run along y, from the front
    hit = solid.any(axis=1)
    z, x = np.nonzero(hit)
    y = first[hit]
    soft = ndimage.gaussian_filter(solid.astype(np.float32), 1.2)
    normal = np.stack([g[z, y, x] for g in np.gradient(soft)], axis=1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
    light = np.array([-0.45, 0.8, 0.4]) / np.linalg.norm([-0.45, 0.8, 0.4])
    bright = 0.35 + 0.65 * np.clip(normal @ light, 0, 1)
    depth = 1 - 0.25 * (y - y.min()) / max(1, int(np.ptp(y)))
    picture = np.ones((*hit.shape, 3))
    picture[z, x] = np.clip(colors[turned[z, y, x]] * (bright * depth)[:, None], 0, 1)
    return picture[::-1]


def busiest(mask: np.ndarray, *, fallback: np.ndarray) -> tuple[int, int, int]:
    """The voxel whose three planes hold most of a mask."""
    used = mask if mask.any() else fallback
    if not used.any():
        z, y, x = (n // 2 for n in mask.shape)
        return z, y, x
    z, y, x = (int(used.sum(axis=tuple(a for a in range(3) if a != axis)).argmax()) for axis in range(3))
    return z, y, x


def legend_handles() -> list:
    """Patches that say what the colours of the disagreement mean."""
    from matplotlib.patches import Patch

    return [Patch(color=s.color, label=s.name) for s in DISAGREEMENT]

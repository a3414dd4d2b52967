"""Pictures of an alignment: the head before and after from three sides, and a checkerboard of two images."""

from __future__ import annotations

from typing import Any

import numpy as np

from ethomorph.core.volume import ScalarVolume
from ethomorph.report.style import PALETTE, figure
from ethomorph.spatial.cloud import bone_threshold, coarse
from ethomorph.spatial.render import FROM_ABOVE, FROM_FRONT, LEFT_SIDE, Picture, View, render

SIDES: tuple[tuple[str, View], ...] = (
    ("from the left", LEFT_SIDE),
    ("from above", FROM_ABOVE),
    ("from the front", FROM_FRONT),
)


def draw_alignment(before: ScalarVolume, after: ScalarVolume, *, threshold: float | None = None) -> Any:
    """Three views of the scan as it lay and of the head in its own frame, with the mid-plane."""
    fig, axes = figure(rows=2, columns=3, width=9.0, height=6.2)
    for row, (image, words) in enumerate(((before, "scan"), (after, "head frame"))):
        small = coarse(image)
        level = bone_threshold(small) if threshold is None else threshold
        mask = np.asarray(small.array) > level
        for column, (side, view) in enumerate(SIDES):
            picture = render(mask, small.grid, view)
            ax = axes[3 * row + column]
            show(ax, picture)
            ax.set_title(f"{words}, {side}", fontsize=9, color="#3a4450")
            if row == 1 and column > 0:
                line = picture.place(np.array([[0.0, 0.0, 0.0]]))[0, 0]
                ax.axvline(line, color=PALETTE[1], linewidth=1.1)
            scale_bar(ax, picture)
    return fig


def draw_check(
    fixed: ScalarVolume, moved: ScalarVolume, names: tuple[str, str] = ("reference", "aligned again")
) -> Any:
    """Checkerboard and difference of two images on one grid, in three slices through the middle.

    Each is shown between its own percentiles, so that another scanner's grey values do not look like a wrong place.
    """
    fig, axes = figure(rows=2, columns=3, width=9.0, height=6.0)
    a, b = (_spread(np.asarray(v.array, dtype=float)) for v in (fixed, moved))
    for column, axis in enumerate((2, 1, 0)):
        here = [slice(None)] * 3
        here[axis] = a.shape[axis] // 2
        one, two = a[tuple(here)], b[tuple(here)]
        rows, columns = np.indices(one.shape)
        size = max(6, max(one.shape) // 10)
        odd = ((rows // size + columns // size) % 2).astype(bool)
        for ax, what, colors, span in (
            (axes[column], np.where(odd, one, two), "gray", (0, 1)),
            (axes[3 + column], one - two, "RdBu_r", (-0.6, 0.6)),
        ):
            ax.imshow(what, cmap=colors, vmin=span[0], vmax=span[1], origin="lower", interpolation="nearest")
            ax.set_axis_off()
        axes[column].set_title(f"checkerboard, across {'zyx'[axis]}", fontsize=9, color="#3a4450")
        axes[3 + column].set_title(f"{names[0]} minus {names[1]}", fontsize=9, color="#3a4450")
    return fig


def _spread(array: np.ndarray) -> np.ndarray:
    """Grey values from the 20th percentile (air or soft parts) to the 99.7th (bone) as 0 to 1."""
    low, high = np.percentile(array, [20, 99.7])
    return np.clip((array - low) / max(high - low, 1e-9), 0, 1)


def show(ax: Any, picture: Picture) -> None:
    """Put a rendered picture into axes without ticks."""
    ax.imshow(picture.rgba, interpolation="antialiased")
    ax.set_axis_off()
    ax.set_aspect("equal")


def scale_bar(ax: Any, picture: Picture) -> None:
    """A bar of a round length in the lower left corner."""
    width = picture.rgba.shape[1] * picture.pixel_mm
    length = nice(width / 5)
    height = picture.rgba.shape[0]
    ax.plot([2, 2 + length / picture.pixel_mm], [height + 4] * 2, color="#3a4450", linewidth=2, clip_on=False)
    ax.text(2, height + 8, f"{length:g} mm", fontsize=7, color="#3a4450", va="top")


def nice(value: float) -> float:
    """The round number (1, 2 or 5 times a power of ten) next below.

    >>> nice(37.0), nice(0.23)
    (20.0, 0.2)
    """
    power = 10.0 ** np.floor(np.log10(max(value, 1e-12)))
    return float(max(k for k in (1, 2, 5) if k * power <= value * 1.0001) * power)

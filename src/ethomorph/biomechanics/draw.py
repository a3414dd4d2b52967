"""Pictures of tooth stress and of cross-sections."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ethomorph.biomechanics.sections import Axis, section_of, sliced
from ethomorph.biomechanics.teeth import STRESS, ToothRow, ToothTable
from ethomorph.core.volume import LabelVolume
from ethomorph.report.style import PALETTE, figure
from ethomorph.spatial.draw import nice, scale_bar, show
from ethomorph.spatial.render import View, render

COLORS = "inferno"
LOWEST_COLOR = 0.12
"""The darkest part of the colour scale is left out: it would vanish in shadow."""
JAW_COLOR = (0.90, 0.89, 0.86)
STRIP = 9
"""Sections drawn along a bone."""


def stress_colors(stress: np.ndarray) -> tuple[np.ndarray, Any, Any]:
    """(teeth, 3) colours, and the scale they come from, for a colour bar."""
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    scale = LinearSegmentedColormap.from_list("stress", colormaps[COLORS](np.linspace(LOWEST_COLOR, 0.95, 256)))
    low, high = float(stress.min()), float(stress.max())
    norm = Normalize(low, high if high > low else low + 1)
    return scale(norm(stress))[:, :3], scale, norm


def draw_stress(
    labels: LabelVolume, rows: list[ToothRow], measured: ToothTable, *, shown: list[str] | None = None
) -> Any:
    """The jaw from the side and from the teeth's side, teeth coloured by stress, and stress along each row.

    Parameters
    ----------
    shown : further segments to draw, such as the jaw; every segment with "jaw" in its name where left out.
    """
    from matplotlib.cm import ScalarMappable

    stress = measured.table[STRESS].to_numpy(dtype=float)
    colors, scale, norm = stress_colors(stress / 1e3)
    fig, axes = figure(rows=1, columns=3, width=11.0, height=4.1, width_ratios=[1.25, 1.0, 1.15])
    values, palette = coloured(labels, measured, colors, shown)
    side, over = views(rows, measured)
    # the other jaw's teeth would hide those looked onto
    other = {tooth for row in rows if row.jaw != rows[0].jaw for tooth in row.teeth}
    hidden = [n for n, tooth in enumerate(measured.table["Tooth ID"], start=2) if str(tooth) in other]
    onto = np.where(np.isin(values, hidden), 0, values)
    for ax, view, words, what in (
        (axes[0], side, "from the side", values),
        (axes[1], over, f"onto the {rows[0].jaw} jaw", onto),
    ):
        picture = render(what, labels.grid, view, colors=palette)
        show(ax, picture)
        scale_bar(ax, picture)
        ax.set_title(f"Teeth by stress, {words}", fontsize=10)
    plot_row(axes[2], measured.table, colors)
    bar = fig.colorbar(ScalarMappable(norm, scale), ax=axes[2], shrink=0.8, pad=0.02)
    bar.set_label("stress (kN/m²)", color="#3a4450")
    return fig


def coloured(
    labels: LabelVolume, measured: ToothTable, colors: np.ndarray, shown: list[str] | None
) -> tuple[np.ndarray, dict[int, tuple[float, float, float]]]:
    """(z, y, x) with a number a tooth, 1 for the jaw; and number to colour."""
    values = np.zeros(labels.grid.shape, np.int32)
    names = shown if shown is not None else [n for n in labels.names if "jaw" in n.lower() or "mandible" in n.lower()]
    for name in names:
        values[labels.mask(name)] = 1
    palette: dict[int, tuple[float, float, float]] = {1: JAW_COLOR}
    for number, (tooth, color) in enumerate(zip(measured.table["Tooth ID"], colors, strict=True), start=2):
        values[labels.mask(str(tooth))] = number
        palette[number] = (float(color[0]), float(color[1]), float(color[2]))
    return values, palette


def views(rows: list[ToothRow], measured: ToothTable) -> tuple[View, View]:
    """From the side of the first row, and onto its teeth, however the head lies in the scan."""
    row = rows[0]
    shapes = [s for s in measured.shapes if s.name in row.teeth]
    up = np.mean([(s.tip - s.base) / max(1e-9, np.linalg.norm(s.tip - s.base)) for s in shapes], axis=0)
    along = row.points.tip - row.points.joint
    along /= np.linalg.norm(along)
    up = up - (up @ along) * along
    up = up / np.linalg.norm(up) if np.linalg.norm(up) > 1e-6 else np.cross(along, [0.0, 0.0, 1.0])
    if row.jaw == "upper":
        up = -up
    across = np.cross(along, up)
    # seen from outside: the camera stands on the side on which the teeth stand of the middle of all bone
    inner = np.mean([s.centroid for s in measured.shapes], axis=0)
    outside = np.mean([s.centroid for s in shapes], axis=0) - inner
    forward = across if across @ outside < 0 else -across
    tilted = forward * 0.94 - up * 0.34 if row.jaw == "lower" else forward * 0.94 + up * 0.34
    face = -up if row.jaw == "lower" else up
    return View(_three(tilted), _three(up)), View(_three(face), _three(along))


def plot_row(ax: Any, table: pd.DataFrame, colors: np.ndarray) -> None:
    """Stress against relative position along the jaw, a line a row."""
    place = (table["Position (mm)"] / table["Jaw Length (mm)"]).to_numpy(dtype=float)
    stress = table[STRESS].to_numpy(dtype=float) / 1e3
    for number, (name, group) in enumerate(table.groupby(["Jaw ID", "Side ID"], sort=False)):
        index = group.index.to_numpy()
        order = index[np.argsort(place[index])]
        words = ", ".join(str(n).lower() for n in name if n != "NA") or "teeth"
        ax.plot(
            place[order], stress[order], color=PALETTE[number % len(PALETTE)], linewidth=1.0, alpha=0.7, label=words
        )
    ax.scatter(place, stress, c=colors, s=34, edgecolors="white", linewidths=0.6, zorder=3)
    ax.set_xlabel("position from joint (0) to tip (1)")
    ax.set_ylabel("stress (kN/m²)")
    ax.set_ylim(bottom=0)
    ax.set_title("Stress along the row", fontsize=10)
    ax.legend(frameon=False, fontsize=8)


def draw_sections(table: pd.DataFrame, name: str, labels: LabelVolume, *, axis: Axis = "long") -> Any:
    """A strip of sections along a segment, and its area, second moments and compactness below."""
    mask, _, spacing = sliced(labels.mask(name), {}, labels.grid, axis)
    fig, axes = figure(rows=2, columns=3, width=10.5, height=4.6, height_ratios=[1.0, 1.9])
    grid = axes[0].get_gridspec()
    for ax in axes[:3]:
        ax.remove()
    _plot_strip(fig.add_subfigure(grid[0, :]), mask, spacing, name)
    axes = axes[3:]
    along = table["Percent (%)"]
    axes[0].fill_between(along, table["CSA (mm^2)"], color=PALETTE[0], alpha=0.15)
    axes[0].plot(along, table["CSA (mm^2)"], color=PALETTE[0])
    axes[0].set_title("Area of bone (mm²)", fontsize=10)
    for column, words, color in (
        ("Iminor (mm^4)", "about the minor axis", PALETTE[1]),
        ("Imajor (mm^4)", "about the major axis", PALETTE[3]),
    ):
        axes[1].plot(along, table[column], color=color, label=words)
    axes[1].set_title("Second moment of area (mm⁴)", fontsize=10)
    axes[1].legend(frameon=False, fontsize=8)
    axes[2].plot(along, table["Compactness"], color=PALETTE[4])
    axes[2].set_title("Compactness", fontsize=10)
    axes[2].set_ylim(0, 1.05)
    for ax in axes:
        ax.set_xlabel("percent of length")
        ax.set_xlim(0, 100)
    for ax in axes[:2]:
        ax.set_ylim(bottom=0)
    return fig


def _plot_strip(panel: Any, mask: np.ndarray, spacing: tuple[float, float, float], name: str) -> None:
    """Sections in even steps, all in one scale, each with its long axis."""
    from matplotlib.colors import ListedColormap

    filled = np.flatnonzero(mask.any(axis=(1, 2)))
    places = np.linspace(filled[0], filled[-1], STRIP + 2).round().astype(int)[1:-1]
    chosen = [(100 * (z - filled[0]) / max(1, filled[-1] - filled[0]), mask[z]) for z in places if mask[z].any()]
    width, height = spacing[:2]
    middles = [np.argwhere(m).mean(axis=0) * (height, width) for _, m in chosen]
    reach = 1.15 * max(
        float(np.abs(np.argwhere(m) * (height, width) - c).max()) for (_, m), c in zip(chosen, middles, strict=True)
    ) + max(width, height)
    axes = panel.subplots(1, len(chosen), squeeze=False)[0]
    for ax, (percent, section), (cy, cx) in zip(axes, chosen, middles, strict=True):
        rows, columns = section.shape
        box = (-0.5 * width - cx, (columns - 0.5) * width - cx, -0.5 * height - cy, (rows - 0.5) * height - cy)
        ax.imshow(section, cmap=ListedColormap([(1, 1, 1, 0), PALETTE[0]]), extent=box, origin="lower",
                  interpolation="nearest")  # fmt: skip
        angle = np.deg2rad(section_of(section, (width, height))["Theta (deg)"] - 90)
        x, y = 0.95 * reach * np.cos(angle), 0.95 * reach * np.sin(angle)
        ax.plot([-x, x], [-y, y], color=PALETTE[1], linewidth=1.0)
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        ax.set_axis_off()
        ax.set_title(f"{percent:.0f} %", fontsize=8, color="#3a4450")
    bar = nice(reach)
    first = panel.axes[0]
    first.plot([-reach, -reach + bar], [-reach, -reach], color="#3a4450", linewidth=2, clip_on=False)
    first.text(-reach, -1.08 * reach, f"{bar:g} mm", fontsize=7, color="#3a4450", va="top")
    panel.suptitle(f"{name}: sections and their long axes", fontsize=10)


def _three(vector: np.ndarray) -> tuple[float, float, float]:
    return float(vector[0]), float(vector[1]), float(vector[2])

"""Pictures of shape: principal components, warp grids, error ellipses. Every function returns a matplotlib Figure.

Nothing is shown on screen or written; 3-D configurations are drawn in two of their three directions, named by `plane`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ethomorph.core.errors import InputError
from ethomorph.shape.checks import labels_for
from ethomorph.shape.tangent import ShapeSpace
from ethomorph.shape.thin_plate import ThinPlate, thin_plate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito's colours, told apart by colour-blind readers: black first, yellow left out for its faintness on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
INK, FAINT = "#222222", "#B8B8B8"

Edges = Sequence[tuple[int, int]]


def draw_components(
    space: ShapeSpace,
    *,
    axes: tuple[int, int] = (0, 1),
    groups: Sequence[Any] | None = None,
    predicted: np.ndarray | None = None,
    title: str = "",
) -> Figure:
    """Scatter of two principal components; with predictions, each is joined to its truth.

    Parameters
    ----------
    space : the shape space of the true shapes.
    axes : which components, from 0.
    groups : (n,) labels for colour.
    predicted : (n, p, k) predicted configurations of the same specimens; those with gaps are not drawn.
    """
    a, b = axes
    if max(axes) >= space.scores.shape[1]:
        raise InputError(f"the shapes vary in {space.scores.shape[1]} components only", fix="draw a larger sample")
    figure, panel = _panel()
    truth = space.scores[:, [a, b]]
    labels = labels_for(groups, len(truth), "group") if groups is not None else np.full(len(truth), "")
    if predicted is not None:
        predicted = np.asarray(predicted, dtype=float)
        drawn = np.isfinite(predicted).all(axis=(1, 2))
        other = space.project(predicted[drawn])[:, [a, b]]
        for start, end in zip(truth[drawn], other, strict=True):
            panel.plot([start[0], end[0]], [start[1], end[1]], color=FAINT, lw=0.8, zorder=1)
    for i, name in enumerate(np.unique(labels)):
        colour, rows = COLOURS[i % len(COLOURS)], labels == name
        label = " ".join(part for part in (str(name), "truth" if predicted is not None else "") if part)
        panel.scatter(
            truth[rows, 0], truth[rows, 1], s=30, color=colour, edgecolor="white", lw=0.6, zorder=3, label=label or None
        )
        if predicted is not None:
            ring = " ".join(part for part in (str(name), "prediction") if part)
            points = other[rows[drawn]]
            panel.scatter(
                points[:, 0], points[:, 1], s=30, facecolor="white", edgecolor=colour, lw=1.2, zorder=2, label=ring
            )
    panel.axhline(0, color=FAINT, lw=0.6, zorder=0)
    panel.axvline(0, color=FAINT, lw=0.6, zorder=0)
    panel.set_xlabel(f"PC{a + 1} ({100 * space.explained[a]:.1f} % of shape variance)")
    panel.set_ylabel(f"PC{b + 1} ({100 * space.explained[b]:.1f} %)")
    panel.set_aspect("equal", adjustable="datalim")
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    if groups is not None or predicted is not None:
        panel.legend(frameon=False, fontsize=9, loc="best")
    panel.set_title(title, loc="left", fontsize=11, color=INK)
    return figure


def draw_warp(
    source: np.ndarray,
    target: np.ndarray,
    *,
    edges: Edges = (),
    magnify: float = 1.0,
    y_down: bool = True,
    plane: tuple[int, int] = (0, 1),
    title: str = "",
) -> Figure:
    """A square grid on `source` as the thin-plate spline to `target` bends it.

    Parameters
    ----------
    source, target : (p, k), superimposed on each other.
    edges : pairs of landmark indices to join.
    magnify : exaggerates the difference, as the title says.
    y_down : the coordinates come from an image.
    """
    flat = np.asarray(source, float)[:, list(plane)]
    figure, panel = _panel(flat)
    goal = flat + magnify * (np.asarray(target, float)[:, list(plane)] - flat)
    spline = thin_plate(flat, goal)
    _draw_grid(panel, spline, flat)
    _draw_edges(panel, flat, edges, FAINT, 1.0)
    _draw_edges(panel, goal, edges, COLOURS[0], 1.6)
    panel.scatter(flat[:, 0], flat[:, 1], s=22, facecolor="white", edgecolor=INK, lw=0.9, zorder=4, label="from")
    panel.scatter(goal[:, 0], goal[:, 1], s=30, color=COLOURS[0], edgecolor="white", lw=0.6, zorder=5, label="to")
    panel.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(0, 0), ncols=2, borderaxespad=0)
    _as_picture(panel, y_down)
    times = f" (difference x {magnify:g})" if magnify != 1 else ""
    panel.set_title(f"{title}{times}".strip(), loc="left", fontsize=11, color=INK)
    return figure


def draw_ellipses(
    mean: np.ndarray,
    residuals: np.ndarray,
    *,
    names: Sequence[str] | None = None,
    edges: Edges = (),
    magnify: float = 1.0,
    y_down: bool = True,
    plane: tuple[int, int] = (0, 1),
    level: float = 0.95,
    points: bool = True,
    title: str = "",
) -> Figure:
    """The mean shape with an ellipse a landmark that holds `level` of its errors, were they Gaussian.

    For prediction errors and for differences between two codings (`repeat_error(...).residuals`). The arrow from a
    landmark to its ellipse's centre is the mean error, the bias.

    Parameters
    ----------
    mean : (p, k).
    residuals : (n, p, k) in the units of `mean`; NaN rows are left out.
    names : (p,) landmark names.
    magnify : exaggerates the residuals, as the title says.
    points : draw the single residuals too.
    """
    from matplotlib.patches import Ellipse

    flat = np.asarray(mean, float)[:, list(plane)]
    figure, panel = _panel(flat)
    errors = magnify * np.asarray(residuals, float)[:, :, list(plane)]
    _draw_edges(panel, flat, edges, FAINT, 1.2)
    radius = np.sqrt(-2 * np.log(1 - level))  # of the standard bivariate normal
    size = np.ptp(flat, axis=0).max()
    reach = np.full(len(flat), 0.025 * size)
    corners = [flat]
    for j, centre in enumerate(flat):
        own = errors[np.isfinite(errors[:, j]).all(axis=1), j]
        if len(own) < 3:
            continue
        if points:
            panel.scatter(
                centre[0] + own[:, 0],
                centre[1] + own[:, 1],
                s=2,
                color=COLOURS[0],
                alpha=min(0.5, 30 / len(own)),
                lw=0,
                zorder=1,
            )
        shift = own.mean(axis=0)
        variances, vectors = np.linalg.eigh(np.cov(own.T))
        width, height = 2 * radius * np.sqrt(np.maximum(variances, 0))
        angle = np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0]))
        panel.add_patch(
            Ellipse(tuple(centre + shift), width, height, angle=angle, fc="none", ec=COLOURS[1], lw=1.3, zorder=3)
        )
        half = max(width, height) / 2
        reach[j] = 0.018 * size + min(half, 0.05 * size)
        corners.append(centre + shift + half * np.array([[-1, -1], [1, 1]]))
        panel.plot(
            [centre[0], centre[0] + shift[0]], [centre[1], centre[1] + shift[1]], color=COLOURS[1], lw=1.3, zorder=3
        )
    panel.scatter(flat[:, 0], flat[:, 1], s=9, color=INK, zorder=4, lw=0)
    if names is not None:
        _label(panel, flat, names, reach)
    # The picture ends with the ellipses: one wild error must not shrink everything else.
    low, high = np.concatenate(corners).min(axis=0), np.concatenate(corners).max(axis=0)
    margin = 0.04 * (high - low).max()
    panel.set_xlim(low[0] - margin, high[0] + margin)
    panel.set_ylim(low[1] - margin, high[1] + margin)
    _as_picture(panel, y_down)
    times = f", errors x {magnify:g}" if magnify != 1 else ""
    panel.set_title(f"{title} ({100 * level:.0f} % ellipses{times})".strip(), loc="left", fontsize=11, color=INK)
    return figure


def _panel(points: np.ndarray | None = None) -> tuple[Figure, Axes]:
    """A figure with one panel, as wide and high as the points (n, 2) need."""
    # Not pyplot: a figure made here is never kept alive by a global list, and needs no display.
    from matplotlib.figure import Figure

    width, height = 6.4, 5.2
    if points is not None:
        extent = np.ptp(points, axis=0)
        height = width * float(np.clip(1.1 * extent[1] / max(extent[0], 1e-12), 0.45, 1.4)) + 0.5
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    return figure, figure.add_subplot()


def _draw_grid(panel: Axes, spline: ThinPlate, source: np.ndarray, cells: int = 24) -> None:
    low, high = source.min(axis=0), source.max(axis=0)
    margin = 0.12 * (high - low).max()
    low, high = low - margin, high + margin
    step = (high - low).max() / cells
    fine = 60
    for axis in (0, 1):
        count = max(2, round((high - low)[axis] / step) + 1)
        for value in np.linspace(low[axis], high[axis], count):
            line = np.empty((fine, 2))
            line[:, axis] = value
            line[:, 1 - axis] = np.linspace(low[1 - axis], high[1 - axis], fine)
            bent = spline.apply(line)
            panel.plot(bent[:, 0], bent[:, 1], color="#9DB4C0", lw=0.7, zorder=1)


def _draw_edges(panel: Axes, points: np.ndarray, edges: Edges, colour: str, width: float) -> None:
    for i, j in edges:
        panel.plot(points[[i, j], 0], points[[i, j], 1], color=colour, lw=width, zorder=2, solid_capstyle="round")


def _label(panel: Axes, points: np.ndarray, names: Sequence[str], reach: np.ndarray) -> None:
    """Each name at distance `reach` (p,) from its landmark, on the side where its neighbours are far."""
    apart = points[:, None] - points[None]
    squared = (apart**2).sum(axis=2)
    weight = np.divide(1.0, squared**2, out=np.zeros_like(squared), where=squared > 0)
    outward = (weight[..., None] * apart).sum(axis=1)
    # Sideways counts double: names are wider than high, and landmarks of a midline stand above each other.
    outward *= [2.0, 1.0]
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-300)
    for name, (x, y) in zip(names, points + reach[:, None] * outward, strict=True):
        panel.text(x, y, name, fontsize=7, color=INK, ha="center", va="center", zorder=5)


def _as_picture(panel: Axes, y_down: bool) -> None:
    panel.set_aspect("equal")
    if y_down:
        panel.invert_yaxis()
    panel.set_axis_off()

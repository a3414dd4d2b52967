"""Pictures of an identification: the tree with its cut, the matrix of pairs, the count, one pair in canonical space."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import chi2

from ethomorph.core.files import atomic_path
from ethomorph.identity.fit import CanonicalPair
from ethomorph.identity.result import Identification

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT, BLUE, ORANGE, TEAL = "#22313f", "#c3ccd4", "#2f6db3", "#e07b39", "#2a9d8f"

LEAVES_NAMED = 120
"""Trees of more trails are drawn without names."""


def draw_tree(found: Identification, path: str | Path) -> Path:
    """Dendrogram of the trails with the cut; neighbouring individuals in alternating colours."""
    from scipy.cluster.hierarchy import dendrogram, leaves_list

    number = len(found.trails)
    figure, axes = _figure(8.0, min(max(2.4, 0.17 * number + 1.2), 24.0))
    order = leaves_list(found.tree)
    turn = {code: i for i, code in enumerate(dict.fromkeys(found.individual[order].tolist()))}
    colour = {code: (BLUE, ORANGE, TEAL)[i % 3] for code, i in turn.items()}
    owner: dict[int, int | None] = dict(enumerate(found.individual.tolist()))
    for row, (a, b, *_) in enumerate(found.tree):
        owner[number + row] = owner[int(a)] if owner[int(a)] == owner[int(b)] else None
    dendrogram(
        found.tree, orientation="left", ax=axes, labels=found.trails if number <= LEAVES_NAMED else None,
        no_labels=number > LEAVES_NAMED, leaf_font_size=7,
        link_color_func=lambda node: FAINT if owner[node] is None else colour[owner[node]],
    )  # fmt: skip
    for text in axes.get_ymajorticklabels():
        text.set_color(colour[int(found.individual[found.trails.index(text.get_text())])])
    axes.axvline(found.cut, color=INK, lw=1.2, ls=(0, (4, 3)))
    axes.annotate(
        f"cut: {int(found.individual.max()) + 1} individuals", (found.cut, 1.0), xycoords=("data", "axes fraction"),
        xytext=(4, 3), textcoords="offset points", fontsize=8, color=INK, annotation_clip=False,
    )  # fmt: skip
    axes.set_xlabel(found.height, color=INK, fontsize=9)
    axes.spines["bottom"].set_visible(True)
    _title(axes, f"{number} trails: {_count(found)}", pad=16)
    return _save(figure, path)


def draw_pairs(found: Identification, path: str | Path) -> Path:
    """Matrix of calibrated log-likelihood ratios in the order of the tree; individuals are framed."""
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle
    from scipy.cluster.hierarchy import leaves_list

    order = leaves_list(found.tree)
    number = len(order)
    figure, axes = _figure(7.2, 6.2)
    limit = float(np.clip(np.nanquantile(np.abs(found.scores), 0.9), 4, 30))
    colours = colormaps["RdBu_r"].with_extremes(bad="#eef1f4")  # pairs not compared
    image = axes.imshow(found.scores[np.ix_(order, order)], cmap=colours, vmin=-limit, vmax=limit)
    codes = found.individual[order]
    edges = np.flatnonzero(np.diff(codes)) + 1
    for start, stop in zip(np.r_[0, edges], np.r_[edges, number], strict=True):
        axes.add_patch(Rectangle((start - 0.5, start - 0.5), stop - start, stop - start, fill=False, ec=INK, lw=0.9))
    if number <= 60:
        names = [found.trails[i] for i in order]
        axes.set_xticks(range(number), names, rotation=90, fontsize=5.5)
        axes.set_yticks(range(number), names, fontsize=5.5)
    else:
        axes.set_xticks([])
        axes.set_yticks([])
    bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02)
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.set_label("log-likelihood ratio: one animal (red) or two (blue)", fontsize=9, color=INK)
    _title(axes, "Every pair of trails; squares are the individuals found")
    return _save(figure, path)


def draw_count(found: Identification, path: str | Path) -> Path:
    """The count: draws of the posterior as bars, the interval as a line."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = _figure(6.4, 2.9)
    metric = found.individuals
    value = metric.value or 0.0
    values, counts = np.unique(found.draws if len(found.draws) else [value], return_counts=True)
    axes.bar(values, counts / counts.sum(), color=BLUE, alpha=0.85, width=0.8)
    top = float((counts / counts.sum()).max())
    if metric.low is not None and metric.high is not None:
        axes.plot([metric.low, metric.high], [1.1 * top] * 2, color=INK, lw=2, solid_capstyle="butt")
        axes.plot([value], [1.1 * top], "o", color=INK, ms=6)
        axes.annotate(
            "95 % interval", (metric.high, 1.1 * top), xytext=(6, -3), textcoords="offset points", fontsize=8, color=INK
        )
        axes.set_xlim(metric.low - 2, metric.high + 4)
    axes.set_xlabel("individuals", color=INK, fontsize=9)
    axes.set_ylabel("share of draws", color=INK, fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["left", "bottom"]].set_visible(True)
    _title(axes, _count(found).capitalize())
    return _save(figure, path)


def draw_sizes(rows: list[dict[str, Any]], path: str | Path) -> Path:
    """Counted against true numbers of held-out animals, with intervals; the grey band is within 15 %."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = _figure(6.0, 4.6)
    most = max(max(row["animals"], row["high"]) for row in rows) + 2
    axes.fill_between([0, most], [0, 0.85 * most], [0, 1.15 * most], color=FAINT, alpha=0.35, lw=0)
    axes.plot([0, most], [0, most], color=INK, lw=1, ls=(0, (4, 3)))
    rounds = max(row["round"] for row in rows)
    for row in rows:
        x = row["animals"] + 0.28 * (row["round"] - (rounds + 1) / 2)
        colour = BLUE if row["covered"] else ORANGE
        axes.plot([x, x], [row["low"], row["high"]], color=colour, lw=1.6, alpha=0.7, solid_capstyle="butt")
        axes.plot(x, row["counted"], "o", color=colour, ms=5)
    least = min(row["animals"] for row in rows)
    axes.set(xlim=(max(least - 3, 0), max(row["animals"] for row in rows) + 3), ylim=(0, most))
    axes.set_xlabel("animals held out", color=INK, fontsize=9)
    axes.set_ylabel("animals counted, with 95 % interval", color=INK, fontsize=9)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["left", "bottom"]].set_visible(True)
    held = sum(row["covered"] for row in rows)
    _title(axes, f"{held} of {len(rows)} intervals hold the true number")
    return _save(figure, path)


def draw_pair(pair: CanonicalPair, names: tuple[str, str], path: str | Path, *, coverage: float = 0.8) -> Path:
    """Two trails and the reference on canonical axes, with ellipses that hold `coverage` of each trail's prints."""
    from matplotlib.patches import Ellipse

    figure, axes = _figure(5.6, 5.2)
    axes.plot(*pair.reference.T, ".", color=FAINT, ms=3, zorder=1, label="reference")
    for scores, name, colour in ((pair.first, names[0], BLUE), (pair.second, names[1], ORANGE)):
        axes.plot(*scores.T, "o", color=colour, ms=4.5, alpha=0.9, label=name, zorder=3)
        strengths, directions = np.linalg.eigh(np.cov(scores.T))
        width, height = 2 * np.sqrt(np.maximum(strengths, 0) * chi2.ppf(coverage, 2))
        angle = float(np.degrees(np.arctan2(directions[1, 0], directions[0, 0])))
        style: dict[str, Any] = {"fill": False, "ec": colour, "zorder": 2}
        axes.add_patch(Ellipse(tuple(scores.mean(0)), width, height, angle=angle, lw=1.6, **style))
        radius = 2 * np.sqrt(chi2.ppf(coverage, 2))
        axes.add_patch(Ellipse(tuple(scores.mean(0)), radius, radius, lw=1.0, ls=":", **style))
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xlabel("canonical axis 1", color=INK, fontsize=9)
    axes.set_ylabel("canonical axis 2", color=INK, fontsize=9)
    axes.spines[["left", "bottom"]].set_visible(True)
    axes.legend(frameon=False, fontsize=8, loc="best")
    verdict = "overlap: one animal" if pair.distance <= 2 * np.sqrt(chi2.ppf(coverage, 2)) else "apart: two animals"
    _title(axes, f"Distance {pair.distance:.2f}; circles (dotted) {verdict}")
    return _save(figure, path)


def _count(found: Identification) -> str:
    metric = found.individuals
    interval = "" if metric.low is None else f" (95 % interval {metric.low:.0f} to {metric.high:.0f})"
    return f"{metric.value:.0f} individuals{interval}"


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=130)
    axes = figure.add_subplot()
    axes.spines[:].set_visible(False)
    axes.spines[:].set_color(FAINT)
    axes.tick_params(length=0, labelsize=8, colors=INK)
    return figure, axes


def _title(axes: Axes, text: str, pad: float = 10) -> None:
    axes.set_title(text, loc="left", fontsize=11, color=INK, fontweight="bold", pad=pad)


def _save(figure: Figure, path: str | Path) -> Path:
    with atomic_path(path) as temporary:
        figure.savefig(temporary)
    return Path(path)

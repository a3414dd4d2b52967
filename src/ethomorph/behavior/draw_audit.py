"""Pictures of an audit of labelled classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ethomorph.audit.classes import ClassFacts
from ethomorph.audit.curve import Curve
from ethomorph.audit.shortcut import Shortcut
from ethomorph.report.style import PALETTE, figure, save

INK = "#3a4450"
MOST_ANIMALS = 30


def draw_support(facts: ClassFacts, path: Path) -> Path:
    """Samples of each class (columns) in each animal (rows), the animals with most samples first."""
    table = facts.support()
    table = table.loc[table.sum(axis=1).sort_values(ascending=False).index][:MOST_ANIMALS]
    counts = table.to_numpy(float)
    fig, (ax,) = figure(width=1.9 + 0.52 * counts.shape[1], height=1.3 + 0.26 * len(counts))
    ax.imshow(np.log1p(counts), cmap="Blues", aspect="auto")
    for i, j in np.ndindex(*counts.shape):
        dark = np.log1p(counts[i, j]) > 0.55 * np.log1p(counts.max())
        text = f"{int(counts[i, j])}" if counts[i, j] else "·"
        ax.text(j, i, text, ha="center", va="center", fontsize=7, color="white" if dark else INK)
    names = [str(c).replace("_", " ") for c in table.columns]
    ax.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(table)), [str(i)[:24] for i in table.index], fontsize=7)
    ax.grid(visible=False)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return save(fig, path)


def draw_shortcut(shortcut: Shortcut, path: Path) -> Path:
    """Accuracy of the commonest class, and of the metadata-only model on a random split and on animals held out."""
    bars = [("commonest class", shortcut.majority, None, None, "#b9c2cb")]
    titles = {"random": "table only, random split", "grouped": "table only, animals held out"}
    for (kind, title), colour in zip(titles.items(), (PALETTE[1], PALETTE[0]), strict=True):
        block = shortcut.blocks.get(kind, {}).get("accuracy", {})
        if block.get("value") is not None:
            bars.append((title, block["value"], block.get("low"), block.get("high"), colour))
    fig, (ax,) = figure(width=5.6, height=0.5 * len(bars) + 0.9)
    for y, (_, value, low, high, colour) in enumerate(bars):
        ax.barh(y, 100 * value, 0.6, color=colour)
        if low is not None and high is not None:
            ax.plot([100 * low, 100 * high], [y, y], color=INK, lw=1.2)
        ax.text(100 * max(value, high or 0) + 1, y, f"{100 * value:.1f} %", va="center", fontsize=8, color=INK)
    ax.set_yticks(range(len(bars)), [bar[0] for bar in bars])
    ax.invert_yaxis()
    ax.set(xlabel="accuracy, %", xlim=(0, 100))
    ax.grid(axis="y", visible=False)
    return save(fig, path)


def draw_curve(curve: Curve, path: Path) -> Path:
    """Macro F1 on new animals against the number of animals learned from."""
    fig, (ax,) = figure(width=4.6, height=2.8)
    n = [p.animals for p in curve.points]
    ax.fill_between(
        n, [p.low for p in curve.points], [p.high for p in curve.points], color=PALETTE[0], alpha=0.15, lw=0
    )
    ax.plot(n, [p.score for p in curve.points], marker="o", ms=4, color=PALETTE[0])
    ax.plot([n[-1], 2 * n[-1]], [curve.points[-1].score, curve.forecast], ls=(0, (3, 2)), color=PALETTE[0])
    ax.plot(2 * n[-1], curve.forecast, marker="o", ms=5, mfc="white", color=PALETTE[0])
    ax.set_xscale("log", base=2)
    ticks = [*n, 2 * n[-1]]
    ax.set_xticks(ticks, [str(t) for t in ticks])
    ax.minorticks_off()
    ax.set(xlabel="animals learned from", ylabel="macro F1 on others", ylim=(0, None))
    return save(fig, path)

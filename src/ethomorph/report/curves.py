"""Training curves from history.csv."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ethomorph.report.style import figure, save


def draw_curves(history: pd.DataFrame, path: Path) -> Path:
    """Losses, metrics and learning rate against epochs, one panel a quantity; returns the path of the PNG."""
    panels = _panels(history)
    fig, axes = figure(columns=len(panels), width=3.6 * len(panels) + 0.6, height=2.9)
    for ax, (title, columns) in zip(axes, panels.items(), strict=True):
        for column in columns:
            known = history[["epoch", column]].dropna()
            ax.plot(
                known["epoch"],
                known[column],
                label=column.replace("_", " "),
                marker="o" if len(known) < 12 else None,
                ms=3,
            )
        ax.set(title=title, xlabel="epoch")
        if len(columns) > 1:
            ax.legend(frameon=False)
        positive = history[columns].min().min()
        if positive > 0 and history[columns].max().max() > 20 * positive:
            ax.set_yscale("log")
    return save(fig, path)


def _panels(history: pd.DataFrame) -> dict[str, list[str]]:
    numeric = [
        c for c in history.columns if c not in ("epoch", "seconds") and pd.api.types.is_numeric_dtype(history[c])
    ]
    numeric = [c for c in numeric if history[c].notna().any()]
    losses = [c for c in numeric if c.endswith("loss")]
    panels = {"loss": losses} if losses else {}
    panels |= {c.replace("_", " "): [c] for c in numeric if c not in losses}
    return panels

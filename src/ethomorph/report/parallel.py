"""Parallel coordinates of a sweep: a line a trial, an axis a setting, and what it led to on the right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ethomorph.report.style import figure, save

MOST_TICKS = 6
TICK_GAP = 0.08  # of the axis: nearer labels would touch
SICK, PRUNED = "#d1495b", "#c4ccd4"


def draw_parallel(
    table: pd.DataFrame, settings: dict[str, bool], *, metric: str, higher_is_better: bool, path: Path
) -> Path:
    """Draw trials and return the path of the PNG.

    Parameters
    ----------
    table : a row a trial with state ("complete", "pruned", "fail"), health, the metric and a column a setting.
    settings : columns to draw, and whether on a logarithmic scale.
    """
    from matplotlib import colormaps
    from matplotlib.lines import Line2D

    keys = list(settings)
    fig, (ax,) = figure(width=max(5.5, 1.7 * len(keys) + 2.6), height=3.8)
    values = table[metric].astype(float).to_numpy()
    scales = {key: Axis(table[key], log) for key, log in settings.items()}
    goal = Axis(table[metric], False)
    known = values[np.isfinite(values) & (table["health"] != "sick").to_numpy()]
    low, high = (known.min(), known.max()) if len(known) else (0.0, 1.0)
    best = (known.max() if higher_is_better else known.min()) if len(known) else None
    for row, value in zip(table.to_dict("records"), values, strict=True):
        if any(pd.isna(row[key]) for key in keys):
            continue
        heights = [scales[key].place(row[key]) for key in keys]
        style: dict[str, Any] = {"color": PRUNED, "lw": 0.9, "zorder": 1}
        if np.isfinite(value):
            heights.append(goal.place(value))
            share = (value - low) / (high - low) if high > low else 1.0
            quality = min(1.0, max(0.0, share if higher_is_better else 1 - share))
            style = {"color": colormaps["viridis"](0.08 + 0.8 * quality), "lw": 1.3, "zorder": 2, "alpha": 0.85}
            if value == best:
                style |= {"lw": 3.0, "zorder": 4, "alpha": 1.0}
        if row["health"] == "sick":
            style = {"color": SICK, "lw": 1.2, "ls": (0, (4, 2)), "zorder": 3}
        ax.plot(range(len(heights)), heights, **style)
    for x, scale in enumerate([*scales.values(), goal]):
        ax.axvline(x, color="#5a6470", lw=1, zorder=0)
        for at, text in scale.ticks():
            ax.plot([x - 0.02, x + 0.02], [at, at], color="#5a6470", lw=1)
            box = {"facecolor": "white", "alpha": 0.75, "pad": 0.6, "lw": 0}
            ax.text(x + 0.035, at, text, fontsize=7.5, va="center", color="#3a4450", bbox=box, zorder=5)
    names = [key.rpartition(".")[2].replace("_", " ") for key in keys]
    better = "higher is better" if higher_is_better else "lower is better"
    ax.set_xticks(range(len(keys) + 1), [*names, f"{metric.replace('_', ' ')}\n({better})"])
    ax.set(yticks=[], ylim=(-0.06, 1.06), xlim=(-0.15, len(keys) + 0.4))
    ax.grid(visible=False)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    ax.tick_params(length=0)
    legend = [Line2D([], [], color=colormaps["viridis"](0.88), lw=3, label="best healthy trial")]
    if (table["health"] == "sick").any():
        legend.append(Line2D([], [], color=SICK, ls=(0, (4, 2)), label="sick"))
    if (table["state"] == "pruned").any():
        legend.append(Line2D([], [], color=PRUNED, label="cut short"))
    fig.legend(handles=legend, loc="outside upper center", ncols=3, frameon=False)
    return save(fig, path)


class Axis:
    """Where a value stands between 0 and 1, on a straight, logarithmic or named scale."""

    def __init__(self, values: pd.Series, log: bool) -> None:
        values = values.dropna()
        numbers = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
        self.whole = bool(numbers) and all(float(one).is_integer() for one in values)
        self.few = sorted(set(values)) if numbers and values.nunique() <= MOST_TICKS else []
        self.names = [] if numbers else sorted({str(one) for one in values})
        self.log = log and numbers
        ends = values.astype(float).to_numpy() if numbers else np.arange(len(self.names), dtype=float)
        ends = np.log10(ends) if self.log else ends
        self.low, self.high = (float(ends.min()), float(ends.max())) if len(ends) else (0.0, 1.0)

    def place(self, value: Any) -> float:
        number = float(self.names.index(str(value))) if self.names else float(value)
        number = np.log10(number) if self.log else number
        return 0.5 if self.high == self.low else (number - self.low) / (self.high - self.low)

    def ticks(self) -> list[tuple[float, str]]:
        """Places and labels, from three to five of them."""
        if self.names:
            return [(self.place(name), name) for name in self.names]
        if self.high == self.low:
            return [(0.5, f"{10**self.low if self.log else self.low:.3g}")]
        places = [self.place(one) for one in self.few]
        if self.few and np.diff(places).min() > TICK_GAP:
            return [(place, f"{one:.3g}") for place, one in zip(places, self.few, strict=True)]
        if self.log and self.high - self.low > 2:
            decades = range(int(np.ceil(self.low)), int(np.floor(self.high)) + 1)
            return [
                (self.place(10.0**power), f"1e{power}" if abs(power) > 2 else f"{10.0**power:g}") for power in decades
            ]
        ends = np.linspace(self.low, self.high, 4)
        if self.whole and not self.log:
            return [(self.place(round(end)), f"{round(end)}") for end in ends]
        return [(self.place(10**end if self.log else end), f"{10**end if self.log else end:.3g}") for end in ends]

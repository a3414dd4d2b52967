"""How every figure of a report looks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ethomorph.core.files import atomic_path

PALETTE = ("#0b6e99", "#d1495b", "#edae49", "#3c7a57", "#7a5195", "#8d99ae")
"""Colours that stay apart for colour-blind eyes and in grey print."""

SETTINGS: dict[str, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a94a0",
    "axes.labelcolor": "#3a4450",
    "xtick.color": "#3a4450",
    "ytick.color": "#3a4450",
    "axes.grid": True,
    "grid.color": "#e6eaef",
    "axes.axisbelow": True,
    "lines.linewidth": 1.6,
    "figure.dpi": 130,
    "savefig.dpi": 130,
}


def figure(
    *, rows: int = 1, columns: int = 1, width: float = 7.0, height: float = 3.0, **options: Any
) -> tuple[Any, list[Any]]:
    """A matplotlib figure without a screen, and its axes as a flat list; sizes in inches."""
    from cycler import cycler
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    settings: Any = SETTINGS | {"axes.prop_cycle": cycler(color=PALETTE)}
    with rc_context(settings):
        fig = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(fig)
        axes = fig.subplots(rows, columns, squeeze=False, **options)
    return fig, list(axes.ravel())


def save(fig: Any, path: Path) -> Path:
    """Write the figure atomically as PNG and return the path."""
    with atomic_path(path) as temporary:
        fig.savefig(temporary, format="png", dpi=SETTINGS["savefig.dpi"])
    return path

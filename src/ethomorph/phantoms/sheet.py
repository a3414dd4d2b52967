"""A contact sheet of simulated radiographs with their landmarks, for documentation and for a look at a sample."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ethomorph.core.files import atomic_path

if TYPE_CHECKING:
    from ethomorph.phantoms.radiograph import RadiographSample

_LEFT, _RIGHT, _MIDDLE = "#56B4E9", "#E69F00", "#F0F0F0"  # safe for colour-blind readers


def draw_sample(
    sample: RadiographSample, path: str | Path, *, limit: int = 6, columns: int = 2, landmarks: bool = True,
    dpi: int = 110,
) -> Path:
    """Draw the first `limit` images, `columns` to a row, as a picture file; returns its path.

    Landmarks of the animal's left are blue, of its right orange; `landmarks` False leaves the images bare.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = min(limit, len(sample))
    if shown == 0:
        raise ValueError("the sample has no images to draw")
    columns = min(columns, shown)
    rows = -(-shown // columns)
    height, width = sample.images[0].shape
    figure = Figure(figsize=(5.2 * columns, 5.2 * rows * (height + 30) / width), facecolor="#101010")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    figure.subplots_adjust(left=0.005, right=0.995, bottom=0.005, top=1 - 0.045 / rows, wspace=0.015, hspace=0.075)
    colours = dict.fromkeys(range(len(sample.landmarks.names)), _MIDDLE)
    for left, right in sample.landmarks.symmetry:
        colours |= {left: _LEFT, right: _RIGHT}
    for i, axis in enumerate(axes.flat):
        axis.set_axis_off()
        if i >= shown:
            continue
        full = 255 if sample.images[i].dtype.itemsize == 1 else 65535
        # The picture is brightened for the page only; the files keep their grey values.
        axis.imshow((sample.images[i] / full) ** 0.75, cmap="gray", vmin=0, vmax=0.95, interpolation="antialiased")
        here = [s for s in sample.landmarks if s.image == sample.image_names[i]]
        for specimen in here if landmarks else []:
            for a, b in sample.landmarks.edges:
                axis.plot(*specimen.points[[a, b]].T, color="white", alpha=0.25, linewidth=0.6)
            for k, (x, y) in enumerate(specimen.points):
                axis.plot(x, y, "o", color=colours[k], markersize=2.6, markeredgecolor="black", markeredgewidth=0.3)
        known = "; ".join(f"{s.id}, {s.attributes['sex']}, {float(s.attributes['svl_mm']):.1f} mm" for s in here)
        bad = ", graded bad" if any(s.attributes["grade"] == "bad" for s in here) else ""
        axis.set_title(f"{known or 'no specimen'}{bad}", color="#D0D0D0", fontsize=9, pad=3)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=dpi, facecolor=figure.get_facecolor())
    return Path(path)

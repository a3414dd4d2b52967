"""One picture of an audit: how often each landmark is missing, and the pictures that most need a look."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ethomorph.audit.checks.duplicates import NearPair, near_pairs
from ethomorph.audit.checks.missing import missing_share
from ethomorph.audit.checks.outliers import shape_outliers
from ethomorph.audit.data import AuditData
from ethomorph.core.errors import ImageError
from ethomorph.core.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ethomorph.audit.run import Audit

INK, BLUE, RED, PALE = "#3a4450", "#0b6e99", "#d1495b", "#e6eaef"
MAX_PANELS = 6
MAX_BARS = 40
THUMBNAIL_PX = 420


def draw_audit(audit: Audit, path: str | Path | None = None) -> Figure:
    """Bars of the missing share a landmark (left) and up to six panels of suspects (right); saved as PNG if `path`.

    Suspects are copies (both pictures side by side), then shape outliers and stray landmarks, drawn on their picture
    with the mean shape fitted to them in grey.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    data = audit.data
    suspects = _suspects(data)
    columns = 2 if len(suspects) in (2, 4) else min(3, max(1, len(suspects)))
    rows = max(1, -(-len(suspects) // columns))
    share = missing_share(data) if data.landmarks is not None else np.array([])
    bars = min(int((share > 0).sum()), MAX_BARS)
    height = max(2.2 * rows + 0.5, 0.16 * bars + 0.9, 2.4)
    with rc_context({"font.size": 8, "axes.titlesize": 8, "axes.titlelocation": "left"}):
        fig = Figure(figsize=(2.8 + 2.5 * columns, height), layout="constrained")
        FigureCanvasAgg(fig)
        halves: Any = fig.subfigures(1, 2, width_ratios=[2.8, 2.5 * columns])
        left, right = halves
        _bars(left.subplots(), share, data.landmarks.names if data.landmarks is not None else [])
        panels = np.ravel(right.subplots(rows, columns, squeeze=False))
        for ax in panels:
            ax.axis("off")
        if not suspects:
            panels[0].text(0.5, 0.5, "no copies, no outliers", ha="center", color=INK, transform=panels[0].transAxes)
        for ax, suspect in zip(panels, suspects, strict=False):
            if isinstance(suspect, NearPair):
                _pair(ax, suspect)
            else:
                _specimen(ax, data, *suspect)
        if any(isinstance(suspect, tuple) for suspect in suspects):
            right.supxlabel("blue: as digitised; ring: where the other specimens have it", fontsize=7, color=INK)
        if path is not None:
            with atomic_path(path) as temporary:
                fig.savefig(temporary, format="png", dpi=150)
    return fig


def _suspects(data: AuditData) -> list[Any]:
    """Near copies, then (sample, title, landmarks to mark) of outliers and strays; at most `MAX_PANELS`."""
    pairs: list[Any] = []
    if data.looks:
        pairs = list(near_pairs([look for look in data.looks.values() if look.size and not look.constant]))
    odd: dict[int, tuple[str, list[int]]] = {}
    if data.landmarks is not None and len(data.landmarks):
        outliers, strays = shape_outliers(data)
        for outlier in outliers:
            odd[outlier.sample] = (outlier.hint or f"outlier, z {outlier.z:.1f}", [])
        for stray in strays:
            name = data.landmarks.names[stray.landmark]
            other = stray.swapped_with
            title = f"swapped? {name}, {other}" if other else f"{name}: {stray.factor:.0f} x too far"
            odd.setdefault(stray.sample, (title, []))[1].append(stray.landmark)
    copies = pairs[: max(MAX_PANELS - len(odd), MAX_PANELS // 2)]
    return (copies + [(sample, *said) for sample, said in odd.items()])[:MAX_PANELS]


def _bars(ax: Axes, share: np.ndarray, names: list[str]) -> None:
    """The landmarks that are missing somewhere, in the scheme's order; the commonest where there are too many."""
    order = np.sort(np.argsort(-share, kind="stable")[: min(int((share > 0).sum()), MAX_BARS)])
    if not len(order):
        ax.axis("off")
        ax.text(0.5, 0.5, "no landmark is missing", ha="center", color=INK, transform=ax.transAxes)
        return
    ax.barh(np.arange(len(order)), 100 * share[order], color=BLUE, height=0.7)
    ax.set_yticks(np.arange(len(order)), [_short(names[i], 18) for i in order], fontsize=7)
    ax.set_ylim(len(order) - 0.4, -0.6)
    ax.set_xlim(0, 105 * float(share.max()))
    ax.set_xlabel("% of specimens")
    ax.set_title("Missing landmarks", color=INK)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color=PALE)
    ax.set_axisbelow(True)


def _pair(ax: Axes, pair: NearPair) -> None:
    pictures = [_thumbnail(path)[0] for path in (pair.first, pair.second)]
    height = min(len(p) for p in pictures)
    gap = np.ones((height, 6))
    ax.imshow(
        np.hstack([_to_height(pictures[0], height), gap, _to_height(pictures[1], height)]), cmap="gray", vmin=0, vmax=1
    )
    ax.set_title(f"one picture twice (r {pair.correlation:.3f})", color=RED)
    ax.text(0, -0.04, _short(pair.first.name, 22), transform=ax.transAxes, va="top", fontsize=7, color=INK)
    ax.text(1, -0.04, _short(pair.second.name, 22), transform=ax.transAxes, va="top", ha="right", fontsize=7, color=INK)


def _specimen(ax: Axes, data: AuditData, sample: int, title: str, marked: list[int]) -> None:
    assert data.landmarks is not None
    specimen = data.landmarks[sample]
    points, shrink = specimen.points[:, :2], 1.0
    y_down = data.landmarks.frame == "image"
    look = (data.looks or {}).get(specimen.image_path) if specimen.image_path else None
    if look is not None and look.size and specimen.image_path is not None:
        picture, shrink = _thumbnail(specimen.image_path)
        ax.imshow(picture, cmap="gray", vmin=0, vmax=1, alpha=0.85)
    elif y_down:
        ax.invert_yaxis()
    expected = _expected(data, sample)
    if expected is not None:
        for here, there in zip(points * shrink, expected[:, :2] * shrink, strict=True):
            ax.plot(*np.transpose([there, here]), color=RED, lw=0.8)
        ax.plot(*(expected[:, :2] * shrink).T, "o", ms=2.5, mfc="none", mec="#edae49", mew=0.8)
    ax.plot(*(points * shrink).T, "o", ms=3, color=BLUE, mec="white", mew=0.4)
    ax.plot(*(points[marked] * shrink).T, "o", ms=8, mfc="none", mec=RED, mew=1.2)
    ax.set_aspect("equal")
    ax.set_title(_short(title, 38), color=RED)
    ax.text(0, -0.04, _short(specimen.label, 40), transform=ax.transAxes, va="top", fontsize=7, color=INK)


def _expected(data: AuditData, sample: int) -> np.ndarray | None:
    """The median specimen's landmarks laid onto this one's, robustly enough for a picture."""
    from ethomorph.core.errors import LabelError
    from ethomorph.shape.procrustes import generalized_procrustes, similarity

    assert data.landmarks is not None
    points = data.landmarks.array()
    whole = points[np.isfinite(points).all(axis=(1, 2))]
    try:
        mean = np.median(generalized_procrustes(whole, max_iterations=20, tolerance=1e-4).aligned, axis=0)
        first = similarity(mean, points[sample]).apply(mean)
        # Fitted again without the landmarks that are off, so that these do not drag the rest along.
        residual = np.linalg.norm(first - points[sample], axis=1)
        kept = np.where((residual <= 2 * np.nanmedian(residual))[:, None], points[sample], np.nan)
        return similarity(mean, kept).apply(mean)
    except LabelError:
        return None


def _thumbnail(path: Path) -> tuple[np.ndarray, float]:
    """The picture in grey, 0..1, at most `THUMBNAIL_PX` long, and the factor it was shrunk by."""
    import cv2

    from ethomorph.formats.images import read_image

    try:
        grey = read_image(path).grey()
    except ImageError:
        return np.full((60, 80), 0.9), 1.0
    low, high = np.percentile(grey, [0.5, 99.5])
    grey = np.clip((grey - low) / max(high - low, 1e-6), 0, 1)
    shrink = min(1.0, THUMBNAIL_PX / max(grey.shape))
    return cv2.resize(grey, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), shrink


def _to_height(picture: np.ndarray, height: int) -> np.ndarray:
    import cv2

    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most // 2 - 1] + "…" + text[-(most - most // 2) :]

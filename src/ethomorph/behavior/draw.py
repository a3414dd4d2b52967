"""Pictures of behaviour: confusion, calibration, what the table alone would have scored, worst clips, bouts in time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ethomorph.core.files import atomic_path
from ethomorph.report.style import PALETTE, figure, save
from ethomorph.statistics.calibration import reliability_table

INK, PALE = "#3a4450", "#e6eaef"
REST_COLOUR = "#e6eaef"
SHOWN_FRAMES = 6
TILE_PX = 88


def draw_confusion(table: np.ndarray, classes: Sequence[str], path: Path) -> Path:
    """Shares of each true class by what they were predicted as, with counts."""
    counts = np.asarray(table, float)
    total = counts.sum(1, keepdims=True)
    share = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    side = max(3.2, 0.48 * len(classes) + 1.6)
    fig, (ax,) = figure(width=side + 0.9, height=side)
    image = ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    names = [name.replace("_", " ") for name in classes]
    ax.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(names)), [f"{n}  ({int(t)})" for n, t in zip(names, total[:, 0], strict=True)])
    ax.set(xlabel="predicted", ylabel="true (number)")
    ax.grid(visible=False)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    for i, j in np.ndindex(*counts.shape):
        if counts[i, j]:
            colour = "white" if share[i, j] > 0.55 else INK
            ax.text(j, i, f"{100 * share[i, j]:.0f}", ha="center", va="center", fontsize=7.5, color=colour)
    bar = fig.colorbar(image, ax=ax, shrink=0.7, pad=0.02)
    bar.set_label("share of the true class, %", fontsize=8)
    bar.set_ticks([0, 0.5, 1], labels=["0", "50", "100"], fontsize=8)
    bar.outline.set_visible(False)
    return save(fig, path)


def draw_calibration(confidence: np.ndarray, right: np.ndarray, path: Path) -> Path:
    """Hit rate against stated confidence, in bins of equal count, above how often each confidence was stated."""
    bins = int(np.clip(len(confidence) // 20, 3, 10))
    rows = reliability_table(confidence, right, bins=bins, adaptive=True)
    fig, (ax, below) = figure(rows=2, width=4.4, height=4.4, height_ratios=[3.2, 1])
    ax.plot([0, 1], [0, 1], color="#8a94a0", lw=1, ls=(0, (4, 3)))
    for row in rows:
        ax.plot([row.confidence] * 2, [row.confidence, row.accuracy], color=PALETTE[1], lw=1.2, alpha=0.6)
    ax.plot([r.confidence for r in rows], [r.accuracy for r in rows], marker="o", ms=4.5, color=PALETTE[0])
    ax.set(ylabel="share that was right", xlim=(0, 1), ylim=(0, 1.03))
    ax.set_xticklabels([])
    below.hist(confidence, bins=list(np.linspace(0, 1, 21)), color=PALETTE[0], alpha=0.8)
    below.set(xlabel="stated probability of the predicted class", ylabel="number", xlim=(0, 1))
    return save(fig, path)


def draw_baselines(scores: dict[str, Any], path: Path) -> Path | None:
    """The method beside what looked at nothing, on the test part and on the folds; None where there is no baseline."""
    kinds = {
        "test part": "macro_f1",
        "folds of whole groups": "grouped_folds_macro_f1",
        "random split": "random_folds_macro_f1",
    }
    kinds = {k: v for k, v in kinds.items() if scores["metrics"].get(v, {}).get("value") is not None}
    methods = {"this model": scores["metrics"], **{k.replace("_", " "): b for k, b in scores["baselines"].items()}}
    if len(methods) < 2 or not kinds:
        return None
    fig, (ax,) = figure(width=1.6 + 2.1 * len(kinds), height=2.8)
    width = 0.8 / len(methods)
    for m, (name, metrics) in enumerate(methods.items()):
        for k, metric in enumerate(kinds.values()):
            block = metrics.get(metric)
            if not block or block.get("value") is None:
                continue
            x = k + (m - (len(methods) - 1) / 2) * width
            colour = PALETTE[0] if m == 0 else ("#b9c2cb", "#8d99ae", PALETTE[2])[min(m - 1, 2)]
            ax.bar(x, block["value"], width * 0.9, color=colour, label=name if k == 0 else None)
            if block.get("low") is not None:
                ax.plot([x, x], [block["low"], block["high"]], color=INK, lw=1)
            ax.text(x, block["value"] + 0.015, f"{block['value']:.2f}", ha="center", fontsize=7, color=INK)
    ax.set_xticks(range(len(kinds)), list(kinds))
    ax.set(ylabel="macro F1", ylim=(0, min(1.05, ax.get_ylim()[1] + 0.06)))
    ax.grid(axis="x", visible=False)
    fig.legend(loc="outside upper center", ncols=len(methods), frameon=False, fontsize=8)
    return save(fig, path)


def draw_clips(clips: list[tuple[np.ndarray, str, str]], path: Path) -> Path:
    """A contact sheet: a row a clip, frames from left to right over its whole length, its captions on the left.

    Parameters
    ----------
    clips : each (frames, height, width, channels) uint8, with a title and a second line.
    """
    import cv2

    rows = len(clips)
    fig, axes = figure(rows=rows, columns=1, width=7.2, height=max(1.0, 1.08 * rows))
    for ax, (frames, title, said) in zip(axes, clips, strict=True):
        chosen = np.floor((np.arange(SHOWN_FRAMES) + 0.5) / SHOWN_FRAMES * len(frames)).astype(int)
        tiles = []
        for i in chosen:
            frame = np.asarray(frames[i])
            frame = np.repeat(frame, 3, axis=2) if frame.shape[2] == 1 else frame
            scale = TILE_PX / frame.shape[0]
            tiles.append(cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
            tiles.append(np.full((tiles[-1].shape[0], 3, 3), 255, np.uint8))
        ax.imshow(np.hstack(tiles[:-1]), aspect="equal")
        ax.axis("off")
        ax.text(-0.02, 0.66, title, transform=ax.transAxes, ha="right", va="center", fontsize=8, color=INK)
        ax.text(-0.02, 0.34, said, transform=ax.transAxes, ha="right", va="center", fontsize=7, color=PALETTE[1])
    return save(fig, path)


def draw_bouts(
    stretches: list[tuple[np.ndarray, np.ndarray, float, str]], classes: Sequence[str], path: Path, *,
    rest: str | None = None, most: int = 8,
) -> Path:  # fmt: skip
    """True and predicted bouts on one axis of time, a pair of lines a stretch."""
    from matplotlib.patches import Patch

    shown = sorted(stretches, key=lambda s: -len(s[0]))[:most]
    longest = max(len(s[0]) / s[2] for s in shown)
    fig, (ax,) = figure(width=7.2, height=0.55 * len(shown) + 1.2)
    colours = colours_of(classes, rest)
    for row, (truth, said, fps, group) in enumerate(shown):
        for codes, y in ((truth, row), (said, row + 0.36)):
            edges = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
            for a, b in pairwise(edges):
                ax.barh(y, (b - a) / fps, 0.32, left=a / fps, color=colours[int(codes[a])], lw=0)
        ax.text(-0.01 * longest, row + 0.18, group[:26], ha="right", va="center", fontsize=7, color=INK)
    ax.set(xlabel="s", xlim=(0, longest), ylim=(len(shown), -0.4), yticks=[])
    ax.grid(visible=False)
    ax.spines["left"].set_visible(False)
    handles = [Patch(color=colours[i], label=name.replace("_", " ")) for i, name in enumerate(classes)]
    fig.legend(handles=handles, loc="outside upper center", ncols=min(6, len(classes)), frameon=False, fontsize=8)
    return save(fig, path)


def draw_transitions(counts: np.ndarray, names: Sequence[str], path: Path) -> Path:
    """What followed what: shares of each row, circles as large as they are frequent."""
    table = np.asarray(counts, float)
    total = table.sum(1, keepdims=True)
    share = np.divide(table, total, out=np.zeros_like(table), where=total > 0)
    side = max(2.6, 0.5 * len(names) + 1.4)
    fig, (ax,) = figure(width=side + 0.3, height=side)
    for i, j in np.ndindex(*table.shape):
        if table[i, j]:
            ax.scatter(j, i, s=420 * table[i, j] / table.max(), color=PALETTE[0], alpha=0.25 + 0.75 * share[i, j], lw=0)
            dark = table[i, j] > 0.4 * table.max() and share[i, j] > 0.4
            colour = "white" if dark else INK
            ax.text(j, i, f"{100 * share[i, j]:.0f}", ha="center", va="center", fontsize=7, color=colour)
    labels = [name.replace("_", " ") for name in names]
    ax.set_xticks(range(len(names)), labels, rotation=40, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(names)), labels)
    ax.set(xlabel="then", ylabel="first", xlim=(-0.6, len(names) - 0.4), ylim=(len(names) - 0.4, -0.6))
    return save(fig, path)


def colours_of(classes: Sequence[str], rest: str | None) -> list[Any]:
    """A colour a class; the rest is pale."""
    from matplotlib import colormaps

    many: list[Any] = [*PALETTE[:5], *(colormaps["tab20"](i) for i in range(20))]
    found: list[Any] = []
    i = 0
    for name in classes:
        if name == rest:
            found.append(REST_COLOUR)
        else:
            found.append(many[i % len(many)])
            i += 1
    return found


def write_sheet(clips: list[tuple[np.ndarray, str, str]], path: str | Path) -> None:
    """`draw_clips` where a person asked for it."""
    with atomic_path(path) as temporary:
        draw_clips(clips, temporary)

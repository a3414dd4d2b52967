"""The pose chapters of a report: the worst and best frames drawn, every node, the two families of scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ethomorph.formats.video import Film
from ethomorph.keypoints.chapters import block_table
from ethomorph.keypoints.pose.data import LabelledFrame, Scheme
from ethomorph.keypoints.pose.draw import draw_comparison, tile, write_picture
from ethomorph.keypoints.pose.frames import ScoredFrame
from ethomorph.keypoints.pose.score_strict import assign
from ethomorph.study.task import Chapter, Part

SHOWN = 6


def pose_chapters(
    rows: Sequence[ScoredFrame], frames: Sequence[LabelledFrame], films: Sequence[Film], scheme: Scheme,
    scores: dict[str, Any], folder: Path,
) -> list[Chapter]:  # fmt: skip
    """Frames, nodes and counts of a test part; pictures are drawn into `folder`."""
    status = scores.get("status", "ok")
    counts = scores.get("counts", {})
    table = pd.DataFrame({"what": [k.replace("_", " ") for k in counts], "count": [shown(v) for v in counts.values()]})
    chapters = [
        Chapter(
            "Found",
            [Part(text=f"Status: {status}. {scores.get('reason', '')}".strip()), Part(table=table)],
        )
    ]
    if rows:
        chapters.append(pictures_chapter(rows, frames, films, scheme, folder))
    if scores.get("per_node"):
        table = block_table(scores["per_node"], "node")
        chapters.append(Chapter("Nodes", [Part(table=table, caption="Errors of nodes that were predicted.")]))
    return chapters


def pictures_chapter(
    rows: Sequence[ScoredFrame], frames: Sequence[LabelledFrame], films: Sequence[Film], scheme: Scheme, folder: Path
) -> Chapter:
    """The worst and the best frames, truth as rings and predictions as crosses."""
    assigned = assign(rows)
    worst = np.zeros(len(rows))
    for i in range(len(rows)):
        error = assigned.error[assigned.frame == i]
        seen = error[~np.isnan(error)]
        worst[i] = np.where(np.isfinite(seen), seen, 1e6).max(initial=0) + 1e5 * assigned.extra[i]
    order = np.argsort(-worst, kind="stable")
    parts = []
    for title, chosen in (("Worst", order[:SHOWN]), ("Best", order[::-1][:SHOWN])):
        pictures, titles = [], []
        for i in chosen:
            pixels = films[frames[i].video].frame(frames[i].frame)
            if pixels is None:
                continue
            pictures.append(draw_comparison(pixels, rows[i].truth, rows[i].found, scheme))
            error = assigned.error[assigned.frame == i]
            known = error[np.isfinite(error)]
            mean = f"{known.mean():.1f} px" if len(known) else "missed"
            titles.append(f"{rows[i].name[-30:]}: {mean}")
        if pictures:
            path = write_picture(folder / f"{title.lower()}.png", tile(pictures, titles, columns=3))
            parts.append(
                Part(title=f"{title} {len(pictures)}", figure=path, caption="Rings are truth, crosses the prediction.")
            )
    return Chapter("Pictures", parts)


def shown(value: Any) -> str:
    """A count as a cell."""
    if value is None:
        return "not known"
    return f"{value:.3g}" if isinstance(value, float) else str(value)

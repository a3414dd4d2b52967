"""SLEAP's scores as SLEAP defines them, blind spots included, so that figures can be compared with published ones.

Absent frames leave the denominator, unmatched predictions are no errors, misses do not show in mOKS, distances and PCK.
`score_strict` has none of that. What each case does to either family is shown in the documentation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ethomorph.core.metric import Metric
from ethomorph.keypoints.pose.frames import ScoredFrame
from ethomorph.keypoints.pose.oks import SIGMA, THRESHOLDS, areas, mean_precision, similarity

PCK_PX = np.linspace(1, 10, 10)
FLAT = 1e-9
"""px^2 under which a box has no area; animals in such boxes are then matched by distance."""
FLAT_REACH = 50.0
"""px at which that distance makes a score of 0."""
PERCENTILES = (50, 75, 90, 95, 99)


@dataclass
class Pairs:
    """Animals matched SLEAP's way.

    Attributes
    ----------
    truth, predicted : (pairs, nodes, 2).
    oks, scores : (pairs,).
    missed : truths without a partner, in frames that the prediction knows.
    """

    truth: np.ndarray
    predicted: np.ndarray
    oks: np.ndarray
    scores: np.ndarray
    missed: int


def match(frames: Sequence[ScoredFrame]) -> Pairs:
    """Predictions by score, each taking the free truth with the highest similarity above 0."""
    nodes = frames[0].truth.shape[1] if frames else 1
    pairs, missed = [], 0
    for frame in frames:
        if frame.predicted is None or not len(frame.truth):
            continue
        area = areas(frame.truth)
        table = similarity(frame.truth, frame.predicted, area)
        flat = area < FLAT
        if flat.any():
            table[flat] = closeness(frame.truth[flat], frame.predicted)
        free = list(range(len(frame.truth)))
        for guess in np.argsort(-frame.scores, kind="stable"):
            if not free:
                break
            best = free[int(np.argmax(table[free, guess]))]
            if table[best, guess] > 0:
                free.remove(best)
                pairs.append((frame.truth[best], frame.predicted[guess], table[best, guess], frame.scores[guess]))
        missed += len(free)
    return Pairs(
        np.array([p[0] for p in pairs]).reshape(-1, nodes, 2), np.array([p[1] for p in pairs]).reshape(-1, nodes, 2),
        np.array([p[2] for p in pairs], dtype=float), np.array([p[3] for p in pairs], dtype=float), missed,
    )  # fmt: skip


def closeness(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """(truths, predictions): 1 - mean distance / 50 px over nodes that both show, at least 0."""
    away = np.linalg.norm(truth[:, None] - predicted[None], axis=-1)
    both = np.isfinite(away)
    mean = np.where(both, away, 0).sum(-1) / np.maximum(both.sum(-1), 1)
    return np.where(both.any(-1), np.maximum(0, 1 - mean / FLAT_REACH), 0.0)


def sleap_scores(frames: Sequence[ScoredFrame]) -> dict[str, Metric]:
    """SLEAP's metrics by name, each prefixed ``sleap_``; missing with a reason where SLEAP gives NaN."""
    shared = [frame for frame in frames if frame.predicted is not None]
    pairs = match(frames)
    truths = len(pairs.oks) + pairs.missed
    count = len(pairs.oks)
    away = np.linalg.norm(pairs.truth - pairs.predicted, axis=-1)
    known = away[np.isfinite(away)]
    if not shared:
        why = "no labelled frame is in the prediction"
    elif not count:
        why = f"no prediction was matched to one of {truths} animals"
    else:
        why = "no matched animal shares a visible node with its prediction"
    near = np.where(np.isfinite(away), away, np.inf)[..., None] < PCK_PX
    found: dict[str, float | None] = {
        "mOKS": float(pairs.oks.mean()) if count else None,
        **precision("oks_voc", pairs.scores, pairs.oks, truths, bool(shared)),
        **precision("pck_voc", pairs.scores, near.mean(-1).mean(-1) if count else pairs.oks, truths, bool(shared)),
        "dist_mean": float(known.mean()) if len(known) else None,
        **{f"dist_p{p}": float(np.percentile(known, p)) if len(known) else None for p in PERCENTILES},
        "mPCK": float(near.mean()) if count else None,
        "PCK_5px": float(near[..., 4].mean()) if count else None,
        "PCK_10px": float(near[..., 9].mean()) if count else None,
        **visibility(pairs),
    }
    units = {name: "px" for name in found if name.startswith("dist")}
    return {
        f"sleap_{name}": Metric(value, unit=units.get(name, ""), n=count)
        if value is not None
        else Metric.missing(why, unit=units.get(name, ""), n=count)
        for name, value in found.items()
    }


def precision(name: str, scores: np.ndarray, matches: np.ndarray, truths: int, shared: bool) -> dict[str, float | None]:
    """mAP and mAR over matched pairs and misses; a pair under the threshold is the only false positive there is."""
    if not shared or not truths:
        return {f"{name}_mAP": None, f"{name}_mAR": None}
    ap, ar = mean_precision(scores, matches >= THRESHOLDS[:, None], truths) if len(scores) else (0.0, 0.0)
    return {f"{name}_mAP": ap, f"{name}_mAR": ar}


def visibility(pairs: Pairs) -> dict[str, float | None]:
    """Precision and recall of "this node is visible" over matched pairs."""
    true, guess = (np.isfinite(one).all(-1) for one in (pairs.truth, pairs.predicted))
    both, told, there = (true & guess).sum(), guess.sum(), true.sum()
    return {
        "visibility_precision": float(both / told) if told else None,
        "visibility_recall": float(both / there) if there else None,
    }


__all__ = ["SIGMA", "Pairs", "match", "sleap_scores"]

"""Scores without blind spots: every labelled frame and animal is in the denominator, every prediction without an
animal is an error, nodes count where they are visible in the truth, and intervals resample groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from ethomorph.core.metric import Metric
from ethomorph.keypoints.pose.frames import ScoredFrame
from ethomorph.keypoints.pose.oks import THRESHOLDS, areas, lengths, mean_precision, similarity
from ethomorph.statistics.intervals import clustered_function, clustered_interval, clustered_proportion

SIGMA = 0.05
"""Spread of a node as a share of the animal's size: the middle of COCO's 0.025 to 0.107. At an area of 10,000 px^2 an
error of 5 px makes a similarity of 0.88."""
PCK_PX = (1.0, 2.0, 5.0, 10.0)
PCK_SHARES = (0.05, 0.1)
"""Of the animal's length, the diagonal of the box around its visible nodes."""
THIN = 0.1
"""A box with less than this share of the data's median area is taken to have that share: a straight animal is not
small."""
NEAR_PX = 50.0
"""How far off a prediction may be and still be of an animal without any length (one visible node)."""
RESAMPLES = 200


@dataclass
class Assigned:
    """Which prediction is of which animal, over all frames.

    Attributes
    ----------
    error : (animals, nodes) px: NaN where hidden, infinite where visible and not predicted or the animal was missed.
    length : (animals,) px; the data's median where an animal has none.
    frame : (animals,) the frame of each.
    matched : (animals,) bool.
    predicted : (animals, nodes, 2), NaN where missed.
    extra : (frames,) predictions that are of no animal.
    made : (frames,) predictions.
    phantom : visible nodes predicted where the truth hides them, in matched animals; and how many could have been.
    """

    error: np.ndarray
    length: np.ndarray
    frame: np.ndarray
    matched: np.ndarray
    predicted: np.ndarray
    extra: np.ndarray
    made: np.ndarray
    phantom: tuple[int, int]


def assign(frames: Sequence[ScoredFrame]) -> Assigned:
    """Predictions to animals so that the summed mean distance is least (Hungarian, frame by frame).

    A prediction farther from its animal, on average over shared nodes, than the animal is long belongs to none.
    """
    nodes = frames[0].truth.shape[1] if frames else 1
    every = np.concatenate([lengths(f.truth) for f in frames]) if frames else np.zeros(0)
    typical = float(np.median(every[every > 0])) if (every > 0).any() else 0.0
    error, length, owner, matched, placed = [], [], [], [], []
    extra, made = np.zeros(len(frames), int), np.zeros(len(frames), int)
    phantom, hidden = 0, 0
    for number, frame in enumerate(frames):
        true, guess = frame.truth, frame.found
        long = lengths(true)
        long = np.where(long > 0.1 * typical, long, typical)
        away = np.linalg.norm(true[:, None] - guess[None], axis=-1)
        shared = np.isfinite(away)
        mean = np.where(shared, away, 0).sum(-1) / np.maximum(shared.sum(-1), 1)
        cost = np.where(shared.any(-1), mean, 1e9)
        reach = np.where(long > 0, long, NEAR_PX)
        rows, columns = linear_sum_assignment(np.minimum(cost, 2 * reach[:, None])) if cost.size else ([], [])
        partner = {int(r): int(c) for r, c in zip(rows, columns, strict=True) if cost[r, c] <= reach[r]}
        extra[number], made[number] = len(guess) - len(partner), len(guess)
        for animal in range(len(true)):
            seen = np.isfinite(true[animal]).all(-1)
            got = guess[partner[animal]] if animal in partner else np.full((nodes, 2), np.nan)
            one = np.linalg.norm(true[animal] - got, axis=-1)
            error.append(np.where(seen, np.where(np.isfinite(one), one, np.inf), np.nan))
            if animal in partner:
                phantom += int((np.isfinite(got).all(-1) & ~seen).sum())
                hidden += int((~seen).sum())
            length.append(long[animal])
            owner.append(number)
            matched.append(animal in partner)
            placed.append(got)
    return Assigned(
        np.array(error).reshape(-1, nodes), np.array(length, dtype=float), np.array(owner, dtype=int),
        np.array(matched, dtype=bool), np.array(placed).reshape(-1, nodes, 2), extra, made, (phantom, hidden),
    )  # fmt: skip


def strict_scores(
    frames: Sequence[ScoredFrame], assigned: Assigned, *, missing: str, sigma: float = SIGMA, seed: int = 0
) -> tuple[dict[str, Metric], list[str]]:
    """Metrics by name, and what must be said beside them.

    Parameters
    ----------
    missing : why there is no error, where nothing was found.
    """
    groups = np.array([frame.group for frame in frames])
    metrics = error_metrics(assigned, groups, missing=missing, seed=seed)
    metrics["detection_recall"] = clustered_proportion(assigned.matched, groups[assigned.frame])
    if assigned.made.sum():
        owner = np.repeat(np.arange(len(frames)), assigned.made)
        right = np.concatenate(
            [np.arange(m) >= e for m, e in zip(assigned.made, assigned.extra, strict=True)] or [np.zeros(0, bool)]
        )
        metrics["detection_precision"] = clustered_proportion(right, groups[owner])
    else:
        metrics["detection_precision"] = Metric.missing("nothing was predicted")
    phantom, hidden = assigned.phantom
    metrics["hidden_nodes_predicted"] = (
        Metric(phantom / hidden, n=hidden) if hidden else Metric.missing("no hidden node in a matched animal")
    )
    found, notes = precision_metrics(frames, groups, sigma=sigma, seed=seed)
    return metrics | found, notes


def error_metrics(assigned: Assigned, groups: np.ndarray, *, missing: str, seed: int = 0) -> dict[str, Metric]:
    """Distances over nodes that were predicted, success over all visible ones."""
    error, labels = assigned.error, groups[assigned.frame]
    visible = ~np.isnan(error)
    given = np.isfinite(error)
    owner = np.nonzero(given)[0]
    values = error[given]
    metrics: dict[str, Metric] = {}
    statistics: dict[str, Any] = {"mean_error": "mean", "median_error": "median", "p95_error": _p95}
    for name, statistic in statistics.items():
        metrics[name] = (
            clustered_interval(values, labels[owner], statistic=statistic, unit="px", seed=seed)
            if len(values) else Metric.missing(missing, unit="px")
        )  # fmt: skip
    relative = 100 * error / np.where(assigned.length > 0, assigned.length, np.nan)[:, None]
    known = np.isfinite(relative)
    metrics["mean_error_percent"] = (
        clustered_interval(relative[known], labels[np.nonzero(known)[0]], unit="% of length", seed=seed)
        if known.any() else Metric.missing(missing if not len(values) else "no animal has a length", unit="% of length")
    )  # fmt: skip
    if not visible.any():
        return metrics | {"node_recall": Metric.missing("no visible node")}
    where = labels[np.nonzero(visible)[0]]
    metrics["node_recall"] = clustered_proportion(given[visible], where)
    for limit in PCK_PX:
        metrics[f"pck_{limit:g}px"] = clustered_proportion(error[visible] <= limit, where)
    if (assigned.length > 0).all():
        for share in PCK_SHARES:
            limits = np.broadcast_to(share * assigned.length[:, None], error.shape)
            metrics[f"pck_{100 * share:g}percent"] = clustered_proportion(error[visible] <= limits[visible], where)
    return metrics


def precision_metrics(
    frames: Sequence[ScoredFrame], groups: np.ndarray, *, sigma: float, seed: int = 0
) -> tuple[dict[str, Metric], list[str]]:
    """mAP, AP at 0.5 and 0.75, mAR and the mean similarity over all animals, misses as 0."""
    every = np.concatenate([areas(frame.truth) for frame in frames]) if frames else np.zeros(0)
    typical = float(np.median(every)) if len(every) else 0.0
    names = ("mAP", "AP50", "AP75", "mAR", "mOKS")
    if typical <= 0:
        why = "the animals' boxes have no area (one visible node, or a straight line along an axis)"
        return dict.fromkeys(names, Metric.missing(why)), [f"degenerate scale: {why}; distances are not affected"]
    thin = int((every < THIN * typical).sum())
    notes = (
        [f"{thin} of {len(every)} animals' boxes are thin and count with {THIN:.0%} of the median area"] if thin else []
    )
    matches = [_match(frame, np.maximum(areas(frame.truth), THIN * typical), sigma) for frame in frames]

    def of(pick: Any, kind: int) -> Metric:
        def compute(rows: np.ndarray) -> float:
            chosen = [matches[int(i)] for i in rows]
            truths = sum(m[2] for m in chosen)
            if not truths:
                return np.nan
            scores = np.concatenate([m[0] for m in chosen])
            right = np.concatenate([m[1] for m in chosen], axis=1)
            return mean_precision(scores, right[pick], truths)[kind]

        return clustered_function(compute, groups, np.arange(len(frames)), resamples=RESAMPLES, seed=seed)

    def mean_similarity(rows: np.ndarray) -> float:
        chosen = [matches[int(i)] for i in rows]
        truths = sum(m[2] for m in chosen)
        return sum(m[3] for m in chosen) / truths if truths else np.nan

    return {
        "mAP": of(slice(None), 0),
        "AP50": of(slice(0, 1), 0),
        "AP75": of(slice(5, 6), 0),
        "mAR": of(slice(None), 1),
        "mOKS": clustered_function(mean_similarity, groups, np.arange(len(frames)), resamples=RESAMPLES, seed=seed),
    }, notes


def _match(frame: ScoredFrame, area: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray, int, float]:
    """Scores (n,), whether right at each threshold (thresholds, n), animals, and the summed similarities."""
    table = similarity(frame.truth, frame.found, area, sigma)
    order = np.argsort(-frame.scores, kind="stable")
    right = np.zeros((len(THRESHOLDS), len(order)), bool)
    for level, threshold in enumerate(THRESHOLDS):
        free = np.ones(len(frame.truth), bool)
        for rank, guess in enumerate(order):
            worth = np.where(free, table[:, guess], -1.0)
            if len(worth) and worth.max() >= threshold:
                free[int(worth.argmax())] = False
                right[level, rank] = True
    rows, columns = linear_sum_assignment(-table) if table.size else ([], [])
    total = float(table[rows, columns].sum()) if len(rows) else 0.0
    return frame.scores[order], right, len(frame.truth), total


def per_node(
    names: Sequence[str], assigned: Assigned, groups: np.ndarray, *, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """By node: mean and median error of those predicted, and how many visible ones were predicted within 5 px."""
    labels = groups[assigned.frame]
    table: dict[str, dict[str, Any]] = {}
    for i, name in enumerate(names):
        error = assigned.error[:, i]
        visible, given = ~np.isnan(error), np.isfinite(error)
        why = f"visible in {int(visible.sum())} animals, predicted in none"
        mean, median = (
            clustered_interval(error[given], labels[given], statistic=statistic, unit="px", seed=seed)  # type: ignore[arg-type]
            if given.any() else Metric.missing(why, unit="px")
            for statistic in ("mean", "median")
        )  # fmt: skip
        block = {"mean_error": mean, "median_error": median}
        if visible.any():
            block["pck_5px"] = clustered_proportion(error[visible] <= 5, labels[visible])
            block["node_recall"] = clustered_proportion(given[visible], labels[visible])
        table[name] = {key: metric.to_dict() for key, metric in block.items()}
    return table


def _p95(values: np.ndarray) -> float:
    return float(np.percentile(values, 95))

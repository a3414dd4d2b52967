"""The scores block of a pose run: a status with its reason first, then two families."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ethomorph.core.metric import Metric
from ethomorph.keypoints.pose.frames import ScoredFrame
from ethomorph.keypoints.pose.score_sleap import sleap_scores
from ethomorph.keypoints.pose.score_strict import SIGMA, Assigned, assign, error_metrics, per_node, strict_scores

STATUSES = ("ok", "no_labels", "no_frame_overlap", "no_predictions", "no_matches", "degenerate_scale")
FEW_FRAMES = 20


def score_poses(
    frames: Sequence[ScoredFrame], names: Sequence[str], *, highest: float | None = None,
    threshold: float | None = None, training: np.ndarray | None = None, learned: str = "", sigma: float = SIGMA,
    seed: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """Scores of predictions in labelled frames.

    Parameters
    ----------
    frames : every labelled frame; one that the prediction does not know has ``predicted`` None.
    names : of the nodes.
    highest : the highest confidence that the model gave anywhere, also under the threshold; None where unknown.
    threshold : under which points are not given.
    training : (animals, nodes, 2) of the training part, for the baseline that predicts their mean in every frame.
    learned : how training ended, for the reason where nothing was predicted.
    sigma : spread of nodes in the strict family's similarity.

    Returns
    -------
    dict
        ``status``, ``reason``, ``counts``, ``metrics``, ``baselines``, ``by_group``, ``per_node``, ``warnings``. Never
        a NaN: what has no value has a reason.
    """
    assigned = assign(frames)
    counts = count(frames, assigned, highest)
    degenerate = False
    status, reason = judge(counts, threshold, learned)
    metrics: dict[str, Metric] = {}
    warnings: list[str] = []
    if counts["truth_frames"]:
        metrics, warnings = strict_scores(
            frames, assigned, missing=reason or "nothing was found", sigma=sigma, seed=seed
        )
        degenerate = metrics["mAP"].value is None and status == "ok"
        metrics |= sleap_scores(frames)
    if degenerate:
        status, reason = "degenerate_scale", metrics["mAP"].reason
    groups = np.array([frame.group for frame in frames])
    return {
        "status": status,
        "reason": reason,
        "counts": counts,
        "oks_sigma": {"sleap": 0.025, "strict": sigma},
        "metrics": {name: metric.to_dict() for name, metric in metrics.items()}
        or {"mean_error": {"value": None, "reason": reason, "n": 0}},
        "baselines": baselines(frames, training, seed=seed),
        "by_group": by_group(frames, assigned),
        "per_node": per_node(names, assigned, groups, seed=seed) if counts["truth_instances"] else {},
        "warnings": [*told(counts, status, reason), *warnings],
    }


def count(frames: Sequence[ScoredFrame], assigned: Assigned, highest: float | None) -> dict[str, Any]:
    """What there is and what was found."""
    return {
        "truth_frames": len(frames),
        "truth_instances": len(assigned.matched),
        "predicted_frames": sum(frame.predicted is not None for frame in frames),
        "absent_frames": sum(frame.predicted is None for frame in frames),
        "predicted_instances": int(assigned.made.sum()),
        "matched": int(assigned.matched.sum()),
        "missed": int((~assigned.matched).sum()),
        "extra": int(assigned.extra.sum()),
        "highest_confidence": highest,
    }


def judge(counts: dict[str, Any], threshold: float | None, learned: str) -> tuple[str, str]:
    """The status of a part and the sentence that says why; "ok" has none."""
    highest = counts["highest_confidence"]
    peak = ""
    if highest is not None and threshold is not None:
        below = f" < peak threshold {threshold:g}" if highest < threshold else ""
        peak = f"; highest confidence {highest:.2g}{below}"
    ended = f"; {learned}" if learned else ""
    if not counts["truth_frames"] or not counts["truth_instances"]:
        return "no_labels", f"{counts['truth_frames']} labelled frames with {counts['truth_instances']} animals"
    if not counts["predicted_frames"]:
        return "no_frame_overlap", f"none of {counts['truth_frames']} labelled frames is in the prediction"
    if not counts["predicted_instances"]:
        return "no_predictions", f"nothing was predicted in {counts['predicted_frames']} frames{peak}{ended}"
    if not counts["matched"]:
        return "no_matches", (
            f"none of {counts['predicted_instances']} predictions is nearer to an animal than the animal is long"
            f"{peak}{ended}"
        )
    return "ok", ""


def told(counts: dict[str, Any], status: str, reason: str) -> list[str]:
    """What must be said beside the numbers."""
    said = [f"{status.replace('_', ' ')}: {reason}"] if status != "ok" else []
    if counts["absent_frames"] and status == "ok":
        said.append(
            f"{counts['absent_frames']} of {counts['truth_frames']} labelled frames are not in the prediction; "
            "their animals count as missed"
        )
    if counts["missed"] and status == "ok":
        said.append(f"{counts['missed']} of {counts['truth_instances']} animals were missed")
    if counts["extra"]:
        said.append(f"{counts['extra']} of {counts['predicted_instances']} predictions are of no labelled animal")
    if counts["truth_frames"] < FEW_FRAMES:
        said.append(f"{counts['truth_frames']} frames are few to judge by; {FEW_FRAMES} is little already")
    return said


def baselines(
    frames: Sequence[ScoredFrame], training: np.ndarray | None, *, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """What the mean pose of the training part, put into every frame as often as there are animals, would score."""
    if training is None or not len(training) or not frames:
        return {}
    seen = np.isfinite(training).all(-1)
    total = np.where(seen[..., None], training, 0).sum(0)
    mean = total / np.maximum(seen.sum(0), 1)[:, None]
    mean = np.where(seen.any(0)[:, None], mean, np.nan)
    errors = [np.linalg.norm(frame.truth - mean, axis=-1) for frame in frames if len(frame.truth)]
    if not errors:
        return {}
    owner = np.concatenate([np.full(len(frame.truth), i) for i, frame in enumerate(frames)])
    error = np.concatenate(errors)
    blank = np.zeros(len(frames), int)
    every = assign(frames)
    known = Assigned(error, every.length, owner, every.matched, every.predicted, blank, blank, (0, 0))
    groups = np.array([frame.group for frame in frames])
    metrics = error_metrics(known, groups, missing="no training animal", seed=seed)
    return {"mean_pose": {name: metric.to_dict() for name, metric in metrics.items() if name != "node_recall"}}


def by_group(frames: Sequence[ScoredFrame], assigned: Assigned) -> list[dict[str, Any]]:
    """A row a group: frames, animals, how many were found, extra predictions, mean error in px or null."""
    rows = []
    groups = np.array([frame.group for frame in frames])
    for group in dict.fromkeys(groups.tolist()):
        mine = groups == group
        animals = mine[assigned.frame] if len(assigned.frame) else np.zeros(0, bool)
        values = assigned.error[animals]
        values = values[np.isfinite(values)]
        rows.append(
            {
                "group": str(group), "samples": int(mine.sum()), "animals": int(animals.sum()),
                "found": int(assigned.matched[animals].sum()), "extra": int(assigned.extra[mine].sum()),
                "mean_error": float(values.mean()) if len(values) else None,
            }
        )  # fmt: skip
    return rows

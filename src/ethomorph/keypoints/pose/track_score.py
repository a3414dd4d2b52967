"""How well animals were followed: MOTA and switches by motmetrics, IDF1 with an interval, HOTA (Luiten et al. 2021)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from ethomorph.core.errors import MissingPart
from ethomorph.core.metric import Metric
from ethomorph.formats.video import Film
from ethomorph.keypoints.pose.data import LabelledFrame
from ethomorph.keypoints.pose.frames import ScoredFrame
from ethomorph.keypoints.pose.oks import lengths
from ethomorph.keypoints.pose.track import Tracker, Tracking
from ethomorph.statistics.intervals import clustered_function

ALPHAS = np.arange(0.05, 0.99, 0.05)
NEAR = 0.5
"""How far, in animal lengths, a prediction may be from an animal and still be of it, for MOTA and IDF1."""

RESAMPLES = 200


def track_scores(frames: Sequence[ScoredFrame]) -> tuple[dict[str, Metric], dict[str, Any]]:
    """Metrics of tracks, and counts: switches, fragments, misses, false positives.

    Frames without tracks in truth or prediction make every metric missing, with the reason.

    Raises
    ------
    MissingPart : motmetrics is not installed.
    """
    names = ("MOTA", "IDF1", "HOTA", "DetA", "AssA")
    if not any(track for frame in frames for track in frame.tracks):
        return dict.fromkeys(names, Metric.missing("the labels have no tracks")), {}
    if not any(track for frame in frames for track in frame.predicted_tracks):
        return dict.fromkeys(names, Metric.missing("the prediction has no tracks")), {}
    try:
        import motmetrics
    except ImportError as error:
        raise MissingPart("motmetrics is not installed", fix="pip install 'ethomorph[tracking]'") from error
    tables = [_closeness(frame) for frame in frames]
    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    ids: dict[str, int] = {}
    for frame, near in zip(frames, tables, strict=True):
        away = np.where(1 - near <= NEAR, 1 - near, np.nan)
        accumulator.update(_numbers(frame.tracks, ids), _numbers(frame.predicted_tracks, ids), away)
    wanted = ["mota", "num_switches", "num_fragmentations", "num_misses", "num_false_positives", "num_objects"]
    found = motmetrics.metrics.create().compute(accumulator, metrics=wanted, name="all").iloc[0]
    counts = {name.removeprefix("num_"): int(found[name]) for name in wanted if name.startswith("num_")}
    total = counts["objects"]
    hota = hota_of(frames, tables)
    metrics = {"MOTA": Metric(float(found["mota"]), n=total), "IDF1": identity_score(frames, tables)}
    return metrics | {name: Metric(value, n=total) for name, value in hota.items()}, counts


def identity_score(frames: Sequence[ScoredFrame], tables: Sequence[np.ndarray], *, seed: int = 0) -> Metric:
    """IDF1 with an interval over groups of frames (Ristani et al. 2016).

    ``2 IDTP / (animals + predictions)``, where IDTP counts the frames in which an animal and its track, in the best
    pairing of animals with tracks over all frames, lie within `NEAR` of each other.
    """
    true_ids = {t: i for i, t in enumerate(sorted({t for f in frames for t in f.tracks if t}))}
    guess_ids = {t: i for i, t in enumerate(sorted({t for f in frames for t in f.predicted_tracks if t}))}
    together = np.zeros((len(frames), len(true_ids), len(guess_ids)), np.int32)
    present = np.zeros(len(frames), np.int64)
    for i, (frame, near) in enumerate(zip(frames, tables, strict=True)):
        present[i] = len(frame.tracks) + len(frame.predicted_tracks)
        for row, column in zip(*np.nonzero(1 - near <= NEAR), strict=True):
            animal, track = frame.tracks[row], frame.predicted_tracks[column]
            if animal and track:
                together[i, true_ids[animal], guess_ids[track]] = 1

    def compute(rows: np.ndarray) -> float:
        shared, total = together[rows].sum(0), int(present[rows].sum())
        row, column = linear_sum_assignment(-shared)
        return 2 * float(shared[row, column].sum()) / total if total else np.nan

    groups = [frame.group for frame in frames]
    return clustered_function(compute, groups, np.arange(len(frames)), resamples=RESAMPLES, seed=seed)


def follow_stretches(
    rows: Sequence[ScoredFrame], frames: Sequence[LabelledFrame], settings: Tracking, films: Sequence[Film] = ()
) -> list[ScoredFrame]:
    """Rows whose predictions have been followed, stretch by stretch of frames that come one after the other.

    Animals and tracks of different stretches are different; frames that stand alone are left out, since nothing can be
    followed there.

    Parameters
    ----------
    films : the frames' videos, for optical flow and looks; without them animals are followed by places alone.
    """
    stretches: list[list[int]] = []
    for i in sorted(range(len(frames)), key=lambda i: (frames[i].video, frames[i].frame)):
        before = frames[stretches[-1][-1]] if stretches else None
        if before is not None and (before.video, before.frame + 1) == (frames[i].video, frames[i].frame):
            stretches[-1].append(i)
        else:
            stretches.append([i])
    found = []
    for number, stretch in enumerate(stretches):
        if len(stretch) < 2:
            continue
        tracker, first = Tracker(settings), frames[stretch[0]]
        pictures: Iterable[np.ndarray | None] = (None for _ in stretch)
        if films and tracker.wants_pictures:
            stop = first.frame + len(stretch)
            pictures = (p for _, p in films[first.video].stream(first.frame, stop, grey=tracker.looks is None))
        tracks = [
            tracker.update(frames[i].frame, rows[i].found, rows[i].scores, picture)
            for i, picture in zip(stretch, pictures, strict=True)
        ]
        joined = tracker.joined()
        for i, mine in zip(stretch, tracks, strict=True):
            kept = np.flatnonzero(mine >= 0)
            found.append(
                replace(
                    rows[i], tracks=[f"{number}:{name}" for name in rows[i].tracks], predicted=rows[i].found[kept],
                    scores=rows[i].scores[kept],
                    predicted_tracks=[f"{number}:{joined[n]}" if joined[n] >= 0 else "" for n in mine[kept]],
                )
            )  # fmt: skip
    return found


def hota_of(frames: Sequence[ScoredFrame], tables: Sequence[np.ndarray]) -> dict[str, float]:
    """HOTA, DetA and AssA, means over similarity thresholds 0.05 to 0.95.

    Detections are matched in each frame so that the tracks' global alignment, and then similarity, is greatest; with
    TP, FN, FP counted, ``DetA = TP / (TP + FN + FP)``, ``AssA`` is the mean over TP of TPA / (TPA + FNA + FPA), and
    ``HOTA = sqrt(DetA AssA)`` at each threshold.
    """
    true_ids = sorted({t for frame in frames for t in frame.tracks})
    guess_ids = sorted({t for frame in frames for t in frame.predicted_tracks})
    true_at, guess_at = ({name: i for i, name in enumerate(ids)} for ids in (true_ids, guess_ids))
    potential = np.zeros((len(true_ids), len(guess_ids)))
    true_count, guess_count = np.zeros(len(true_ids)), np.zeros(len(guess_ids))
    rows = []
    for frame, near in zip(frames, tables, strict=True):
        a = np.array([true_at[t] for t in frame.tracks], dtype=int)
        b = np.array([guess_at[t] for t in frame.predicted_tracks], dtype=int)
        rows.append((a, b))
        np.add.at(true_count, a, 1)
        np.add.at(guess_count, b, 1)
        if near.size:
            total = near.sum(0, keepdims=True) + near.sum(1, keepdims=True) - near
            potential[np.ix_(a, b)] += np.where(total > 0, near / np.where(total > 0, total, 1), 0)
    aligned = potential / np.maximum(true_count[:, None] + guess_count[None] - potential, 1e-12)
    both = np.zeros((len(ALPHAS), len(true_ids), len(guess_ids)))
    hits = np.zeros(len(ALPHAS))
    for (a, b), near in zip(rows, tables, strict=True):
        if not near.size:
            continue
        row, column = linear_sum_assignment(-aligned[np.ix_(a, b)] * near)
        for level, alpha in enumerate(ALPHAS):
            right = near[row, column] >= alpha - np.finfo(float).eps
            hits[level] += right.sum()
            np.add.at(both[level], (a[row[right]], b[column[right]]), 1)
    truths, guesses = true_count.sum(), guess_count.sum()
    detection = hits / np.maximum(truths + guesses - hits, 1)
    union = np.maximum(true_count[:, None] + guess_count[None] - both, 1)
    association = (both * both / union).sum((1, 2)) / np.maximum(hits, 1)
    return {
        "HOTA": float(np.sqrt(detection * association).mean()),
        "DetA": float(detection.mean()),
        "AssA": float(association.mean()),
    }


def swaps(frames: Sequence[ScoredFrame]) -> list[dict[str, Any]]:
    """Every frame in which an animal goes on under another track than before: what somebody would have to correct."""
    last: dict[str, str] = {}
    found = []
    for frame in frames:
        near = _closeness(frame)
        rows, columns = linear_sum_assignment(-near) if near.size else ([], [])
        for row, column in zip(rows, columns, strict=True):
            if near[row, column] < 1 - NEAR:
                continue
            animal, track = frame.tracks[row], frame.predicted_tracks[column]
            if animal in last and last[animal] != track:
                found.append({"frame": frame.name, "animal": animal, "before": last[animal], "after": track})
            last[animal] = track
    return found


def _closeness(frame: ScoredFrame) -> np.ndarray:
    """(truths, predictions): 1 - mean distance of shared nodes / the animal's length, at least 0."""
    away = np.linalg.norm(frame.truth[:, None] - frame.found[None], axis=-1)
    shared = np.isfinite(away)
    mean = np.where(shared, away, 0).sum(-1) / np.maximum(shared.sum(-1), 1)
    near = 1 - mean / np.maximum(lengths(frame.truth), 1.0)[:, None] if len(frame.truth) else mean
    return np.where(shared.any(-1), np.clip(near, 0, 1), 0.0)


def _numbers(names: Sequence[str], ids: dict[str, int]) -> list[int]:
    """Ids as motmetrics wants them: numbers, unlike each other within a frame; `ids` remembers them."""
    return [ids.setdefault(name or f"nobody {i}", len(ids) + 1) for i, name in enumerate(names)]

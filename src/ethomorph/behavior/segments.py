"""Bouts from frames, and how well predicted bouts fit true ones: overlap, order, onset and offset.

A frame score forgives a bout that is cut into ten; these do not. Everything works on integer codes a frame, -1 where a
frame was not scored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

IOUS = (0.10, 0.25, 0.50)
UNSCORED = -1


@dataclass(frozen=True)
class Segment:
    """A run of frames of one class: from `start` to before `stop`."""

    code: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


def segments(codes: np.ndarray) -> list[Segment]:
    """Runs of equal codes, unscored frames left out.

    Examples
    --------
    >>> segments(np.array([0, 0, 1, -1, 1]))
    [Segment(code=0, start=0, stop=2), Segment(code=1, start=2, stop=3), Segment(code=1, start=4, stop=5)]
    """
    codes = np.asarray(codes)
    if not len(codes):
        return []
    edges = np.flatnonzero(np.diff(codes)) + 1
    starts, stops = [0, *edges.tolist()], [*edges.tolist(), len(codes)]
    return [Segment(int(codes[a]), a, b) for a, b in zip(starts, stops, strict=True) if codes[a] != UNSCORED]


def without_short(codes: np.ndarray, least: int) -> np.ndarray:
    """Codes with runs of at least `least` frames: shorter ones go to their longer neighbour, the shortest first."""
    codes = np.array(codes)
    while True:
        runs = segments(codes)
        short = [run for run in runs if len(run) < least]
        if not short or len(runs) < 2:
            return codes
        run = min(short, key=len)
        place = runs.index(run)
        beside = [runs[i] for i in (place - 1, place + 1) if 0 <= i < len(runs)]
        beside = [r for r in beside if r.stop == run.start or r.start == run.stop]
        if not beside:
            return codes
        codes[run.start : run.stop] = max(beside, key=len).code


def matched(true: list[Segment], predicted: list[Segment], iou: float) -> list[tuple[Segment, Segment]]:
    """Pairs of a true and a predicted segment of one class that overlap by at least `iou`, each used once.

    Lea et al. (2017): predictions in order of time take the best free truth.
    """
    free = set(range(len(true)))
    pairs = []
    for guess in predicted:
        best, chosen = 0.0, -1
        for i in free:
            one = true[i]
            if one.code != guess.code:
                continue
            shared = min(one.stop, guess.stop) - max(one.start, guess.start)
            share = shared / (max(one.stop, guess.stop) - min(one.start, guess.start))
            if shared > 0 and share > best:
                best, chosen = share, i
        if chosen >= 0 and best >= iou:
            free.remove(chosen)
            pairs.append((true[chosen], guess))
    return pairs


def segment_counts(
    truth: np.ndarray, predicted: np.ndarray, iou: float, codes: list[int] | None = None
) -> tuple[int, int, int]:
    """True positives, false positives and false negatives of segments of the classes `codes` (all by default)."""
    true, guess = (
        [s for s in segments(one) if codes is None or s.code in codes]
        for one in (truth, np.where(truth == UNSCORED, UNSCORED, predicted))
    )
    hits = len(matched(true, guess, iou))
    return hits, len(guess) - hits, len(true) - hits


def segment_f1(truth: np.ndarray, predicted: np.ndarray, iou: float, codes: list[int] | None = None) -> float:
    """F1 of segments at an overlap of `iou`; NaN where there is no segment on either side.

    Examples
    --------
    >>> segment_f1(np.array([0, 0, 1, 1, 1, 0]), np.array([0, 0, 0, 1, 1, 0]), 0.5)
    1.0
    """
    hits, false, missed = segment_counts(truth, predicted, iou, codes)
    total = 2 * hits + false + missed
    return 2 * hits / total if total else float("nan")


def edit_score(truth: np.ndarray, predicted: np.ndarray) -> float:
    """1 less the Levenshtein distance of the two sequences of segments over the longer one's length (Lea et al. 2016).

    Examples
    --------
    >>> edit_score(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))
    0.5
    """
    a, b = ([s.code for s in segments(one)] for one in (truth, np.where(truth == UNSCORED, UNSCORED, predicted)))
    if not a and not b:
        return float("nan")
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return 1 - row[-1] / max(len(a), len(b))


def edge_errors(
    truth: np.ndarray, predicted: np.ndarray, codes: list[int] | None = None, iou: float = IOUS[0]
) -> tuple[np.ndarray, np.ndarray]:
    """Frames by which matched bouts begin late, and end late (negative: early)."""
    true, guess = ([s for s in segments(one) if codes is None or s.code in codes] for one in (truth, predicted))
    pairs = matched(true, guess, iou)
    onset = np.array([g.start - t.start for t, g in pairs], dtype=float)
    return onset, np.array([g.stop - t.stop for t, g in pairs], dtype=float)

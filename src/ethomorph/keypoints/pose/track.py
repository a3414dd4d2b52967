"""Which animal of one frame is which of the next: Hungarian assignment to moving tracks, a known number of animals
where it is known, and gaps closed afterwards. Only the tracks' last states are kept, so any length of video will do.
Where an animal is expected is `motion`'s business."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from ethomorph.core.errors import StudyError
from ethomorph.formats.video import Film
from ethomorph.keypoints.pose.appearance import Appearance
from ethomorph.keypoints.pose.data import centre_of
from ethomorph.keypoints.pose.motion import Flow, Track
from ethomorph.keypoints.pose.oks import lengths, similarity
from ethomorph.keypoints.pose.settings import refuse_outside, refuse_word
from ethomorph.keypoints.pose.table import PoseTable
from ethomorph.study.settings import changed

SIGMA = 0.2
"""Spread of a node between two frames, as a share of the animal's size; wide, since animals move."""
FORBIDDEN = 1e6


@dataclass(frozen=True)
class Tracking:
    """How animals are followed.

    Parameters
    ----------
    animals : how many there are; 0 where it is not known. Where it is, a lost animal is waited for without end, and
        weaker predictions beyond the number are passed over.
    cost : ``oks`` (keypoint similarity), ``iou`` (of boxes) or ``centroid`` (distance in animal lengths).
    reach : farthest an animal may be from where it was expected, in its lengths; grows with the root of the gap.
    patience : frames that a track waits for its animal.
    gap : longest gap in frames that is closed between the end of one track and the beginning of another.
    motion : weight of a new velocity (``velocity`` and ``flow``); 0 expects animals to stay where they were.
    expect : where an animal is looked for: ``velocity`` (on with its smoothed speed), ``kalman`` (a constant-velocity
        filter weighs the speed by itself) or ``flow`` (its nodes are carried along by optical flow, which needs the
        video's pixels once more and follows animals also while they are not found).
    identity : ``appearance`` gives tracks back, wherever animals could have been exchanged, by what each looks like;
        needs `animals` and the video's pixels once more. ``none`` goes by places alone.
    """

    animals: int = 0
    cost: str = "oks"
    reach: float = 2.0
    patience: int = 15
    gap: int = 60
    motion: float = 0.5
    expect: str = "kalman"
    identity: str = "none"

    def __post_init__(self) -> None:
        refuse_word("tracking.cost", self.cost, ("oks", "iou", "centroid"))
        refuse_word("tracking.expect", self.expect, ("velocity", "kalman", "flow"))
        refuse_word("tracking.identity", self.identity, ("none", "appearance"))
        if self.identity == "appearance" and self.animals < 2:
            raise StudyError(
                f'"appearance" for {self.animals} animals', place="settings.tracking.identity",
                fix="say in tracking.animals how many there are, at least 2",
            )  # fmt: skip
        refuse_outside("tracking.reach", self.reach, 0.01, 100)
        refuse_outside("tracking.motion", self.motion, 0, 1)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Tracking:
        return changed(cls(), values, "settings.tracking")


class Tracker:
    """Follows animals frame by frame; `update` says which is which.

    Examples
    --------
    >>> tracker = Tracker(Tracking(animals=1))
    >>> still = np.array([[[0.0, 0.0], [10.0, 0.0]]])
    >>> tracker.update(0, still, np.ones(1)).tolist(), tracker.update(1, still + 1, np.ones(1)).tolist()
    ([0], [0])
    """

    def __init__(self, settings: Tracking) -> None:
        self.settings = settings
        self.tracks: list[Track] = []
        self.ended: list[Track] = []
        self.length = 0.0
        self.flow = Flow() if settings.expect == "flow" else None
        self.looks = Appearance(settings.animals) if settings.identity == "appearance" else None

    def update(
        self, frame: int, points: np.ndarray, scores: np.ndarray, picture: np.ndarray | None = None
    ) -> np.ndarray:
        """The number of each animal (animals, nodes, 2) of the next frame, for `joined`; -1 for those beyond the known
        number of animals.

        Parameters
        ----------
        picture : the frame, uint8 (height, width[, 3]), for optical flow and looks; every frame has to be given then.
        """
        self._carry(picture)
        numbers = np.full(len(points), -1, dtype=np.int32)
        chosen = np.argsort(-scores, kind="stable")[: self.settings.animals or len(points)]
        long = lengths(points[chosen])
        if (long > 0).any():
            now = float(np.median(long[long > 0]))
            self.length = now if not self.length else 0.95 * self.length + 0.05 * now
        if not self.settings.animals:
            late = [track for track in self.tracks if frame - track.last > self.settings.patience]
            self.ended += late
            self.tracks = [track for track in self.tracks if frame - track.last <= self.settings.patience]
        cost = self._cost(frame, points[chosen])
        gain = None if self.settings.expect == "kalman" else self.settings.motion
        rows, columns = linear_sum_assignment(cost) if cost.size else ([], [])
        for row, column in zip(rows, columns, strict=True):
            if cost[row, column] < FORBIDDEN:
                self.tracks[row].move(frame, points[chosen[column]], self.length, gain)
                numbers[chosen[column]] = self.tracks[row].number
        for index in chosen:
            full = self.settings.animals and len(self.tracks) >= self.settings.animals
            if numbers[index] < 0 and not full:
                numbers[index] = self._begin(frame, points[index])
        if self.looks is None:
            return numbers
        waiting = [track.expected(frame) for track in self.tracks if track.last < frame]
        lost = np.stack(waiting) if waiting else np.empty((0, *points.shape[1:]))
        return self.looks.cut(frame, points, numbers, lost, max(self.length, 1.0), picture)

    @property
    def wants_pictures(self) -> bool:
        """Whether `update` has to be given the frames' pixels."""
        return self.flow is not None or self.looks is not None

    def _cost(self, frame: int, points: np.ndarray) -> np.ndarray:
        """(tracks, animals); `FORBIDDEN` where an animal is out of a track's reach."""
        if not self.tracks or not len(points):
            return np.zeros((len(self.tracks), len(points)))
        settings, length = self.settings, max(self.length, 1.0)
        expected = np.stack([track.expected(frame) for track in self.tracks])
        away = distances(expected, points) / length
        if settings.cost == "oks":
            cost = 1 - similarity(expected, points, np.full(len(expected), length**2 / 2), SIGMA) + 0.1 * away
        elif settings.cost == "iou":
            cost = 1 - overlap(expected, points) + 0.1 * away
        else:
            cost = away
        gaps = np.array([frame - track.last for track in self.tracks], dtype=float)
        reach = settings.reach * np.sqrt(gaps)
        if settings.animals:
            reach = np.where(gaps > settings.patience, np.inf, reach)
        return np.where(away <= reach[:, None], cost, FORBIDDEN)

    def _carry(self, picture: np.ndarray | None) -> None:
        if self.flow is None:
            return
        at = [track.points if track.carried is None else track.carried for track in self.tracks]
        if picture is not None and picture.ndim == 3:
            picture = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        moved = self.flow.carried(picture, np.stack(at) if at else np.empty((0, 1, 2)))
        for track, points in zip(self.tracks, moved, strict=True):
            track.carried = points

    def _begin(self, frame: int, points: np.ndarray) -> int:
        number = len(self.tracks) + len(self.ended)
        self.tracks.append(Track(number, points.copy(), np.zeros(2), frame, frame, points.copy()))
        return number

    def joined(self) -> np.ndarray:
        """For each number that `update` gave, the animal's in the end: gaps are closed, and where looks are gone by,
        every animal has its own."""
        numbers = self._without_gaps()
        return numbers if self.looks is None else self.looks.resolved(numbers)

    def _without_gaps(self) -> np.ndarray:
        """(tracks,) numbers once tracks are joined end to beginning, cheapest first."""
        every = sorted([*self.ended, *self.tracks], key=lambda track: track.number)
        length = max(self.length, 1.0)
        births = sorted(every, key=lambda track: track.first)
        firsts = [track.first for track in births]
        pairs = []
        for a in every:
            near = slice(bisect_right(firsts, a.last), bisect_right(firsts, a.last + self.settings.gap))
            for b in births[near]:
                gap = b.first - a.last
                middle = centre_of(a.expected(b.first), None)
                away = float(np.linalg.norm(middle - centre_of(b.born, None))) / length
                if away <= self.settings.reach * np.sqrt(gap):
                    pairs.append((away / np.sqrt(gap) + 0.02 * gap, a.number, b.number))
        after: dict[int, int] = {}
        before: dict[int, int] = {}
        for _, end, start in sorted(pairs):
            if end not in after and start not in before:
                after[end], before[start] = start, end
        numbers = np.full(len(every), -1, dtype=np.int32)
        count = 0
        for track in every:
            if track.number in before:
                continue
            at: int | None = track.number
            while at is not None:
                numbers[at] = count
                at = after.get(at)
            count += 1
        return numbers


def distances(expected: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(tracks, animals): median distance of shared nodes (tracks, nodes, 2) and (animals, nodes, 2) in px; without any,
    that of their middles."""
    each = np.sort(np.linalg.norm(expected[:, None] - points[None], axis=-1), axis=-1)
    count = np.isfinite(each).sum(-1)
    median = np.take_along_axis(each, np.maximum(count - 1, 0)[..., None] // 2, axis=-1)[..., 0]
    middles = np.linalg.norm(centre_of(expected, None)[:, None] - centre_of(points, None)[None], axis=-1)
    return np.where(count > 0, median, middles)


def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n, m): intersection over union of the boxes around nodes (n, nodes, 2) and (m, nodes, 2)."""
    low_a, high_a, low_b, high_b = _low(a), -_low(-a), _low(b), -_low(-b)
    shared = np.minimum(high_a[:, None], high_b[None]) - np.maximum(low_a[:, None], low_b[None])
    inter = np.clip(shared, 0, None).prod(-1)
    union = (high_a - low_a).prod(-1)[:, None] + (high_b - low_b).prod(-1)[None] - inter
    return inter / np.where(union > 0, union, 1)


def _low(points: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(points), points, np.inf).min(1)


def track_tables(
    tables: Iterable[PoseTable], settings: Tracking, film: Film | None = None
) -> tuple[Iterator[PoseTable], Tracker]:
    """Tables with tracks, one after the other, and the tracker, whose `joined` is known once all have gone through.

    Parameters
    ----------
    film : where the tables' frames are from; needed for optical flow and looks.
    """
    tracker = Tracker(settings)

    def follow() -> Iterator[PoseTable]:
        pictures = film.stream(0, grey=tracker.looks is None) if film is not None and tracker.wants_pictures else None
        for table in tables:
            for frame, rows in table.by_frame():
                picture = next(pictures, (frame, None))[1] if pictures is not None else None
                points = table.points[rows].astype(float)
                table.tracks[rows] = tracker.update(frame, points, table.score[rows], picture)
            yield table

    return follow(), tracker


def renumbered(table: PoseTable, numbers: np.ndarray) -> PoseTable:
    """A table whose tracks have the numbers that `Tracker.joined` gave them."""
    if len(numbers):
        table.tracks = np.where(table.tracks >= 0, numbers[np.maximum(table.tracks, 0)], -1).astype(np.int32)
    return table

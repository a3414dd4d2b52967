"""Animals in video as the page knows them: instances frame by frame, and frames where identities look exchanged."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import sleap_io

FAR = 3.0
"""Exchanges are looked for where two animals together jump this many times further than they usually move."""


@dataclass(frozen=True)
class Animal:
    """One instance: its track's name ("" where it has none), points (nodes, 2) px, and whether a model put it there."""

    track: str
    points: np.ndarray
    predicted: bool


def animals_of(labels: sleap_io.Labels) -> dict[int, dict[int, list[Animal]]]:
    """The instances of each frame of each video, by their numbers."""
    import sleap_io

    place = {id(video): i for i, video in enumerate(labels.videos)}
    found: dict[int, dict[int, list[Animal]]] = {i: {} for i in range(len(labels.videos))}
    for frame in labels.labeled_frames:
        found[place[id(frame.video)]][int(frame.frame_idx)] = [
            Animal(
                one.track.name if one.track is not None else "",
                np.asarray(one.numpy(), dtype=float)[:, :2],
                isinstance(one, sleap_io.PredictedInstance),
            )
            for one in frame.instances
        ]
    return found


def suspects(frames: dict[int, list[Animal]], most: int = 200) -> list[dict[str, Any]]:
    """Frames where two tracks would move much less if they had changed places, worst first."""
    centres = {
        index: {a.track: np.nanmean(a.points, axis=0) for a in animals if a.track and np.isfinite(a.points).any()}
        for index, animals in frames.items()
    }
    order = sorted(centres)
    steps = [
        float(np.linalg.norm(centres[b][t] - centres[a][t]))
        for a, b in pairwise(order) if b - a == 1 for t in centres[a].keys() & centres[b].keys()
    ]  # fmt: skip
    usual = float(np.median(steps)) if steps else 0.0
    found: list[dict[str, Any]] = []
    for a, b in pairwise(order):
        tracks = sorted(centres[a].keys() & centres[b].keys())
        for i, one in enumerate(tracks):
            for other in tracks[i + 1 :]:
                kept = _moved(centres, a, b, one, one) + _moved(centres, a, b, other, other)
                swapped = _moved(centres, a, b, one, other) + _moved(centres, a, b, other, one)
                if kept > 2 * FAR * max(usual, 1.0) and swapped < 0.5 * kept:
                    found.append({"frame": b, "tracks": [one, other], "gain": kept - swapped,
                                  "why": f"{one} and {other} look exchanged"})  # fmt: skip
    return sorted(found, key=lambda s: float(s["gain"]), reverse=True)[:most]


def swapped_name(name: str, frame: int, swaps: dict[int, list[str]]) -> str:
    """The name of a track at a frame, after every exchange at or before that frame.

    >>> swapped_name("a", 12, {10: ["a", "b"], 20: ["a", "b"]}), swapped_name("a", 20, {10: ["a", "b"], 20: ["a", "b"]})
    ('b', 'a')
    """
    for at in sorted(swaps):
        if at <= frame and name in swaps[at]:
            a, b = swaps[at]
            name = b if name == a else a
    return name


def _moved(centres: dict[int, dict[str, np.ndarray]], a: int, b: int, before: str, after: str) -> float:
    return float(np.linalg.norm(centres[b][after] - centres[a][before]))

"""`EventLog`: what an observer scored, event by event, and for how long each subject was watched.

The container for BORIS-like scoring. It reads no files and computes nothing; bouts and budgets stand in
`behavior.bouts`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Event:
    """One scored event.

    Attributes
    ----------
    observation, subject, behavior : names; subject is "" where none was focal.
    start_s, stop_s : in s from the observation's beginning; equal for a point event.
    point : whether it has no duration.
    modifiers, comment : as scored.
    """

    observation: str
    subject: str
    behavior: str
    start_s: float
    stop_s: float
    point: bool = False
    modifiers: str = ""
    comment: str = ""

    @property
    def seconds(self) -> float:
        return self.stop_s - self.start_s


@dataclass(frozen=True)
class Observation:
    """One stretch of watching, from `start_s` to `stop_s`; `attributes` are independent variables, file names, fps."""

    name: str
    start_s: float
    stop_s: float
    observer: str = ""
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return self.stop_s - self.start_s


@dataclass
class EventLog:
    """Events and the observations they belong to.

    Attributes
    ----------
    events : sorted by observation and start.
    observations : by name.
    behaviors, subjects : names in the order of the project, those without any event included.
    notes : what reading had to decide, one sentence each.
    """

    events: list[Event]
    observations: dict[str, Observation]
    behaviors: list[str] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)
    source: str = ""
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        order = {name: i for i, name in enumerate(self.observations)}
        self.events = sorted(self.events, key=lambda e: (order.get(e.observation, len(order)), e.start_s, e.stop_s))
        self.behaviors = list(dict.fromkeys([*self.behaviors, *(e.behavior for e in self.events)]))
        self.subjects = list(dict.fromkeys([*self.subjects, *(e.subject for e in self.events)]))

    def __len__(self) -> int:
        return len(self.events)

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def of(self, observation: str, subject: str | None = None, behavior: str | None = None) -> list[Event]:
        """The events of an observation, of one subject or behaviour where they are named."""
        return [
            e
            for e in self.events
            if e.observation == observation
            and (subject is None or e.subject == subject)
            and (behavior is None or e.behavior == behavior)
        ]


def frame_labels(
    events: list[Event],
    frames: int,
    fps: float,
    *,
    rest: str = "",
    start_s: float = 0.0,
    order: list[str] | None = None,
) -> tuple[np.ndarray, int]:
    """(frames,) the state at the middle of each frame, `rest` where there is none; and how many frames had several.

    Where states overlap the first of `order` wins (of the events' own order where it is left out).
    """
    labels = np.full(frames, rest, dtype=object)
    taken = np.zeros(frames, int)
    rank = {name: i for i, name in enumerate(order or [])}
    middle = (np.arange(frames) + 0.5) / fps + start_s
    for event in sorted(events, key=lambda e: rank.get(e.behavior, len(rank)), reverse=True):
        if event.point:
            continue
        inside = (middle >= event.start_s) & (middle < event.stop_s)
        labels[inside] = event.behavior
        taken[inside] += 1
    return labels.astype(str), int((taken > 1).sum())

"""`ClipSet`: labelled stretches of video or of measured signals, with what is known about each.

The container for behaviours that are judged one clip at a time. Continuous tracks with a label a frame are
`core.recordings.Recording`. It reads no files and opens no videos.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np

from ethomorph.core.errors import LabelError


@dataclass(frozen=True)
class Clip:
    """One stretch of behaviour.

    Attributes
    ----------
    name : what tables and messages call it, unique in its set.
    label : the behaviour's code; "" where it is not known.
    group : the unit of independence, such as the animal; "" where it is not known.
    path : the video, where there is one.
    start_s, stop_s : the stretch of that video; None for its beginning and its end.
    signal : (samples, channels) measured instead of filmed, at `rate_hz`.
    attributes : everything else (observer, sex, light, x_px ...), text to text.
    """

    name: str
    label: str = ""
    group: str = ""
    path: Path | None = None
    start_s: float | None = None
    stop_s: float | None = None
    signal: np.ndarray | None = field(default=None, repr=False, compare=False)
    rate_hz: float = 1.0
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass
class ClipSet:
    """Clips of one study.

    Attributes
    ----------
    clips : each with a name of its own.
    source : the file, for messages.
    notes : what reading had to decide or leave aside, one sentence each.
    channels : names of the signals' columns, where clips have signals.

    Examples
    --------
    >>> clips = ClipSet([Clip("a", "dig", "fish 1"), Clip("b", "swim", "fish 2"), Clip("c", "dig", "fish 2")])
    >>> clips.classes, clips.codes().tolist()
    (['dig', 'swim'], [0, 1, 0])
    """

    clips: list[Clip]
    source: str = ""
    notes: list[str] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        refuse_doubled_names([clip.name for clip in self.clips], self.source)

    def __len__(self) -> int:
        return len(self.clips)

    def __iter__(self) -> Iterator[Clip]:
        return iter(self.clips)

    def __getitem__(self, index: int) -> Clip:
        return self.clips[index]

    @property
    def labels(self) -> list[str]:
        return [clip.label for clip in self.clips]

    @property
    def groups(self) -> list[str]:
        return [clip.group for clip in self.clips]

    @property
    def classes(self) -> list[str]:
        """The labels that occur, sorted."""
        return sorted({clip.label for clip in self.clips} - {""})

    @property
    def has_signals(self) -> bool:
        return bool(self.clips) and self.clips[0].signal is not None

    def codes(self, classes: Sequence[str] | None = None) -> np.ndarray:
        """(n,) index of each label in `classes`; -1 where unknown. Raises LabelError for a class that is not there."""
        return codes_of(self.labels, self.classes if classes is None else classes, self.source)

    def subset(self, indices: Iterable[int]) -> Self:
        """The set with only these clips, in this order."""
        return replace(self, clips=[self.clips[int(i)] for i in indices], notes=list(self.notes))

    def with_clips(self, clips: list[Clip], notes: Iterable[str] = ()) -> Self:
        """The set with other clips, and more to say."""
        return replace(self, clips=clips, notes=[*self.notes, *notes])


def codes_of(labels: Sequence[str], classes: Sequence[str], place: str = "") -> np.ndarray:
    """Index of each label in `classes`, -1 for ""; raises LabelError for a label that is none of them."""
    position = {name: i for i, name in enumerate(classes)} | {"": -1}
    strange = sorted(set(labels) - set(position))
    if strange:
        raise LabelError(
            f"{len(strange)} unknown class(es), such as {strange[0]!r}",
            place=place, fix=f"the classes are {', '.join(classes)}",
        )  # fmt: skip
    return np.array([position[label] for label in labels], dtype=np.intp)


def refuse_doubled_names(names: list[str], place: str) -> None:
    """Raise LabelError where two clips share a name."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise LabelError(f"the clip {name!r} stands there twice", place=place, fix="give every clip its own name")
        seen.add(name)

"""`Recording`: the track of animals over time with at most one behaviour label a frame.

The container for pose sequences (and other continuous signals) that are scored frame by frame or bout by bout. Poses
come from `sleap_io.Labels` or tables; `behavior.tracks` makes recordings of them. It reads no files.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from ethomorph.core.errors import LabelError


@dataclass
class Recording:
    """One recording.

    Attributes
    ----------
    name : what tables call it.
    group : the unit of independence, such as the animal.
    points : (frames, animals, nodes, 2) px, NaN where not seen.
    fps : frames per second.
    confidence : (frames, animals, nodes) in 0..1; None where the tracker gave none.
    nodes, animals : their names.
    labels : (frames,) codes of behaviours, "" where nobody scored the frame; None where nothing is scored.
    units : (frames,) unit of independence of each frame, where one recording is cut into blocks; None where the
        whole of it is one unit, its `group`.
    px_per_mm : scale, where it is known.
    attributes : what else is known, text to text.
    notes : what reading decided, one sentence each.
    """

    name: str
    points: np.ndarray
    fps: float
    nodes: list[str]
    animals: list[str]
    group: str = ""
    confidence: np.ndarray | None = None
    labels: np.ndarray | None = None
    units: np.ndarray | None = None
    px_per_mm: float | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.points = np.asarray(self.points, dtype=np.float64)
        shape = (len(self.animals), len(self.nodes), 2)
        if self.points.ndim != 4 or self.points.shape[1:] != shape:
            raise LabelError(
                f"points have shape {self.points.shape}, not (frames, {', '.join(map(str, shape))})", place=self.name
            )
        if not self.fps > 0:
            raise LabelError(f"{self.fps} frames per second", place=self.name, fix="give the frame rate (fps)")
        if self.labels is not None:
            self.labels = np.asarray(self.labels, dtype=str)
            if len(self.labels) != len(self.points):
                raise LabelError(
                    f"{len(self.labels)} labels for {len(self.points)} frames", place=self.name,
                    fix="score the video that was tracked, frame by frame from frame 0",
                )  # fmt: skip

    def __len__(self) -> int:
        return len(self.points)

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self) / self.fps

    def cut(self, start: int, stop: int, name: str | None = None) -> Self:
        """Frames `start` to `stop` (exclusive) as a recording."""
        here = slice(start, stop)
        return replace(
            self,
            name=name or self.name,
            points=self.points[here],
            confidence=None if self.confidence is None else self.confidence[here],
            labels=None if self.labels is None else self.labels[here],
            units=None if self.units is None else self.units[here],
            notes=list(self.notes),
        )

    def of_each_animal(self) -> list[Self]:
        """A recording for each animal, named after it, its own pose first; without labels."""
        found = []
        for i, animal in enumerate(self.animals):
            order = [i, *(j for j in range(len(self.animals)) if j != i)]
            found.append(
                replace(
                    self, name=f"{self.name}:{animal}", animals=[self.animals[j] for j in order],
                    points=self.points[:, order], labels=None, notes=list(self.notes),
                    confidence=None if self.confidence is None else self.confidence[:, order],
                )
            )  # fmt: skip
        return found

    def with_labels(self, labels: np.ndarray | None) -> Self:
        """The recording with other labels (frames,)."""
        return replace(self, labels=labels, notes=list(self.notes))

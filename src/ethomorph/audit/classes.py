"""What the checks of labelled classes look at: a label a sample, its animal, where and when, features if there are.

Any task whose samples have classes fills a `ClassFacts` and hands it to `run_audit` as the fact ``classes``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ethomorph.audit.metadata_model import Metadata, metadata_of

TIME = ("second", "start_s", "start_frame", "time_s", "frame")
"""Columns that say when in its recording a sample begins, the first that a table has; frames need `frame_rate`."""
RECORDING = ("video", "recording", "observation", "source_video", "source_panel", "session")
"""Columns that say of which recording a sample is."""
PLACE = (("column_px", "row_px"), ("x_px", "y_px"), ("x", "y"))
"""Pairs of columns that say where in the arena a sample was taken."""


@dataclass
class ClassFacts:
    """Labelled samples.

    Attributes
    ----------
    table : a row a sample with at least sample, group and label; whatever else is known as further columns.
    classes : all codes.
    animal : (n,) the animal or other unit that a score should carry over to; as ``group`` where not given.
    seconds : length of a sample in s, where all are as long.
    features : (n, f), for label noise and learning curves; None where there are none.
    hashes : (n, k, 64) bool, perceptual hashes of k frames of each sample; None where there are no pictures.
    second_labels : (n,) a second observer's labels, "" where there is none.
    unreadable : samples that could not be looked at, with the reason.
    design : what the study says of how samples were chosen.
    """

    table: pd.DataFrame
    classes: list[str]
    animal: np.ndarray | None = None
    seconds: float | None = None
    frame_rate: float | None = None
    features: np.ndarray | None = None
    hashes: np.ndarray | None = None
    second_labels: np.ndarray | None = None
    unreadable: dict[str, str] = field(default_factory=dict)
    design: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def codes(self) -> np.ndarray:
        place = {name: i for i, name in enumerate(self.classes)}
        return np.array([place[label] for label in self.table["label"]], dtype=int)

    @cached_property
    def groups(self) -> np.ndarray:
        """(n,) the animal of each sample."""
        return np.asarray(self.table["group"] if self.animal is None else self.animal).astype(str)

    @cached_property
    def metadata(self) -> Metadata:
        return metadata_of(self.table)

    @cached_property
    def recording(self) -> np.ndarray | None:
        """(n,) the recording of each sample, where the table says it."""
        column = next((c for c in RECORDING if c in self.table.columns), None)
        return None if column is None else self.table[column].astype(str).to_numpy()

    @cached_property
    def time(self) -> np.ndarray | None:
        """(n,) when in its recording each sample begins, in s (in frames where no rate is known)."""
        column = next((c for c in TIME if c in self.table.columns), None)
        if column is None:
            return None
        values = pd.to_numeric(self.table[column], errors="coerce").to_numpy(float)
        return values / self.frame_rate if "frame" in column and self.frame_rate else values

    @cached_property
    def place(self) -> np.ndarray | None:
        """(n, 2) where in the arena, where the table says it."""
        pair = next((p for p in PLACE if set(p) <= set(self.table.columns)), None)
        if pair is None:
            return None
        return np.column_stack([pd.to_numeric(self.table[c], errors="coerce") for c in pair]).astype(float)

    def support(self) -> pd.DataFrame:
        """Samples of each class (columns) of each animal (rows)."""
        return pd.crosstab(pd.Series(self.groups, name="animal"), self.table["label"].to_numpy()).reindex(
            columns=self.classes, fill_value=0
        )

"""`PrintTable`: repeated measurements of individuals, one row a print, with what is known of each.

The container for footprints, trails, calls or any other table of repeated measurements. It reads no files and does no
statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from ethomorph.core.errors import LabelError


@dataclass
class PrintTable:
    """Prints by variables, with what is known of each print.

    Attributes
    ----------
    values : (prints, variables) float64, NaN where not measured.
    variables : their names.
    trail : (prints,) which prints were left in one walk. Every trail has one animal.
    animal : (prints,) known individuals, "" where unknown.
    attributes : further columns by role (sex, age, site, session, foot, substrate, print ...), (prints,) text each.
    rows : (prints,) line numbers in the file, for messages.
    source : the file.
    notes : what reading decided or left aside, one sentence each.
    """

    values: np.ndarray
    variables: list[str]
    trail: np.ndarray
    animal: np.ndarray
    attributes: dict[str, np.ndarray] = field(default_factory=dict)
    rows: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    source: str = ""
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.values = np.asarray(self.values, dtype=np.float64)
        self.trail, self.animal = np.asarray(self.trail, dtype=str), np.asarray(self.animal, dtype=str)
        if not len(self.rows):
            self.rows = np.arange(len(self.values))

    def __len__(self) -> int:
        return len(self.values)

    @property
    def trails(self) -> list[str]:
        """Trail names in sorted order; everything a trail each is in this order."""
        return np.unique(self.trail).tolist()

    @property
    def trail_codes(self) -> np.ndarray:
        """(prints,) index into `trails`."""
        return np.unique(self.trail, return_inverse=True)[1]

    @property
    def known(self) -> np.ndarray:
        """(prints,) whether the animal is known."""
        return self.animal != ""

    def of_trails(self, values: np.ndarray) -> np.ndarray:
        """(trails,) the first print's entry of a (prints,) array; for what is constant within a trail."""
        return np.asarray(values)[np.unique(self.trail, return_index=True)[1]]

    def where(self, keep: np.ndarray) -> Self:
        """The table with only the rows of a boolean (prints,)."""
        return replace(
            self, values=self.values[keep], trail=self.trail[keep], animal=self.animal[keep], rows=self.rows[keep],
            attributes={role: column[keep] for role, column in self.attributes.items()}, notes=list(self.notes),
        )  # fmt: skip

    def with_variables(self, names: Sequence[str]) -> Self:
        """The table with exactly these variables in this order; raises LabelError where one is absent."""
        absent = [name for name in names if name not in self.variables]
        if absent:
            raise LabelError(
                f"{len(absent)} of the reference's {len(names)} variables are absent ({', '.join(absent[:5])})",
                place=self.source, fix="measure with the same recipe and keep the column names",
            )  # fmt: skip
        index = [self.variables.index(name) for name in names]
        return replace(self, values=self.values[:, index], variables=list(names), notes=list(self.notes))

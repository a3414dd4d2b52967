"""What a data set's checks look at, gathered once: landmarks, the table of samples, and a short look at every picture.

A room with other data (clips, volumes, poses) puts it into `facts` under its own name, and its checks say that they
need it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ethomorph.audit.pictures import Look
from ethomorph.core.errors import LabelError
from ethomorph.core.landmarks import LandmarkSet

PARTS = ("train", "validation", "test")
METADATA = ("grade", "sex", "age", "stage", "site", "locality", "population", "species", "date", "observer", "side")
"""Attributes of specimens that count as metadata where the table of samples has no such column."""


@dataclass
class AuditData:
    """Everything the checks may ask for.

    Attributes
    ----------
    landmarks : the labelled specimens, or None.
    samples : one row a sample, with whichever of the columns sample, group, part and metadata are known; in the order
        of `landmarks` where there are any. None where nothing is known.
    looks : a `Look` for each picture, or None where pictures are not to be opened.
    facts : anything else, by name.
    """

    landmarks: LandmarkSet | None = None
    samples: pd.DataFrame | None = None
    looks: dict[Path, Look] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def provides(self) -> set[str]:
        """What checks can ask for: "landmarks", "groups", "parts", "metadata", "images" and the names of `facts`."""
        columns = set() if self.samples is None else set(self.samples.columns)
        has = {
            "landmarks": self.landmarks is not None and len(self.landmarks) > 0,
            "groups": "group" in columns,
            "parts": "part" in columns,
            "metadata": bool(self.metadata_columns),
            "images": bool(self.looks),
        }
        return {name for name, there in has.items() if there} | set(self.facts)

    @cached_property
    def names(self) -> list[str]:
        """How messages call each sample."""
        if self.landmarks is not None:
            return [specimen.label for specimen in self.landmarks]
        if self.samples is not None and "sample" in self.samples:
            return [str(name) for name in self.samples["sample"]]
        return []

    @cached_property
    def groups(self) -> list[str]:
        """Each sample's unit of independence; its own name where no groups are known."""
        if self.samples is None or "group" not in self.samples:
            return list(self.names)
        named = zip(self.samples["group"], self.names, strict=True)
        return [name if pd.isna(group) else str(group) for group, name in named]

    @cached_property
    def parts(self) -> list[str]:
        """Each sample's part of the split; "" where there is no split."""
        if self.samples is None or "part" not in self.samples:
            return [""] * len(self.names)
        return ["" if pd.isna(part) else str(part) for part in self.samples["part"]]

    @cached_property
    def metadata_columns(self) -> list[str]:
        """Names of the metadata that at least two samples have."""
        return [name for name, values in self._metadata.items() if sum(v is not None for v in values) >= 2]

    def metadata(self, column: str) -> list[str | None]:
        """One value a sample, None where missing."""
        return self._metadata[column]

    @cached_property
    def picture_samples(self) -> dict[Path, list[int]]:
        """Which samples lie on each picture."""
        found: dict[Path, list[int]] = defaultdict(list)
        for i, specimen in enumerate(self.landmarks or ()):
            if specimen.image_path is not None:
                found[specimen.image_path].append(i)
        return dict(found)

    def parts_of(self, picture: Path) -> set[str]:
        """The parts of the split in which a picture is used."""
        return {self.parts[i] for i in self.picture_samples.get(picture, ())} - {""}

    @cached_property
    def _metadata(self) -> dict[str, list[str | None]]:
        columns: dict[str, list[str | None]] = {}
        if self.samples is not None:
            for name in self.samples.columns:
                if str(name) not in ("sample", "group", "part", "image", "specimen"):
                    columns[str(name)] = [None if pd.isna(v) or str(v) == "" else str(v) for v in self.samples[name]]
        for name in METADATA:
            if name not in columns and self.landmarks is not None:
                values = [s.attributes.get(name) or None for s in self.landmarks]
                if any(values):
                    columns[name] = values
        return columns


def aligned_samples(landmarks: LandmarkSet | None, samples: pd.DataFrame | None) -> pd.DataFrame | None:
    """`samples` in the order of the specimens: as it stands where it is as long, else looked up by name.

    Raises
    ------
    LabelError
        a specimen has no row, or a name stands in several rows.
    """
    if samples is None or landmarks is None or len(samples) == len(landmarks):
        return samples
    if "sample" not in samples:
        raise LabelError(f"{len(samples)} rows for {len(landmarks)} specimens", fix="add a column 'sample'")
    named = samples.set_index(samples["sample"].astype(str))
    order: list[str] = []
    missing: list[str] = []
    for specimen in landmarks:
        keys = (specimen.id, specimen.image or "", Path(specimen.image or "").name)
        key = next((k for k in keys if k and k in named.index), None)
        if key is None:
            missing.append(specimen.label)
        else:
            order.append(key)
    if missing:
        raise LabelError(f"no row in the table of samples for {listed(missing)}", fix="add these, or leave them out")
    if not named.index.is_unique:
        raise LabelError("a sample stands in several rows of the table of samples", fix="keep one row a sample")
    return named.loc[order].reset_index(drop=True)


def listed(names: list, most: int = 6) -> str:
    """Names joined for a sentence, cut after `most`."""
    shown = ", ".join(str(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def several(count: int, thing: str) -> str:
    """``1 picture``, ``2 pictures``.

    Examples
    --------
    >>> several(1, "picture"), several(2, "picture")
    ('1 picture', '2 pictures')
    """
    return f"{count} {thing}{'' if count == 1 else 's'}"


def log_robust_z(values: np.ndarray) -> np.ndarray:
    """Robust z of the logarithms of positive values: how many scaled median deviations above the median."""
    logs = np.log(np.maximum(values, np.nanmedian(values) * 1e-6 + 1e-300))
    centre = np.nanmedian(logs)
    spread = 1.4826 * np.nanmedian(np.abs(logs - centre))
    return (logs - centre) / max(spread, 1e-9)

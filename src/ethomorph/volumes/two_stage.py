"""The method ``two-stage``: find one structure, take it out of the image, then segment the rest.

In MRI bone is dark and thin between bright tissues; without the brain the skull's inner side is an edge to nothing.
Both stages are `unet3d`. Crumbs that the first stage finds elsewhere stay in the image.
"""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from ethomorph.core.errors import InputError
from ethomorph.core.model_files import read_facts, write_facts
from ethomorph.core.volume import LabelVolume, ScalarVolume, Segment
from ethomorph.formats.nrrd import write_nrrd
from ethomorph.volumes.classes import ClassMap
from ethomorph.volumes.data import Case
from ethomorph.volumes.decode import COARSE_VOXELS
from ethomorph.volumes.plan import intensity_range
from ethomorph.volumes.settings import SegmenterSettings
from ethomorph.volumes.unet3d import UNet3dSegmenter

CRUMB = 0.1
"""Share of the largest part's volume below which a part is a crumb."""


@dataclass(frozen=True)
class TwoStageSettings:
    """Settings of ``two-stage`` in ``[task.NAME.settings]``.

    Parameters
    ----------
    remove : the class that the first stage finds and takes out.
    first_share : of the time or steps, for the first stage.
    first, second : settings of the stages, see `SegmenterSettings`.
    """

    remove: str = "brain"
    first_share: float = 0.35
    first: SegmenterSettings = field(default_factory=SegmenterSettings)
    second: SegmenterSettings = field(default_factory=SegmenterSettings)

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> Self:
        """From study.toml; raises InputError for a key that is not known."""
        known = [f.name for f in fields(cls)]
        for key in table:
            if key not in known:
                close = difflib.get_close_matches(key, known, n=1)
                fix = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(known)}"
                raise InputError("unknown key", place=f"settings.{key}", fix=fix)
        stages = {name: SegmenterSettings.from_dict(table.get(name, {})) for name in ("first", "second")}
        return cls(**{**table, **stages})

    def to_dict(self) -> dict[str, Any]:
        return {"remove": self.remove, "first_share": self.first_share, "first": self.first.to_dict(),
                "second": self.second.to_dict()}  # fmt: skip


class TwoStageSegmenter:
    """Two `UNet3dSegmenter` in a row.

    Attributes
    ----------
    first_, second_ : the fitted stages.
    plan_ : of the second stage.
    notes_ : of both.
    """

    def __init__(self, classes: ClassMap, settings: TwoStageSettings, *, device: str = "auto") -> None:
        self.classes, self.settings, self.device = classes, settings, device
        removed = [c for c in classes.learned if c.name == settings.remove]
        rest = [c for c in classes.classes if c.name != settings.remove]
        if not removed or not [c for c in rest if c.name in classes.names]:
            raise InputError(
                f"settings.remove is {settings.remove!r}, the classes are {', '.join(classes.names)}",
                fix="name one of the classes as settings.remove, and keep another to segment",
            )
        if removed[0].instances:
            raise InputError(f"class {settings.remove!r} has instances and cannot be removed as one structure",
                             fix="take instances = true away")  # fmt: skip
        self._first = UNet3dSegmenter(ClassMap(tuple(removed)), settings.first, device=device)
        self._second = UNet3dSegmenter(ClassMap(tuple(rest)), settings.second, device=device)

    def fit(
        self, train: Sequence[Case], validation: Sequence[Case], *, folder: Path | None, seed: int,
        max_minutes: float | None, resume: bool, progress: bool,
    ) -> Self:  # fmt: skip
        """Train the first stage, take its structure out of all volumes, train the second stage on what is left."""
        share = self.settings.first_share
        with tempfile.TemporaryDirectory(prefix="ethomorph-two-stage-") as thrown_away:
            place = folder or Path(thrown_away)
            begin = None if folder is None else place / "first"
            self._first.fit(
                train, validation, folder=begin, seed=seed, max_minutes=max_minutes and share * max_minutes,
                resume=resume, progress=progress,
            )  # fmt: skip
            emptied = [self._emptied(case, place / "removed") for case in (*train, *validation)]
            left, held = emptied[: len(train)], emptied[len(train) :]
            self._second.fit(
                left, held, folder=folder, seed=seed, max_minutes=max_minutes and (1 - share) * max_minutes,
                resume=resume, progress=progress,
            )  # fmt: skip
            for case in emptied:
                assert isinstance(case.image, Path)
                case.image.unlink()
        self._taken_up()
        return self

    def predict_image(
        self, image: ScalarVolume, *, scratch: Path | None = None, memory_limit: int | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> LabelVolume:  # fmt: skip
        """Both stages on one volume; what the first found stays where the second finds nothing."""
        mask = self._mask(image, scratch=scratch, memory_limit=memory_limit)
        found = self._second.predict_image(
            emptied(image, mask), scratch=scratch, memory_limit=memory_limit, progress=progress
        )
        value = max((s.value for s in found), default=0) + 1
        kind = np.uint8 if value < 256 else np.uint16
        array = np.where((found.array == 0) & mask, value, found.array).astype(kind)
        color = (0.85, 0.55, 0.55)
        removed = Segment(self.settings.remove, value, id=self.settings.remove, color=color)
        return replace(found, layers=array[None], segments=(*found.segments, removed), source=image.source)

    def baseline(self, image: ScalarVolume) -> np.ndarray:
        """(z, y, x) classes by intensity alone; the removed structure is not among them."""
        numbers = np.array([0, *(self.classes.names.index(n) + 1 for n in self._second.classes.names)], np.uint8)
        return numbers[self._second.baseline(image)]

    def save(self, folder: Path) -> None:
        """Write ``first/``, ``second/`` and ``model.toml``."""
        self._first.save(folder / "first")
        self._second.save(folder / "second")
        table: dict[str, Any] = {
            c.name: {"match": list(c.patterns), "instances": c.instances} for c in self.classes.classes
        }
        facts = {"method": "two-stage", "classes": table, "settings": self.settings.to_dict(), "notes": self.notes_}
        write_facts(folder / "model.toml", facts)

    @classmethod
    def load(cls, folder: Path, *, device: str = "auto") -> Self:
        """The inverse of `save`; raises FormatError for a damaged folder."""
        facts = read_facts(folder / "model.toml")
        model = cls(ClassMap.of(facts["classes"]), TwoStageSettings.from_dict(facts["settings"]), device=device)
        model._first = UNet3dSegmenter.load(folder / "first", device=device)
        model._second = UNet3dSegmenter.load(folder / "second", device=device)
        model._taken_up()
        return model

    def _taken_up(self) -> None:
        self.plan_ = self._second.plan_
        self.notes_ = [*(f"first stage: {n}" for n in self._first.notes_), *self._second.notes_]

    def _mask(self, image: ScalarVolume, **options: Any) -> np.ndarray:
        return without_crumbs(self._first.predict_image(image, **options).array > 0)

    def _emptied(self, case: Case, folder: Path) -> Case:
        """A case whose image has the first stage's structure taken out, on disk."""
        image = case.read_image()
        path = folder / f"{case.name}.nrrd"
        write_nrrd(emptied(image, self._mask(image)), path, compress=False)
        return replace(case, image=path)


def without_crumbs(mask: np.ndarray) -> np.ndarray:
    """The mask without parts far smaller than its largest; parts are told apart on voxels as coarse as memory asks."""
    from scipy import ndimage
    from skimage.measure import block_reduce

    factor = max(1, int(np.ceil((mask.size / COARSE_VOXELS) ** (1 / 3))))
    counts = block_reduce(mask, (factor,) * 3, np.sum)
    labels, number = ndimage.label(counts > 0, np.ones((3, 3, 3)))
    if number < 2:
        return mask
    sizes = np.bincount(labels.ravel(), weights=counts.ravel())
    body = (sizes >= CRUMB * sizes[1:].max())[labels] & (labels > 0)
    for axis, size in enumerate(mask.shape):
        body = np.repeat(body, factor, axis=axis).take(np.arange(size), axis=axis)
    return mask & body


def emptied(image: ScalarVolume, mask: np.ndarray) -> ScalarVolume:
    """The image with air where the mask is."""
    array = np.array(image.array)
    array[mask] = np.asarray(intensity_range(image)[0]).astype(array.dtype)
    return replace(image, array=array)

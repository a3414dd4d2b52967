"""`VolumeSegmenter`: the one estimator for CT and MRI volumes, whichever method stands behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from ethomorph.core.errors import InputError
from ethomorph.core.model_files import read_facts
from ethomorph.core.volume import LabelVolume, ScalarVolume
from ethomorph.volumes.classes import ClassMap
from ethomorph.volumes.data import Case, expand, plain_name

Method = Literal["unet3d", "two-stage", "mask2former"]
METHODS = ("unet3d", "two-stage", "mask2former")


class VolumeSegmenter:
    """Segment volumes into classes, and some classes into things.

    Parameters
    ----------
    method : "unet3d" (a small 3-D U-Net, the default), "two-stage" (one structure is found and removed before the rest
        is segmented) or "mask2former" (slice by slice, merged to volume instances).
    classes : a `ClassMap`, or its table as study.toml has it.
    settings : the method's own, as a table or an object.
    seed : of everything random.
    device : "auto", "cpu", "cuda", "mps".
    max_minutes : bound of the training; None for none.

    Attributes
    ----------
    model_ : the fitted method.
    notes_ : what training had to decide, one sentence each.

    Examples
    --------
    >>> model = VolumeSegmenter(classes={"jaw": "LowerJaw*", "tooth": {"match": "Tooth*", "instances": True}})
    >>> model.classes.names
    ['jaw', 'tooth']
    """

    def __init__(
        self, *, method: Method = "unet3d", classes: ClassMap | dict[str, Any], settings: Any = None, seed: int = 0,
        device: str = "auto", max_minutes: float | None = None,
    ) -> None:  # fmt: skip
        if method not in METHODS:
            raise InputError(f"method {method!r}", fix=f"use one of {', '.join(METHODS)}")
        self.method: Method = method
        self.classes = classes if isinstance(classes, ClassMap) else ClassMap.of(classes)
        self.settings = method_settings(method, settings)
        self.seed, self.device, self.max_minutes = seed, device, max_minutes

    def resolved(self) -> dict[str, Any]:
        """Every setting as it will be used."""
        classes = {c.name: {"match": list(c.patterns), "instances": c.instances} for c in self.classes.classes}
        return {"method": self.method, "classes": classes, "settings": self.settings.to_dict(), "seed": self.seed,
                "device": self.device}  # fmt: skip

    def fit(
        self, train: Sequence[Case], *, validation: Sequence[Case] = (), folder: str | Path | None = None,
        resume: bool = False, progress: bool = True,
    ) -> Self:  # fmt: skip
        """Learn from labelled volumes.

        Parameters
        ----------
        train : cases with labels.
        validation : other specimens, which choose epoch and thresholds; never the ones to be scored.
        folder : run folder for plan, history, health and checkpoints.
        resume : go on from the folder's last checkpoint.

        Raises
        ------
        FormatError, LabelError : a volume that cannot be read, or labels that do not fit it.
        """
        if not train:
            raise InputError("no training volumes", fix="give at least one labelled volume")
        self.model_ = self._new()
        self.model_.fit(
            list(train), list(validation), folder=Path(folder) if folder else None, seed=self.seed,
            max_minutes=self.max_minutes, resume=resume, progress=progress,
        )  # fmt: skip
        self.notes_: list[str] = self.model_.notes_
        return self

    def predict(
        self, inputs: ScalarVolume | str | Path | Iterable[ScalarVolume | str | Path], *, progress: bool = True
    ) -> list[tuple[str, LabelVolume]]:
        """Name and segmentation of every volume: arrays in memory, files, folders or patterns."""
        if isinstance(inputs, (ScalarVolume, str, Path)):
            inputs = [inputs]
        cases: list[Case] = []
        for given in inputs:
            if isinstance(given, ScalarVolume):
                cases.append(Case(f"volume {len(cases) + 1}", given))
            else:
                cases += [Case(plain_name(path), path) for path in expand([given])]
        return [(case.name, self.predict_case(case, progress=progress)) for case in cases]

    def predict_case(self, case: Case, *, progress: bool = True) -> LabelVolume:
        """The segmentation of one volume on its own grid."""
        self._refuse_unfitted()
        image = case.read_image()
        with bar(case.name, progress) as advance:
            return self.model_.predict_image(image, progress=advance)

    def baseline(self, image: ScalarVolume) -> np.ndarray:
        """(z, y, x) classes by intensity alone, learned from the training part."""
        self._refuse_unfitted()
        return self.model_.baseline(image)

    def save(self, folder: str | Path) -> Path:
        """Write the model as a folder of readable facts and safetensors; returns the folder."""
        self._refuse_unfitted()
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.model_.save(folder)
        return folder

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "auto") -> Self:
        """The inverse of `save`; raises FormatError for a damaged folder."""
        folder = Path(folder)
        method = read_facts(folder / "model.toml").get("method", "unet3d")
        loaded = _method(method).load(folder, device=device)
        model = cls(method=method, classes=loaded.classes, settings=loaded.settings, device=device)
        model.model_, model.notes_ = loaded, loaded.notes_
        return model

    def _new(self) -> Any:
        return _method(self.method)(self.classes, self.settings, device=self.device)

    def _refuse_unfitted(self) -> None:
        if not hasattr(self, "model_"):
            raise InputError("this model has not been trained", fix="call fit first, or load a trained one")


def method_settings(method: str, settings: Any) -> Any:
    """The settings of a method from a table; an object stays as it is."""
    if settings is not None and not isinstance(settings, dict):
        return settings
    if method == "two-stage":
        from ethomorph.volumes.two_stage import TwoStageSettings

        return TwoStageSettings.from_dict(settings or {})
    if method == "mask2former":
        from ethomorph.volumes.mask2former import Mask2FormerSettings

        return Mask2FormerSettings.from_dict(settings or {})
    from ethomorph.volumes.settings import SegmenterSettings

    return SegmenterSettings.from_dict(settings or {})


def _method(name: str) -> Any:
    if name == "two-stage":
        from ethomorph.volumes.two_stage import TwoStageSegmenter

        return TwoStageSegmenter
    if name == "mask2former":
        from ethomorph.volumes.mask2former import Mask2FormerSegmenter

        return Mask2FormerSegmenter
    from ethomorph.volumes.unet3d import UNet3dSegmenter

    return UNet3dSegmenter


class bar:
    """A progress bar on standard error where something takes longer than two seconds."""

    def __init__(self, label: str, show: bool) -> None:
        self.label, self.show = label, show
        self.progress: Any = None

    def __enter__(self) -> Callable[[float], None] | None:
        if not self.show:
            return None
        import sys
        import time

        if not sys.stderr.isatty():
            return None
        from rich.console import Console
        from rich.progress import Progress

        began = time.monotonic()
        task: Any = None

        def advance(share: float) -> None:
            nonlocal task
            if time.monotonic() - began < 2:
                return
            if self.progress is None:
                self.progress = Progress(console=Console(stderr=True), transient=True)
                self.progress.start()
                task = self.progress.add_task(self.label, total=1.0)
            self.progress.update(task, completed=share)

        return advance

    def __exit__(self, *_: object) -> None:
        if self.progress is not None:
            self.progress.stop()

"""`HeatmapModel`: landmarks by confidence maps, coarse to fine, without any box.

A network on the whole small picture finds the specimens and roughly their landmarks; a second one looks at patches of
full resolution around them, turned the way the mean shape lies. Points come out sub-pixel, each with a confidence and a
spread in px.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.core.model_files import damage_named, read_arrays, read_facts, write_arrays, write_facts
from ethomorph.keypoints.data import Found, Picture
from ethomorph.keypoints.heatmap_settings import HeatmapSettings
from ethomorph.keypoints.template import Template, robust_similarity, size_of

if TYPE_CHECKING:
    from ethomorph.keypoints.heatmap_train import HeatmapModule
    from ethomorph.keypoints.stages import Stages
    from ethomorph.training.fit import FitResult

BATCH = 8
"""Pictures whose patches go through the network together."""
LEVEL_STEP = 4.5
"""A patch pixel is at most this many times finer than what placed the patch, or errors of that would leave it; where
the full resolution is finer than that, patches of a level between come first."""
TRIAL_STEPS = 3
UNCHECKED_SPREAD = 1.4
"""Factor on the spread without a validation part: error over spread of held-out fly wings, five folds of 40."""


class HeatmapModel:
    """Confidence maps from whole picture to patches.

    Parameters
    ----------
    settings : see `HeatmapSettings`.
    load : reads a picture file as float32 (y, x) in 0..1 for `fit`; default is the plain grey picture.
    device : "auto" (CUDA, then MPS, then CPU) or a device's name.

    Attributes
    ----------
    names_ : the landmarks' names in order.
    template_ : the mean shape in patch pixels.
    specimens_ : specimens in a picture at most.
    spread_factor_ : by how much the spread is corrected, so that it agrees with the validation part's errors.
    result_ : the fit's `ethomorph.training.fit.FitResult`; None for a loaded model.
    notes_ : what training had to decide, one sentence each.
    """

    def __init__(
        self, *, settings: HeatmapSettings | None = None, load: Callable[[Path], np.ndarray] | None = None,
        device: str = "auto",
    ) -> None:  # fmt: skip
        self.settings = settings or HeatmapSettings()
        self.load_picture = load or load_grey
        self.device = device

    def fit(
        self, pictures: list[Picture], validation: list[Picture] | None = None, names: list[str] | None = None, *,
        folder: Path | None = None, seed: int = 0, max_minutes: float | None = None, resume: bool = False,
        progress: bool = True,
    ) -> Self:  # fmt: skip
        """Train both stages.

        Parameters
        ----------
        pictures : with all their specimens marked; missing landmarks (NaN) are left out of the loss.
        validation : chooses the epoch that is kept and corrects the spread; without it the last average is kept.
        names : of the landmarks; numbers by default.
        folder : for history, health and checkpoints, so that `resume` can go on from there.
        max_minutes : bound of the training; steps are cut down to what the first ones promise to take.

        Raises
        ------
        LabelError : no specimen with landmarks, or a landmark that is missing in every specimen.
        """
        from ethomorph.keypoints.heatmap_train import STEPS_AN_EPOCH, HeatmapModule, Views, loader, step_seconds
        from ethomorph.training.fit import FitSettings, fit
        from ethomorph.training.planned import planned_steps
        from ethomorph.training.randomness import seed_all

        started = time.monotonic()
        shapes = [s.points for picture in pictures for s in picture.specimens if np.isfinite(s.points).all(1).any()]
        refuse_untrainable(shapes)
        self.names_ = list(names) if names is not None else [str(i) for i in range(len(shapes[0]))]
        self.specimens_ = self.settings.specimens or max(len(marked(p)) for p in pictures)
        self.notes_: list[str] = []
        self.spread_factor_ = UNCHECKED_SPREAD
        settings = self.resolved()
        pictures = [picture for picture in pictures if marked(picture)]
        train = self._prepare(pictures, settings, shapes=np.array(shapes))
        canvas = self.canvas_
        batch, steps = settings.pictures, settings.steps
        views = Views(*train, self.template_, canvas, settings, count=batch * STEPS_AN_EPOCH, seed=seed)
        check = None
        if validation and any(marked(p) for p in validation):
            held = self._prepare([p for p in validation if marked(p)], settings)
            check = Views(*held, self.template_, canvas, settings, count=len(held[0]), seed=seed, calm=True)
        seed_all(seed)
        module = HeatmapModule(
            len(self.names_), settings, several=self.specimens_ > 1, levels=self.template_.levels, canvas=canvas
        )
        if max_minutes is not None:
            left = max_minutes * 60 - (time.monotonic() - started)
            batches = loader(views, 0)(batch)
            steps, note = planned_steps(
                steps, left, lambda: step_seconds(module, batches, TRIAL_STEPS), folder=folder, resume=resume
            )
            self.notes_ += [note] if note else []
        epochs = -(-steps // STEPS_AN_EPOCH)
        # the averaged copy of the networks stays in eval mode, which Lightning would remark upon
        warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")
        self.result_: FitResult | None = fit(
            module, loader(views, settings.workers), loader(check, 0) if check else None,
            settings=FitSettings(
                max_epochs=epochs, max_steps=steps, max_minutes=max_minutes,
                learning_rate=settings.learning_rate, batch_size=batch, patience=0, schedule="cosine",
                rate_warm_up=min(20, steps // 4 + 1), gradient_clip=2.0, seed=seed, workers=settings.workers,
                device=self.device, checkpoint_seconds=60.0 if folder else None,
            ),
            folder=folder, resume=resume, progress=progress, label="landmarks",
        )  # fmt: skip
        self.notes_ += self.result_.notes
        self._take(module)
        if check:
            self._calibrate([p for p in validation or [] if marked(p)])
        return self

    def resolved(self) -> HeatmapSettings:
        """The settings with the rotation of `rotation_deg` handed to the coarse stage."""
        geometry = replace(self.settings.coarse.geometry, rotation_deg=self.settings.rotation_deg)
        return replace(self.settings, coarse=replace(self.settings.coarse, geometry=geometry))

    def _prepare(
        self, pictures: list[Picture], settings: HeatmapSettings, *, shapes: np.ndarray | None = None
    ) -> tuple[list, list]:
        """Thumbnails and sheets of pictures; `shapes` are what the template is made of, where it is not yet known."""
        from ethomorph.keypoints import coarse, refine

        thumbnails, pages, sizes = [], [], []
        if shapes is not None:
            self.template_ = fitting_template(shapes, self.load_picture(pictures[0].path).shape, settings)
        for picture in pictures:
            pixels = self.load_picture(picture.path)
            points = np.array([s.points for s in marked(picture)]).reshape(-1, len(self.names_), 2)
            thumbnails.append(coarse.thumbnail(pixels, round(1.5 * settings.coarse.long_side_px), points))
            factor = sheet_factor(points, self.template_)
            pages.append(refine.sheet(pixels, factor, settings.refine.context, points))
            sizes.append(pixels.shape)
        if shapes is not None:
            self.canvas_ = coarse.canvas_size(sizes, settings.coarse)
        return thumbnails, pages

    def _take(self, module: HeatmapModule) -> None:
        """Keep the averaged networks, laid out for fast inference."""
        stages = module.average if self.settings.averaging else module.stages
        self._stages = channels_last(stages)

    def _calibrate(self, pictures: list[Picture]) -> None:
        """Set `spread_factor_` so that the median of error over spread is what a 2-D normal error has, 1.18 sigma."""
        ratios: list[float] = []
        self.spread_factor_ = 1.0
        for picture in pictures:
            found = self.predict_image(self.load_picture(picture.path))
            for specimen in marked(picture):
                if found:
                    near = min(found, key=lambda f: np.nanmean(np.linalg.norm(f.points - specimen.points, axis=1)))
                    error = np.linalg.norm(near.points - specimen.points, axis=1)
                    ratios += (error / np.maximum(near.spread, 1e-3))[np.isfinite(error)].tolist()
        if len(ratios) >= 20:
            median_of_rayleigh = np.sqrt(np.log(2))  # of error over its root mean square
            self.spread_factor_ = float(np.median(ratios) / median_of_rayleigh)
        else:
            self.spread_factor_ = UNCHECKED_SPREAD

    def predict_image(self, grey: np.ndarray) -> list[Found]:
        """Specimens in one picture, float32 (y, x) in 0..1; empty where none is found."""
        return self.predict_images([grey])[0]

    def predict_images(self, images: Sequence[np.ndarray]) -> list[list[Found]]:
        """Specimens in each of several pictures; faster than one by one."""
        from ethomorph.keypoints.heatmap_predict import predict_batch

        found: list[list[Found]] = []
        for start in range(0, len(images), BATCH):
            found += predict_batch(
                self._stages, images[start : start + BATCH], self.template_, self.resolved(), most=self.specimens_,
                spread_factor=self.spread_factor_, device=self.device,
            )  # fmt: skip
        return found

    def save(self, folder: str | Path) -> Path:
        """Write ``model.safetensors`` and ``model.toml``; returns the folder."""
        folder = Path(folder)
        weights = {name: value.numpy(force=True) for name, value in self._stages.state_dict().items()}
        write_arrays(folder / "model.safetensors", weights)
        facts = {
            "method": "heatmap",
            "names": self.names_,
            "notes": self.notes_,
            "input": "grey, each view standardized to mean 0 and standard deviation 1",
            "specimens": self.specimens_,
            "spread_factor": self.spread_factor_,
            "levels": self.template_.levels,
            "mean_shape": self.template_.mean.tolist(),
            "reach": self.template_.reach.tolist(),
            "settings": self.settings.to_dict(),
        }
        write_facts(folder / "model.toml", facts)
        return folder

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "auto") -> Self:
        """The inverse of `save`; raises FormatError for a damaged folder."""
        import torch

        from ethomorph.keypoints.stages import Stages

        folder = Path(folder)
        facts, arrays = read_facts(folder / "model.toml"), read_arrays(folder / "model.safetensors")
        with damage_named(folder / "model.toml"):
            model = cls(settings=HeatmapSettings.from_dict(facts["settings"]), device=device)
            model.names_, model.notes_ = [str(n) for n in facts["names"]], [str(n) for n in facts["notes"]]
            mean, reach = np.array(facts["mean_shape"], dtype=float), np.array(facts["reach"], dtype=float)
            model.template_ = Template(mean, reach, int(facts["levels"]))
            model.specimens_, model.spread_factor_ = int(facts["specimens"]), float(facts["spread_factor"])
            if mean.shape != (len(model.names_), 2) or reach.shape != mean.shape[:1]:
                raise ValueError(f"{len(model.names_)} names for a mean shape of {mean.shape}")
            stages = Stages(
                len(model.names_), model.resolved(), several=model.specimens_ > 1, levels=model.template_.levels,
                pretrained=False,
            )  # fmt: skip
        with damage_named(folder / "model.safetensors"):
            stages.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
        model._stages = channels_last(stages)
        model.result_ = None
        return model


def load_grey(path: Path) -> np.ndarray:
    """A picture file as float32 (y, x) in 0..1."""
    from ethomorph.formats.images import read_image

    return read_image(path).grey()


def channels_last(stages: Stages) -> Stages:
    """The networks with their weights laid out for fast inference."""
    import torch

    for weight in stages.parameters():
        if weight.ndim == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    return stages.eval()


def marked(picture: Picture) -> list:
    """The picture's specimens that have any landmark."""
    return [s for s in picture.specimens if np.isfinite(s.points).all(1).any()]


def sheet_factor(points: np.ndarray, template: Template) -> float:
    """How far to shrink a picture before patches are cut; close to 1 is 1, so that no detail is lost to resampling."""
    finest = max((size_of(robust_similarity(p, template.mean)) for p in points), default=1.0)
    return 1.0 if finest > 0.7 else finest


def fitting_template(shapes: np.ndarray, picture: tuple[int, ...], settings: HeatmapSettings) -> Template:
    """The shapes' template at the finest patches' resolution, with as many levels as lead there from `picture`."""
    template = Template.fit(shapes)
    factor = min(1.0, settings.refine.specimen_px / (template.size or 1.0))
    coarse = settings.coarse.long_side_px / max(picture)
    levels = 1 + max(0, math.ceil(math.log2(factor / coarse / LEVEL_STEP)))
    return template.scaled(factor, levels=levels)


def refuse_untrainable(shapes: list[np.ndarray]) -> None:
    """Raise LabelError without any specimen, or with a landmark that no specimen shows."""
    if not shapes:
        raise LabelError("there is no specimen with landmarks to train on", fix="give labelled pictures")
    nowhere = np.flatnonzero(~np.isfinite(np.array(shapes)).all(axis=2).any(axis=0))
    if len(nowhere):
        listed = ", ".join(str(i + 1) for i in nowhere)
        raise LabelError(f"landmark {listed} is missing in every training specimen", fix="label it, or leave it out")

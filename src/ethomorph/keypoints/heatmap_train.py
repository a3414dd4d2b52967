"""Training of the heat-map method: the data set that draws views, and the module with both stages' losses.

Both stages learn side by side in one fit, on views of the same pictures; they share no weights.
"""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor

from ethomorph.keypoints import augment, coarse, refine
from ethomorph.keypoints.coarse import Thumbnail
from ethomorph.keypoints.heatmap_settings import HeatmapSettings
from ethomorph.keypoints.refine import Sheet
from ethomorph.keypoints.stages import Stages
from ethomorph.keypoints.template import Template
from ethomorph.training.averaging import decayed, follow, seconds_a_step

STEPS_AN_EPOCH = 25


class Views(torch.utils.data.Dataset):
    """Random views of pictures; which ones follows from (seed, epoch, index) alone.

    Parameters
    ----------
    thumbnails, sheets : one each for every picture, with points.
    template : the mean shape in the patches' pixels, and at how many levels patches are cut.
    canvas : (height, width) of the coarse stage's input.
    count : views in an epoch.
    calm : draw views with little change, the same in every epoch, as a validation part needs them.
    """

    def __init__(
        self, thumbnails: list[Thumbnail], sheets: list[Sheet], template: Template, canvas: tuple[int, int],
        settings: HeatmapSettings, *, count: int, seed: int, calm: bool = False,
    ) -> None:  # fmt: skip
        self.thumbnails, self.sheets, self.template, self.canvas = thumbnails, sheets, template, canvas
        self.count, self.seed, self.epoch, self.calm = count, seed, 0, calm
        self.settings = calmed(settings) if calm else settings
        self.most = max(len(one.points) for one in thumbnails)
        self.order = np.arange(count)

    def set_epoch(self, epoch: int) -> None:
        """Draw other views in each epoch; every picture comes equally often."""
        self.epoch = 0 if self.calm else epoch
        rounds = math.ceil(self.count / len(self.sheets))
        rng = np.random.default_rng([self.seed, self.epoch, 1])
        number = len(self.sheets)
        turns = [np.arange(number) if self.calm else rng.permutation(number) for _ in range(rounds)]
        self.order = np.concatenate(turns)[: self.count]

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.seed, self.epoch, 2, index])
        which = int(self.order[index]) % len(self.sheets)
        settings = self.settings
        pixels, points = coarse.training_view(rng, self.thumbnails[which], self.canvas, settings.coarse)
        augment.blots(rng, [pixels], [1.0], settings.coarse.intensity)
        picture = augment.vary_intensity(rng, augment.standardize(pixels)[None, None], settings.coarse.intensity)[0]
        padded = np.full((self.most, *points.shape[1:]), np.nan)
        padded[: len(points)] = points
        chosen = self.choose(rng, which)
        mean = self.template.mean
        patches, places = refine.training_patches(rng, [self.sheets[which]], mean, chosen, settings.refine)
        return {
            "images": torch.from_numpy(picture).float(),
            "points": torch.from_numpy(padded).float(),
            "patches": torch.from_numpy(patches).float(),
            "maps": torch.from_numpy(chosen[:, 2] + len(mean) * chosen[:, 3]),
            "places": torch.from_numpy(places).float(),
        }

    def choose(self, rng: np.random.Generator, which: int) -> np.ndarray:
        """(patches, 4): sheet 0, specimen, landmark and level of each patch; visible ones, each as often as can be."""
        visible = np.argwhere(np.isfinite(self.sheets[which].points).all(-1))
        picked = np.resize(rng.permutation(len(visible)), self.settings.patches)
        level = np.resize(rng.permutation(self.template.levels), len(picked))
        return np.column_stack([np.zeros(len(picked), int), visible[picked], level])


def calmed(settings: HeatmapSettings) -> HeatmapSettings:
    """The settings without augmentation, but for the errors that the coarse stage makes."""
    still, plain = augment.Geometry(0, 0, 0, 0, 0), augment.Intensity(0, 0, 0, 0, 0, 0, 0)
    return changed_stages(settings, geometry=still, intensity=plain, negatives=0.0)


def changed_stages(settings: HeatmapSettings, *, negatives: float, **changes: Any) -> HeatmapSettings:
    return replace(
        settings,
        coarse=replace(settings.coarse, negatives=negatives, **changes),
        refine=replace(settings.refine, **changes),
    )


def loader(views: Views, workers: int) -> Any:
    """A factory of data loaders; the views are random already, so the order may stay."""

    def make(batch_size: int) -> torch.utils.data.DataLoader:
        return torch.utils.data.DataLoader(views, batch_size=batch_size, num_workers=workers, drop_last=False)

    return make


class HeatmapModule(pl.LightningModule):
    """Both stages with their losses, and the moving average of their weights, which predicts."""

    averaged: Tensor

    def __init__(
        self, landmarks: int, settings: HeatmapSettings, *, several: bool, levels: int, canvas: tuple[int, int]
    ) -> None:
        super().__init__()
        self.settings = settings
        self.stages = Stages(landmarks, settings, several=several, levels=levels, pretrained=True)
        self.average = copy.deepcopy(self.stages).requires_grad_(False).eval()
        self.register_buffer("averaged", torch.zeros(()))
        self.peak_threshold = settings.least_score
        cells = canvas[0] * canvas[1] / settings.coarse.output_stride**2
        patch_cells = (settings.refine.patch_px / settings.refine.output_stride) ** 2
        empty = settings.coarse.negatives
        centre = (1 - empty) * math.log(2 * cells) + empty * math.log(2)
        uniform = centre + math.log(cells) + math.log(patch_cells)
        uniform += settings.refine.distance_weight * settings.refine.jitter_px / settings.refine.output_stride * 1.25
        self.expected_initial_loss = uniform + (0.2 if several else 0.0)
        self.baseline_losses = {"uniform maps": uniform}

    def losses(self, stages: Stages, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        terms = stages.coarse.loss(batch["images"], batch["points"])
        return terms | stages.refine.loss(
            batch["patches"].flatten(0, 1), batch["maps"].flatten(), batch["places"].flatten(0, 1)
        )

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        terms = self.losses(self.stages, batch)
        for name, value in terms.items():
            self.log(f"train_{name}", value.detach(), on_step=False, on_epoch=True, batch_size=len(batch["images"]))
        return torch.stack(list(terms.values())).sum()

    def validation_step(self, batch: dict[str, Tensor], index: int) -> dict[str, Tensor]:
        """The loss, and for the health monitor how surely each picture holds a specimen, and whether it does."""
        centres: list[Tensor] = []
        with self.average.coarse.register_forward_hook(lambda module, given, out: centres.append(out[0])):
            terms = self.losses(self.average, batch)
        for name, value in terms.items():
            self.log(f"validation_{name}", value, on_step=False, on_epoch=True, batch_size=len(batch["images"]))
        return {
            "loss": torch.stack(list(terms.values())).sum(),
            "peaks": coarse.centre_probabilities(centres[0]).flatten(1).sum(1),
            "holds": torch.isfinite(batch["points"]).all(-1).flatten(1).any(1),
        }

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch is None:
            return
        self.averaged += 1
        follow(self.average, self.stages, float(self.averaged), self.settings.averaging)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        groups = decayed(self.stages.parameters(), self.settings.weight_decay)
        return torch.optim.AdamW(groups, lr=self.settings.learning_rate)


def step_seconds(module: HeatmapModule, batches: Any, steps: int) -> float:
    """Seconds that a training step takes, tried out on a copy."""
    trial = copy.deepcopy(module).train()

    def loss(batch: dict[str, Tensor]) -> Tensor:
        return torch.stack(list(trial.losses(trial.stages, batch).values())).sum()

    return seconds_a_step(loss, trial.configure_optimizers(), batches, steps)

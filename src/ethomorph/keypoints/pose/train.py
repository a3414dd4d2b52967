"""Training of pose networks: the data set that draws views, and the module with the heads' losses and their evidence.

All networks of a pipeline learn side by side in one fit; they share no weights.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor

from ethomorph.keypoints.pose.data import FrameStore, LabelledFrame, scaled
from ethomorph.keypoints.pose.decode import single_peaks
from ethomorph.keypoints.pose.heads import Fields, OnePeak, baselines
from ethomorph.keypoints.pose.pipelines.base import Pipeline
from ethomorph.keypoints.pose.settings import Augmentation, Optimization
from ethomorph.training.averaging import decayed, follow, seconds_a_step

PLAIN = "unet"
"""The backbone that is trained channels first: normalised and depthwise layers learn up to 1.4 times as fast channels
last on a CPU, SLEAP's convolutions a tenth slower."""
MEAN_FRAMES = 64
"""Frames at most whose targets make the mean map, and at most that it is judged on."""


class Views(torch.utils.data.Dataset):
    """Random views of labelled frames; which ones follows from (seed, epoch, index) alone.

    A sample holds, for each network, pictures (views, channels, height, width) and points (views, animals, nodes, 2).

    Parameters
    ----------
    count : views in an epoch; every frame comes equally often.
    calm : views without augmentation, the same in every epoch, as a validation part needs them.
    """

    def __init__(
        self, frames: Sequence[LabelledFrame], store: FrameStore, pipeline: Pipeline, *, count: int, seed: int,
        calm: bool = False,
    ) -> None:  # fmt: skip
        self.frames, self.store, self.pipeline = list(frames), store, pipeline
        self.count, self.seed, self.epoch, self.calm = count, seed, 0, calm
        self.vary = Augmentation.none() if calm else pipeline.settings.augmentation
        self.most = max([1, *(len(frame.points) for frame in frames)])
        self.order = np.arange(count)

    def set_epoch(self, epoch: int) -> None:
        """Draw other views in each epoch."""
        self.epoch = 0 if self.calm else epoch
        rng = np.random.default_rng([self.seed, self.epoch, 1])
        number = len(self.frames)
        rounds = math.ceil(self.count / number)
        turns = [np.arange(number) if self.calm else rng.permutation(number) for _ in range(rounds)]
        self.order = np.concatenate(turns)[: self.count]

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.seed, self.epoch, 2, index])
        frame = self.frames[int(self.order[index]) % len(self.frames)]
        points = scaled(frame.points, self.store.scale)
        found: dict[str, Tensor] = {}
        for name, (picture, moved) in self.pipeline.view(rng, self.store.pixels(frame), points, self.vary).items():
            pictures, places = (picture, moved) if picture.ndim == 4 else (picture[None], moved[None])
            every = np.full((len(places), self.most, *places.shape[2:]), np.nan, np.float32)
            every[:, : places.shape[1]] = places
            found[f"{name}.images"] = torch.from_numpy(np.ascontiguousarray(pictures))
            found[f"{name}.points"] = torch.from_numpy(every)
        return found


def together(samples: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """A batch of samples, each of which may hold several views for a network."""
    return {key: torch.cat([sample[key] for sample in samples]) for key in samples[0]}


def loader(views: Views, workers: int) -> Any:
    """A factory of data loaders; the views are random already, so the order may stay."""

    def make(batch_size: int) -> torch.utils.data.DataLoader:
        return torch.utils.data.DataLoader(views, batch_size=batch_size, num_workers=workers, collate_fn=together)

    return make


class PoseModule(pl.LightningModule):
    """A pipeline's networks with their losses, and the moving average of their weights, which predicts.

    What the health monitor is told: losses of predictors that know nothing (all-zero and mean maps), the highest
    confidence of each validation sample beside the threshold, and the networks' input after scaling.
    """

    averaged: Tensor

    def __init__(self, pipeline: Pipeline, *, pretrained: bool = True) -> None:
        super().__init__()
        self.pipeline = pipeline
        self.networks = torch.nn.ModuleDict(pipeline.networks(pretrained=pretrained))
        if pipeline.settings.model.backbone != PLAIN:
            self.networks.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.networks).requires_grad_(False).eval()
        self.register_buffer("averaged", torch.zeros(()))
        self.peak_threshold = pipeline.settings.heads.peak_threshold
        self.baseline_losses: dict[str, float] = {}
        self.expected_initial_loss: float | None = None

    def losses(
        self, networks: torch.nn.ModuleDict, batch: dict[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The loss of each head, and each network's maps."""
        terms, outputs = {}, {}
        for name, heads in self.pipeline.heads.items():
            maps = networks[name](batch[f"{name}.images"])
            outputs[name] = maps
            for (key, head), logits in zip(heads.items(), maps, strict=True):
                targets = head.targets(batch[f"{name}.points"], (int(logits.shape[-2]), int(logits.shape[-1])))
                each = head.loss(logits, targets)
                mined = 0.0 if isinstance(head, Fields) else hard_nodes(each, self.pipeline.settings.optimization)
                label = key if len(self.pipeline.heads) == 1 else f"{name}_{key}"
                terms[label] = each.mean() + mined
        return terms, outputs

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        terms, _ = self.losses(self.networks, batch)
        if len(terms) > 1:
            for name, value in terms.items():
                self.log(f"train_{name}", value.detach(), on_step=False, on_epoch=True, batch_size=sample_count(batch))
        return torch.stack(list(terms.values())).sum()

    def validation_step(self, batch: dict[str, Tensor], index: int) -> dict[str, Tensor]:
        terms, outputs = self.losses(self.average, batch)
        count = sample_count(batch)
        if len(terms) > 1:
            for name, value in terms.items():
                self.log(f"validation_{name}", value, on_step=False, on_epoch=True, batch_size=count)
        name = self.pipeline.keypoints
        head, logits = self.pipeline.heads[name]["maps"], outputs[name][0]
        truth = batch[f"{name}.points"]
        holds = torch.isfinite(truth).all(-1).flatten(1).any(1)
        if isinstance(head, OnePeak):
            points, scores = single_peaks(head, logits)
            away = (points - truth[:, 0]).norm(dim=-1)
            seen = torch.isfinite(away)
            if bool(seen.any()):
                error = away[seen].mean() / self.pipeline.settings.data.input_scale
                self.log("validation_error_px", error, on_step=False, on_epoch=True, batch_size=int(seen.sum()))
            peaks = scores.amax(1)
        else:
            peaks = head.maps(logits).flatten(1).amax(1)
        return {"loss": torch.stack(list(terms.values())).sum(), "peaks": peaks, "holds": holds}

    def inputs_of(self, batch: dict[str, Tensor]) -> Tensor:
        """What the keypoint network's backbone sees."""
        network: Any = self.networks[self.pipeline.keypoints]
        return network.scaled(batch[f"{self.pipeline.keypoints}.images"])

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch is None:
            return
        self.averaged += 1
        follow(self.average, self.networks, float(self.averaged), self.pipeline.settings.optimization.averaging)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        settings = self.pipeline.settings.optimization
        weights = list(self.networks.parameters())
        if settings.optimizer == "adam":
            return torch.optim.Adam(weights, lr=settings.learning_rate)
        return torch.optim.AdamW(decayed(weights, settings.weight_decay), lr=settings.learning_rate)

    def know(self, train: Views, judged: Views) -> None:
        """Work out what predictors that never look would lose on the part by which the run is judged."""
        totals: dict[str, float] = {}
        first = 0.0
        for name, heads in self.pipeline.heads.items():
            size = self.pipeline.input_sizes()[name]
            for head in heads.values():
                cells = (size[0] // head.stride, size[1] // head.stride)
                mean = targets_of(train, name, head, cells).mean(0)
                targets = targets_of(judged, name, head, cells)
                for known, loss in baselines(head, targets, mean).items():
                    totals[known] = totals.get(known, 0.0) + loss
                start = torch.full_like(targets, head.shape.bias)
                first += float(head.loss(start, targets).mean())
        self.baseline_losses, self.expected_initial_loss = totals, first


def targets_of(views: Views, name: str, head: Any, cells: tuple[int, int]) -> Tensor:
    """Targets (samples, channels, height, width) of frames spread over a part, without augmentation."""
    calm = Views(views.frames, views.store, views.pipeline, count=len(views.frames), seed=views.seed, calm=True)
    chosen = np.unique(np.linspace(0, len(calm) - 1, min(len(calm), MEAN_FRAMES)).astype(int))
    return torch.cat([head.targets(calm[int(i)][f"{name}.points"], cells) for i in chosen])


def hard_nodes(losses: Tensor, settings: Optimization) -> Tensor | float:
    """What online hard keypoint mining adds to the loss: the hard nodes' mean loss, times its weight.

    A node is hard where its mean loss in the batch is `hard_to_easy_ratio` times the smallest; at least `min_hard` and
    at most `max_hard` nodes are.
    """
    if not settings.hard_mining:
        return 0.0
    nodes = losses.mean(0)
    count = int((nodes.detach() >= settings.hard_to_easy_ratio * nodes.detach().min().clamp(min=1e-12)).sum())
    count = max(count, settings.min_hard)
    count = min(count, settings.max_hard or len(nodes), len(nodes))
    return settings.hard_weight * nodes.topk(count).values.mean() if count else 0.0


def sample_count(batch: dict[str, Tensor]) -> int:
    return len(next(iter(batch.values())))


def step_seconds(module: PoseModule, batches: Any, steps: int) -> float:
    """Seconds that a training step takes, tried out on a copy."""
    trial = copy.deepcopy(module).train()

    def loss(batch: dict[str, Tensor]) -> Tensor:
        return torch.stack(list(trial.losses(trial.networks, batch)[0].values())).sum()

    return seconds_a_step(loss, trial.configure_optimizers(), batches, steps)


def pixel_statistics(frames: Sequence[LabelledFrame], store: FrameStore) -> tuple[float, float]:
    """Mean and standard deviation of pixels in 0..255 over frames spread over a part; the deviation is at least 2.5."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), MEAN_FRAMES)).astype(int))
    samples = np.concatenate([store.pixels(frames[int(i)])[::4, ::4].ravel() for i in chosen]).astype(float)
    return float(samples.mean()), float(max(samples.std(), 2.5))

"""Training the networks by the shared fit loop: the data sets, the module with its loss, and what is kept.

Predictions and saving stand in `estimator`; which classes are taught how often in `imbalance`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ethomorph.behavior.augment import augmented
from ethomorph.behavior.networks import load_weights, make_network
from ethomorph.behavior.settings import NetworkSettings
from ethomorph.training.predictions import ClassTally

IGNORED = -100
CHUNK = 512  # frames of a recording that the temporal net is taught at once
FULL = 255.0


class ClipFrames(torch.utils.data.Dataset):
    """Clips as (channels, frames, height, width) in 0..1 with their class.

    Parameters
    ----------
    frames : (clips, frames, height, width, channels) uint8, an array or a map of a file.
    codes : (clips,) classes.
    rows : which clips, in order; a repeated one is taught twice.
    settings : for augmentation; None shows them as they are.
    scale : what pixels are divided by.
    groups : (clips,) number of each clip's animal, for the health monitor alone.
    """

    def __init__(
        self, frames: Any, codes: np.ndarray, rows: Sequence[int] | np.ndarray, *, settings: NetworkSettings | None,
        seed: int = 0, scale: float = FULL, groups: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        self.frames, self.codes, self.rows, self.groups = frames, codes, np.asarray(rows), groups
        self.settings, self.seed, self.scale, self.epoch = settings, seed, scale, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        row = int(self.rows[index])
        clip = np.asarray(self.frames[row])
        if self.settings is not None and self.settings.augment > 0:
            rng = np.random.default_rng([self.seed, self.epoch, index])
            clip = augmented(clip, rng, strength=self.settings.augment, flips=self.settings.flips)
        pixels = torch.from_numpy(clip.transpose(3, 0, 1, 2).astype(np.float32, order="C")).div_(self.scale)
        return {"clip": pixels, "label": torch.tensor(int(self.codes[row]))} | group_item(self.groups, row)


class SignalClips(torch.utils.data.Dataset):
    """Signals of clips as (signals, instants) with their class: standardised, the same length for all."""

    def __init__(
        self, signals: list[np.ndarray], codes: np.ndarray, rows: Sequence[int] | np.ndarray,
        groups: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        self.signals, self.codes, self.rows, self.groups = signals, codes, np.asarray(rows), groups

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        row = int(self.rows[index])
        return {
            "features": torch.from_numpy(self.signals[row].T.copy()).float(),
            "label": torch.tensor(int(self.codes[row])),
        } | group_item(self.groups, row)


def group_item(groups: np.ndarray | None, row: int) -> dict[str, Tensor]:
    """The entry of a sample that says its group, where groups are known."""
    return {} if groups is None else {"group": torch.tensor(int(groups[row]))}


class SignalChunks(torch.utils.data.Dataset):
    """Stretches of recordings as (signals, frames) with a class a frame, -100 where a frame is not taught."""

    def __init__(self, signals: list[np.ndarray], codes: list[np.ndarray], *, seed: int, fixed: bool) -> None:
        self.signals, self.codes, self.seed, self.fixed, self.epoch = signals, codes, seed, fixed, 0
        self.starts = [
            (which, start)
            for which, one in enumerate(codes)
            for start in range(0, max(1, len(one) - CHUNK // 2), CHUNK // 2)
            if (one[start : start + CHUNK] >= 0).any()
        ]

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        which, start = self.starts[index]
        if not self.fixed:
            start += int(np.random.default_rng([self.seed, self.epoch, index]).integers(-CHUNK // 8, CHUNK // 8 + 1))
        signal, codes = self.signals[which], self.codes[which]
        start = int(np.clip(start, 0, max(0, len(codes) - CHUNK)))
        x = np.zeros((CHUNK, signal.shape[1]), np.float32)
        y = np.full(CHUNK, IGNORED)
        here = signal[start : start + CHUNK]
        x[: len(here)] = here
        y[: len(here)] = np.where(codes[start : start + CHUNK] >= 0, codes[start : start + CHUNK], IGNORED)
        return {"features": torch.from_numpy(x.T.copy()), "label": torch.from_numpy(y)}


class BehaviorModule(pl.LightningModule):
    """A network with its loss, for the fit loop.

    Parameters
    ----------
    network : gives (batch, classes) or (batch, classes, frames).
    weights : (classes,) of the loss.
    focal : gamma of the focal loss; 0 is cross-entropy.
    prior : (classes,) mixture that is taught: what a network that knows nothing can at best say.
    """

    def __init__(
        self, network: torch.nn.Module, settings: NetworkSettings, *, classes: int, weights: np.ndarray, focal: float,
        prior: np.ndarray, facts: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.network, self.settings, self.classes, self.focal = network, settings, classes, focal
        self.register_buffer("weights", torch.from_numpy(np.asarray(weights, np.float32)))
        self.tally = ClassTally(classes)
        self.said: dict[str, float] = {}
        self.facts = facts or {}
        known = prior[prior > 0]
        if not focal and np.allclose(weights[prior > 0], 1):
            self.baseline_losses = {"class frequencies": float(-(known * np.log(known)).sum())}
        self.expected_initial_loss = float(np.log(classes)) * (0.5 if focal else 1.0)

    def inputs_of(self, batch: dict[str, Tensor]) -> Tensor:
        return batch["clip"] if "clip" in batch else batch["features"]

    def labels_of(self, batch: dict[str, Tensor]) -> Tensor:
        labels = batch["label"]
        return labels[labels >= 0]

    def groups_of(self, batch: dict[str, Tensor]) -> Tensor | None:
        return batch.get("group")

    def forward(self, inputs: Tensor) -> Tensor:
        return self.network(inputs)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        weights: Tensor = self.weights  # type: ignore[assignment]
        if not self.focal:
            return functional.cross_entropy(logits, labels, weights, ignore_index=IGNORED)
        each = functional.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="none")
        known = labels != IGNORED
        each, chosen = each[known], labels[known]
        scaled = (1 - torch.exp(-each)) ** self.focal * each * weights[chosen]
        return scaled.sum() / weights[chosen].sum().clamp_min(1e-9)

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        return self.loss(self.network(self.inputs_of(batch)), batch["label"])

    def validation_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        logits = self.network(self.inputs_of(batch))
        self.tally.add(logits, batch["label"])
        return self.loss(logits, batch["label"])

    def on_validation_epoch_start(self) -> None:
        self.tally = ClassTally(self.classes)

    def on_validation_epoch_end(self) -> None:
        self.said = self.tally.statistics()
        for name in ("balanced_accuracy", "kappa"):
            if name in self.said:
                self.log(f"validation_{name}", float(self.said[name]))

    def prediction_statistics(self) -> dict[str, float]:
        return self.said

    def configure_optimizers(self) -> torch.optim.Optimizer:
        chosen = self.settings
        if chosen.optimizer == "sgd":
            return torch.optim.SGD(
                self.network.parameters(), lr=chosen.learning_rate, momentum=chosen.momentum,
                dampening=chosen.dampening, weight_decay=chosen.weight_decay,
            )  # fmt: skip
        return torch.optim.AdamW(self.network.parameters(), lr=chosen.learning_rate, weight_decay=chosen.weight_decay)


def loader_of(data: torch.utils.data.Dataset, *, shuffle: bool, workers: int) -> Any:
    """A factory of loaders; a last training batch of one sample is left out, which batch normalisation cannot use."""

    def make(batch_size: int) -> torch.utils.data.DataLoader:
        drop = shuffle and len(data) % batch_size == 1 and len(data) > batch_size  # type: ignore[arg-type]
        return torch.utils.data.DataLoader(
            data, batch_size=batch_size, shuffle=shuffle, num_workers=workers, drop_last=drop
        )

    return make


def fit_network(
    method: str, train: torch.utils.data.Dataset, validation: torch.utils.data.Dataset | None, *, channels: int,
    classes: int, pooled: bool, settings: NetworkSettings, weights: np.ndarray, focal: float, prior: np.ndarray,
    folder: Path | None, seed: int, max_minutes: float | None, resume: bool, progress: bool,
    facts: dict[str, Any] | None = None,
) -> tuple[torch.nn.Module, Any, list[str]]:  # fmt: skip
    """Train one network; returns it in eval mode, the fit's result, and what there is to tell."""
    from ethomorph.training.fit import FitSettings, fit
    from ethomorph.training.randomness import seed_all

    seed_all(seed)
    network = make_network(method, channels, classes, width=settings.width, dropout=settings.dropout, pooled=pooled)
    notes = []
    if settings.weights:
        left = load_weights(network, settings.weights)
        notes.append(f"weights of {Path(settings.weights).name}: {len(left)} arrays begin anew ({', '.join(left[:4])})")
    module = BehaviorModule(network, settings, classes=classes, weights=weights, focal=focal, prior=prior, facts=facts)
    result = fit(
        module, loader_of(train, shuffle=True, workers=settings.workers),
        loader_of(validation, shuffle=False, workers=settings.workers) if validation is not None else None,
        settings=FitSettings(
            max_epochs=settings.epochs, max_minutes=max_minutes, learning_rate=settings.learning_rate,
            batch_size=settings.batch_size, patience=settings.patience, schedule=settings.schedule,  # type: ignore[arg-type]
            plateau_patience=settings.plateau_patience, plateau_factor=0.1 if settings.optimizer == "sgd" else 0.5,
            device=settings.device, workers=settings.workers, seed=seed, gradient_clip=None
            if settings.optimizer == "sgd" else 1.0,
        ),
        folder=folder, resume=resume, progress=progress, label=method,
    )  # fmt: skip
    return network.eval(), result, notes + result.notes


def network_probabilities(
    network: torch.nn.Module, data: torch.utils.data.Dataset, *, batch_size: int = 16, device: str = "cpu"
) -> np.ndarray:
    """(n, classes) of a data set of clips, in its order."""
    found = []
    network = network.to(device).eval()
    with torch.inference_mode():
        for batch in torch.utils.data.DataLoader(data, batch_size=batch_size):
            inputs = batch["clip"] if "clip" in batch else batch["features"]
            found.append(torch.softmax(network(inputs.to(device)).float(), 1).cpu().numpy())
    network.cpu()
    return np.concatenate(found) if found else np.zeros((0, 0))

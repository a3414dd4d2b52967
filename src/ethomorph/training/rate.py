"""The learning rate as a function of steps and epochs, so that a repeated or resumed run follows the same curve."""

from __future__ import annotations

import math
from typing import Any

import lightning.pytorch as pl

from ethomorph.training.settings import FitSettings
from ethomorph.training.state import RunState

COSINE_END = 0.01  # share of the learning rate that is left at the last step


def rate_factor(step: int, total: int, settings: FitSettings, plateau: float = 1.0) -> float:
    """What the learning rate is multiplied by at optimizer step `step` of `total`, both from 0.

    Warm-up rises linearly as ``(step + 1) / rate_warm_up``. Cosine falls as ``end + (1 - end) (1 + cos(pi t)) / 2``
    with t the share of the steps after the warm-up that are done (Loshchilov and Hutter 2017, one cycle).

    >>> round(rate_factor(50, 101, FitSettings(schedule="cosine")), 3)
    0.505
    """
    warm = settings.rate_warm_up
    rise = min(1.0, (step + 1) / warm) if warm else 1.0
    if settings.schedule != "cosine":
        return rise * plateau
    done = min(1.0, max(0, step - warm) / max(1, total - warm - 1))
    return rise * (COSINE_END + (1 - COSINE_END) * (1 + math.cos(math.pi * done)) / 2)


class LearningRate(pl.Callback):
    """Set the rate of every parameter group before each batch; halve it on a plateau where the schedule says so."""

    def __init__(self, run: RunState, row: Any) -> None:
        self.run, self.row = run, row
        self.plateau, self.waited = 1.0, 0
        self.best: float | None = None

    def current(self, trainer: pl.Trainer) -> float:
        steps = math.ceil(trainer.num_training_batches / self.run.accumulate)
        settings = self.run.settings
        total = min(steps * settings.max_epochs, settings.max_steps or steps * settings.max_epochs)
        return settings.learning_rate * rate_factor(self.run.step, total, settings, self.plateau)

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
        rate = self.current(trainer)
        for optimizer in trainer.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * group.get("lr_scale", 1.0)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        value, settings = self.row().get(self.run.monitor), self.run.settings
        if settings.schedule != "plateau" or value is None or self.run.partial:
            return
        if self.run.better(value, self.best, settings.min_delta):
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited > settings.plateau_patience:
            self.plateau, self.waited = self.plateau * settings.plateau_factor, 0

    def state_dict(self) -> dict[str, Any]:
        return {"plateau": self.plateau, "best": self.best, "waited": self.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.plateau, self.best, self.waited = state_dict["plateau"], state_dict["best"], state_dict["waited"]

"""Counting optimizer steps, and making accumulated batches weigh what whole ones would."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch

from ethomorph.training.state import RunState


class Steps(pl.Callback):
    """Count steps in the run's state, and correct the gradient of an epoch's last group of batches.

    Lightning divides each batch's loss by the number accumulated, also where the last group has fewer: its gradient
    would be too small by that ratio. Every batch of a group weighs the same: where the very last one is smaller, its
    samples count a little more than they would in one whole batch.
    """

    def __init__(self, run: RunState) -> None:
        self.run = run
        self.batch = 0

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
        self.batch = batch_idx + 1

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        left = self.batch % self.run.accumulate
        if left:
            gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
            torch._foreach_mul_(gradients, self.run.accumulate / left)

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if batch is None:
            return
        if (batch_idx + 1) % self.run.accumulate == 0 or batch_idx + 1 == trainer.num_training_batches:
            self.run.step += 1
            self.run.epoch_step += 1

"""Units over the epochs: dead at start, died or revived since, silent in evaluation mode only, without gradient.

A callback that gathers and changes nothing; `ethomorph.training.monitor` asks it for its counts at an epoch's end.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import lightning.pytorch as pl
import torch

from ethomorph.training.evidence import LayerUnits
from ethomorph.training.history import loss_of
from ethomorph.training.randomness import capture, restore
from ethomorph.training.rows import RowWatch
from ethomorph.training.state import RunState
from ethomorph.training.units import UnitRecorder

LOOKS, LOOK_SHARE = 4, 1 / 8  # training steps of an epoch that are looked at, and the share of them at most
START_SAMPLES = 300  # samples before the first step: a unit that fires for one in a hundred shows (3 / 300)
START_SHARE = 0.1  # of an epoch's batches that the look before the first step may take
MODE_STEPS = 40  # training steps for each extra forward pass in evaluation mode: under 1 % of their time


class UnitMonitor(pl.Callback):
    """Watch the units of one run; `epoch` hands out what an epoch showed."""

    def __init__(self, run: RunState) -> None:
        self.run = run
        self.recorder, self.training = UnitRecorder(), UnitRecorder()
        self.rows: RowWatch | None = None
        self.start: list[LayerUnits] = []
        self.dead_at_start: dict[str, set[int]] = {}
        self.layers: list[LayerUnits] = []
        self.mode_losses: list[float] = []
        self.eval_loss: float | None = None
        self.has_batch_norm = False
        self.seconds = 0.0

    def bill(self) -> float:
        """Seconds spent since the last bill."""
        spent = self.seconds + self.recorder.seconds + self.training.seconds
        self.seconds = self.recorder.seconds = self.training.seconds = 0.0
        return spent

    @contextlib.contextmanager
    def billed(self) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - began

    def on_validation_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.recorder.begin()

    def on_validation_batch_start(
        self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        with self.billed():
            self.recorder.on(module, groups_of(module, batch))

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        with self.billed():
            self.recorder.off()

    def on_validation_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if not trainer.sanity_checking:
            return
        self.start = self.recorder.layers()
        self.dead_at_start = {name: tally.silent for name, tally in self.recorder.tallies.items()}
        self.recorder.begin()

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        with self.billed():
            self.rows = RowWatch(module)
            self.has_batch_norm = any(isinstance(m, torch.nn.modules.batchnorm._BatchNorm) for m in module.modules())

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.training.begin()
        self.mode_losses, self.eval_loss = [], None
        if self.rows is not None:
            self.rows.begin()

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
        if batch is None:
            return
        batches = int(trainer.num_training_batches)
        with self.billed():
            seldom = self.run.epoch % math.ceil(MODE_STEPS / batches) == 0
            if self.has_batch_norm and seldom and batch_idx + 1 == batches:
                self.eval_loss = loss_in_eval_mode(module, batch, batch_idx)
            if not self.run.has_validation or batch_idx % look_every(batches) == 0:
                self.training.on(module, groups_of(module, batch))

    def on_before_backward(self, trainer: pl.Trainer, module: pl.LightningModule, loss: torch.Tensor) -> None:
        with self.billed():
            self.training.off()

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        with self.billed():
            if self.rows is not None:
                self.rows.look()

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.training.off()
        if self.eval_loss is not None and (loss := loss_of(outputs)) is not None:
            self.mode_losses, self.eval_loss = [float(loss) * self.run.accumulate, self.eval_loss], None

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        self.recorder.off()
        self.training.off()

    def epoch(self) -> tuple[list[LayerUnits], dict[str, list[int]], list[float]]:
        """Layers, weight rows without gradient, and the two modes' losses of the epoch that ends."""
        with self.billed():
            source, part = (self.recorder, "validation") if self.recorder.tallies else (self.training, "train")
            layers = []
            for layer, (name, tally) in zip(source.layers(part), source.tallies.items(), strict=True):
                silent, born = tally.silent, self.dead_at_start.get(name)
                trained = self.training.tallies.get(name)
                fired_in_training = set() if trained is None else silent - trained.silent
                if born is None:
                    layers.append(replace(layer, died=0, eval_only=len(fired_in_training)))
                    continue
                layers.append(
                    replace(
                        layer,
                        at_start=len(silent & born),
                        died=len(silent - born),
                        revived=len(born - silent),
                        eval_only=len(fired_in_training) if part == "validation" else 0,
                    )
                )
            self.recorder.begin()
            silent_rows = self.rows.silent() if self.rows is not None and not self.run.partial else {}
            return layers, silent_rows, self.mode_losses

    def state_dict(self) -> dict[str, Any]:
        return {"dead_at_start": {name: sorted(units) for name, units in self.dead_at_start.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.dead_at_start = {name: set(units) for name, units in state_dict["dead_at_start"].items()}


def groups_of(module: Any, batch: Any) -> Any:
    """The group of each sample, where the module says so."""
    own = getattr(module, "groups_of", None)
    return own(batch) if callable(own) else None


def look_every(steps: int) -> int:
    """Steps from one look to the next in an epoch of so many.

    >>> look_every(400), look_every(16), look_every(5)
    (100, 8, 5)
    """
    return max(1, steps // max(1, min(LOOKS, int(LOOK_SHARE * steps))))


def start_batches(batch_size: int, train_batches: int) -> int:
    """Validation batches to look at before the first step.

    >>> start_batches(8, 1000), start_batches(8, 100), start_batches(512, 3)
    (38, 10, 1)
    """
    return max(1, min(math.ceil(START_SAMPLES / batch_size), int(START_SHARE * train_batches)))


def loss_in_eval_mode(module: pl.LightningModule, batch: Any, batch_idx: int) -> float | None:
    """Loss of a training batch in evaluation mode, leaving no trace; None where the module cannot be asked."""
    state, training = capture(), {part: part.training for part in module.modules()}
    silenced = {name: lambda *_, **__: None for name in ("log", "log_dict")}
    try:
        module.__dict__.update(silenced)
        module.eval()
        with torch.no_grad():
            loss = loss_of(module.training_step(batch, batch_idx))
        return None if loss is None else float(loss)
    except Exception:  # a step that needs more than its batch cannot be asked on the side
        return None
    finally:
        for name in silenced:
            module.__dict__.pop(name, None)
        for part, mode in training.items():
            part.training = mode
        restore(state)

"""Checkpoints of a run: ``checkpoints/last.ckpt`` to go on from, ``checkpoints/best.ckpt`` with the best weights.

They are ours, written atomically inside the run folder, and hold nothing but tensors and plain values: they are loaded
with ``weights_only=True``, so a doctored file cannot run code.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.utilities.exceptions import SIGTERMException

from ethomorph.core.errors import StudyError
from ethomorph.core.files import atomic_path
from ethomorph.training import randomness
from ethomorph.training.loader import SeededLoader
from ethomorph.training.state import RunState

FORMAT = 1
FIXED_SETTINGS = ("seed", "batch_size", "learning_rate", "schedule", "rate_warm_up", "workers")


def last_path(folder: Path) -> Path:
    return folder / "checkpoints" / "last.ckpt"


def best_path(folder: Path) -> Path:
    return folder / "checkpoints" / "best.ckpt"


def write(path: Path, checkpoint: dict[str, Any]) -> None:
    with atomic_path(path) as temporary:
        torch.save(checkpoint, temporary)


def read(path: Path) -> dict[str, Any]:
    """A checkpoint as written here.

    Raises
    ------
    StudyError : the file is damaged, or is not one of ours.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise StudyError("not a readable checkpoint", place=path, fix="start the run again without resume") from error
    if not isinstance(checkpoint, dict) or checkpoint.get("format") != FORMAT:
        raise StudyError("not a checkpoint of this version", place=path, fix="start the run again without resume")
    return checkpoint


def refuse_other_settings(checkpoint: dict[str, Any], run: RunState, path: Path) -> None:
    """Refuse to resume with settings under which the run could not come out the same."""
    for name in FIXED_SETTINGS:
        before, now = checkpoint["settings"][name], getattr(run.settings, name)
        if before != now:
            raise StudyError(
                f"the run was started with {name} = {before}, not {now}",
                place=path,
                fix=f"resume with {name} = {before} or start a new run",
            )


def capture(trainer: pl.Trainer, module: pl.LightningModule, run: RunState, parts: list[pl.Callback]) -> dict[str, Any]:
    """Everything needed to go on as if nothing had happened."""
    checkpoint: dict[str, Any] = {
        "format": FORMAT,
        "pytorch-lightning_version": pl.__version__,
        "epoch": run.epoch,
        "global_step": run.step,
        "state_dict": module.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in trainer.optimizers],
        "precision": trainer.precision_plugin.state_dict(),
        "random": randomness.capture(),
        "run": run.state_dict(),
        "settings": {name: getattr(run.settings, name) for name in FIXED_SETTINGS},
        "parts": {type(part).__name__: part.state_dict() for part in parts},
    }
    module.on_save_checkpoint(checkpoint)
    return checkpoint


def restore(
    checkpoint: dict[str, Any], trainer: pl.Trainer, module: pl.LightningModule, parts: list[pl.Callback]
) -> None:
    """Put a captured state back; random streams last, since what comes before may draw from them."""
    restore_weights(checkpoint, module)
    for optimizer, state in zip(trainer.optimizers, checkpoint["optimizers"], strict=True):
        optimizer.load_state_dict(state)
    if checkpoint["precision"]:
        trainer.precision_plugin.load_state_dict(checkpoint["precision"])
    restore_parts(checkpoint, parts)
    randomness.restore(checkpoint["random"])


def restore_weights(checkpoint: dict[str, Any], module: pl.LightningModule) -> None:
    """Put the weights of a checkpoint into `module`; those of another network are refused."""
    module.on_load_checkpoint(checkpoint)
    try:
        module.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        what = "checkpoint of a network of another shape"
        raise StudyError(
            what, place="last.ckpt", fix="resume with the settings that the run was started with"
        ) from error


def restore_parts(checkpoint: dict[str, Any], parts: list[pl.Callback]) -> None:
    """Give every part its own state back."""
    for part in parts:
        if type(part).__name__ in checkpoint["parts"]:
            part.load_state_dict(checkpoint["parts"][type(part).__name__])


class BestWeights(pl.Callback):
    """Keep the weights of the best epoch in ``best.ckpt``."""

    def __init__(self, run: RunState, row: Any) -> None:
        self.run, self.row = run, row

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        run = self.run
        value = self.row().get(run.monitor)
        if value is None or not run.better(value, run.best_value):
            return
        if run.partial:
            # not written: on resuming the epoch is finished first, and then judged
            run.partial_is_best = True
            return
        run.best_epoch, run.best_value = run.epoch, value
        checkpoint = {
            "format": FORMAT,
            "pytorch-lightning_version": pl.__version__,
            "epoch": run.epoch,
            "global_step": run.step,
            "monitor": run.monitor,
            "value": value,
            "state_dict": module.state_dict(),
        }
        module.on_save_checkpoint(checkpoint)
        write(best_path(run.folder), checkpoint)


class Keeper(Checkpoint):
    """Write ``last.ckpt`` at the start, at every epoch's end, and inside an epoch when the last one has grown old.

    A state with numbers that are not finite is never written, so the last healthy one remains. Being a `Checkpoint`
    it ends an epoch after the module's own hook. A step has no such late hook: there the writing is `due`, and
    `Resume`, first of the callbacks, does it before anything else happens.
    """

    def __init__(self, run: RunState, parts: list[pl.Callback]) -> None:
        self.run, self.parts = run, parts
        self.written = time.monotonic()
        self.due = False

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if not last_path(self.run.folder).exists():
            self.write(trainer, module)

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        run = self.run
        if batch is None or (batch_idx + 1) % run.accumulate or batch_idx + 1 == trainer.num_training_batches:
            return
        age = run.settings.checkpoint_seconds
        self.due = run.partial or (age is not None and time.monotonic() - self.written >= age)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if not self.run.partial:
            self.run.epoch, self.run.epoch_step = self.run.epoch + 1, 0
            self.write(trainer, module)

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        if isinstance(exception, SIGTERMException):  # raised between steps, without ending the epoch
            self.write_due(trainer, module)

    def write_due(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if self.due:
            self.write(trainer, module)

    def write(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.due = False
        if self.run.stop != "not finite":
            write(last_path(self.run.folder), capture(trainer, module, self.run, self.parts))
            self.written = time.monotonic()


class Resume(pl.Callback):
    """Before the first batch, put the checkpoint's state back; then keep the loader's epoch in step with the run's."""

    def __init__(self, run: RunState, loader: SeededLoader, keeper: Keeper, resumed: dict[str, Any] | None) -> None:
        self.run, self.loader, self.keeper, self.resumed = run, loader, keeper, resumed

    def setup(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        """Lightning counts from the place where the run stands."""
        epochs = trainer.fit_loop.epoch_progress.current
        epochs.ready = epochs.completed = self.run.epoch
        epochs.started = epochs.processed = self.run.epoch  # type: ignore[attr-defined]
        steps = trainer.fit_loop.epoch_loop.automatic_optimization.optim_progress.optimizer.step.total
        steps.ready = steps.completed = self.run.step
        self.loader.skip = self.run.epoch_step * self.run.accumulate

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if self.resumed is not None:
            restore(self.resumed, trainer, module, self.keeper.parts)
            self.resumed = None

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.loader.epoch = self.run.epoch

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
        self.keeper.write_due(trainer, module)

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.keeper.write_due(trainer, module)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.keeper.write_due(trainer, module)

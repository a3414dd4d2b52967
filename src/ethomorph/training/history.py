"""``history.csv``: a row an epoch, rewritten atomically, so that a reader never sees half a row."""

from __future__ import annotations

import csv
import io
import math
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.data import extract_batch_size

from ethomorph.core.files import write_text
from ethomorph.training.ranks import gathered
from ethomorph.training.state import RunState

FIRST = ("epoch", "train_loss", "validation_loss")
LAST = ("learning_rate", "seconds")


class WeightedMean:
    """Mean of losses weighted by batch size, kept on the device so that no step waits for it."""

    def __init__(self, total: float = 0.0, weight: int = 0) -> None:
        self.total: torch.Tensor = torch.tensor(total, dtype=torch.float64)
        self.weight = weight

    def add(self, loss: torch.Tensor, weight: int) -> None:
        loss = loss.detach()
        if loss.device.type != "mps":  # no float64 there
            loss = loss.double()
        self.total = self.total.to(loss.device, loss.dtype) + loss * weight
        self.weight += weight

    def of_all_ranks(self) -> WeightedMean:
        """The mean over every process of a training in several, so that all of them judge an epoch alike."""
        shares = gathered((float(self.total), self.weight))
        return WeightedMean(sum(total for total, _ in shares), sum(weight for _, weight in shares))

    @property
    def value(self) -> float | None:
        return float(self.total) / self.weight if self.weight else None


def loss_of(outputs: Any) -> torch.Tensor | None:
    """The loss in what a step returned: a tensor, or a mapping with "loss"."""
    loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
    return loss if isinstance(loss, torch.Tensor) and loss.numel() == 1 else None


def batch_size_of(batch: Any) -> int:
    """Samples in a batch; 1 where no tensor says."""
    try:
        return int(extract_batch_size(batch))
    except Exception:
        return 1


class History(pl.Callback):
    """Gather the rows. Losses are taken from what the steps return, other columns from what the module logs.

    A number that is not finite is left empty in the table; the health monitor says what happened.
    """

    def __init__(self, run: RunState) -> None:
        self.run = run
        self.rows: list[dict[str, Any]] = []
        self.train, self.validation = WeightedMean(), WeightedMean()
        self.epoch_started = time.monotonic()
        self.seconds_before = 0.0
        self.validation_seconds = 0.0

    @property
    def path(self) -> Path:
        return self.run.folder / "history.csv"

    def row(self) -> dict[str, Any]:
        """The newest row; empty before the first."""
        return self.rows[-1] if self.rows else {}

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.epoch_started = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        loss = loss_of(outputs)
        if batch is not None and loss is not None:
            self.train.add(loss * self.run.accumulate, batch_size_of(batch))

    def on_validation_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.validation = WeightedMean()
        self.validation_seconds = -time.monotonic()

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        loss = loss_of(outputs)
        if loss is not None:
            self.validation.add(loss, batch_size_of(batch))

    def on_validation_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.validation_seconds += time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        row: dict[str, Any] = {"epoch": self.run.epoch + 1, "train_loss": self.train.of_all_ranks().value}
        row["validation_loss"] = self.validation.value
        row |= {name: float(value) for name, value in trainer.callback_metrics.items()}
        row["learning_rate"] = trainer.optimizers[0].param_groups[0]["lr"]
        row["seconds"] = round(self.seconds_before + time.monotonic() - self.epoch_started, 3)
        self.rows.append({k: v for k, v in row.items() if v is not None and math.isfinite(v)})
        write_history(self.path, self.rows)
        self.train, self.validation = WeightedMean(), WeightedMean()
        self.epoch_started, self.seconds_before = time.monotonic(), 0.0

    def state_dict(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "train": [float(self.train.total), self.train.weight],
            "validation_seconds": self.validation_seconds,
            "seconds": self.seconds_before + time.monotonic() - self.epoch_started,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = [dict(row) for row in state_dict["rows"]]
        self.train = WeightedMean(*state_dict["train"])
        self.validation_seconds = state_dict["validation_seconds"]
        self.seconds_before, self.epoch_started = state_dict["seconds"], time.monotonic()
        write_history(self.path, self.rows)


def write_history(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows as CSV: epoch and losses first, learning rate and seconds last, other columns by name between."""
    others = sorted({name for row in rows for name in row} - set(FIRST) - set(LAST))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [*FIRST, *others, *LAST], lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows({k: repr(v) if isinstance(v, float) else v for k, v in row.items()} for row in rows)
    write_text(path, stream.getvalue())


def read_history(path: Path) -> list[dict[str, float]]:
    """Rows of a history file; empty cells are left out."""
    with path.open(encoding="utf-8", newline="") as stream:
        return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(stream)]

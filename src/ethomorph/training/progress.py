"""How far a fit is and how long it will take at most, on standard error only.

On a terminal a bar, elsewhere a line every ten seconds: a log stays readable and standard output stays clean.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import lightning.pytorch as pl

from ethomorph.training.state import RunState

LINE_SECONDS = 10.0


class Progress(pl.Callback):
    """Show epoch, losses and the time left at most (early stopping may end it sooner)."""

    def __init__(self, run: RunState, row: Any, *, label: str = "training") -> None:
        self.run, self.row, self.label = run, row, label
        self.bar: Any = None
        self.task: Any = None
        self.first_step = 0
        self.started = self.spoken = time.monotonic()

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.first_step, self.started, self.spoken = self.run.step, time.monotonic(), time.monotonic()
        if not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        self.bar = Bar(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"),
                       console=Console(stderr=True), transient=True)  # fmt: skip
        self.task = self.bar.add_task(self.label, total=1.0, note="")
        self.bar.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        now = time.monotonic()
        if self.bar is None and now - self.spoken < LINE_SECONDS:
            return
        share = self.share(trainer)
        if self.bar is not None:
            self.bar.update(self.task, completed=share, note=self.note(trainer, now))
        else:
            self.spoken = now
            print(f"{self.label}: {self.note(trainer, now)}", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def steps_in_all(self, trainer: pl.Trainer) -> int:
        settings = self.run.settings
        total = -(-int(trainer.num_training_batches) // self.run.accumulate) * settings.max_epochs
        return min(total, settings.max_steps or total)

    def share(self, trainer: pl.Trainer) -> float:
        """Share done of whichever limit will come first."""
        minutes = self.run.settings.max_minutes
        by_time = self.run.seconds / (60 * minutes) if minutes else 0.0
        return min(1.0, max(self.run.step / self.steps_in_all(trainer), by_time))

    def note(self, trainer: pl.Trainer, now: float) -> str:
        parts = [f"epoch {self.run.epoch + 1} of {self.run.settings.max_epochs}"]
        row = self.row()
        parts += [
            f"{name.replace('_', ' ')} {row[name]:.4g}" for name in ("train_loss", "validation_loss") if name in row
        ]
        done = self.run.step - self.first_step
        if done:
            left = (now - self.started) / done * (self.steps_in_all(trainer) - self.run.step)
            if self.run.settings.max_minutes:
                left = min(left, max(0.0, 60 * self.run.settings.max_minutes - self.run.seconds))
            parts.append(f"at most {duration(left)} left")
        return ", ".join(parts)


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration(42), duration(200), duration(7300)
    ('42 s', '3 min', '2 h 2 min')
    """
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"

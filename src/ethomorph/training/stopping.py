"""When a run ends before its last epoch, and the sentence that says why."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

import lightning.pytorch as pl
import torch

from ethomorph.training.history import History, loss_of
from ethomorph.training.ranks import gathered, ranks
from ethomorph.training.state import RunState
from ethomorph.training.supervision import Supervision

FINITE_EVERY_ON_DEVICE = 16  # steps between looks at the loss on a GPU: each look makes the host wait


class EarlyStop(pl.Callback):
    """Stop when the monitored column has not improved for `patience` epochs after the warm-up."""

    def __init__(self, run: RunState, row: Any) -> None:
        self.run, self.row = run, row
        self.best: float | None = None
        self.best_epoch = 0
        self.waited = 0

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        run = self.run
        value = self.row().get(run.monitor)
        if run.partial:
            return
        if value is not None and run.better(value, self.best, run.settings.min_delta):
            self.best, self.best_epoch, self.waited = value, run.epoch, 0
        elif run.epoch >= run.settings.warm_up:
            self.waited += 1
        if self.exhausted:
            run.request_stop(trainer, "early", self.reason())

    @property
    def exhausted(self) -> bool:
        return 0 < self.run.settings.patience <= self.waited

    def reason(self) -> str:
        settings, name = self.run.settings, self.run.monitor.replace("_", " ")
        if self.best is None:
            return f"no {name} could be computed in {self.waited} epochs"
        return (
            f"{name} did not improve by more than {settings.min_delta:.3g} of itself for {self.waited} epochs; "
            f"the best was {self.best:.4g} in epoch {self.best_epoch + 1}"
        )

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "best_epoch": self.best_epoch, "waited": self.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.best_epoch, self.waited = (state_dict[k] for k in ("best", "best_epoch", "waited"))


class Supervised(pl.Callback):
    """Tell a supervision of every epoch, and stop when it has seen enough."""

    def __init__(self, run: RunState, row: Any, supervision: Supervision) -> None:
        self.run, self.row, self.supervision = run, row, supervision

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        tell = self.supervision.on_epoch
        if tell is not None and not self.run.partial and (reason := tell(self.row())):
            self.run.request_stop(trainer, "pruned", reason)


class Limits(pl.Callback):
    """Stop at a step boundary: time is up, enough steps, someone asked, or the loss is no number any more."""

    def __init__(self, run: RunState, history: History) -> None:
        self.run, self.history = run, history

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        run = self.run
        last = batch_idx + 1 == trainer.num_training_batches
        if batch is None or ((batch_idx + 1) % run.accumulate and not last):
            return
        if (loss := broken_loss(outputs, run.step, last)) is not None:
            where = f"epoch {run.epoch + 1}, step {run.step}"
            run.request_stop(trainer, "not finite", f"the training loss was {loss} in {where}", validate=False)
        self.check(trainer)
        self.agree(trainer)
        run.partial = bool(run.stop) and not last

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if not self.run.partial:
            self.check(trainer)
            self.agree(trainer)

    def agree(self, trainer: pl.Trainer) -> None:
        """Where one of several processes has to stop, all do, at the same step and for its reason."""
        if not ranks().several:
            return
        stops = [stop for stop in gathered((self.run.stop, self.run.stop_reason)) if stop[0]]
        if stops:
            self.run.stop, self.run.stop_reason = stops[0]
            self.run.request_stop(trainer, *stops[0], validate=stops[0][0] not in ("not finite", "interrupt"))

    def check(self, trainer: pl.Trainer) -> None:
        run, settings = self.run, self.run.settings
        where = f"in epoch {run.epoch + 1} after {run.step} steps"
        if run.interrupt:
            reason = f"stopped by {run.interrupt} {where}; the run can be resumed"
            run.request_stop(trainer, "interrupt", reason, validate=False)
        if settings.max_steps is not None and run.step >= settings.max_steps:
            run.request_stop(trainer, "steps", f"{settings.max_steps} steps, as many as asked for, were done")
        if (up := self.time_up()) is not None:
            run.request_stop(trainer, "time", up)

    def time_up(self) -> str | None:
        """The sentence, when what is left of the time would not do for another validation pass."""
        run = self.run
        minutes = run.settings.max_minutes
        if minutes is None or run.seconds + max(0.0, self.history.validation_seconds) < 60 * minutes:
            return None
        return f"{minutes:g} minutes were up in epoch {run.epoch + 1} after {run.step} steps; the run can be resumed"


def broken_loss(outputs: Any, step: int, last: bool) -> float | None:
    """The loss where it is no finite number. On a GPU only some steps are looked at."""
    loss = loss_of(outputs)
    if loss is None or not (last or loss.device.type == "cpu" or step % FINITE_EVERY_ON_DEVICE == 0):
        return None
    return None if bool(torch.isfinite(loss)) else float(loss)


@contextlib.contextmanager
def interrupts(run: RunState) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the run at the next step; a second one ends it at once (the checkpoint stands)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    before = listen(run)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def listen(run: RunState) -> dict[signal.Signals, Any]:
    """Let Ctrl-C and SIGTERM be noted in `run`; returns the handlers before."""

    def ask(number: int, frame: Any) -> None:
        if run.interrupt:
            raise KeyboardInterrupt
        run.interrupt = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name

    return {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}

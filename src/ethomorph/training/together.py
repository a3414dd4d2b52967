"""What several processes that train one network must share beside gradients, which Lightning averages."""

from __future__ import annotations

import threading

import lightning.pytorch as pl

from ethomorph.training.state import RunState
from ethomorph.training.stopping import listen


class Together(pl.Callback):
    """Let several processes judge an epoch alike, and stop at the same step.

    Each validates on the whole validation part, with the first one's buffers: running means of batch normalisation,
    which each has of its own share, would otherwise let one stop where another goes on. Signals are noted and agreed
    upon at the next step; Lightning's own handler would talk to the others inside the signal, in the midst of a step.
    """

    def __init__(self, run: RunState) -> None:
        self.run = run

    def on_sanity_check_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.hear()

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.hear()

    def hear(self) -> None:
        if threading.current_thread() is threading.main_thread():
            listen(self.run)

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        from torch import distributed

        for buffer in module.buffers():
            distributed.broadcast(buffer.data, src=0)

"""What several processes that train one network must share beside gradients, which Lightning averages."""

from __future__ import annotations

import lightning.pytorch as pl


class Together(pl.Callback):
    """Give every process the first one's buffers before each validation, so that all of them judge an epoch alike.

    Each process validates on the whole validation part; running means of batch normalisation, which each has of its own
    share, would otherwise let one stop where another goes on.
    """

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        from torch import distributed

        for buffer in module.buffers():
            distributed.broadcast(buffer.data, src=0)

"""Lightning without its tips, banners and hints: what matters to a person is said by this room."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator

LOGGERS = (
    "lightning",
    "lightning.pytorch",
    "lightning.pytorch.utilities.rank_zero",
    "lightning.fabric",
    "lightning.fabric.utilities.seed",
    "pytorch_lightning",
    "lightning_fabric",
    "lightning_utilities",
)
HINTS = (".*does not have many workers.*", ".*yielded None.*", ".*no `?log_every.*", ".*number of training batches.*",
         ".*Trying to infer the `batch_size`.*", ".*modules? in eval mode.*", ".*torch.jit.*", ".*torchmetrics.*",
         ".*has been configured.*validation_step.*", ".*defined a `validation_step`.*", ".*GPU available.*",
         ".*is_on_gpu.*", ".*`srun` command.*", ".*LeafSpec.*", ".*tensorboard.*")  # fmt: skip


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence Lightning's loggers and the hints that do not apply here; every other warning passes."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for hint in HINTS:
                warnings.filterwarnings("ignore", message=hint)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)

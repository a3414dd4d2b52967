"""The fit loop that every system shares: data in, a trained module and a run folder's worth of evidence out.

It knows nothing of networks or tasks: a module says its loss, this says when to stop, what to keep and what was wrong.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ethomorph.training.health import Health
from ethomorph.training.settings import FitSettings

if TYPE_CHECKING:
    import lightning.pytorch as pl

LoaderFactory = Callable[[int], Any]
__all__ = ["FitResult", "FitSettings", "LoaderFactory", "fit"]


@dataclass(frozen=True)
class FitResult:
    """What a fit did. Epochs count from 1.

    Attributes
    ----------
    stop_reason : one sentence for people; `stop` is its kind: "epochs", "steps", "early", "time", "interrupt",
        "not finite" or "pruned".
    best_epoch : epoch whose weights the module now has; None where no epoch could be judged and the last ones stand.
    epochs, steps, seconds : done in all, those before a resume included.
    history : path of history.csv (gone with the folder where none was given).
    health : what the monitor found; also in health.json and, as raw evidence, in evidence.json.
    batch_size, accumulate : samples in memory at once, and how many such batches make a step.
    notes : sentences about what was not done as asked.
    """

    stop_reason: str
    stop: str
    best_epoch: int | None
    epochs: int
    steps: int
    seconds: float
    history: Path
    health: Health
    batch_size: int
    accumulate: int
    device: str
    precision: str
    notes: list[str] = field(default_factory=list)


def fit(
    module: pl.LightningModule,
    train_loader_factory: LoaderFactory,
    validation_loader_factory: LoaderFactory | None,
    *,
    settings: FitSettings | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
    label: str = "training",
) -> FitResult:
    """Train `module` in place and leave it on the CPU, in eval mode, with the weights of its best epoch.

    Parameters
    ----------
    module : LightningModule with one optimizer. ``training_step`` and ``validation_step`` return the mean loss of the
        batch (a tensor, or a dict with "loss"); whatever they ``self.log`` by epoch becomes a column of the history.
        `FitSettings.learning_rate` rules: the rate in ``configure_optimizers`` is overwritten, times a parameter
        group's ``lr_scale``; schedulers are this room's business. ``on_train_batch_end`` gets None as batch for those
        that a resumed run skips. What the health monitor asks of a module and its data sets, all of it optional, is
        listed in `ethomorph.training.monitor`.
    train_loader_factory, validation_loader_factory : make a loader for a batch size; None for no validation part. The
        training loader shuffles by itself. See `ethomorph.training.loader.SeededLoader` for where a data set may draw
        random numbers from.
    folder : run folder for history.csv, health.json, evidence.json and checkpoints; None uses one that is thrown away.
    resume : go on from the folder's last checkpoint, if there is one, to the same result as an unbroken run: on a CPU
        the same weights to the last bit.
    progress : show progress on standard error.

    Raises
    ------
    InputError : no training samples, an impossible setting, a device that is not here.
    StudyError : a checkpoint that cannot be resumed.
    KeyboardInterrupt : Ctrl-C twice. Once ends the run at the next step, with a result.
    """
    from ethomorph.training.loop import run_fit
    from ethomorph.training.supervision import current

    settings, factories = settings or FitSettings(), (train_loader_factory, validation_loader_factory)
    supervision = current()
    if supervision is not None:
        settings, factories = supervision.prepare(module, settings, factories)
    shown = label if progress else None
    if folder is not None:
        return run_fit(module, factories, settings, Path(folder), resume=resume, label=shown)
    with tempfile.TemporaryDirectory(prefix="ethomorph-fit-") as thrown_away:
        return run_fit(module, factories, settings, Path(thrown_away), resume=False, label=shown)

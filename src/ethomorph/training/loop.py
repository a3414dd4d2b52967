"""One run from start to stop: a trainer put together, resumed where there is something to resume, retried where memory
ran out. The parts are callbacks, one concern a file; their order in `callbacks` is the order in which an epoch ends.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.utilities.exceptions import SIGTERMException

from ethomorph.core.errors import InputError, MissingPart
from ethomorph.training import checkpoint as checkpoints
from ethomorph.training.checkpoint import BestWeights, Keeper, Resume
from ethomorph.training.devices import choose_device, choose_precision, lightning_device
from ethomorph.training.fit import FitResult, LoaderFactory
from ethomorph.training.history import History
from ethomorph.training.loader import VALIDATION, SeededLoader
from ethomorph.training.memory import is_out_of_memory, release, smaller_batch
from ethomorph.training.monitor import HealthMonitor
from ethomorph.training.progress import Progress
from ethomorph.training.quiet import quiet
from ethomorph.training.randomness import seed_all
from ethomorph.training.ranks import join, ranks, refuse_uneven, shared_out, trainer_options
from ethomorph.training.rate import LearningRate
from ethomorph.training.settings import FitSettings
from ethomorph.training.state import RunState
from ethomorph.training.steps import Steps
from ethomorph.training.stopping import EarlyStop, Limits, Supervised, interrupts
from ethomorph.training.supervision import current
from ethomorph.training.together import Together
from ethomorph.training.unit_monitor import start_batches

Factories = tuple[LoaderFactory, LoaderFactory | None]


def run_fit(
    module: pl.LightningModule,
    factories: Factories,
    settings: FitSettings,
    folder: Path,
    *,
    resume: bool,
    label: str | None,
) -> FitResult:
    """What `ethomorph.training.fit.fit` promises; no progress without a `label`."""
    join()
    refuse_uneven(settings.batch_size)
    device = choose_device(settings.device)
    precision, note = choose_precision(settings.precision, device)
    run = RunState(settings, folder, batch_size=settings.batch_size, notes=[note] if note else [])
    last, best = checkpoints.last_path(folder), checkpoints.best_path(folder)
    if not resume:
        last.unlink(missing_ok=True)
        best.unlink(missing_ok=True)
    monitor = HealthMonitor(run)
    seed_all(settings.seed)
    with quiet(), interrupts(run):
        while not one_go(module, factories, run, monitor, device=device, precision=precision, label=label):
            # outside the handler of the error, whose traceback would hold on to the tensors
            module.zero_grad(set_to_none=True)
            module.cpu()
            release()
    best_epoch = run.best_epoch
    health = monitor.finish()
    if (supervision := current()) is not None:
        supervision.evidence.append(monitor.evidence)
    if run.partial_is_best:
        best_epoch = run.epoch
    elif best_epoch is not None and best.exists():
        checkpoints.restore_weights(checkpoints.read(best), module)
    module.cpu().eval()
    return FitResult(
        stop_reason=run.stop_reason,
        stop=run.stop,
        best_epoch=None if best_epoch is None else best_epoch + 1,
        epochs=run.epoch + int(run.partial),
        steps=run.step,
        seconds=run.seconds,
        history=folder / "history.csv",
        health=health,
        batch_size=run.batch_size,
        accumulate=run.accumulate,
        device=device,
        precision=precision,
        notes=list(run.notes),
    )


def one_go(
    module: pl.LightningModule,
    factories: Factories,
    run: RunState,
    monitor: HealthMonitor,
    *,
    device: str,
    precision: str,
    label: str | None,
) -> bool:
    """Train from the last checkpoint, or the start, to the stop; False when memory ran out and it needs another go."""
    last = checkpoints.last_path(run.folder)
    resumed = checkpoints.read(last) if last.exists() else None
    if resumed is not None:
        checkpoints.refuse_other_settings(resumed, run, last)
        take_up(run, resumed)
    settings = run.settings
    loader, validation = seeded(factories, run)
    run.has_validation = validation is not None and len(validation) > 0
    history = History(run)
    monitor.begin(module, loader, validation, history.row)
    refuse_empty(loader, monitor)

    early, limits = EarlyStop(run, history.row), Limits(run, history)
    parts: list[pl.Callback] = [Steps(run), LearningRate(run, history.row), history, monitor.units, monitor]
    parts += [BestWeights(run, history.row), limits, early]
    show = Progress(run, history.row, label=label or "")
    keeper = Keeper(run, parts)
    callbacks = [Resume(run, loader, keeper, resumed), *parts, *([show] if label else []), keeper]
    callbacks += [Together(run)] if ranks().several else []
    if (supervision := current()) is not None:
        callbacks.append(Supervised(run, history.row, supervision))
    if resumed is not None:
        checkpoints.restore_parts(resumed, parts)
        if finished(run, early, limits):
            checkpoints.restore_weights(resumed, module)
            return True
    accelerator, devices = lightning_device(device)
    trainer = pl.Trainer(
        accelerator=accelerator,
        devices=devices,
        precision=precision,  # type: ignore[arg-type]
        max_epochs=settings.max_epochs,
        min_epochs=0,
        accumulate_grad_batches=run.accumulate,
        gradient_clip_val=settings.gradient_clip,
        callbacks=callbacks,
        logger=tensorboard(run.folder) if settings.tensorboard else False,
        log_every_n_steps=10,
        enable_progress_bar=False,
        enable_model_summary=False,
        # units are looked at before the first step
        num_sanity_val_steps=start_batches(run.batch_size, len(loader)) if run.has_validation and not run.step else 0,
        use_distributed_sampler=False,
        default_root_dir=run.folder,
        **trainer_options(),
    )
    try:
        trainer.fit(module, loader, validation if run.has_validation else None)
    except SIGTERMException:
        pass  # Lightning's own way out, taken after the step at which the run was stopped and written
    except (RuntimeError, MemoryError) as error:
        smaller = smaller_batch(run.batch_size, settings.batch_size)
        if not is_out_of_memory(error) or smaller is None or ranks().several:  # the others would go on waiting
            raise
        monitor.out_of_memory(run.batch_size, smaller)
        run.batch_size, run.accumulate = smaller, settings.batch_size // smaller
        run.notes.append(f"memory ran out: batches of {smaller} were accumulated to {settings.batch_size}")
        return False
    finally:
        show.close()
    if run.interrupt and not run.stop:  # between two epochs, where no step was left to notice it
        reason = f"stopped by {run.interrupt} after epoch {run.epoch}; the run can be resumed"
        run.stop, run.stop_reason = "interrupt", reason
    if not run.stop:
        run.stop, run.stop_reason = "epochs", f"all {settings.max_epochs} epochs were done"
    return True


def seeded(factories: Factories, run: RunState) -> tuple[SeededLoader, SeededLoader | None]:
    """The two loaders at the batch size that fits in memory."""
    make_train, make_validation = factories
    loader = SeededLoader(shared_out(make_train(run.batch_size)), seed=run.settings.seed)
    if make_validation is None:
        return loader, None
    return loader, SeededLoader(make_validation(run.batch_size), seed=run.settings.seed, part=VALIDATION)


def take_up(run: RunState, resumed: dict[str, Any]) -> None:
    """Take the run's standing from a checkpoint; a batch that memory has just refused stays refused."""
    batch_size, accumulate, notes, seconds = run.batch_size, run.accumulate, run.notes, run.seconds
    run.load_state_dict(resumed["run"])
    run.notes += [note for note in notes if note not in run.notes]
    if batch_size < run.batch_size:
        smaller_per_batch = accumulate // run.accumulate
        run.batch_size, run.accumulate = batch_size, run.accumulate * smaller_per_batch
        run.seconds_before = max(run.seconds_before, seconds)


def finished(run: RunState, early: EarlyStop, limits: Limits) -> bool:
    """Whether a resumed run has nothing left to do, so that resuming it twice changes nothing."""
    settings = run.settings
    if early.exhausted:
        run.stop, run.stop_reason = "early", early.reason()
    elif run.epoch >= settings.max_epochs:
        run.stop, run.stop_reason = "epochs", f"all {settings.max_epochs} epochs were done"
    elif settings.max_steps is not None and run.step >= settings.max_steps:
        run.stop, run.stop_reason = "steps", f"{settings.max_steps} steps, as many as asked for, were done"
    elif (reason := limits.time_up()) is not None:
        run.stop, run.stop_reason = "time", reason
    return bool(run.stop)


def refuse_empty(loader: SeededLoader, monitor: HealthMonitor) -> None:
    """Refuse to train on nothing, once the health report says so too."""
    if len(loader) == 0:
        monitor.finish()
        raise InputError("no training samples", place="training", fix="give at least one sample to train on")


def tensorboard(folder: Path) -> Any:
    """Lightning's TensorBoard logger in the run folder."""
    try:
        from lightning.pytorch.loggers import TensorBoardLogger

        return TensorBoardLogger(folder, name="tensorboard", version="")
    except ImportError as error:
        fix = "pip install 'ethomorph[tensorboard]' or leave tensorboard off"
        raise MissingPart("TensorBoard is not installed", place="tensorboard", fix=fix) from error

"""What a person may set about a fit, and nothing about networks or data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ethomorph.core.errors import InputError

Schedule = Literal["constant", "plateau", "cosine"]


@dataclass(frozen=True)
class FitSettings:
    """Settings of one fit.

    Parameters
    ----------
    max_epochs : passes over the training part at most.
    max_minutes : wall-clock limit in minutes, time used before resuming included; None for no limit.
    max_steps : optimizer steps at most; None for no limit.
    learning_rate : rate of every parameter group, times the group's own ``lr_scale`` where it has one.
    batch_size : samples per optimizer step. Where memory runs out, smaller batches are accumulated to this size.
    patience : epochs without improvement after which training stops; 0 never stops early.
    min_delta : smallest improvement that counts, relative to the best value so far.
    warm_up : epochs during which early stopping does not count.
    gradient_clip : largest L2 norm of all gradients together; None leaves them alone.
    precision : "auto" (bf16 or 16 mixed on CUDA, 32 elsewhere), "32", "bf16" or "16" (mixed; on CUDA only).
    device : "auto" (CUDA, then MPS, then CPU), "cpu", "cuda", "cuda:1", "mps".
    seed : order of the data, augmentation and drop-out follow from it.
    workers : processes that load data; 0 loads in this one. A resumed run must use the same number.
    schedule : "plateau" multiplies the rate by `plateau_factor` after `plateau_patience` epochs without improvement,
        "cosine" falls to a hundredth of the rate at `max_epochs`, "constant" stays. All are functions of steps and
        epochs, never of the clock, so that a run can be repeated: one cut by `max_minutes` ends before its rate has
        come down.
    rate_warm_up : optimizer steps over which the rate rises from zero.
    monitor, mode : history column that judges an epoch, and whether "min" or "max" is better. Without a validation
        part ``validation_loss`` becomes ``train_loss``.
    checkpoint_seconds : write a checkpoint inside an epoch when the last one is older; None writes at epoch ends only.
    tensorboard : also write TensorBoard logs, where the package is installed.

    Examples
    --------
    >>> FitSettings(max_epochs=3).patience
    10
    >>> FitSettings(batch_size=0)
    Traceback (most recent call last):
    ...
    ethomorph.core.errors.InputError: batch_size: 0; give a whole number of at least 1
    """

    max_epochs: int = 100
    max_minutes: float | None = None
    max_steps: int | None = None
    learning_rate: float = 1e-3
    batch_size: int = 8
    patience: int = 10
    min_delta: float = 1e-3
    warm_up: int = 5
    gradient_clip: float | None = 1.0
    precision: str = "auto"
    device: str = "auto"
    seed: int = 0
    workers: int = 0
    schedule: Schedule = "plateau"
    plateau_patience: int = 4
    plateau_factor: float = 0.5
    rate_warm_up: int = 0
    monitor: str = "validation_loss"
    mode: Literal["min", "max"] = "min"
    checkpoint_seconds: float | None = 120.0
    tensorboard: bool = False

    def __post_init__(self) -> None:
        for name in ("max_epochs", "batch_size"):
            refuse_below(name, getattr(self, name), 1)
        for name in ("patience", "min_delta", "warm_up", "workers", "plateau_patience", "rate_warm_up", "seed"):
            refuse_below(name, getattr(self, name), 0)
        if self.max_steps is not None:
            refuse_below("max_steps", self.max_steps, 1)
        refuse_other("schedule", self.schedule, ("constant", "plateau", "cosine"))
        refuse_other("mode", self.mode, ("min", "max"))
        refuse_other("precision", self.precision, ("auto", "32", "bf16", "16"))


def refuse_below(name: str, value: float, least: int) -> None:
    """Refuse a value below `least`."""
    if not value >= least:
        kind = "whole number" if isinstance(value, int) else "number"
        raise InputError(str(value), place=name, fix=f"give a {kind} of at least {least}")


def refuse_other(name: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse a word that is not one of `known`."""
    if value not in known:
        raise InputError(repr(value), place=name, fix=f"use one of {', '.join(known)}")

"""The state of one run that its callbacks share: where it stands, how long it took, why it stops."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from ethomorph.training.settings import FitSettings

Stop = Literal["", "epochs", "steps", "early", "time", "interrupt", "not finite", "pruned"]
RESUMABLE: tuple[Stop, ...] = ("", "epochs", "steps", "time", "interrupt")


@dataclass
class RunState:
    """Everything about a run that is neither weights nor settings. Epochs count from 0 here and from 1 for people.

    `step` counts optimizer steps of the whole run, `epoch_step` those of the epoch under way. `partial` is set when the
    run was told to stop inside an epoch.
    """

    settings: FitSettings
    folder: Path
    batch_size: int
    accumulate: int = 1
    epoch: int = 0
    epoch_step: int = 0
    step: int = 0
    seconds_before: float = 0.0
    started: float = field(default_factory=time.monotonic)
    stop: Stop = ""
    stop_reason: str = ""
    partial: bool = False
    interrupt: str = ""
    best_epoch: int | None = None
    best_value: float | None = None
    partial_is_best: bool = False
    has_validation: bool = True
    notes: list[str] = field(default_factory=list)

    SAVED: ClassVar[tuple[str, ...]] = (
        "batch_size",
        "accumulate",
        "epoch",
        "epoch_step",
        "step",
        "best_epoch",
        "best_value",
        "notes",
    )

    @property
    def seconds(self) -> float:
        """Seconds of training so far, those before a resume included."""
        return self.seconds_before + time.monotonic() - self.started

    @property
    def monitor(self) -> str:
        """The history column that judges an epoch."""
        wish = self.settings.monitor
        return "train_loss" if wish == "validation_loss" and not self.has_validation else wish

    def better(self, value: float, than: float | None, min_delta: float = 0.0) -> bool:
        """Whether `value` improves on `than` by more than the relative `min_delta`."""
        if than is None:
            return True
        gain = than - value if self.settings.mode == "min" else value - than
        return gain > min_delta * abs(than)

    def request_stop(self, trainer: Any, stop: Stop, reason: str, *, validate: bool = True) -> None:
        """Stop at the end of this step; the first reason stands."""
        if not self.stop:
            self.stop, self.stop_reason = stop, reason
        trainer.should_stop = True
        if not validate:
            trainer.limit_val_batches = 0

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.SAVED} | {"seconds": self.seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in self.SAVED:
            setattr(self, name, state[name])
        self.seconds_before, self.started = float(state["seconds"]), time.monotonic()

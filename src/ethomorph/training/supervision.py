"""What stands above a fit for a while: an experiment that changes it, a sweep that may cut it short.

`supervised` lends a `Supervision` to every fit inside its ``with`` block, so that a task needs to know nothing of
experiments and sweeps. Nothing here chooses what to change; see `ethomorph.training.changes`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ethomorph.training.settings import FitSettings

if TYPE_CHECKING:
    import lightning.pytorch as pl

    from ethomorph.training.changes import Change
    from ethomorph.training.evidence import Evidence

_CURRENT: ContextVar[Supervision | None] = ContextVar("supervision", default=None)


@dataclass
class Supervision:
    """What is asked of the fits inside the block, and what they left.

    Attributes
    ----------
    change : the one thing that is done otherwise; None for nothing.
    start : a checkpoint with the weights to begin with; None for the module's own.
    max_steps, max_minutes : bounds beside those of the settings; the tighter one holds.
    on_epoch : called with each row of the history; a sentence that comes back ends the fit as "pruned".
    evidence : of each fit that ended, in order.
    """

    change: Change | None = None
    start: Path | None = None
    max_steps: int | None = None
    max_minutes: float | None = None
    on_epoch: Callable[[dict[str, Any]], str | None] | None = None
    evidence: list[Evidence] = field(default_factory=list)

    def prepare(self, module: pl.LightningModule, settings: FitSettings, factories: Any) -> tuple[FitSettings, Any]:
        """Settings and loader factories as this supervision wants them; the module is changed in place."""
        if self.start is not None:
            from ethomorph.training.checkpoint import read, restore_weights

            restore_weights(read(self.start), module)
        if self.change is not None:
            settings, factories = self.change.apply(module, settings, factories)
            # an experiment has its own length: that the run had few epochs must not make it shorter still
            settings = replace(settings, max_epochs=max(settings.max_epochs, self.max_steps or 0))
        steps = [limit for limit in (settings.max_steps, self.max_steps) if limit is not None]
        minutes = [limit for limit in (settings.max_minutes, self.max_minutes) if limit is not None]
        return replace(settings, max_steps=min(steps, default=None), max_minutes=min(minutes, default=None)), factories


def current() -> Supervision | None:
    """The supervision that holds here, if any."""
    return _CURRENT.get()


@contextlib.contextmanager
def supervised(supervision: Supervision) -> Iterator[Supervision]:
    """Lend `supervision` to every fit inside the block."""
    token = _CURRENT.set(supervision)
    try:
        yield supervision
    finally:
        _CURRENT.reset(token)

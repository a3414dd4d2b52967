"""The health monitor: a Lightning callback that gathers `Evidence` and changes nothing.

It looks at a few steps of every epoch only, so that it costs a few per cent of the time; how much it did cost stands in
the evidence. The judging is done by the rules.

It works for any module. These, all optional, let it see more:

==================================  ==================================================================================
``module.classes``                  number of classes of a cross-entropy; ln K is then the loss that is expected first
``module.expected_initial_loss``    the same for another loss
``module.baseline_losses``          name to loss of predictors that know nothing
``module.inputs_of(batch)``         what the network is shown
``module.labels_of(batch)``         class numbers
``module.targets_of(batch)``        continuous targets of a regression
``module.groups_of(batch)``         group of each sample: which units fire for one group only
``module.prediction_statistics()``  name to number, after each validation pass; names as in `training.predictions`
what ``validation_step`` returns    beside "loss": "scores" and "labels", "peaks", or "predicted" and "targets", from
                                    which the same statistics are made
``module.facts``, ``dataset.facts`` dictionary, or a method that gives one, as made by `training.preflight`
==================================  ==================================================================================
"""

from __future__ import annotations

import functools
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import lightning.pytorch as pl
import torch

from ethomorph.training.evidence import EpochEvidence, Evidence
from ethomorph.training.health import Health, diagnose
from ethomorph.training.history import loss_of
from ethomorph.training.predictions import add_outputs, tally_for
from ethomorph.training.samples import (
    count_labels,
    describe,
    describe_targets,
    empty_one_hot,
    inputs_of,
    labels_of,
    pooled,
    targets_of,
)
from ethomorph.training.state import RunState
from ethomorph.training.stopping import broken_loss
from ethomorph.training.unit_monitor import UnitMonitor, look_every
from ethomorph.training.weights import initial_weights, recurrent_relu

INPUT_SAMPLES = 64  # samples whose input is described
WRITE_SECONDS = 5.0  # least time between two writings of the files


def timed(hook: Callable[..., None]) -> Callable[..., None]:
    """Add the time a hook takes to the monitor's bill."""

    @functools.wraps(hook)
    def wrapped(self: HealthMonitor, *args: Any, **kwargs: Any) -> None:
        started = time.perf_counter()
        try:
            hook(self, *args, **kwargs)
        finally:
            self.evidence.monitor_seconds += time.perf_counter() - started

    return wrapped


class HealthMonitor(pl.Callback):
    """Gather evidence of one run. `begin` before each trainer, `finish` once at the end."""

    def __init__(self, run: RunState) -> None:
        self.run = run
        self.evidence = Evidence(settings=asdict(run.settings), learning_rate=run.settings.learning_rate)
        self.row: Callable[[], dict[str, Any]] = dict
        self.looks: dict[str, list[float]] = {}
        self.names: list[str] = []
        self.weights: list[torch.Tensor] = []
        self.before: list[torch.Tensor] | None = None
        self.written = time.monotonic()
        self.units = UnitMonitor(run)
        self.tally: Any = None

    def begin(self, module: Any, loader: Any, validation: Any | None, row: Callable[[], dict[str, Any]]) -> None:
        """Start on a module and its loaders; sightings of an earlier try with a larger batch are kept."""
        kept = self.evidence.out_of_memory
        self.evidence = Evidence(
            settings=self.evidence.settings,
            learning_rate=self.evidence.learning_rate,
            monitor=self.run.monitor,
            mode=self.run.settings.mode,
            out_of_memory=kept,
            train_samples=samples_in(loader),
            validation_samples=None if validation is None else samples_in(validation),
            classes=getattr(module, "classes", None),
            recurrent_relu=recurrent_relu(module),
            facts=facts_of(module, loader),
        )
        self.row, self.looks, self.before = row, {}, None
        self.units, self.tally = UnitMonitor(self.run), None
        self.ask(module)

    def ask(self, module: Any) -> None:
        """What the module declares; it may know it only after some batches."""
        seen = self.evidence
        expected = getattr(module, "expected_initial_loss", None)
        if expected is None and seen.classes:
            expected = math.log(seen.classes)
        seen.expected_initial_loss = None if expected is None else float(expected)
        seen.baseline_losses = {name: float(v) for name, v in (getattr(module, "baseline_losses", None) or {}).items()}
        counts = seen.class_counts.get("train")
        if seen.classes and counts and not seen.baseline_losses:
            total = sum(counts.values())
            seen.baseline_losses["class frequencies"] = -sum(n / total * math.log(n / total) for n in counts.values())

    @timed
    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        named = [(name, weight) for name, weight in module.named_parameters() if weight.requires_grad]
        self.names, self.weights = [name for name, _ in named], [weight for _, weight in named]
        optimizer = trainer.optimizers[0]
        group = optimizer.param_groups[0]
        self.evidence.optimizer = type(optimizer).__name__
        self.evidence.momentum = group.get("momentum", group.get("betas", (None,))[0])
        if self.run.step == 0:
            self.evidence.initial_weights = initial_weights(module)
            self.evidence.start = self.units.start

    @timed
    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
        if self.run.epoch:
            return
        if self.evidence.inputs.samples < INPUT_SAMPLES:
            inputs = inputs_of(module, batch)
            if inputs is not None and len(inputs):
                self.evidence.inputs = pooled(self.evidence.inputs, describe(inputs))
            if (targets := targets_of(module, batch)) is not None and not self.evidence.targets.samples:
                self.evidence.targets = describe_targets(targets)
            self.evidence.empty_targets = max(self.evidence.empty_targets, empty_one_hot(module, batch))
        self.count("train", module, batch)

    @timed
    def on_validation_batch_start(
        self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        if not self.run.epoch and not trainer.sanity_checking:
            self.count("validation", module, batch)

    @timed
    def on_validation_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.tally = None

    @timed
    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if self.tally is None:
            self.tally = tally_for(module, outputs)
        if self.tally is not None:
            add_outputs(self.tally, outputs)

    def count(self, part: str, module: Any, batch: Any) -> None:
        if self.evidence.classes and (labels := labels_of(module, batch)) is not None:
            count_labels(labels, self.evidence.class_counts.setdefault(part, {}))

    @timed
    def on_before_optimizer_step(
        self, trainer: pl.Trainer, module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        steps = math.ceil(trainer.num_training_batches / self.run.accumulate)
        if self.run.epoch_step % look_every(steps):
            return
        with torch.no_grad():
            self.look_at_gradients(scaled=trainer.precision == "16-mixed")
            self.before = [weight.detach().clone() for weight in self.weights]

    def look_at_gradients(self, *, scaled: bool) -> None:
        present = [(name, w.grad) for name, w in zip(self.names, self.weights, strict=True) if w.grad is not None]
        if not present:
            self.note(gradient_norm=0.0, gradient_mean=0.0)
            return
        gradients = [gradient for _, gradient in present]
        norms = torch.stack(torch._foreach_norm(gradients)).float()
        sums = torch.stack(torch._foreach_norm(gradients, 1)).float()
        norm, mean = float(norms.norm()), float(sums.sum()) / sum(gradient.numel() for gradient in gradients)
        if math.isfinite(norm):
            self.note(gradient_norm=norm, gradient_mean=mean)
            wide = [i for i, gradient in enumerate(gradients) if gradient.ndim > 1]
            if len(wide) > 2:
                first, last = (float(sums[i]) / gradients[i].numel() for i in (wide[0], wide[-1]))
                self.note(gradient_first=first, gradient_last=last)
        elif not scaled:  # with 16 bits the scaler skips such steps, as it is meant to
            self.not_finite("gradient", present[int((~torch.isfinite(norms)).nonzero()[0])][0])

    @timed
    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if batch is None:
            return
        if self.evidence.initial_loss is None and self.run.step <= 1 and (loss := loss_of(outputs)) is not None:
            self.evidence.initial_loss = float(loss) * self.run.accumulate
        if broken_loss(outputs, self.run.step, batch_idx + 1 == trainer.num_training_batches) is not None:
            self.not_finite("loss", "train")
        if self.before is not None and self.weights:
            with torch.no_grad():
                self.look_at_update(self.before)
            self.before = None

    def look_at_update(self, before: list[torch.Tensor]) -> None:
        changes = torch.stack(torch._foreach_norm(torch._foreach_sub(self.weights, before))).float()
        sizes = torch.stack(torch._foreach_norm(before)).float()
        # biases start at zero: their ratio says nothing
        matrices = torch.tensor([weight.ndim > 1 for weight in before], device=changes.device) & (sizes > 0)
        self.note(changed=float((changes > 0).float().mean()))
        if bool(matrices.any()):
            ratio = float((changes[matrices] / sizes[matrices]).median())
            if math.isfinite(ratio):
                self.note(update_ratio=ratio)

    def note(self, **numbers: float) -> None:
        for name, number in numbers.items():
            self.looks.setdefault(name, []).append(number)

    def not_finite(self, where: str, name: str) -> None:
        """Keep the first sighting of each kind."""
        if all(one["where"] != where for one in self.evidence.not_finite):
            sighting = {"where": where, "name": name, "epoch": self.run.epoch + 1, "step": self.run.step}
            self.evidence.not_finite.append(sighting)

    def out_of_memory(self, batch_size: int, smaller: int) -> None:
        self.evidence.out_of_memory.append({"from": batch_size, "to": smaller})

    @timed
    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.ask(module)
        self.look_at_weights()
        row, middle = self.row(), {name: statistics.median(seen) for name, seen in self.looks.items()}
        layers, untrainable, mode_losses = self.units.epoch()
        epoch = EpochEvidence(
            epoch=self.run.epoch + 1,
            train_loss=row.get("train_loss"),
            validation_loss=row.get("validation_loss"),
            learning_rate=row.get("learning_rate"),
            gradient_norm_high=max(self.looks.get("gradient_norm", [0.0])),
            layers=layers,
            untrainable=untrainable,
            mode_losses=mode_losses,
            **middle,  # type: ignore[arg-type]
        )
        if self.run.has_validation and epoch.validation_loss is None and not self.run.partial:
            self.not_finite("validation", "validation loss")
        if epoch.validation_loss is not None:
            epoch.predictions = self.tally.statistics() if self.tally is not None else {}
            if callable(say := getattr(module, "prediction_statistics", None)):
                epoch.predictions |= {name: float(value) for name, value in say().items()}
        self.evidence.epochs.append(epoch)
        self.looks = {}
        if time.monotonic() - self.written > WRITE_SECONDS:
            self.write()

    def look_at_weights(self) -> None:
        with torch.no_grad():
            norms = torch.stack(torch._foreach_norm(self.weights)) if self.weights else torch.zeros(1)
        if not bool(torch.isfinite(norms).all()):
            self.not_finite("weights", self.names[int((~torch.isfinite(norms)).nonzero()[0])])

    def write(self) -> Health:
        self.evidence.seconds, self.evidence.steps = self.run.seconds, self.run.step
        self.evidence.monitor_seconds += self.units.bill()
        self.evidence.best_epoch = None if self.run.best_epoch is None else self.run.best_epoch + 1
        health = diagnose(self.evidence)
        self.evidence.write(self.run.folder)
        health.write(self.run.folder)
        self.written = time.monotonic()
        return health

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        """A crash is evidence too: a label outside the classes ends the first step."""
        if isinstance(exception, Exception):
            self.evidence.error = f"{type(exception).__name__}: {' '.join(str(exception).split())[:200]}"
            self.write()

    def finish(self) -> Health:
        """Write evidence.json and health.json for the last time."""
        self.evidence.stop, self.evidence.stop_reason = self.run.stop, self.run.stop_reason
        return self.write()

    def state_dict(self) -> dict[str, Any]:
        return {"evidence": self.evidence.to_dict(), "looks": self.looks}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        memory = self.evidence.out_of_memory
        self.evidence = Evidence.from_dict(state_dict["evidence"])
        self.evidence.out_of_memory = memory or self.evidence.out_of_memory
        self.evidence.settings = asdict(self.run.settings)
        self.looks = {name: list(seen) for name, seen in state_dict["looks"].items()}


def facts_of(module: Any, loader: Any) -> dict[str, Any]:
    """What the module and the training data set know about the data."""
    facts: dict[str, Any] = {}
    for thing in (getattr(loader.loader, "dataset", None), module):
        own = getattr(thing, "facts", None)
        own = own() if callable(own) else own
        facts |= own if isinstance(own, dict) else {}
    return facts


def samples_in(loader: Any) -> int:
    """Samples behind a loader; batches where its data set has no length."""
    data_set = getattr(loader.loader, "dataset", None)
    try:
        return len(data_set)  # type: ignore[arg-type]
    except TypeError:
        return len(loader)

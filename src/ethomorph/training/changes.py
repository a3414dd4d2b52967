"""The named changes of an experiment: one thing done otherwise in a fit, whatever the network and the data are.

Each is small enough to tell two causes apart. They serve experiments, not models that are kept: what a kept model needs
must stand in its own settings, so that prediction does the same (see `ethomorph.study.task.Task.remedies`).
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from ethomorph.training.samples import describe, inputs_of, labels_of, pooled
from ethomorph.training.settings import FitSettings

LEAK = 0.1
SCALE_BATCHES = 8
SCALED_MEAN, SCALED_STD = 0.5, 2.0  # how far scaled input may lie from 0 and 1


@dataclass(frozen=True)
class Change:
    """One thing done otherwise.

    Attributes
    ----------
    name, says : as in ``lower_rate`` and "the learning rate divided by 10".
    settings : new settings from old.
    module : changes a module in place; returns how much it found to change, 0 where there was nothing.
    batches : makes, from the module and a training loader, what is done to every batch, of training and validation.
    train_batches : the same, for the training part alone.
    one_batch : train on the first batch alone.
    """

    name: str
    says: str
    settings: Callable[[FitSettings], FitSettings] | None = None
    module: Callable[[Any], int] | None = None
    batches: Callable[[Any, Any], Callable[[Any], Any]] | None = None
    train_batches: Callable[[Any, Any], Callable[[Any], Any]] | None = None
    one_batch: bool = False

    def apply(self, module: Any, settings: FitSettings, factories: Any) -> tuple[FitSettings, Any]:
        """Settings and loader factories with the change made.

        Raises
        ------
        NothingToChange : there is nothing in this fit that it would change.
        """
        if self.module is not None and not self.module(module):
            raise NothingToChange(f"{self.says}: nothing to change in {type(module).__name__}")
        make_train, make_validation = factories
        if self.one_batch:
            make_train, make_validation = first_batch_of(make_train), None
        if self.batches is not None or self.train_batches is not None:
            every = (self.batches or self.train_batches)(module, make_train(settings.batch_size))  # type: ignore[misc]
            make_train = changed_loader(make_train, every)
            if self.batches is not None and make_validation is not None:
                make_validation = changed_loader(make_validation, every)
        return self.settings(settings) if self.settings else settings, (make_train, make_validation)


class NothingToChange(Exception):
    """An experiment that cannot be made with this network."""


class ChangedLoader:
    """A loader whose batches go through `change`; `batches` stand in for its own where given."""

    def __init__(self, loader: Any, change: Callable[[Any], Any], *, batches: list[Any] | None = None) -> None:
        self.loader, self.change, self.batches = loader, change, batches
        self.dataset = getattr(loader, "dataset", None)
        self.sampler, self.batch_sampler = getattr(loader, "sampler", None), getattr(loader, "batch_sampler", None)
        self.generator = getattr(loader, "generator", None)

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        for batch in self.batches if self.batches is not None else self.loader:
            yield self.change(batch)


def changed_loader(make: Any, change: Callable[[Any], Any]) -> Any:
    """A loader factory whose batches are changed."""
    return lambda batch_size: ChangedLoader(make(batch_size), change)


def first_batch_of(make: Any) -> Any:
    """A loader factory that gives its first batch over and over, drawn once."""
    kept: list[Any] = []

    def again(batch_size: int) -> ChangedLoader:
        loader = make(batch_size)
        if not kept:
            kept.append(next(iter(loader)))
        return ChangedLoader(loader, lambda batch: batch, batches=kept * len(loader))

    return again


def replaced(batch: Any, old: torch.Tensor, new: torch.Tensor) -> Any:
    """`batch` with the tensor `old` replaced, wherever it stands."""
    if batch is old:
        return new
    if isinstance(batch, Mapping):
        return {key: replaced(value, old, new) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(replaced(value, old, new) for value in batch))
    if isinstance(batch, (list, tuple)):
        return type(batch)(replaced(value, old, new) for value in batch)
    return batch


def scaled(module: Any, loader: Any) -> Callable[[Any], Any]:
    """Inputs with mean 0 and standard deviation 1, by the first batches of the training part."""
    seen = None
    for _, batch in zip(range(SCALE_BATCHES), loader, strict=False):
        inputs = inputs_of(module, batch)
        if inputs is None or not len(inputs):
            raise NothingToChange("no input was found in the batches")
        seen = describe(inputs) if seen is None else pooled(seen, describe(inputs))
    if seen is None or not seen.std:
        raise NothingToChange("the input has no spread")
    mean, std = seen.mean, seen.std
    if abs(mean) < SCALED_MEAN and 1 / SCALED_STD < std < SCALED_STD:
        raise NothingToChange(f"the input has mean {mean:.2g} and spread {std:.2g} as it is")

    def change(batch: Any) -> Any:
        inputs = inputs_of(module, batch)
        return batch if inputs is None else replaced(batch, inputs, (inputs.float() - mean) / std)

    return change


def emptied(module: Any, loader: Any) -> Callable[[Any], Any]:
    """Inputs of zeros."""

    def change(batch: Any) -> Any:
        inputs = inputs_of(module, batch)
        if inputs is None:
            raise NothingToChange("no input was found in the batches")
        return replaced(batch, inputs, torch.zeros_like(inputs))

    return change


def shuffled(module: Any, loader: Any) -> Callable[[Any], Any]:
    """Labels dealt anew to the samples of each batch, which leaves their frequencies as they are."""

    def change(batch: Any) -> Any:
        labels = labels_or_targets(module, batch)
        if labels is None:
            raise NothingToChange("no labels were found in the batches")
        return replaced(batch, labels, labels[torch.randperm(len(labels))])

    return change


def labels_or_targets(module: Any, batch: Any) -> torch.Tensor | None:
    """Class numbers, or whatever else the loss compares with."""
    if (labels := labels_of(module, batch)) is not None:
        return labels
    if callable(own := getattr(module, "targets_of", None)):
        return own(batch)
    pair = isinstance(batch, (list, tuple)) and len(batch) == 2 and isinstance(batch[1], torch.Tensor)
    return batch[1] if pair else None


def leaky(module: Any) -> int:
    """Put a leaky ReLU in place of every ReLU module."""
    found = 0
    for parent in module.modules():
        for name, child in parent.named_children():
            if isinstance(child, torch.nn.ReLU):
                setattr(parent, name, torch.nn.LeakyReLU(LEAK))
                found += 1
    return found


def without_momentum(module: Any) -> int:
    """Let the module's optimizer forget its past steps' direction; Adam keeps its scale."""
    configure = module.configure_optimizers

    def configured(self: Any) -> Any:
        optimizers = configure()
        for optimizer in optimizers if isinstance(optimizers, (list, tuple)) else [optimizers]:
            for group in getattr(optimizer, "param_groups", []):
                if "betas" in group:
                    group["betas"] = (0.0, group["betas"][1])
                if "momentum" in group:
                    group["momentum"], group["nesterov"] = 0.0, False
        return optimizers

    module.configure_optimizers = types.MethodType(configured, module)
    return 1


def times_rate(factor: float) -> Callable[[FitSettings], FitSettings]:
    return lambda settings: replace(settings, learning_rate=settings.learning_rate * factor)


CHANGES = {
    change.name: change
    for change in (
        Change("as_it_was", "nothing changed"),
        Change("lower_rate", "the learning rate divided by 10", settings=times_rate(0.1)),
        Change("much_lower_rate", "the learning rate divided by 100", settings=times_rate(0.01)),
        Change("higher_rate", "the learning rate times 10", settings=times_rate(10.0)),
        Change("scaled_input", "input scaled to mean 0 and spread 1", batches=scaled),
        Change("other_activation", "leaky ReLU in place of ReLU", module=leaky),
        Change("no_momentum", "no momentum", module=without_momentum),
        Change("one_batch", "one batch alone, over and over", one_batch=True),
        Change("shuffled_labels", "labels dealt anew within each batch", train_batches=shuffled),
        Change("zero_input", "zeros in place of the input", batches=emptied),
    )
}
"""Every change that an experiment may make, by name."""

"""A data loader whose every epoch can be repeated: order and augmentation follow from (seed, epoch) alone.

Random numbers that loading draws are kept apart from those of the network, so that drop-out never moves the data and a
run resumed inside an epoch sees exactly the batches that were left.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ethomorph.core.errors import InputError
from ethomorph.training.randomness import Stream

TRAIN, VALIDATION = 0, 1


class SeededLoader:
    """Wrap a sized iterable of batches, usually a torch ``DataLoader``.

    The wrapped data set may draw from the global streams (``random``, ``np.random``, ``torch``), from the loader's
    ``generator``, or from a generator that it seeds in ``set_epoch(epoch)``, which is called before each pass on the
    data set, the sampler and the batch sampler where they have it. It must not keep a generator of another kind.

    Parameters
    ----------
    loader : sized iterable of batches.
    seed : the run's seed.
    part : `TRAIN`, whose stream changes each epoch, or `VALIDATION`, which is the same pass every time.
    """

    def __init__(self, loader: Any, *, seed: int, part: int = TRAIN) -> None:
        refuse_persistent_workers(loader)
        self.loader, self.seed, self.part = loader, seed, part
        self.epoch = 0
        self.skip = 0

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        epoch, skip = (self.epoch, self.skip) if self.part == TRAIN else (0, 0)
        self.skip = 0
        stream = Stream(self.seed, self.part, epoch)
        with stream.lent():
            reseed(self.loader, self.seed, self.part, epoch)
            batches = iter(self.loader)
        for index in range(len(self.loader)):
            with stream.lent():
                try:
                    batch = next(batches)
                except StopIteration:
                    return
            # Lightning counts an empty batch and trains on nothing: the way to the place where the run was broken off
            yield None if index < skip else batch


def reseed(loader: Any, seed: int, part: int, epoch: int) -> None:
    """Seed the loader's own generators and tell its parts which epoch begins."""
    import numpy as np

    word = int(np.random.SeedSequence([seed, part, epoch, 7]).generate_state(1, np.uint32)[0])
    batch_sampler = getattr(loader, "batch_sampler", None)
    sampler = getattr(loader, "sampler", None)
    parts = (loader, getattr(loader, "dataset", None), sampler, batch_sampler, getattr(batch_sampler, "sampler", None))
    for thing in parts:
        if callable(seed_it := getattr(getattr(thing, "generator", None), "manual_seed", None)):
            seed_it(word)
    for thing in {id(thing): thing for thing in parts if thing is not None}.values():
        if callable(tell := getattr(thing, "set_epoch", None)):
            tell(epoch)


def refuse_persistent_workers(loader: Any) -> None:
    """Refuse workers that live on between epochs: their random state could not be resumed."""
    if getattr(loader, "persistent_workers", False):
        raise ValueError("persistent_workers=True cannot be resumed exactly; leave it off")
    if not hasattr(type(loader), "__len__"):
        raise InputError("a loader without a length", place="training", fix="give a DataLoader over a sized data set")

"""Random number streams of Python, numpy and torch: seed, capture, restore, and lend to a block of code."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

State = dict[str, Any]


def seed_all(*key: int) -> None:
    """Seed Python, numpy and torch (all devices) from `key`; different keys give unrelated streams."""
    words = np.random.SeedSequence(list(key)).generate_state(3, np.uint32)
    random.seed(int(words[0]))
    np.random.seed(int(words[1]))  # noqa: NPY002 - libraries and data sets draw from the global stream
    torch.manual_seed(int(words[2]))


def capture(*, devices: bool = True) -> State:
    """State of every global stream as plain numbers and tensors, so that it can be loaded without unpickling.

    With `devices` the streams of CUDA and MPS are captured too.
    """
    kind, keys, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002
    state: State = {
        "python": random.getstate(),
        "numpy": [
            kind,
            torch.from_numpy(np.asarray(keys).astype(np.int64)),
            int(position),
            int(has_gauss),
            float(gauss),
        ],
        "torch": torch.get_rng_state(),
    }
    if devices and torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    if devices and torch.backends.mps.is_available():
        state["mps"] = torch.mps.get_rng_state()
    return state


def restore(state: State) -> None:
    """Put back what `capture` took; streams of devices that are not here are left alone."""
    version, inner, gauss = state["python"]
    random.setstate((version, tuple(inner), gauss))
    kind, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))  # noqa: NPY002
    torch.set_rng_state(state["torch"].cpu())
    if "cuda" in state and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([one.cpu() for one in state["cuda"]])
    if "mps" in state and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"].cpu())


class Stream:
    """A set of random streams of its own, lent to the global ones for the length of a ``with`` block.

    Examples
    --------
    >>> a, b = Stream(0, 1), Stream(0, 1)
    >>> with a.lent():
    ...     first = random.random()
    >>> _ = random.random()
    >>> with b.lent():
    ...     first == random.random()
    True
    """

    def __init__(self, *key: int) -> None:
        before = capture(devices=False)
        words = np.random.SeedSequence(list(key)).generate_state(3, np.uint32)
        random.seed(int(words[0]))
        np.random.seed(int(words[1]))  # noqa: NPY002
        torch.random.default_generator.manual_seed(int(words[2]))
        self._state = capture(devices=False)
        restore(before)

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """Draw from this stream inside the block, and from the outer one again after it."""
        outer = capture(devices=False)
        restore(self._state)
        try:
            yield
        finally:
            self._state = capture(devices=False)
            restore(outer)

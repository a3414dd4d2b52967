"""What modules that train networks share: the moving average that predicts, weight decay, and the time of a step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn


def follow(average: nn.Module, network: nn.Module, count: float, decay: float) -> None:
    """Move an average of weights towards a network after its `count`-th step.

    The decay begins at 2/11 and rises to `decay` as ``(1 + n) / (10 + n)``, so that the first weights are soon
    forgotten. Numbers that are no fractions, such as counts, are copied.
    """
    share = 1 - min(decay, (1 + count) / (10 + count))
    with torch.no_grad():
        for mine, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
            if mine.dtype.is_floating_point:
                mine.lerp_(new, share)
            else:
                mine.copy_(new)


def decayed(weights: Iterable[nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups in which matrices and kernels decay, biases and scales do not."""
    every = list(weights)
    return [
        {"params": [p for p in every if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in every if p.ndim <= 1], "weight_decay": 0.0},
    ]


def seconds_a_step(loss: Callable[[Any], torch.Tensor], optimizer: Any, batches: Iterable[Any], steps: int) -> float:
    """Seconds that a training step takes; the first, which warms up, is not counted."""
    begun, done = time.monotonic(), 0
    for done, batch in enumerate(batches):
        if done == 1:
            begun = time.monotonic()
        optimizer.zero_grad()
        loss(batch).backward()
        optimizer.step()
        if done == steps:
            break
    return (time.monotonic() - begun) / max(1, done)

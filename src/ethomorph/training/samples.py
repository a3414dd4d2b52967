"""Finding the input and the labels in a batch, and describing them in numbers; what a module says comes first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ethomorph.training.evidence import InputStatistics, TargetStatistics

INPUT_KEYS = ("image", "images", "input", "inputs", "x", "clip", "volume", "features")
LABEL_KEYS = ("label", "labels", "target", "targets", "y", "class")


def inputs_of(module: Any, batch: Any) -> torch.Tensor | None:
    """What the network is shown: `module.inputs_of(batch)`, else the first tensor of at least two axes."""
    if callable(own := getattr(module, "inputs_of", None)):
        return own(batch)
    if isinstance(batch, Mapping):
        named = [batch[key] for key in INPUT_KEYS if key in batch]
        candidates = named or list(batch.values())
    else:
        candidates = list(batch) if isinstance(batch, Sequence) else [batch]
    return next((one for one in candidates if isinstance(one, torch.Tensor) and one.ndim >= 2), None)


def labels_of(module: Any, batch: Any) -> torch.Tensor | None:
    """Class numbers of a batch: `module.labels_of(batch)`, else the second part or the one with a label's name."""
    if callable(own := getattr(module, "labels_of", None)):
        return own(batch)
    if isinstance(batch, Mapping):
        found = next((batch[key] for key in LABEL_KEYS if key in batch), None)
    else:
        found = batch[1] if isinstance(batch, Sequence) and len(batch) > 1 else None
    whole = isinstance(found, torch.Tensor) and not found.is_floating_point()
    return found if whole else None


def empty_one_hot(module: Any, batch: Any) -> float:
    """Share of one-hot targets (samples, classes) that name no class at all; 0 where targets are of another kind."""
    if isinstance(batch, Mapping):
        found = next((batch[key] for key in LABEL_KEYS if key in batch), None)
    else:
        found = batch[1] if isinstance(batch, Sequence) and len(batch) > 1 else None
    if not isinstance(found, torch.Tensor) or found.ndim != 2 or found.shape[1] != getattr(module, "classes", None):
        return 0.0
    return float((found == 0).all(1).float().mean())


def targets_of(module: Any, batch: Any) -> torch.Tensor | None:
    """Continuous targets, where the module says what they are."""
    found = own(batch) if callable(own := getattr(module, "targets_of", None)) else None
    return found if isinstance(found, torch.Tensor) and found.is_floating_point() and len(found) > 1 else None


def describe_targets(targets: torch.Tensor) -> TargetStatistics:
    """Statistics of continuous targets (samples, ...) by column; NaN is left out."""
    columns = targets.detach().double().reshape(len(targets), -1)
    known = torch.isfinite(columns)
    counts = known.sum(0).clamp(min=1)
    kept = columns.where(known, 0.0)
    mean = kept.sum(0) / counts
    std = (((kept - mean) ** 2) * known).sum(0).div(counts).sqrt()
    return TargetStatistics(len(columns), float(mean.mean()), float(std.min()), float(std.max()))


def count_labels(labels: torch.Tensor, counts: dict[str, int]) -> None:
    """Add the labels of a batch to `counts`."""
    values, numbers = labels.detach().reshape(-1).unique(return_counts=True)
    for value, number in zip(values.tolist(), numbers.tolist(), strict=True):
        counts[str(value)] = counts.get(str(value), 0) + number


def describe(inputs: torch.Tensor) -> InputStatistics:
    """Statistics of one batch (samples, ...). Values that are not finite are counted and left out of the rest."""
    values = inputs.detach().float().reshape(len(inputs), -1)
    good = torch.isfinite(values)
    bad = 1.0 - float(good.float().mean())
    kept = values[good] if bad else values
    if kept.numel() == 0:
        return InputStatistics(samples=len(inputs), not_finite=bad, shape=list(inputs.shape[1:]))
    flat = values.std(dim=1, correction=0) <= 1e-6 * (1.0 + values.abs().amax(dim=1))
    return InputStatistics(
        samples=len(inputs),
        low=float(kept.min()),
        high=float(kept.max()),
        mean=float(kept.mean()),
        std=float(kept.std(correction=0)),
        # a table's row has no contrast of its own to miss
        constant=float(flat.float().mean()) if inputs.ndim > 2 else 0.0,
        identical=len(values) > 1 and bool((values == values[:1]).all()),
        not_finite=bad,
        whole_numbers=bool((kept == kept.round()).all()),
        shape=list(inputs.shape[1:]),
    )


def pooled(a: InputStatistics, b: InputStatistics) -> InputStatistics:
    """Statistics of two lots of samples together."""
    if not a.samples:
        return b
    n = a.samples + b.samples
    wa, wb = a.samples / n, b.samples / n
    mean = wa * a.mean + wb * b.mean
    variance = wa * (a.std**2 + (a.mean - mean) ** 2) + wb * (b.std**2 + (b.mean - mean) ** 2)
    return InputStatistics(
        samples=n,
        low=min(a.low, b.low),
        high=max(a.high, b.high),
        mean=mean,
        std=variance**0.5,
        constant=wa * a.constant + wb * b.constant,
        identical=a.identical and b.identical and (a.low, a.high) == (b.low, b.high),
        not_finite=wa * a.not_finite + wb * b.not_finite,
        whole_numbers=a.whole_numbers and b.whole_numbers,
        shape=b.shape,
    )

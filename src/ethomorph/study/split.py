"""Splits that keep an individual on one side.

Groups are ordered by a hash of seed and name, so the same seed gives the same split on every machine, and a group keeps
its place as long as possible when specimens are added later.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Sequence

from ethomorph.core.errors import SplitError

PARTS = ("train", "validation", "test")


def assign_parts(groups: Sequence[str], *, test: float = 0.25, validation: float = 0.15, seed: int = 0) -> list[str]:
    """The part of each sample: ``train``, ``validation`` or ``test``; a group is never divided.

    Parameters
    ----------
    groups : one group name a sample.
    test, validation : wanted shares of the samples, in 0..1.
    seed : another seed gives another split.

    Raises
    ------
    SplitError : no samples, or too few groups to fill every part asked for.

    Examples
    --------
    >>> assign_parts(["a", "a", "b", "c", "d"], test=0.25, validation=0)
    ['train', 'train', 'train', 'train', 'test']
    """
    if not groups:
        raise SplitError("no samples to split", fix="check that the label file is not empty")
    counts = Counter(groups)
    wanted = {"test": test, "validation": validation}
    asked = [part for part, share in wanted.items() if share > 0]
    if len(counts) < len(asked) + 1:
        raise SplitError(
            f"{len(counts)} group(s) cannot fill {len(asked) + 1} parts (train, {', '.join(asked)})",
            fix="add individuals, or set test or validation to 0 in [split]",
        )
    order = sorted(counts, key=lambda group: hashlib.sha256(f"{seed}\0{group}".encode()).digest())
    part_of: dict[str, str] = {}
    for part in asked:
        reserve = len(asked) - asked.index(part)  # groups that the parts still to come cannot do without
        target, taken = wanted[part] * len(groups), 0
        while len(order) > reserve:
            size = counts[order[0]]
            if taken and taken + size / 2 > target:
                break
            taken += size
            part_of[order.pop(0)] = part
    return [part_of.get(group, "train") for group in groups]


def fold_parts(groups: Sequence[str], folds: int, *, seed: int = 0) -> list[int]:
    """The test fold (0 .. folds-1) of each sample for grouped cross-validation, balanced by sample count.

    Raises
    ------
    SplitError : fewer groups than folds.
    """
    counts = Counter(groups)
    if len(counts) < folds:
        raise SplitError(f"{len(counts)} groups cannot make {folds} folds", fix="ask for fewer folds")
    order = sorted(counts, key=lambda group: hashlib.sha256(f"{seed}\0{group}".encode()).digest())
    order.sort(key=lambda group: -counts[group])
    sizes = [0] * folds
    fold_of = {}
    for group in order:
        fold_of[group] = sizes.index(min(sizes))
        sizes[fold_of[group]] += counts[group]
    return [fold_of[group] for group in groups]


def warn_if_by_sample(by: str) -> None:
    """A split by sample lets one individual stand on both sides; it must be asked for and is warned about."""
    if by == "sample":
        warnings.warn(
            "split by sample: pictures of one individual can fall into training and test, and the score will flatter",
            stacklevel=2,
        )

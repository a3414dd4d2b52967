"""Is an identification model fit to be used: findings on its reference animals and on what it made of them.

Counterpart of the rules for networks; there are no epochs, so each round of held-out animals has a row of history.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from ethomorph.core.files import write_text
from ethomorph.core.prints import PrintTable
from ethomorph.identity import checks
from ethomorph.identity.estimator import Identifier
from ethomorph.training.health import Finding, Health, Severity

ENOUGH_ANIMALS = 15
"""Reference animals below which the between-animal covariance is mostly shrinkage."""

WEAK, USELESS = 0.85, 0.65
"""Balanced accuracy of held-out pairs below which counts are rough, and below which they mean nothing."""

_RULES: dict[str, tuple[Callable[[PrintTable], str], tuple[str, ...], str]] = {
    "mixed_feet": (
        checks.mixed_feet, ("tables of several feet were joined",), "keep one foot, with right ones mirrored to left"
    ),
    "few_prints": (
        checks.few_prints, ("short trails", "prints left out for gaps"), "photograph five to eight prints a trail"
    ),
    "one_session": (
        checks.one_session, ("captive animals recorded in one visit",), "record some animals again on another day"
    ),
}  # fmt: skip


def judge(reference: PrintTable) -> list[Finding]:
    """What the reference animals alone say."""
    findings = []
    for name, (rule, causes, remedy) in _RULES.items():
        said = rule(reference)
        if said:
            severity: Severity = "info" if name == "one_session" else "warning"
            findings.append(Finding(name, severity, None, said, causes, remedy))
    number = len(np.unique(reference.animal))
    if number < ENOUGH_ANIMALS:
        said = f"{number} animals, of which a part teaches; {ENOUGH_ANIMALS} are a fair start"
        findings.append(Finding("few_animals", "warning", None, said, (), "add known animals to the reference"))
    return findings


def record(model: Identifier, reference: PrintTable, folder: Path, *, seconds: float) -> None:
    """Write history.csv (a row a round of held-out animals) and health.json of a fitted model."""
    rows = [
        {"epoch": k, "held_out_animals": truth, "counted": counted, "pair_balanced_accuracy": accuracy}
        for k, (truth, counted, accuracy) in enumerate(model.rounds_, 1)
    ]
    frame = pd.DataFrame(rows, columns=["epoch", "held_out_animals", "counted", "pair_balanced_accuracy"])
    write_text(folder / "history.csv", frame.assign(seconds=round(seconds, 3)).to_csv(index=False))
    Health([*judge(reference), *weak_pairs(model)]).write(folder)


def weak_pairs(model: Identifier) -> list[Finding]:
    """Whether pairs of animals that were held out could be told apart."""
    known = [accuracy for _, _, accuracy in model.rounds_ if np.isfinite(accuracy)]
    if not known:
        said = "too few animals to hold some out: nothing shows that the measurements tell animals apart"
        return [Finding("never_held_out", "warning", None, said, ("few animals",), "add known animals")]
    mean = float(np.mean(known))
    if mean >= WEAK:
        return []
    said = f"pairs of held-out animals are told apart with balanced accuracy {mean:.2f} (0.5 is chance)"
    causes = ("too few prints a trail", "measuring error as large as the animals' differences", "mixed feet or species")
    severity: Severity = "sick" if mean < USELESS else "warning"
    return [Finding("weak_pairs", severity, None, said, causes, "add prints a trail, measure some twice, check labels")]

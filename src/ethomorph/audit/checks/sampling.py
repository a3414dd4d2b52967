"""How the samples were chosen: whether the table says it, and strata that hold next to nothing.

A classifier trained on hand-picked examples is judged on hand-picked examples; nature picks otherwise.
"""

from __future__ import annotations

import numpy as np

from ethomorph.audit.check import Check, found
from ethomorph.audit.classes import ClassFacts
from ethomorph.audit.data import AuditData, listed
from ethomorph.training.health import Finding

STRATA = ("sex", "age", "stage", "season", "site", "light", "density", "population", "species", "treatment", "camera")
FEW_ANIMALS = 10
EFFECTIVE = 0.5  # effective number of animals below this share of their number


def run(data: AuditData) -> list[Finding]:
    facts: ClassFacts = data.facts["classes"]
    findings = animals_told(facts)
    known = [c for c in STRATA if c in facts.table.columns and facts.table[c].notna().any()]
    absent = [c for c in ("sex", "age", "density", "light", "season", "site") if c not in known]
    if absent:
        findings.append(
            found(
                "strata_unknown", "info", f"the table does not say {listed(absent)} of any sample, so nobody can know "
                "whether these are represented",
                causes=("not recorded",), remedy="add the columns to the labels or to the specimens table",
            )
        )  # fmt: skip
    for column in known:
        counts = facts.table.assign(animal=facts.groups).groupby(column)["animal"].nunique()
        lone = [f"{value} ({n})" for value, n in counts.items() if n < 2]
        if len(counts) == 1:
            findings.append(
                found("one_stratum", "info", f"{column}: every sample is {counts.index[0]!r}",
                      causes=("recorded under one condition",),
                      remedy=f"what is learned holds for this {column}; say so, or record others")
            )  # fmt: skip
        elif lone:
            findings.append(
                found("thin_stratum", "warning", f"{column}: from one animal only: {listed(lone)}",
                      causes=("few animals of that kind",), remedy="record more of them, or leave them out of claims")
            )  # fmt: skip
    if not facts.design.get("sampling"):  # an answer in datasheet.toml
        findings.append(
            found(
                "sampling_unknown", "info",
                "nothing says how the samples were chosen (at random, all events, hand-picked)",
                causes=("not written down",),
                remedy="say it in datasheet.toml; weigh samples where they were not random",
            )
        )  # fmt: skip
    return findings


def animals_told(facts: ClassFacts) -> list[Finding]:
    """How many animals there really are: the effective number, where few give most of the samples."""
    counts = np.unique(facts.groups, return_counts=True)[1].astype(float)
    effective = counts.sum() ** 2 / (counts**2).sum()
    if len(counts) >= FEW_ANIMALS and effective >= EFFECTIVE * len(counts):
        return []
    return [
        found(
            "few_animals", "warning" if len(counts) < FEW_ANIMALS else "info",
            f"{len(counts)} animals (or other units), by their shares of the samples worth {effective:.1f} equal ones",
            causes=("few were recorded", "few of them give most of the samples"),
            remedy="under ten animals there is no honest interval: record more, or show each animal's own score",
        )
    ]  # fmt: skip


CHECK = Check("sampling", frozenset({"classes"}), run)
"""Needs the fact ``classes``."""

"""Strata (sites, sexes, grades ...) that are tested but never trained on."""

from __future__ import annotations

from collections import defaultdict

import pandas as pd

from ethomorph.audit.check import Check, found
from ethomorph.audit.checks.balance import as_numbers
from ethomorph.audit.data import AuditData, listed, several
from ethomorph.training.health import Finding

MIN_GROUPS = 2
"""A stratum with a single tested group may be a chance of the split; it is told as information."""
MAX_CATEGORIES = 30
MAX_NUMBERS = 6


def run(data: AuditData) -> list[Finding]:
    findings = []
    for column in data.metadata_columns:
        where: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for value, group, part in zip(data.metadata(column), data.groups, data.parts, strict=True):
            if value is not None and part:
                where[value][part].add(group)
        groups = len(set(data.groups))
        if not 2 <= len(where) <= min(MAX_CATEGORIES, groups // 3) or _measured(list(where)):
            continue
        unseen = {value: len(of["test"]) for value, of in where.items() if of["test"] and not of["train"]}
        if unseen:
            said = [f"{value} ({several(count, 'group')})" for value, count in unseen.items()]
            findings.append(
                found(
                    "stratum_not_trained",
                    "warning" if max(unseen.values()) >= MIN_GROUPS else "info",
                    f"{column}: tested but not in train: {listed(said)}",
                    causes=("the split followed this column", "the stratum is rare"),
                    remedy=f"stratify by {column}, or say that the test is about unseen {column}s",
                )
            )
    return findings


def _measured(values: list[str]) -> bool:
    """Whether these are dates, or numbers of more than a few kinds, rather than strata."""
    kind, numbers = as_numbers(pd.Series(values, dtype=object))
    return kind == "date" or (kind == "number" and len(set(numbers)) > MAX_NUMBERS)


CHECK = Check("coverage", frozenset({"groups", "parts", "metadata"}), run)

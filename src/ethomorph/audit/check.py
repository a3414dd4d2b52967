"""What a check is: a function from a data set to findings, and what the data set must have for it to run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ethomorph.audit.data import AuditData
from ethomorph.training.health import Finding, Severity


@dataclass(frozen=True)
class Check:
    """One question that is asked of a data set.

    Attributes
    ----------
    name : what it looks for, as a file name.
    needs : names that `AuditData.provides` must hold; without one of them the check is skipped, and that is counted.
    run : gives the findings, none where all is well.
    """

    name: str
    needs: frozenset[str]
    run: Callable[[AuditData], list[Finding]]


def found(rule: str, severity: Severity, evidence: str, *, causes: tuple[str, ...] = (), remedy: str) -> Finding:
    """A finding about the data, so without an epoch."""
    return Finding(rule, severity, None, evidence, causes, remedy)

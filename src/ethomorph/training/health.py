"""The verdict on a training run: findings, each with its evidence, likely causes and the remedy.

A finding is made by a rule from `Evidence`; `diagnose` runs every rule. Nothing here needs torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ethomorph.core.files import write_json

if TYPE_CHECKING:
    from ethomorph.training.evidence import Evidence

Severity = Literal["info", "warning", "sick"]
Verdict = Literal["healthy", "warning", "sick"]
RANK: dict[str, int] = {"sick": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class Finding:
    """One thing that a rule found.

    Attributes
    ----------
    rule : file name of the rule.
    severity : "info" changes no verdict, "warning" asks to be looked at, "sick" means the result cannot be trusted.
    epoch : where it showed first, counted from 1; None where it concerns the data or the settings.
    evidence : one sentence with the numbers.
    causes : likeliest first.
    remedy : what to change, an imperative sentence.
    """

    rule: str
    severity: Severity
    epoch: int | None
    evidence: str
    causes: tuple[str, ...]
    remedy: str

    def to_dict(self) -> dict[str, Any]:
        return {
            "rule": self.rule,
            "severity": self.severity,
            "epoch": self.epoch,
            "evidence": self.evidence,
            "causes": list(self.causes),
            "remedy": self.remedy,
        }

    @classmethod
    def from_dict(cls, block: dict[str, Any]) -> Finding:
        return cls(**block | {"causes": tuple(block["causes"])})


@dataclass(frozen=True)
class Health:
    """All findings of a run, the gravest first.

    Examples
    --------
    >>> Health([Finding("split", "warning", None, "no class 3 in the validation part", (), "split by class")]).verdict
    'warning'
    """

    findings: list[Finding] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        severities = {finding.severity for finding in self.findings}
        return "sick" if "sick" in severities else "warning" if "warning" in severities else "healthy"

    def to_dict(self) -> dict[str, Any]:
        """The content of health.json."""
        return {"verdict": self.verdict, "findings": [finding.to_dict() for finding in self.findings]}

    @classmethod
    def from_dict(cls, block: dict[str, Any]) -> Health:
        return cls([Finding.from_dict(one) for one in block["findings"]])

    def write(self, folder: Path) -> Path:
        return write_json(folder / "health.json", self.to_dict())


def diagnose(evidence: Evidence) -> Health:
    """Run every rule on `evidence`; findings come back sorted by severity, then epoch."""
    from ethomorph.training.rules import rules

    findings = [finding for check in rules().values() for finding in check(evidence)]
    return Health(sorted(findings, key=lambda one: (RANK[one.severity], one.epoch or 0, one.rule)))

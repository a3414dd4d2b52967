"""The audit: every check whose needs are met, run on one data set, and the verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ethomorph.audit.check import Check
from ethomorph.audit.data import PARTS, AuditData, aligned_samples
from ethomorph.core.landmarks import LandmarkSet
from ethomorph.training.health import RANK, Finding, Health, Verdict

if TYPE_CHECKING:
    from ethomorph.study.task import Chapter


KINDS = {"landmarks", "classes"}
"""What a data set is of. Checks of another kind do not concern it, and are not listed as skipped."""


@dataclass(frozen=True)
class Audit:
    """What the checks found, the gravest first.

    Attributes
    ----------
    findings : as in health.json, with no epoch.
    counts : samples, groups, pictures, samples and groups in each part, checks run, and those of this kind of data that
        were skipped with what they lacked.
    data : what was looked at, for drawing.
    extras : further blocks of audit.json, by key.
    chapters : draws the room's own chapters of audit.html into a folder; None for the chapter of landmarks.
    """

    findings: list[Finding]
    counts: dict[str, Any]
    data: AuditData = field(repr=False, default_factory=AuditData)
    extras: dict[str, Any] = field(default_factory=dict)
    chapters: Callable[[Path], list[Chapter]] | None = field(repr=False, default=None)

    @property
    def verdict(self) -> Verdict:
        """ "sick" where a finding is, else "warning" where one is, else "healthy"."""
        return Health(self.findings).verdict

    def to_dict(self) -> dict[str, Any]:
        """The content of audit.json."""
        return {
            "verdict": self.verdict,
            "counts": self.counts,
            "findings": [finding.to_dict() for finding in self.findings],
            **self.extras,
        }


def run_audit(
    landmarks: LandmarkSet | None,
    *,
    samples: pd.DataFrame | None = None,
    images: bool = True,
    progress: bool = False,
    facts: dict[str, Any] | None = None,
    checks: list[Check] | None = None,
) -> Audit:
    """Ask every check.

    Parameters
    ----------
    landmarks : the labelled specimens; None where only a table or other facts are audited.
    samples : table with any of the columns sample, group, part (train, validation, test) and metadata; one row a
        specimen in the same order, or with names in ``sample`` to look up.
    images : whether to open the pictures.
    facts : further data by name, for checks that need it.
    checks : other checks than `ethomorph.audit.checks.CHECKS`.

    Raises
    ------
    LabelError
        `samples` does not fit `landmarks`.
    """
    from ethomorph.audit.checks import CHECKS
    from ethomorph.audit.pictures import look_at_all

    looks = None
    if images and landmarks is not None:
        looks = look_at_all((s.image_path for s in landmarks if s.image_path is not None), progress=progress)
    data = AuditData(landmarks, aligned_samples(landmarks, samples), looks, facts or {})
    asked = CHECKS if checks is None else checks
    able = [check for check in asked if check.needs <= data.provides]
    findings = [finding for check in able for finding in check.run(data)]
    findings.sort(key=lambda one: RANK[one.severity])
    return Audit(findings, _counts(data, asked, able), data)


def _counts(data: AuditData, asked: list[Check], able: list[Check]) -> dict[str, Any]:
    counts: dict[str, Any] = {"samples": len(data.names), "groups": len(set(data.groups))}
    if data.landmarks is not None:
        counts["landmarks"] = len(data.landmarks.names)
    if data.looks is not None:
        counts["pictures"] = len(data.looks)
    if "parts" in data.provides:
        of = {part: {g for g, p in zip(data.groups, data.parts, strict=True) if p == part} for part in PARTS}
        counts["parts"] = {part: {"samples": data.parts.count(part), "groups": len(of[part])} for part in PARTS}
    counts["checks"] = len(able)
    lacking = {check.name: check.needs - data.provides for check in asked if check not in able}
    counts["skipped"] = {name: sorted(missing) for name, missing in lacking.items() if not missing & KINDS}
    return counts

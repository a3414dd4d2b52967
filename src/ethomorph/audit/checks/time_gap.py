"""Samples of one recording that are close in time, or overlap, in different parts of the split.

Two samples a few seconds apart show the same animal in the same light doing the same thing: whoever trains on one knows
the other. `GAP_S` is the guard below which they are no two samples.
"""

from __future__ import annotations

import numpy as np

from ethomorph.audit.check import Check, found
from ethomorph.audit.classes import ClassFacts
from ethomorph.audit.data import AuditData
from ethomorph.training.health import Finding

GAP_S = 4.0


def run(data: AuditData) -> list[Finding]:
    facts: ClassFacts = data.facts["classes"]
    if facts.time is None or facts.recording is None:
        return []
    parts = np.array(data.parts)
    near, across, overlapping, equal = 0, 0, 0, 0
    gaps = []
    for name in np.unique(facts.recording):
        mine = np.flatnonzero((facts.recording == name) & np.isfinite(facts.time))
        order = mine[np.argsort(facts.time[mine], kind="stable")]
        step = np.diff(facts.time[order])
        close = step < GAP_S
        near += int(close.sum())
        if facts.seconds:
            overlapping += int((step < facts.seconds).sum())
        a, b = order[:-1], order[1:]
        equal += int((close & (facts.codes[a] == facts.codes[b])).sum())
        apart = (parts[a] != parts[b]) & (parts[a] != "") & (parts[b] != "")
        across += int((close & apart).sum())
        gaps += step[apart].tolist()
    findings = []
    overlap = f", of which {overlapping} overlap" if overlapping else ""
    if across:
        findings.append(
            found(
                "no_time_gap", "sick",
                f"{across} pairs of neighbours less than {GAP_S:g} s apart stand in different parts of the split "
                f"(smallest gap {min(gaps):.3g} s)",
                causes=("the split was made by sample, not by recording or animal",),
                remedy="split by animal or recording; within one recording split in blocks with a guard between",
            )
        )  # fmt: skip
    if near:
        findings.append(
            found(
                "crowded_samples", "info",
                f"{near} of {len(facts)} samples begin less than {GAP_S:g} s after another of the same recording"
                f"{overlap}; {100 * equal / near:.0f} % of these pairs have the same label",
                causes=("events come in bursts",),
                remedy="they are no independent samples: intervals here are over animals",
            )
        )  # fmt: skip
    return findings


CHECK = Check("time_gap", frozenset({"classes"}), run)
"""Needs the fact ``classes`` with a time and a recording for each sample."""

"""Do more animals help: the score on new animals against how many were learned from, its band and what to expect.

Measured outside (see `ethomorph.audit.curve`); told here. A power law ``a - b n**-c`` is fitted; what it says of twice
as many animals is a forecast with the spread of the repeats, no promise.
"""

from __future__ import annotations

from ethomorph.audit.check import Check, found
from ethomorph.audit.curve import Curve
from ethomorph.audit.data import AuditData
from ethomorph.training.health import Finding

WORTH = 0.02  # macro F1 that twice as many animals should bring to be worth it


def run(data: AuditData) -> list[Finding]:
    curve: Curve = data.facts["curve"]
    last = curve.points[-1]
    gain = curve.forecast - last.score
    trend = f"macro F1 on new animals {curve.points[0].score:.2f} with {curve.points[0].animals} animals, "
    trend += (
        f"{last.score:.2f} [{last.low:.2f}, {last.high:.2f}] with {last.animals}; about {curve.forecast:.2f} expected "
    )
    trend += f"with {2 * last.animals}"
    weakest = f"; the weakest class is {curve.weakest[0]} (F1 {curve.weakest[1]:.2f}, from {curve.weakest[2]} animals)"
    helps = gain >= WORTH
    return [
        found(
            "learning_curve", "info", trend + weakest,
            causes=("animals differ, and each new one shows another side",) if helps else ("the curve is flat",),
            remedy=f"record more animals, and of these {curve.weakest[0]} first" if helps
            else "more animals of this kind will hardly help: better labels or features may",
        )
    ]  # fmt: skip


CHECK = Check("learning_curve", frozenset({"classes", "curve"}), run)
"""Needs the facts ``classes`` and ``curve``."""

"""How many steps a training has time for; a schedule that ends on time is better than one that is cut off."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from ethomorph.core.files import write_json
from ethomorph.training.ranks import agreed

MARGIN = 0.85
"""Share of the time that is planned for; validation and the unforeseen take the rest."""


def planned_steps(
    wanted: int, seconds: float, measured: Callable[[], float], *, folder: Path | None, resume: bool
) -> tuple[int, str]:
    """Steps that fit into `seconds`, `wanted` at most, and a sentence where it is fewer.

    Parameters
    ----------
    measured : seconds that a step takes; called once, and in a training of several processes heard from the first.
    folder : where the plan is kept, so that a resumed training keeps it.
    """
    plan = folder / "plan.json" if folder else None
    if plan and resume and plan.exists():
        return int(json.loads(plan.read_text(encoding="utf-8"))["steps"]), ""
    fitting = agreed(max(1, int(MARGIN * seconds / measured())))
    steps = min(wanted, fitting)
    if plan:
        write_json(plan, {"steps": steps})
    return steps, f"to train in time, {steps} steps were made instead of {wanted}" if steps < wanted else ""

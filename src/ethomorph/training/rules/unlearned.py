"""A run that ended without having learned: its best loss never beat what a predictor that knows nothing gets.

The reference is the lowest declared baseline (mean shape, all background, class frequencies), else the expected or the
first loss. Beating it means by 5 %, the least decrease that TheDeepChecker calls learning. Plateau rules that stop
such a run in its third epoch are the classic way to publish an untrained network.
"""

from __future__ import annotations

from statistics import median

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding

LEAST_GAIN = 0.05
EPOCHS = 3  # fewer may just be too short a run
LARGE_STEP, SMALL_STEP = 0.1, 1e-4  # of a step, relative to the weights that it moves


def best_loss(evidence: Evidence) -> float | None:
    """Lowest loss by which the run is judged."""
    losses = [loss for epoch in evidence.epochs if (loss := evidence.judged_loss(epoch)) is not None]
    return min(losses, default=None)


def learned(evidence: Evidence) -> bool:
    """Whether the best loss beats the reference; True where there is nothing to compare."""
    best, reference = best_loss(evidence), evidence.reference_loss
    return best is None or reference is None or best <= reference - LEAST_GAIN * abs(reference)


def other_rate(evidence: Evidence) -> str:
    """The learning rate to try next, as the size of the steps says."""
    ratios = [epoch.update_ratio for epoch in evidence.epochs if epoch.update_ratio is not None]
    if ratios and median(ratios) < SMALL_STEP:
        return "ten times as high"
    if ratios and median(ratios) > LARGE_STEP:
        return "a tenth of it"
    return "a tenth of it, and ten times as high"


def check(evidence: Evidence) -> list[Finding]:
    if evidence.stop in ("", "interrupt") or learned(evidence):
        return []
    done = len(evidence.epochs)
    names = {value: name for name, value in evidence.baseline_losses.items()}
    against = names.get(evidence.reference_loss or 0.0, "the start")
    text = (
        f"the best loss in {done} epochs was {best_loss(evidence):.4g}, no better than {evidence.reference_loss:.4g} "
        f"({against}); training ended because {evidence.stop_reason or evidence.stop}"
    )
    if evidence.stop == "early":
        causes: tuple[str, ...] = (
            "early stopping or a plateau rule before learning began",
            "a learning rate that is too high or too low",
        )
        remedy = "raise warm_up and patience, and try another learning rate"
    else:
        causes = ("too few steps", "a learning rate that is too high or too low")
        remedy = "train longer, and try another learning rate"
    causes += ("input that is not scaled", "labels that do not belong to their samples")
    remedy += f": {other_rate(evidence)}"
    return [Finding("unlearned", "sick" if done >= EPOCHS else "warning", done or None, text, causes, remedy)]

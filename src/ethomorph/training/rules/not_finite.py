"""NaN or infinity in loss, gradients or weights: training is over from there on. No threshold: one is enough."""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding

CAUSES = ("a learning rate that is too high", "NaN in input or targets", "logarithm or division of zero in the loss")


def check(evidence: Evidence) -> list[Finding]:
    names = {
        "loss": "the training loss",
        "gradient": "a gradient",
        "weights": "a weight",
        "validation": "the validation loss",
    }
    found = []
    for sighting in evidence.not_finite:
        where, name = sighting["where"], sighting["name"]
        of = f" ({name})" if where in ("gradient", "weights") else ""
        text = (
            f"{names.get(where, where)}{of} was NaN or infinite in epoch {sighting['epoch']}, step {sighting['step']}"
        )
        remedy = "resume from the last checkpoint with a tenth of the learning rate, and check the targets for NaN"
        found.append(Finding("not_finite", "sick", sighting["epoch"], text, CAUSES, remedy))
    return found

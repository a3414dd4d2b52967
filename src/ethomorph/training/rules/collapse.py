"""Predictions that do not depend on the input: one class for everything, a constant, or nothing but background.

Judged on what the module reports as ``prediction_statistics``: ``predicted_classes`` and ``true_classes`` (distinct
classes in the validation pass), ``spread`` (standard deviation of the outputs over samples), ``background_share``
(share of samples without any output above the threshold). Two epochs in a row, so that a first epoch does not alarm.
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding

ROW = 2  # epochs in a row
NO_SPREAD = 1e-6
BACKGROUND = 0.99
CAUSES = ("a learning rate that is too high", "input that is not scaled", "classes or foreground too rare for the loss")
REMEDY = "scale the input, divide the learning rate by 10, and weigh rare classes or foreground up"


def check(evidence: Evidence) -> list[Finding]:
    reports = [(epoch.epoch, epoch.predictions) for epoch in evidence.epochs if epoch.predictions]
    if len(reports) < ROW:
        return []
    described = [(epoch, describe(report)) for epoch, report in reports]
    if not all(text for _, text in described[-ROW:]):
        return []
    since = (
        next(epoch for epoch, text in reversed(described) if not text) + 1 if any(not t for _, t in described) else 1
    )
    return [Finding("collapse", "sick", since, described[-1][1], CAUSES, REMEDY)]


def describe(report: dict[str, float]) -> str:
    """The sentence that says how these predictions collapsed; empty where they did not."""
    if report.get("predicted_classes", 2) <= 1 < report.get("true_classes", 0):
        return f"one class is predicted for every sample, where there are {report['true_classes']:.0f}"
    if (share := report.get("background_share", 0.0)) >= BACKGROUND:
        return f"{share:.0%} of the predictions are background only"
    if report.get("spread", 1.0) <= NO_SPREAD:
        return f"the output is the same for every sample (standard deviation {report['spread']:.1g})"
    return ""

"""Predictions that do not depend on the input: one class for everything, a constant, or nothing but background.

Judged on the prediction statistics of a validation pass (`training.predictions`): one class predicted where there are
more; logits with a spread over samples under 0.001, the direct sign of a constant function; an entropy of the predicted
classes under a tenth of the true ones' (sick) or under a half (warning; ours); 99 % of the samples without any output
above the threshold. Two epochs in a row, so that a first epoch does not alarm.
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding, Severity

ROW = 2  # epochs in a row
NO_SPREAD, NO_LOGIT_SPREAD = 1e-6, 1e-3
BACKGROUND = 0.99
NONE_LEFT, FEW_LEFT = 0.1, 0.5
CAUSES = ("a learning rate that is too high", "input that is not scaled", "classes or foreground too rare for the loss")
REMEDY = "scale the input, divide the learning rate by 10, and weigh rare classes or foreground up"


def check(evidence: Evidence) -> list[Finding]:
    reports = [(epoch.epoch, epoch.predictions) for epoch in evidence.epochs if epoch.predictions]
    if len(reports) < ROW:
        return []
    for severity, describe in (("sick", describe_collapse), ("warning", describe_narrow)):
        described = [(epoch, describe(report)) for epoch, report in reports]
        if not all(text for _, text in described[-ROW:]):
            continue
        well = [index for index, (_, text) in enumerate(described) if not text]
        since = described[well[-1] + 1 if well else 0][0]
        grave: Severity = "sick" if severity == "sick" else "warning"
        return [Finding("collapse", grave, since, described[-1][1], CAUSES, REMEDY)]
    return []


def describe_collapse(report: dict[str, float]) -> str:
    """The sentence that says how these predictions collapsed; empty where they did not."""
    if report.get("predicted_classes", 2) <= 1 < report.get("true_classes", 0):
        truth = f"; the commonest makes up {report['true_top_share']:.0%}" if "true_top_share" in report else ""
        return f"one class is predicted for every sample, where there are {report['true_classes']:.0f}{truth}"
    if report.get("logit_spread", 1.0) <= NO_LOGIT_SPREAD:
        return f"the logits are the same for every sample (standard deviation {report['logit_spread']:.1g})"
    if (share := report.get("background_share", 0.0)) >= BACKGROUND:
        peak = report.get("highest_peak")
        best = f": the highest peak is {peak:.2g}, the threshold {report['threshold']:.2g}" if peak is not None else ""
        return f"{share:.0%} of the predictions are background only{best}"
    if report.get("spread", 1.0) <= NO_SPREAD * max(1.0, report.get("true_spread", 1.0)):
        return f"the output is the same for every sample (standard deviation {report['spread']:.1g})"
    if report.get("entropy", 1.0) < NONE_LEFT * report.get("true_entropy", 0.0):
        return (
            f"{report['top_share']:.1%} of the predictions are one class; of the truth {report['true_top_share']:.1%}"
        )
    return ""


def describe_narrow(report: dict[str, float]) -> str:
    """The same for predictions that use few of the classes; any collapse is narrow too."""
    if collapsed := describe_collapse(report):
        return collapsed
    if report.get("entropy", 1.0) < FEW_LEFT * report.get("true_entropy", 0.0):
        return (
            f"{report['predicted_classes']:.0f} of {report['true_classes']:.0f} classes are predicted, one of them for "
            f"{report['top_share']:.0%} of the samples ({report['true_top_share']:.0%} of the truth)"
        )
    return ""

"""What a network says over a whole validation pass, in the few numbers that show a collapse.

Gathered batch by batch without keeping the predictions. A module may gather for itself and hand the numbers out in
``prediction_statistics()``; the names below are those that the rules know.
"""

from __future__ import annotations

import math
from typing import Any

import torch


class ClassTally:
    """Counts of a classifier's predictions.

    Examples
    --------
    >>> tally = ClassTally(3)
    >>> tally.add(torch.tensor([[2.0, 0.0, 0.0]] * 4), torch.tensor([0, 1, 2, 0]))
    >>> found = tally.statistics()
    >>> found["predicted_classes"], found["true_classes"], found["kappa"], found["logit_spread"]
    (1.0, 3.0, 0.0, 0.0)
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.confusion = torch.zeros(classes, classes, dtype=torch.int64)
        self.sum = torch.zeros(classes, dtype=torch.float64)
        self.squares = torch.zeros(classes, dtype=torch.float64)
        self.first: torch.Tensor | None = None

    @torch.no_grad()
    def add(self, scores: torch.Tensor, labels: torch.Tensor) -> None:
        """Add logits or probabilities (samples, classes, ...) and class numbers (samples, ...)."""
        if scores.ndim > 2:
            scores = scores.movedim(1, -1).reshape(-1, scores.shape[1])
        scores, labels = scores.detach().double().cpu(), labels.detach().reshape(-1).cpu()
        known = (labels >= 0) & (labels < self.classes) & torch.isfinite(scores).all(1)
        scores, labels = scores[known], labels[known]
        if not len(labels):
            return
        # a constant per sample changes no probability
        centred = scores - scores.mean(1, keepdim=True)
        if self.first is None:
            self.first = centred[0]
        shifted = centred - self.first  # about the first sample, so that equal logits have no spread at all
        self.sum += shifted.sum(0)
        self.squares += (shifted**2).sum(0)
        cells = labels * self.classes + scores.argmax(1)
        self.confusion += torch.bincount(cells, minlength=self.classes**2).reshape(self.classes, self.classes)

    def statistics(self) -> dict[str, float]:
        """Numbers for the rules; empty where nothing was added.

        ``predicted_classes`` and ``true_classes`` (distinct ones), ``top_share`` and ``true_top_share`` (of the
        commonest class), ``entropy`` and ``true_entropy`` (of the distribution over classes, divided by ln K),
        ``accuracy``, ``balanced_accuracy``, ``kappa`` (Cohen 1960) and ``kappa_error`` (its standard error for chance
        agreement), ``logit_spread`` (standard deviation over samples, of the class where it is largest), ``samples``.
        """
        total = int(self.confusion.sum())
        if not total:
            return {}
        predicted, true = self.confusion.sum(0).double() / total, self.confusion.sum(1).double() / total
        hits = self.confusion.diagonal().double()
        accuracy, expected = float(hits.sum()) / total, float((predicted * true).sum())
        present = self.confusion.sum(1) > 0
        recall = hits[present] / self.confusion.sum(1)[present]
        variance = (self.squares / total - (self.sum / total) ** 2).clamp(min=0)
        return {
            "samples": float(total),
            "predicted_classes": float((predicted > 0).sum()),
            "true_classes": float(present.sum()),
            "top_share": float(predicted.max()),
            "true_top_share": float(true.max()),
            "entropy": entropy(predicted),
            "true_entropy": entropy(true),
            "accuracy": accuracy,
            "balanced_accuracy": float(recall.mean()),
            "kappa": (accuracy - expected) / (1 - expected) if expected < 1 else 0.0,
            "kappa_error": math.sqrt(expected / (total * (1 - expected))) if expected < 1 else 0.0,
            "logit_spread": float(variance.sqrt().max()),
        }


def entropy(shares: torch.Tensor) -> float:
    """Entropy of a distribution over K classes, divided by ln K; 1 is uniform."""
    kept = shares[shares > 0]
    return float(-(kept * kept.log()).sum()) / math.log(len(shares)) if len(shares) > 1 else 0.0


class PeakTally:
    """Counts of what detects: samples whose output stays below its threshold everywhere are background only.

    Examples
    --------
    >>> tally = PeakTally(threshold=0.2)
    >>> tally.add(torch.tensor([0.1, 0.05, 0.9]))
    >>> tally.statistics()["background_share"]
    0.6666666666666666
    """

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold = threshold
        self.samples = self.empty = 0
        self.highest = 0.0

    @torch.no_grad()
    def add(self, peaks: torch.Tensor, holds: torch.Tensor | None = None) -> None:
        """Add the largest output (samples,) of each sample; `holds` says which of them hold something to be found."""
        peaks = peaks.detach().reshape(-1)
        if holds is not None:
            peaks = peaks[holds.reshape(-1).to(peaks.device, torch.bool)]
        if len(peaks):
            self.samples += len(peaks)
            self.empty += int((peaks < self.threshold).sum())
            self.highest = max(self.highest, float(peaks.max()))

    def statistics(self) -> dict[str, float]:
        """``background_share``, ``highest_peak``, ``threshold`` and ``samples``; empty where nothing was added."""
        if not self.samples:
            return {}
        return {
            "background_share": self.empty / self.samples,
            "highest_peak": self.highest,
            "threshold": self.threshold,
            "samples": float(self.samples),
        }


class ValueTally:
    """Spread of continuous predictions over samples, beside that of the targets: a constant predictor has none."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[torch.Tensor] = []
        self.moments: list[torch.Tensor] = []

    @torch.no_grad()
    def add(self, predicted: torch.Tensor, targets: torch.Tensor) -> None:
        """Add predictions and targets (samples, ...)."""
        pair = [one.detach().reshape(len(one), -1).double().cpu() for one in (predicted, targets)]
        if not self.count:
            self.first = [one[0].nan_to_num() for one in pair]
            self.moments = [torch.zeros(2, one.shape[1], dtype=torch.float64) for one in pair]
        self.count += len(pair[0])
        for one, first, moments in zip(pair, self.first, self.moments, strict=True):
            shifted = (one - first).nan_to_num()
            moments += torch.stack([shifted.sum(0), (shifted**2).sum(0)])

    def statistics(self) -> dict[str, float]:
        """``spread`` and ``true_spread``: standard deviation over samples of the column where it is largest."""
        if not self.count:
            return {}
        spread = [
            float((squares / self.count - (total / self.count) ** 2).clamp(min=0).sqrt().max())
            for total, squares in self.moments
        ]
        return {"spread": spread[0], "true_spread": spread[1], "samples": float(self.count)}


def tally_for(module: Any, outputs: Any) -> ClassTally | PeakTally | ValueTally | None:
    """The tally that fits what a validation step gave back beside the loss; None where it gave nothing known.

    Known are ``scores`` with ``labels`` of a module with ``classes``, ``peaks`` (with ``holds``), and ``predicted``
    with ``targets``.
    """
    if not isinstance(outputs, dict):
        return None
    if "scores" in outputs and "labels" in outputs and getattr(module, "classes", None):
        return ClassTally(int(module.classes))
    if "peaks" in outputs:
        return PeakTally(float(getattr(module, "peak_threshold", 0.5)))
    return ValueTally() if "predicted" in outputs and "targets" in outputs else None


def add_outputs(tally: ClassTally | PeakTally | ValueTally, outputs: dict[str, Any]) -> None:
    """Add what one validation step gave back."""
    if isinstance(tally, ClassTally):
        tally.add(outputs["scores"], outputs["labels"])
    elif isinstance(tally, PeakTally):
        tally.add(outputs["peaks"], outputs.get("holds"))
    else:
        tally.add(outputs["predicted"], outputs["targets"])

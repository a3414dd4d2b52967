"""A validation part so small that its scores are a matter of luck.

Fewer than 30 samples of a classification: one sample is then over three points of accuracy, and 4 right out of 20 mean
anything from 8 to 42 % (95 %, Wilson 1927). Mentioned; it changes no verdict on the training.
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding

SAMPLES, Z = 30, 1.96


def check(evidence: Evidence) -> list[Finding]:
    count = evidence.validation_samples
    if not evidence.classes or not count or count >= SAMPLES:
        return []
    low, high = wilson(0.5, count)
    text = f"{count} validation samples: accuracy moves in steps of {1 / count:.1%}; 50 % means {low:.0%} to {high:.0%}"
    causes = ("few samples", "a split that left little for validation")
    return [Finding("small_validation", "info", None, text, causes, "judge by cross-validation over groups")]


def wilson(share: float, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share.

    >>> [round(bound, 2) for bound in wilson(4 / 20, 20)]
    [0.08, 0.42]
    """
    middle = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    half = Z / (1 + Z**2 / count) * (share * (1 - share) / count + Z**2 / (4 * count**2)) ** 0.5
    return middle - half, middle + half

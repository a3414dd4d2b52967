"""Input on a scale that the network was not made for, above all raw 0-255 pixels.

Initial weights assume values around 1; inputs a hundred times larger make the first loss and the first steps as much
too large. Thresholds: AUTOTRAINER (Zhang et al. 2021) calls input beyond 10 unscaled; here the mean or the standard
deviation must pass it, so that one outlier in a table does not. Too small: standard deviation under 0.001 (ours), or
nothing above 1/255, as of pixels that were divided by 255 twice.
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding

LARGE = 10.0
SMALL = 1e-3
TWICE = 1 / 255  # what the largest value of pixels that were divided twice does not pass
BRIGHT = 100.0  # what the largest value of raw pixels passes, even in a dark image


def check(evidence: Evidence) -> list[Finding]:
    seen = evidence.inputs
    if not seen.samples or seen.identical or seen.constant == 1.0:
        return []
    numbers = (
        f"inputs run from {seen.low:.4g} to {seen.high:.4g}, mean {seen.mean:.4g}, standard deviation {seen.std:.4g}"
    )
    if seen.std > LARGE or abs(seen.mean) > LARGE:
        raw = seen.low >= 0 and seen.high > BRIGHT
        full = 255 if seen.high <= 255 else 65535
        return [
            Finding(
                "input_scale",
                "sick" if raw else "warning",
                None,
                numbers + (", as raw pixels do" if raw else ""),
                ("pixels were not divided by their full scale",) if raw else ("inputs were not standardised",),
                f"divide pixels by {full}, or standardise inputs"
                if raw
                else "standardise inputs to mean 0 and spread 1",
            )
        ]
    if seen.low >= 0 and 0 < seen.high <= 1.01 * TWICE:
        cause = ("pixels were divided by 255 twice",)
        text = numbers + ", as pixels do that were divided by 255 twice"
        return [Finding("input_scale", "sick", None, text, cause, "divide pixels by their full scale once")]
    if 0 < seen.std < SMALL:
        causes = ("inputs were scaled down twice", "almost no contrast in the images")
        return [Finding("input_scale", "warning", None, numbers, causes, "standardise inputs to mean 0 and spread 1")]
    return []

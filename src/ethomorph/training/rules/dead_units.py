"""Units that pass no gradient for any sample of a whole pass over the validation part.

Never firing in N samples bounds a unit's true rate by 3/N (95 %, rule of three; Hanley and Lippman-Hand 1983), which is
why one batch proves nothing: a unit that fires for one sample in a hundred is silent in a batch of 32 with p = 0.72.
Dead units are a symptom, not a verdict: networks with half of them dead fitted best of all in our trials. Sick
therefore takes half of all units or of a layer (SageMaker Debugger's and TheDeepChecker's 50 %) and a run that did not
learn, or a layer in which nothing fires; a warning half of a layer or a fifth of all; from a tenth of all on it is
mentioned. With fewer than 100 samples, and no weight without gradient to confirm it, it is only mentioned.
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding, Severity
from ethomorph.training.rules.unlearned import learned

LAYER, OVERALL, MENTIONED, SAMPLES = 0.5, 0.2, 0.1, 100
BY_RATE = ("a learning rate that is too high", "input that is not scaled", "much momentum on targets of little spread")
BY_START = ("weights or biases that start too low", "input that is not scaled")
REMEDY = "divide the learning rate by 10 and scale the input; if that is not enough, less momentum or a leaky ReLU"


def check(evidence: Evidence) -> list[Finding]:
    last = evidence.last
    if last is None or not last.layers:
        return []
    dead, units = sum(one.dead for one in last.layers), sum(one.units for one in last.layers)
    worst = max(last.layers, key=lambda one: one.dead / one.units)
    share, of_worst = dead / units, worst.dead / worst.units
    if share < MENTIONED and of_worst < LAYER:
        return []
    samples = min(one.samples for one in last.layers)
    severity: Severity = "info"
    if of_worst >= LAYER or share >= OVERALL:
        blocked = of_worst == 1.0 or not learned(evidence)
        severity = "sick" if blocked else "warning"
    if samples < SAMPLES and not last.untrainable:
        severity = "info"
    born, died = sum(one.at_start for one in last.layers), sum(one.died for one in last.layers)
    text = (
        f"{dead} of {units} units never fired in {samples} samples (one that fires for more than {3 / samples:.1%} "
        f"would have shown); worst is {worst.layer} ({worst.function}) with {worst.dead} of {worst.units}"
    )
    if born or died:
        text += f"; {born} were dead before the first step, {died} died since"
    first = next(one.epoch for one in evidence.epochs if sum(layer.dead for layer in one.layers) >= dead / 2)
    return [Finding("dead_units", severity, first, text, BY_START if born > died else BY_RATE, REMEDY)]

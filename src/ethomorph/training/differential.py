"""Differential diagnosis: from findings to ranked likely causes, the cheap experiment that tells them apart, a verdict.

A finding is a symptom or names a cause itself; each cause collects marks from the findings that speak for it, and
experiments multiply them (`ethomorph.training.causes`). Nothing here needs torch or runs anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ethomorph.training.causes import CAUSES, Cause
from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Health, diagnose
from ethomorph.training.rules.unlearned import best_loss

WEIGHT = {"sick": 1.0, "warning": 0.6, "info": 0.15}
FOR, AGAINST = 3.0, 0.3  # what an experiment multiplies a cause's marks by
HELPS = 0.1  # share of the loss of knowing nothing that a change must gain over the run as it was
MOST_OF = 0.5  # share of what the best change gains, under which a change does not explain the run
SAME = 0.8  # share of the gain as it was that a control must not reach
FITS = 0.5  # share of the loss of knowing nothing that one batch must lose when trained on alone
FITS_STEPS = 50  # steps that a sound network may need for that


@dataclass(frozen=True)
class Experiment:
    """How one short training went.

    Attributes
    ----------
    change, says : as in `training.changes`.
    gain : share of the loss of a predictor that knows nothing which was learned; None where it could not be run.
    note : why it could not.
    """

    change: str
    says: str
    gain: float | None
    steps: int = 0
    seconds: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class Suspect:
    """A cause with what speaks for it.

    Attributes
    ----------
    score : marks, multiplied by the experiments' outcomes.
    because : findings' sentences.
    tested : what the experiment said; empty where none was made.
    standing : "confirmed", "likely", "possible" or "unlikely".
    """

    cause: Cause
    score: float
    because: tuple[str, ...]
    tested: str = ""
    standing: str = "possible"

    def to_dict(self) -> dict[str, Any]:
        return {
            "cause": self.cause.name,
            "says": self.cause.says,
            "standing": self.standing,
            "score": round(self.score, 2),
            "because": list(self.because),
            "experiment": self.cause.experiment or None,
            "tested": self.tested,
            "advice": self.cause.advice,
        }


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with a run, the likeliest cause first; nothing where it is healthy."""

    health: Health
    suspects: list[Suspect] = field(default_factory=list)
    experiments: list[Experiment] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The content of diagnosis.json."""
        return {
            **self.health.to_dict(),
            "suspects": [one.to_dict() for one in self.suspects],
            "experiments": [vars(one) for one in self.experiments],
        }


def differential(evidence: Evidence, experiments: list[Experiment] | None = None) -> Diagnosis:
    """Rank the causes that fit the evidence of a run.

    Examples
    --------
    >>> from ethomorph.training.evidence import InputStatistics
    >>> raw = InputStatistics(samples=64, low=0, high=255, mean=110, std=60)
    >>> found = differential(Evidence(inputs=raw, learning_rate=0.9, validation_samples=9))
    >>> [one.cause.name for one in found.suspects][:2]
    ['input_scale', 'rate_high']
    """
    experiments = experiments or []
    facts = evidence.facts | {"controls": evidence.facts.get("controls", {}) | control_shares(experiments)}
    evidence = Evidence.from_dict(evidence.to_dict() | {"facts": facts})
    health = diagnose(evidence)
    suspects = [suspect for cause in CAUSES if (suspect := weigh(cause, evidence, health, experiments)) is not None]
    return Diagnosis(health, sorted(suspects, key=lambda one: -one.score), experiments)


def weigh(cause: Cause, evidence: Evidence, health: Health, experiments: list[Experiment]) -> Suspect | None:
    """The marks of one cause; None where nothing speaks for it."""
    score, because = 0.0, []
    for finding in health.findings:
        marks = [m.weight for m in cause.marks if m.rule == finding.rule and m.when(evidence, finding)]
        if marks:
            score += max(marks) * WEIGHT[finding.severity]
            because.append(finding.evidence)
    outcome, tested = tried(cause, experiments)
    if outcome is True and not score:
        score = 1.0
    if not score:
        return None
    score *= 1.0 if outcome is None else FOR if outcome else AGAINST
    standing = "confirmed" if outcome else "unlikely" if outcome is False else "likely" if score >= 3 else "possible"
    return Suspect(cause, score, tuple(because), tested, standing)


def tried(cause: Cause, experiments: list[Experiment]) -> tuple[bool | None, str]:
    """Whether the cause's experiment spoke for it (None: it was not made), and the sentence that says so."""
    made = {one.change: one for one in experiments if one.gain is not None}
    one, base = made.get(cause.experiment), made.get("as_it_was")
    if one is None or one.gain is None or base is None or base.gain is None:
        return None, ""
    numbers = f"{one.says}: {one.gain:.0%} of the ignorant loss was learned, {base.gain:.0%} as it was"
    if cause.supports == "helps":
        # what diverges may gain a little by luck: the best change sets the measure
        best = max(
            other.gain - base.gain for other in made.values() if other.gain is not None and is_remedy(other.change)
        )
        return one.gain - base.gain >= max(HELPS, MOST_OF * best), numbers
    if cause.supports == "fails":
        if one.gain < FITS and 0 < one.steps < FITS_STEPS:
            return None, ""
        return one.gain < FITS, f"{one.says}: {one.gain:.0%} of the ignorant loss was learned; a sound network fits it"
    if base.gain < HELPS:
        return None, ""  # a run that learns nothing proves nothing by a control
    return one.gain > SAME * base.gain, numbers


def is_remedy(change: str) -> bool:
    """Whether a change is meant to make the run learn more."""
    return any(cause.experiment == change and cause.supports == "helps" for cause in CAUSES)


def control_shares(experiments: list[Experiment]) -> dict[str, float]:
    """Gain of each control over the gain as it was, where that learned anything."""
    gains = {one.change: one.gain for one in experiments if one.gain is not None}
    base = gains.get("as_it_was")
    if base is None or base < HELPS:
        return {}
    return {name: max(0.0, gains[name]) / base for name in ("zero_input", "shuffled_labels") if name in gains}


def gain_of(evidence: Evidence, reference: float | None = None) -> float | None:
    """Share of the loss of a predictor that knows nothing which a run's best epoch had learned."""
    best, reference = best_loss(evidence), reference or evidence.reference_loss
    if best is None or not reference:
        return 0.0 if evidence.not_finite or evidence.error else None
    return max(-1.0, (reference - best) / abs(reference))


def wanted_experiments(diagnosis: Diagnosis, most: int = 5) -> list[str]:
    """Changes that tell the likeliest causes apart, with the run as it was and the controls; in order of use."""
    separating = [one.cause.experiment for one in diagnosis.suspects if one.cause.experiment][:most]
    return list(dict.fromkeys(["as_it_was", "one_batch", *separating, "shuffled_labels", "zero_input"]))

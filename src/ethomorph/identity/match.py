"""Is this trail one of the animals we know: matching to a library, with or without the answer "none of these"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from ethomorph.core.prints import PrintTable
from ethomorph.identity.estimator import Identifier
from ethomorph.identity.plda import TrailSummary

NONE = "none of these"


@dataclass
class Matches:
    """Trails against known animals.

    Attributes
    ----------
    trails, animals : names.
    scores : (trails, animals) calibrated log-likelihood ratio of "this animal" over "an animal never seen".
    probability : (trails, animals + 1), the last column "none of these" (0 in a closed set).
    """

    trails: list[str]
    animals: list[str]
    scores: np.ndarray
    probability: np.ndarray

    def best(self) -> list[tuple[str, str, float]]:
        """(trail, animal or "none of these", probability) of each trail."""
        names = [*self.animals, NONE]
        top = self.probability.argmax(1)
        return [
            (t, names[k], float(self.probability[i, k])) for i, (t, k) in enumerate(zip(self.trails, top, strict=True))
        ]


def match(
    model: Identifier, survey: PrintTable, *, library: PrintTable | None = None, unknown: float | None = 0.5
) -> Matches:
    """Match the trails of a survey to the animals of a library.

    Parameters
    ----------
    model : fitted with method "plda".
    survey : trails to match.
    library : prints of known animals; by default those the model learned from (it knows them a little too well).
    unknown : chance beforehand that a trail is of none of them (open set); None for a closed set.

    Raises
    ------
    ValueError
        For another method, or a chance outside 0..1.
    """
    if model.method != "plda":
        raise ValueError("matching needs a model of method 'plda'")
    if unknown is not None and not 0 < unknown < 1:
        raise ValueError(f"the chance of an unknown animal lies between 0 and 1, not {unknown}")
    known = model.reference_ if library is None else library.where(library.known)
    known = known.with_variables(model.variables_)
    survey = survey.with_variables(model.variables_)
    core = model.model_
    summary = core.summarise(model.imputer_.transform(known.values), known.trail)
    animals, owner = np.unique(known.of_trails(known.animal), return_inverse=True)
    sums, sharp = np.zeros((len(animals), summary.mean.shape[1])), np.zeros((len(animals), summary.mean.shape[1]))
    np.add.at(sums, owner, summary.sums)
    np.add.at(sharp, owner, summary.precision)
    trails = core.summarise(model.imputer_.transform(survey.values), survey.trail)
    scores = model.calibration_(core.pair_scores(trails, TrailSummary(sums / sharp, sharp)))
    prior = np.log((1 - (unknown or 0.0)) / len(animals))
    log = np.column_stack([scores + prior, np.full(len(scores), np.log(unknown) if unknown else -np.inf)])
    return Matches(survey.trails, animals.tolist(), scores, np.exp(log - logsumexp(log, axis=1, keepdims=True)))

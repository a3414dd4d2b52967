"""Warnings that belong beside a count: what in the prints makes it too high, too low or too sure.

Sentences for people; nothing here changes a result.
"""

from __future__ import annotations

import numpy as np

from ethomorph.core.prints import PrintTable
from ethomorph.identity.plda import group_means

FEW_PRINTS = 5
"""Fewer prints a trail than this make trails of one animal look different."""

SHIFT_P = 0.005
"""Chance of a shift as large with animals shuffled between places, below which it is reported."""

SHUFFLES = 999

NOISE_RATIO, NOISE_FREEDOM = 2.5, 30
"""Prints of a trail may vary so many times as much in the survey as in the reference (variance, median over what they
are compared by), where both have so many prints beyond the first of each trail."""


def warnings_of(
    survey: PrintTable, values: np.ndarray, reference: PrintTable, reference_values: np.ndarray, individual: np.ndarray
) -> list[str]:
    """All that apply, one sentence each.

    Parameters
    ----------
    survey, values : the trails identified and their complete measurements.
    reference, reference_values : the same of the known animals.
    individual : (trails,) codes that were found.
    """
    found = [
        mixed_feet(survey),
        mixed_feet(reference),
        few_prints(survey),
        one_session(reference),
        overlap(survey, reference),
    ]
    owner = individual[survey.trail_codes]
    places = [role for role in ("site", "substrate") if role in survey.attributes]
    found += [shift_between(values, owner, survey.attributes[role], role) for role in places]
    known = np.unique(reference.animal, return_inverse=True)[1] + owner.max() + 1
    if not set(survey.trails) & set(reference.trails):
        both = np.concatenate([values, reference_values])
        part = np.array(["survey"] * len(values) + ["reference"] * len(reference_values))
        found.append(shift_between(both, np.concatenate([owner, known]), part, "survey and reference"))
    return list(dict.fromkeys(sentence for sentence in found if sentence))


def mixed_feet(table: PrintTable) -> str:
    """Two feet in one table differ like two animals."""
    feet = sorted({foot for foot in table.attributes.get("foot", np.empty(0)).tolist() if foot})
    if len(feet) < 2:
        return ""
    return (
        f"several feet are mixed ({', '.join(feet[:4])}): one animal may count twice; use one foot, right ones mirrored"
    )


def few_prints(table: PrintTable) -> str:
    """Trails of few prints have wide means."""
    counts = np.bincount(table.trail_codes)
    short = int((counts < FEW_PRINTS).sum())
    if not short:
        return ""
    return f"{short} of {len(counts)} trails have fewer than {FEW_PRINTS} prints: the count is less certain"


def one_session(reference: PrintTable) -> str:
    """Reference animals seen on one day only teach nothing about days, and make every figure an upper bound."""
    if "session" not in reference.attributes:
        return "the reference names no sessions: if each animal was recorded once, scores are upper bounds"
    pairs = {pair for pair in zip(reference.animal, reference.attributes["session"], strict=True) if pair[1]}
    animals = [animal for animal, _ in pairs]
    if len(animals) == len(set(animals)):
        return (
            "each reference animal was recorded in one session: scores are upper bounds, and the count may be too high"
        )
    return ""


def overlap(survey: PrintTable, reference: PrintTable) -> str:
    """Animals on both sides make every score too good."""
    both = sorted((set(survey.animal) & set(reference.animal)) - {""})
    if not both:
        return ""
    return (
        f"{len(both)} animals are in both the reference and the survey (such as {str(both[0])!r}): scores are too good"
    )


def other_noise(survey: PrintTable, values: np.ndarray, reference: PrintTable, reference_values: np.ndarray) -> str:
    """Prints of one trail that vary more (or less) than the reference's were measured otherwise, or on other ground.

    `values` and `reference_values` are what the comparison rests on: measurements, or the model's axes.
    """
    noise = []
    for table, measured in ((survey, values), (reference, reference_values)):
        means, counts = group_means(measured, table.trail_codes)
        freedom = int(counts.sum()) - len(counts)
        if freedom < NOISE_FREEDOM:
            return ""
        noise.append(((measured - means[table.trail_codes]) ** 2).sum(0) / freedom)
    known = noise[1] > 0
    ratio = float(np.median(noise[0][known] / noise[1][known])) if known.any() else 1.0
    if 1 / NOISE_RATIO <= ratio <= NOISE_RATIO:
        return ""
    many = "high" if ratio > 1 else "low"
    times = f"{ratio:.1f} times as much as in the reference (variance)"
    return f"prints of a trail vary {times}: the count may be too {many}; measure both in the same way"


def shift_between(values: np.ndarray, owner: np.ndarray, place: np.ndarray, what: str, *, seed: int = 0) -> str:
    """Do measurements differ between places by more than the animals there explain (a softer ground, another observer)?

    The animals' means are shuffled between places; the statistic is the variance between places, summed over
    standardised variables.
    """
    names, where = np.unique(place, return_inverse=True)
    animals = np.unique(owner, return_inverse=True)[1]
    means, _ = group_means(values, animals)
    home = np.zeros(len(means), dtype=int)
    home[animals] = where
    count = np.bincount(home, minlength=len(names))
    if len(names) < 2 or np.sort(count)[-2] < 3:
        return ""
    scale = means.std(0)
    z = (means - means.mean(0)) / np.where(scale > 0, scale, 1.0)
    generator = np.random.default_rng(seed)

    def between(labels: np.ndarray) -> float:
        centres, sizes = group_means(z, labels)
        return float((sizes[:, None] * centres**2).sum())

    home = np.unique(home, return_inverse=True)[1]
    observed = between(home)
    p = (1 + sum(between(generator.permutation(home)) >= observed for _ in range(SHUFFLES))) / (1 + SHUFFLES)
    if p > SHIFT_P:
        return ""
    labels = what if " and " in what else f"{what}s"
    cause = "another substrate or observer makes counts too high"
    return f"prints differ between {labels} more than their animals explain (p = {p:.3f}): {cause}"

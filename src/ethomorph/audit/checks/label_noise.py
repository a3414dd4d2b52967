"""Labels that a model of the other animals finds hard to believe; and what two observers of one sample say.

Confident learning (Northcutt et al. 2021, JAIR 70:1373): a sample whose probability of another class passes that
class's mean confidence is suspect. Probabilities come from folds of whole animals, so that a label is never judged by
its own neighbours in time; with random folds wrong bouts confirm themselves.
"""

from __future__ import annotations

import numpy as np

from ethomorph.audit.check import Check, found
from ethomorph.audit.classes import ClassFacts
from ethomorph.audit.data import AuditData, listed
from ethomorph.statistics.agreement import cohen_kappa
from ethomorph.training.health import Finding

MANY = 0.10  # share of suspects that is told as a warning; cleanlab's own limit
PAIRS = 20  # samples labelled twice that agreement can be told from


def run(data: AuditData) -> list[Finding]:
    facts: ClassFacts = data.facts["classes"]
    return suspects_told(data, facts) + observers_told(facts)


def suspects_told(data: AuditData, facts: ClassFacts) -> list[Finding]:
    """Suspects by confident learning, where features gave probabilities."""
    probabilities = data.facts.get("grouped_probabilities")
    if probabilities is None:
        return []
    suspect, instead = confident_suspects(probabilities, facts.codes)
    where = np.flatnonzero(suspect)
    if not len(where):
        return []
    order = where[np.argsort(-probabilities[where, instead[where]])]
    names = facts.table["sample"].to_numpy()
    said = [f"{names[i]} ({facts.classes[facts.codes[i]]}, looks like {facts.classes[instead[i]]})" for i in order]
    share = len(where) / len(facts)
    return [
        found(
            "suspect_labels", "warning" if share > MANY else "info",
            f"{len(where)} labels ({100 * share:.1f} %) are less likely than another class to a model of the other "
            f"animals: {listed(said, 4)}",
            causes=("slips of the observer", "two behaviours in one sample", "classes that look alike to the features"),
            remedy="look at these first; do not remove them unseen",
        )
    ]  # fmt: skip


def observers_told(facts: ClassFacts) -> list[Finding]:
    """How far two labels of one sample agree, or that nobody can know."""
    second = facts.second_labels
    both = np.flatnonzero(second != "") if second is not None else np.zeros(0, int)
    if len(both) >= PAIRS and second is not None:
        kappa = cohen_kappa(facts.table["label"].to_numpy()[both].tolist(), second[both].tolist())
        return [
            found("observer_agreement", "info" if kappa >= 0.6 else "warning",
                  f"{len(both)} samples are labelled twice, kappa {kappa:.2f}",
                  remedy="no model can be expected to agree with people better than people do")
        ]  # fmt: skip
    names = facts.table["observer"].dropna().nunique() if "observer" in facts.table else 0
    who = f"{names} observer{'' if names == 1 else 's'} named" if names else "no observer named"
    return [
        found(
            "no_observer_agreement", "info",
            f"{len(both)} samples are labelled twice ({who}): how far people agree is unknown",
            causes=("one person labelled everything",),
            remedy=f"have a second person label {PAIRS * 5} samples blind, spread over classes and animals",
        )
    ]  # fmt: skip


def confident_suspects(probabilities: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) whether a label is suspect, and the class that it looks like instead.

    Examples
    --------
    >>> p = np.array([[0.9, 0.1]] * 5 + [[0.1, 0.9]] * 5 + [[0.95, 0.05]])
    >>> confident_suspects(p, np.array([0] * 5 + [1] * 6))[0].tolist()[-2:]
    [False, True]
    """
    count = probabilities.shape[1]
    own = probabilities[np.arange(len(codes)), codes]
    threshold = np.array([own[codes == k].mean() if (codes == k).any() else np.inf for k in range(count)])
    passing = probabilities >= threshold
    passing[np.arange(len(codes)), codes] = False
    margin = np.where(passing, probabilities, -1.0)
    instead = margin.argmax(1)
    return (margin.max(1) > 0) & (own < probabilities[np.arange(len(codes)), instead]), instead


CHECK = Check("label_noise", frozenset({"classes"}), run)
"""Needs the fact ``classes``; with ``grouped_probabilities`` it looks for suspects too."""

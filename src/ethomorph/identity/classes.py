"""Sex, age class or species of a survey's trails, and what such calls are worth: `discriminate` applied to tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.core.prints import PrintTable
from ethomorph.identity.discriminate import discriminate, fit_discriminant
from ethomorph.identity.impute import Imputer
from ethomorph.identity.plda import group_means


def discriminate_classes(
    reference: PrintTable, survey: PrintTable, classes: Sequence[str], *, seed: int = 0
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Judge each class column on the known animals, and call it for every trail of the survey.

    Prints of unknown animals, and those whose class is not stated, teach nothing.

    Returns
    -------
    dict
        For each class that the reference states: accuracies left out and in-sample, or the reason why there are none.
    list of dict
        ``trail``, ``class``, ``called``, ``stated``, and ``left_out`` (whether the trail's animal was kept out of the
        rule that called it): a row a trail and class.
    """
    judged: dict[str, Any] = {}
    called: list[dict[str, Any]] = []
    for name in classes:
        column = reference.attributes.get(name)
        if column is None:
            continue
        table = reference.where(reference.known & (column != ""))
        if not len(table):
            judged[name] = {"value": None, "reason": "no known animal states it"}
            continue
        labels = table.attributes[name]
        try:
            found = discriminate(table.values, labels, table.animal, table.trail, table.variables, seed=seed)
        except LabelError as error:
            judged[name] = {"value": None, "reason": error.what}
            continue
        judged[name] = found.to_dict()
        called += _calls(name, table, survey, found.predicted, seed)
    return judged, called


def _calls(
    name: str, table: PrintTable, survey: PrintTable, left_out: dict[str, str], seed: int
) -> list[dict[str, Any]]:
    """The class of each trail: of known animals as called when left out, of others by the rule of all known ones."""
    survey = survey.with_variables(table.variables)
    imputer = Imputer(method="mean", seed=seed).fit(table.values)
    rule = fit_discriminant(imputer.reference_, table.attributes[name])
    log, _ = group_means(rule.log_odds(imputer.transform(survey.values)), survey.trail_codes)
    guess = rule.classes[log.argmax(1)]
    owner = survey.of_trails(survey.animal)
    stated = survey.of_trails(survey.attributes.get(name, np.full(len(survey), "")))
    return [
        {
            "trail": trail, "class": name, "called": left_out.get(who, str(call)), "stated": said,
            "left_out": int(who in left_out),
        }
        for trail, who, call, said in zip(survey.trails, owner.tolist(), guess.tolist(), stated.tolist(), strict=True)
    ]  # fmt: skip

"""Warnings beside a count: each says so where it should, and is silent where it should."""

import numpy as np
import pytest

from ethomorph.identity import checks
from ethomorph.phantoms.prints import simulate_prints


def test_few_prints_are_counted():
    assert checks.few_prints(simulate_prints(animals=4, prints=(6, 8))) == ""
    assert "of 4 trails have fewer" in checks.few_prints(simulate_prints(animals=4, trails=(1, 1), prints=(2, 2)))


def test_one_session_an_animal():
    table = simulate_prints(animals=4, trails=(2, 2))
    assert "names no sessions" in checks.one_session(table)
    table.attributes["session"] = np.array([animal[-1] for animal in table.animal])
    assert "recorded in one session" in checks.one_session(table)
    table.attributes["session"] = np.array([trail[-1] for trail in table.trail])
    assert checks.one_session(table) == ""


def test_animals_in_both_parts_and_feet():
    table = simulate_prints(animals=4)
    assert "4 animals are in both" in checks.overlap(table, table)
    other = simulate_prints(animals=4)
    other.animal = np.char.add("x", other.animal)
    assert checks.overlap(table, other) == ""
    assert checks.mixed_feet(table) == ""
    table.attributes["foot"] = np.where(np.arange(len(table)) % 2, "LH", "")
    assert checks.mixed_feet(table) == ""
    table.attributes["foot"] = np.where(np.arange(len(table)) % 2, "LH", "LF")
    assert "LF, LH" in checks.mixed_feet(table)


@pytest.mark.parametrize("shift", [0.0, 1.2])
def test_shift_between_sites(shift):
    said = 0
    for seed in range(6):
        table = simulate_prints(animals=16, sites=2, substrate_shift=shift, seed=seed)
        owner = np.unique(table.animal, return_inverse=True)[1]
        said += bool(checks.shift_between(table.values, owner, table.attributes["site"], "site"))
    assert said == (6 if shift else 0)


def test_survey_measured_less_exactly_than_the_reference():
    known, survey = simulate_prints(animals=10, seed=1), simulate_prints(animals=8, seed=2)
    assert checks.other_noise(survey, survey.values, known, known.values) == ""
    rough = survey.values + np.random.default_rng(0).normal(size=survey.values.shape) * survey.values.std(0)
    assert "too high" in checks.other_noise(survey, rough, known, known.values)
    assert "too low" in checks.other_noise(known, known.values, survey, rough)
    few = survey.where(np.isin(survey.trail, survey.trails[:2]))
    assert checks.other_noise(few, few.values * 9, known, known.values) == ""

"""Sex, age and species calls for a survey, and what they are worth."""

import numpy as np
import pytest

from ethomorph.identity.classes import discriminate_classes
from ethomorph.phantoms.prints import simulate_prints


def test_strangers_are_called_by_the_rule_and_known_animals_left_out():
    known, survey = simulate_prints(animals=30, seed=3), simulate_prints(animals=12, seed=4)
    survey.animal = np.full(len(survey), "")
    judged, called = discriminate_classes(known, survey, ["sex", "age"])
    assert set(judged) == {"sex"}
    assert judged["sex"]["leave_one_animal_out"]["trail"]["value"] > 0.6
    assert len(called) == len(survey.trails)
    assert not any(row["left_out"] for row in called)
    assert np.mean([row["called"] == row["stated"] for row in called]) > 0.6
    _, own = discriminate_classes(known, known, ["sex"])
    assert all(row["left_out"] for row in own)
    by_animal = judged["sex"]["leave_one_animal_out"]["animal"]["value"]
    right = {row["trail"].split("/")[0]: row["called"] == row["stated"] for row in own}
    assert np.mean(list(right.values())) == pytest.approx(by_animal)


def test_species_of_two_kinds_of_foot_are_told_apart():
    cats, dogs = simulate_prints(animals=8, form=1, seed=1), simulate_prints(animals=8, form=2, seed=2)
    both = cats.where(np.ones(len(cats), bool))
    both.values = np.concatenate([cats.values, dogs.values])
    both.animal = np.concatenate([cats.animal, np.char.add("dog ", dogs.animal)])
    both.trail = np.concatenate([cats.trail, np.char.add("dog ", dogs.trail)])
    both.rows = np.arange(len(both.values))
    both.attributes = {"species": np.repeat(["cat", "dog"], [len(cats), len(dogs)])}
    judged, _ = discriminate_classes(both, both, ["species"])
    assert judged["species"]["leave_one_animal_out"]["animal"]["value"] == 1.0


def test_reasons_where_there_is_no_figure():
    table = simulate_prints(animals=8)
    table.attributes["age"] = np.array([animal[-1] for animal in table.animal])  # each animal its own age
    table.attributes["species"] = np.full(len(table), "")
    judged, called = discriminate_classes(table, table, ["age", "species"])
    assert "one animal" in judged["age"]["reason"]
    assert "no known animal" in judged["species"]["reason"]
    assert called == []

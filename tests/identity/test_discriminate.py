"""Discrimination: truth is found, leakage is shown, and public tables reach their figures."""

import numpy as np
import pytest

from ethomorph.core.errors import LabelError
from ethomorph.identity.discriminate import discriminate
from ethomorph.identity.table import read_prints
from ethomorph.phantoms.prints import simulate_prints


def test_sex_is_found_and_chance_stays_chance():
    table = simulate_prints(animals=30, seed=3)
    found = discriminate(table.values, table.attributes["sex"], table.animal, table.trail, table.variables, variables=5)
    assert found.honest["trail"].value > 0.6
    coin = dict(zip(np.unique(table.animal), np.random.default_rng(0).permutation(["F", "M"] * 15), strict=True))
    random = np.array([coin[animal] for animal in table.animal])
    noise = discriminate(table.values, random, table.animal, table.trail, table.variables)
    assert noise.in_sample["animal"].value > 0.8  # the figure usually published
    assert noise.honest["animal"].value < 0.75  # what it hides


@pytest.mark.parametrize("file", ["MountainLion.csv", "AmurTiger.csv"])
def test_sex_of_public_tables(shared_data, file):
    table = read_prints(shared_data / "footprints" / file)
    found = discriminate(table.values, table.attributes["sex"], table.animal, table.trail, table.variables)
    assert found.honest["trail"].value >= 0.96
    assert found.in_sample["trail"].value > found.honest["trail"].value


def test_refusals():
    table = simulate_prints(animals=6)
    with pytest.raises(LabelError, match="two classes"):
        mixed = np.where(np.arange(len(table)) % 2, "F", "M")
        discriminate(table.values, mixed, table.animal, table.trail, table.variables)
    with pytest.raises(LabelError, match="one animal"):
        single = np.where(table.animal == "animal 1", "F", "M")
        discriminate(table.values, single, table.animal, table.trail, table.variables)

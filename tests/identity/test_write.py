"""Files of an identification: what is written of many trails, and that the numbers in them are those found."""

import csv

import numpy as np
import pytest

from ethomorph.identity import write
from ethomorph.identity.census import take_census
from ethomorph.identity.estimator import Identifier
from ethomorph.phantoms.prints import simulate_prints


@pytest.fixture(scope="module")
def case():
    known, survey = simulate_prints(animals=12, variables=30, seed=1), simulate_prints(animals=6, variables=30, seed=2)
    return Identifier(replicas=1).fit(known).predict(survey), survey


def rows(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_every_pair_of_few_trails(case, tmp_path):
    found, survey = case
    write.write_tables(found, survey, take_census(found, survey), tmp_path)
    number = len(found.trails)
    pairs = rows(tmp_path / "pairs.csv")
    assert len(pairs) == number * (number - 1) // 2
    assert float(pairs[0]["log_likelihood_ratio"]) == pytest.approx(found.scores[0, 1], abs=1e-3)
    owner = dict(zip(found.trails, survey.of_trails(survey.animal), strict=True))
    assert all(int(p["truly_same"]) == (owner[p["trail_a"]] == owner[p["trail_b"]]) for p in pairs)
    matrix = rows(tmp_path / "distances.csv")
    assert float(matrix[2][found.trails[5]]) == pytest.approx(-found.scores[2, 5], abs=1e-3)


def test_of_many_trails_only_likely_pairs(case, tmp_path, monkeypatch):
    found, survey = case
    monkeypatch.setattr(write, "ALL_PAIRS", 3)
    write.write_tables(found, survey, take_census(found, survey), tmp_path)
    assert not (tmp_path / "distances.csv").exists()
    upper = np.triu_indices(len(found.trails), 1)
    one = (found.individual[:, None] == found.individual)[upper]
    pairs = rows(tmp_path / "pairs.csv")
    assert len(pairs) == ((found.scores[upper] > 0) | one).sum()
    assert all(p["called_same"] == "1" or p["one_individual"] == "1" for p in pairs)


def test_no_rows_still_make_a_table(tmp_path):
    assert write.write_csv([], tmp_path / "a.csv", ["x"]).read_text() == "x\n"

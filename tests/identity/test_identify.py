"""From a table file to a folder: every way of learning, the contract of identity.json, pictures."""

import csv
import json

import numpy as np
import pytest

from ethomorph.core.errors import InputError
from ethomorph.identity.identify import identify
from ethomorph.phantoms.prints import simulate_prints


def save(table, path, *, animals=True):
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream, delimiter=";")
        writer.writerow([*(["Animal"] if animals else []), "Trail", "Site", *table.variables])
        for i in range(len(table)):
            numbers = [f"{v:.4f}".replace(".", ",") for v in table.values[i]]
            who = [table.animal[i]] if animals else []
            writer.writerow([*who, table.trail[i], table.attributes["site"][i], *numbers])
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("identify")
    save(simulate_prints(animals=16, variables=40, sites=2, seed=1), folder / "known.csv")
    save(simulate_prints(animals=5, variables=40, sites=2, seed=2), folder / "survey.csv", animals=False)
    return folder


def test_survey_with_reference(folder):
    result = identify(folder / "survey.csv", reference=folder / "known.csv", out=folder / "a")
    assert result == json.loads((folder / "a" / "identity.json").read_text())
    assert result["individuals"]["low"] <= 5 <= result["individuals"]["high"]
    assert {"trail", "individual", "probability"} == set(result["trails"][0])
    assert "pairs" not in result
    for name in [*result["files"], "tree.png", "pairs.png", "count.png", "matches.csv"]:
        assert (folder / "a" / name).stat().st_size > 0
    with (folder / "a" / "pairs.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == len(result["trails"]) * (len(result["trails"]) - 1) / 2


def test_known_animals_are_scored_on_halves(folder):
    result = identify(folder / "known.csv", out=folder / "b", pictures=False)
    assert set(result["pairs"]) == {"balanced_accuracy", "precision", "recall", "auc"}
    assert result["adjusted_rand"]["value"] > 0.8
    assert result["learned_from"] == "the other half of the animals"
    assert result["truth"]["animals"] == 16


def test_in_sample_fit_is_labelled(folder):
    result = identify(folder / "known.csv", method="fit", in_sample=True, out=folder / "c", pictures=False)
    assert result["in_sample"]
    assert any("both the reference and the survey" in warning for warning in result["warnings"])
    with pytest.raises(InputError, match="method 'fit'"):
        identify(folder / "known.csv", in_sample=True, out=folder / "c")


def test_without_known_animals_it_says_so(folder):
    result = identify(folder / "survey.csv", out=folder / "d", pictures=False)
    assert "no known animals" in result["warnings"][0]
    assert np.isfinite(result["individuals"]["value"])


def test_known_animals_of_the_table_identify_its_unknown_trails(folder):
    lines = (folder / "known.csv").read_text().splitlines()
    blind = [f";{line.split(';', 1)[1]}" if line.startswith(("animal 01;", "animal 02;")) else line for line in lines]
    (folder / "mixed.csv").write_text("\n".join(blind) + "\n")
    result = identify(folder / "mixed.csv", out=folder / "e", pictures=False)
    assert result["learned_from"] == "known animals of the table"
    assert {row["trail"][:9] for row in result["trails"]} == {"animal 01", "animal 02"}
    assert result["individuals"]["value"] == 2

"""Agreement of observers: moments, events with tolerance, and a published set of four raters."""

from __future__ import annotations

import pandas as pd
import pytest

from ethomorph.behavior.observers import event_agreement, pairwise_kappas, time_unit_agreement
from ethomorph.core.events import Event, EventLog, Observation


def log(*events: tuple[str, float, float]) -> EventLog:
    return EventLog([Event("o", "a", *e) for e in events], {"o": Observation("o", 0, 100)})


FIRST = log(("dig", 0, 10), ("swim", 10, 50), ("dig", 60, 80))


def test_perfect_agreement():
    found = time_unit_agreement({"x": FIRST, "y": FIRST, "z": FIRST}, "o", "a")
    assert found["units"] == 100 and found["alpha"] == pytest.approx(1)
    assert (found["kappa"].to_numpy() == 1).all()
    assert event_agreement(FIRST, FIRST, "o", "a").matched == 3


def test_a_shift_costs_moments_and_not_events_within_tolerance():
    late = log(("dig", 0.8, 10.8), ("swim", 10.8, 50.8), ("dig", 60.8, 80.8))
    moments = time_unit_agreement({"x": FIRST, "y": late}, "o", "a", unit_s=0.2)
    assert 0.9 < moments["kappa"].loc["x", "y"] < 1
    near = event_agreement(FIRST, late, "o", "a", tolerance_s=1.0)
    assert near.matched == 3 and near.kappa == 1 and near.lag_s == pytest.approx(0.8)
    strict = event_agreement(FIRST, late, "o", "a", tolerance_s=0.5)
    assert strict.matched == 0 and strict.only_first == strict.only_second == 3


def test_missed_and_confused_events():
    other = log(("dig", 0, 10), ("dig", 10, 50))
    found = event_agreement(FIRST, other, "o", "a")
    assert (found.matched, found.confused, found.only_first, found.only_second) == (1, 1, 1, 0)


def test_bias_and_prevalence():
    lazy = log(("dig", 0, 5))
    table = time_unit_agreement({"x": FIRST, "y": lazy}, "o", "a")["per_behavior"].set_index("behavior")
    assert table.loc["dig", "bias_index"] == pytest.approx(0.25)
    assert table.loc["swim", "kappa"] == 0


def test_four_raters_of_freezing(shared_data):
    table = pd.read_csv(shared_data / "behaviour-freezing" / "raters_freezing.csv.gz").drop(columns="frame")
    kappas = pairwise_kappas(table)
    assert kappas.loc["expert1", ["expert2", "expert3", "novice"]].round(3).tolist() == [0.909, 0.941, 0.597]


def test_the_verb_on_two_files_and_on_one_table(tmp_path, capsys):
    from ethomorph.cli.app import execute
    from ethomorph.formats.boris import write_aggregated

    late = log(("dig", 0.8, 10.8), ("swim", 10.8, 50.8), ("dig", 60.8, 80.8))
    for name, one in (("anna", FIRST), ("ben", late)):
        write_aggregated(one, tmp_path / f"{name}.csv")
    files = [str(tmp_path / f"{name}.csv") for name in ("anna", "ben")]
    out = tmp_path / "agreement.csv"
    assert execute(["measure", "observers", *files, "--unit-s", "0.2", "--out", str(out)]) == 0
    table = pd.read_csv(out).set_index("figure")["value"]
    assert table["events_matched"] == 3 and table["event_lag_s"] == pytest.approx(0.8)
    expected = time_unit_agreement({"x": FIRST, "y": late}, "o", "a", unit_s=0.2)["kappa"].loc["x", "y"]
    assert table["kappa"].iloc[0] == pytest.approx(expected, abs=1e-6)
    ratings = pd.DataFrame({"frame": range(4), "anna": [0, 0, 1, 1], "ben": [0, 1, 1, 1]})
    ratings.to_csv(tmp_path / "ratings.csv", index=False)
    assert execute(["measure", "observers", str(tmp_path / "ratings.csv"), "--out", str(out)]) == 0
    assert pd.read_csv(out).set_index("figure").loc["kappa", "value"] == pytest.approx(0.5)
    assert execute(["measure", "observers", files[0], "--out", str(out)]) == 2
    assert "a file an observer" in capsys.readouterr().err

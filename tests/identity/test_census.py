"""Census: histories and the fewest alive on a hand-made case."""

import numpy as np

from ethomorph.core.metric import Metric
from ethomorph.core.prints import PrintTable
from ethomorph.identity.census import take_census, write_histories
from ethomorph.identity.result import Identification


def test_histories_and_known_alive(tmp_path):
    trails = ["t1", "t2", "t3", "t4", "t5"]
    survey = PrintTable(
        np.zeros((5, 1)), ["V"], np.array(trails), np.full(5, ""),
        {"site": np.array(["n"] * 4 + ["s"]), "session": np.array(["1", "3", "2", "2", "2"])},
    )  # fmt: skip
    found = Identification(
        trails, np.array([0, 0, 1, 1, 2]), np.ones(5), Metric(3), np.zeros((5, 5)), np.empty((0, 4)), 0.5, "h", "plda",
        False, ["V"], np.ones(1),
    )  # fmt: skip
    census = take_census(found, survey)
    assert census.histories == ["101", "010", "010"]
    # individual 1 was north before and after session 2, so it counts there
    assert census.alive.tolist() == [[1, 2, 1], [0, 1, 0]]
    text = write_histories(census, tmp_path / "h.csv").read_text()
    assert text.splitlines()[:2] == ["individual,ch,1,2,3", "individual 1,101,1,0,1"]
    assert sum(row["trails"] for row in census.rows()) == 5

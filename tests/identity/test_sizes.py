"""The hold-out procedure: sizes, truth, no leak from held-out animals, and its picture."""

import numpy as np
import pytest

from ethomorph.core.errors import LabelError
from ethomorph.identity.draw import draw_sizes
from ethomorph.identity.estimator import Identifier
from ethomorph.identity.sizes import SHARES, count_by_size, summary
from ethomorph.phantoms.prints import simulate_prints


@pytest.fixture(scope="module")
def rows():
    table = simulate_prints(animals=20, variables=40, seed=1)
    return count_by_size(table, lambda: Identifier(replicas=1), rounds=2)


def test_every_size_is_counted_as_often(rows):
    assert [row["animals"] for row in rows] == [round(s * 20) for s in SHARES for _ in range(2)]
    assert all(row["learned_from"] == 20 - row["animals"] for row in rows)
    assert all(row["low"] <= row["counted"] <= row["high"] for row in rows)
    assert 0.85 < summary(rows)["mean_ratio"] < 1.15
    assert np.mean([row["adjusted_rand"] for row in rows]) > 0.9


def test_models_never_see_the_held_out(monkeypatch):
    table = simulate_prints(animals=12, variables=30, seed=2)
    seen = []
    fit, predict = Identifier.fit, Identifier.predict

    def watching_fit(self, reference):
        seen.append(set(reference.animal))
        return fit(self, reference)

    def watching_predict(self, survey):
        assert not seen[-1] & set(survey.animal)
        return predict(self, survey)

    monkeypatch.setattr(Identifier, "fit", watching_fit)
    monkeypatch.setattr(Identifier, "predict", watching_predict)
    count_by_size(table, lambda: Identifier(method="fit"), rounds=1)
    assert len(seen) >= 3


def test_picture(rows, tmp_path):
    assert draw_sizes(rows, tmp_path / "sizes.png").stat().st_size > 10_000


def test_too_few_animals_are_refused():
    with pytest.raises(LabelError, match="too few to hold some out"):
        count_by_size(simulate_prints(animals=5), Identifier)

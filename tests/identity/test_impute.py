"""Imputation: better than the mean, learned from the reference alone, no row lost."""

import numpy as np
import pytest

from ethomorph.core.errors import LabelError
from ethomorph.identity.impute import Imputer
from ethomorph.phantoms.prints import simulate_prints


def error(method, share=0.1):
    truth = simulate_prints(animals=12, variables=30, seed=1)
    known = simulate_prints(animals=12, variables=30, seed=2)
    gaps = np.random.default_rng(0).random(truth.values.shape) < share
    filled = Imputer(method=method).fit(known.values).transform(np.where(gaps, np.nan, truth.values))
    assert np.array_equal(filled[~gaps], truth.values[~gaps])
    return np.sqrt((((filled - truth.values) / known.values.std(0))[gaps] ** 2).mean())


def test_forest_beats_mean():
    assert error("forest") < 0.8 * error("mean")


def test_reference_with_gaps_is_completed():
    holed = simulate_prints(animals=6, variables=10, missing=0.1)
    assert np.isfinite(Imputer().fit(holed.values).reference_).all()


def test_other_rows_do_not_matter():
    known, survey = (
        simulate_prints(animals=8, variables=12),
        simulate_prints(animals=4, variables=12, seed=5, missing=0.2),
    )
    imputer = Imputer().fit(known.values)
    whole = imputer.transform(survey.values)
    assert Imputer().fit(known.values).transform(survey.values[:1]) == pytest.approx(whole[:1], rel=0.02)


def test_refusals():
    with pytest.raises(LabelError, match="missing in every"):
        Imputer().fit(np.array([[1.0, np.nan], [2.0, np.nan]]))
    with pytest.raises(LabelError, match="no measurement"):
        Imputer().fit(np.ones((3, 2))).transform(np.full((1, 2), np.nan))

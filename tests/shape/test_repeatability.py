"""Measurement error: intraclass correlations that were simulated are found, hand formulas are met."""

import json

import numpy as np
import pandas
import pytest

from ethomorph.core.errors import InputError
from ethomorph.shape.repeatability import intraclass, measurement_error
from ethomorph.statistics.agreement import intraclass_correlation
from ethomorph.statistics.intervals import clustered_function


def variables(icc, n=200, q=10, replicates=2, seed=0):
    """Shape variables (n * replicates, q / 2, 2) of unit variance with a known share between individuals."""
    rng = np.random.default_rng(seed)
    animal = np.sqrt(icc) * rng.normal(size=(n, q))
    values = np.repeat(animal, replicates, axis=0) + np.sqrt(1 - icc) * rng.normal(size=(n * replicates, q))
    return values.reshape(-1, q // 2, 2), np.arange(n * replicates) // replicates


@pytest.mark.parametrize("icc", [0.3, 0.8, 0.99])
def test_known_intraclass_correlation_is_inside_its_interval(icc):
    shape, who = variables(icc)
    result = measurement_error(shape, who, superimposed=True, permutations=19, resamples=300)
    assert result.icc.low < icc < result.icc.high
    assert result.icc.value == pytest.approx(icc, abs=0.05)
    assert result.percent_error.value == pytest.approx(100 * (1 - result.icc.value))
    assert np.mean([m.value for m in result.per_landmark.values()]) == pytest.approx(icc, abs=0.05)
    assert result.anova["individual"].p == 0.05


def test_interval_covers_the_truth_as_often_as_it_says():
    hits = 0
    for seed in range(60):
        pairs = variables(0.7, n=30, q=4, seed=seed)[0].reshape(30, 2, 4)
        within = ((pairs[:, 0] - pairs[:, 1]) ** 2).sum(axis=1) / 2
        rows = pairs.mean(axis=1), within, np.full(30, 2)
        metric = clustered_function(intraclass, np.arange(30), *rows, resamples=200, seed=seed)
        hits += metric.low <= 0.7 <= metric.high
    assert hits >= 51  # at 93 % fewer happen about once in a hundred times


def test_one_variable_agrees_with_the_one_way_formula_from_its_anova():
    rng = np.random.default_rng(3)
    counts = rng.integers(1, 5, 20)
    who = np.repeat(np.arange(20), counts)
    shape = rng.normal(size=(20, 1, 2))[who] + 0.5 * rng.normal(size=(len(who), 1, 2))
    result = measurement_error(shape, who, superimposed=True, permutations=9, resamples=20)
    between, within = result.anova["individual"].ms, result.anova["residual"].ms
    n0 = (len(who) - (counts**2).sum() / len(who)) / 19
    assert result.icc.value == pytest.approx((between - within) / (between + (n0 - 1) * within))


def test_balanced_pairs_agree_with_another_intraclass_correlation():
    # Without a systematic difference the two forms differ only through the replicates' degree of freedom.
    shape, _ = variables(0.6, n=300, q=2)
    column = shape[:, 0, 0].reshape(300, 2)
    ours = intraclass(column.mean(axis=1)[:, None], column.var(axis=1, ddof=0) * 2, np.full(300, 2))
    assert ours == pytest.approx(intraclass_correlation(column, kind="C,1"), abs=0.01)


def test_a_systematic_observer_is_found_although_individuals_differ_far_more():
    shape, who = variables(0.95, n=20)
    observer = np.tile(["first", "second"], 20)
    shifted = shape + (observer == "second")[:, None, None] * 0.15
    found = measurement_error(shifted, who, replicates=observer, superimposed=True, permutations=199, resamples=20)
    assert found.systematic.p == 0.005
    nothing = measurement_error(shape, who, replicates=observer, superimposed=True, permutations=199, resamples=20)
    assert nothing.systematic.p > 0.02


def test_raw_configurations_are_superimposed_first():
    rng = np.random.default_rng(0)
    animals = np.array([[0, 0], [4.0, 0], [4, 3], [0, 3]]) + 0.3 * rng.normal(size=(15, 4, 2))
    scattered = np.repeat(animals, 2, axis=0) * rng.uniform(1, 9, size=(30, 1, 1)) + 100 * rng.normal(size=(30, 1, 2))
    result = measurement_error(scattered, np.arange(30) // 2, permutations=9, resamples=20)
    assert result.icc.value == pytest.approx(1)


def test_result_is_json_without_nan_and_unreplicated_samples_are_refused():
    shape, who = variables(0.5, n=12)
    replicates = np.tile([1, 2], 12)
    result = measurement_error(shape, who, replicates=replicates, superimposed=True, permutations=9, resamples=20)
    text = json.dumps(result.to_dict(), allow_nan=False)
    assert {"anova", "icc", "systematic", "per_landmark"} <= set(json.loads(text))
    with pytest.raises(InputError, match="24 measurements of 24 individuals"):
        measurement_error(shape, np.arange(24))
    with pytest.raises(InputError, match="of 1 individuals"):
        measurement_error(shape, np.zeros(24))


def test_lizards_digitised_twice(shared_data):
    table = pandas.read_csv(shared_data / "shape-tables" / "lizards.csv")
    shape = table.filter(regex=r"^[xy]\d+$").to_numpy().reshape(98, 28, 2)
    result = measurement_error(
        shape, table["individual"], replicates=table["rep"], superimposed=True, permutations=199, resamples=200
    )
    rows = result.anova
    assert (rows["individual"].df, rows["residual"].df) == (48, 49)
    # Differences of pairs give the error's mean square by hand.
    ordered = table.sort_values(["individual", "rep"]).index
    pairs = shape[ordered].reshape(49, 2, 28, 2)
    assert rows["residual"].ms == pytest.approx(((pairs[:, 0] - pairs[:, 1]) ** 2).sum() / 2 / 49)
    assert rows["individual"].p == 0.005 and 0.9 < result.icc.value < 1

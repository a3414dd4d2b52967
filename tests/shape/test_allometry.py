"""Allometry: slopes that were put in are found, and growth of rats is what everybody finds it to be."""

import numpy as np
import pandas
import pytest

from ethomorph.core.errors import InputError
from ethomorph.shape.allometry import allometry
from ethomorph.shape.procrustes import generalized_procrustes
from ethomorph.shape.tangent import tangent_project


@pytest.fixture
def grown():
    """Shapes that follow log size with one slope, in two groups of different mean shape; tiny noise."""
    rng = np.random.default_rng(0)
    size, groups = rng.uniform(50, 200, 40), np.repeat(["a", "b"], 20)
    base, trend, offset = rng.normal(size=(6, 2)), 0.1 * rng.normal(size=(6, 2)), 0.3 * rng.normal(size=(6, 2))
    shape = base + np.log(size)[:, None, None] * trend + (groups == "b")[:, None, None] * offset
    return shape + 1e-3 * rng.normal(size=shape.shape), size, groups, trend


def test_the_slope_put_in_is_found(grown):
    shape, size, groups, trend = grown
    fit = allometry(shape, size, groups=groups, permutations=99)
    np.testing.assert_allclose(fit.slope, trend, atol=3e-3)
    assert set(fit.group_slopes) == {"a", "b"}
    np.testing.assert_allclose(fit.group_slopes["b"], trend, atol=5e-3)
    assert fit.anova["log_size"].p == 0.01 and fit.anova["log_size:group"].p > 0.05
    within = np.log(size) - np.array([np.log(size[groups == g]).mean() for g in groups])
    # The common component is log size within groups times the slope's length.
    np.testing.assert_allclose(fit.common_component, within * np.linalg.norm(trend), atol=5e-3)


def test_prediction_of_a_single_group_is_least_squares(grown):
    shape, size, _, _ = grown
    fit = allometry(shape[:20], size[:20], permutations=9)
    design = np.c_[np.ones(20), np.log(size[:20])]
    expected = design @ np.linalg.lstsq(design, shape[:20].reshape(20, -1), rcond=None)[0]
    np.testing.assert_allclose(fit.predict(size[:20]).reshape(20, -1), expected, atol=1e-10)
    assert fit.predict(100.0).shape == (6, 2)
    assert fit.anova["log_size"].r2 == pytest.approx(((expected - expected.mean(0)) ** 2).sum() / fit.anova["total"].ss)


def test_different_slopes_are_told_apart(grown):
    shape, size, groups, trend = grown
    shape = shape + (groups == "b")[:, None, None] * np.log(size)[:, None, None] * 0.3 * trend[::-1]
    assert allometry(shape, size, groups=groups, permutations=99).anova["log_size:group"].p == 0.01


def test_unusable_sizes_and_groups_are_refused(grown):
    shape, size, groups, _ = grown
    with pytest.raises(InputError, match="positive"):
        allometry(shape, size - 60)
    with pytest.raises(InputError, match="does not vary"):
        allometry(shape, np.full(40, 3.0))
    with pytest.raises(InputError, match="groups of one specimen: c"):
        allometry(shape, size, groups=[*groups[:-1], "c"])


def test_rats_grow_along_one_line(shared_data):
    table = pandas.read_csv(shared_data / "shape-tables" / "rats_vilmann.csv")
    points = table.filter(regex=r"^[xy]\d+$").to_numpy().reshape(len(table), 8, 2)
    gpa = generalized_procrustes(points)
    fit = allometry(tangent_project(gpa.aligned, gpa.mean), gpa.centroid_size, permutations=199)
    # Size explains three quarters of the skulls' shape variance between 7 and 150 days; checked against the regression
    # of each coordinate by hand, which the sums of squares above already pin.
    assert fit.anova["log_size"].df == 1 and fit.anova["total"].df == 143
    assert fit.anova["log_size"].r2 == pytest.approx(0.751, abs=0.001)
    assert np.corrcoef(fit.regression_score, np.log(gpa.centroid_size))[0, 1] > 0.95
    age = table["age_days"].to_numpy()
    assert (np.diff([fit.regression_score[age == a].mean() for a in np.unique(age)]) > 0).all()

"""Procrustes ANOVA against hand formulas, printed results of geomorph, and its own null distribution."""

import numpy as np
import pandas
import pytest
from scipy.stats import f_oneway, kstest, linregress

from ethomorph.core.errors import InputError
from ethomorph.shape.anova import procrustes_anova
from ethomorph.shape.procrustes import generalized_procrustes
from ethomorph.shape.tangent import tangent_pca, tangent_project


def test_one_factor_on_one_variable_is_the_ordinary_anova():
    rng = np.random.default_rng(0)
    groups = np.repeat(["a", "b", "c"], [8, 10, 7])
    y = rng.normal(size=25) + (groups == "b")
    result = procrustes_anova(y[:, None], {"g": groups}, terms=["g"], permutations=1999)
    expected = f_oneway(*(y[groups == g] for g in "abc"))
    assert result["g"].f == pytest.approx(expected.statistic)
    assert result["g"].p == pytest.approx(expected.pvalue, abs=0.03)
    assert (result["g"].df, result["residual"].df, result["total"].df) == (2, 22, 24)


def test_covariate_is_the_ordinary_regression():
    rng = np.random.default_rng(1)
    x = rng.normal(size=30)
    y = 0.5 * x + rng.normal(size=30)
    row = procrustes_anova(y[:, None], {"x": x}, terms=["x"], permutations=1999)["x"]
    expected = linregress(x, y)
    assert row.r2 == pytest.approx(expected.rvalue**2)
    assert row.p == pytest.approx(expected.pvalue, abs=0.02)


def test_sums_of_squares_add_up_whatever_the_design():
    rng = np.random.default_rng(2)
    shape = rng.normal(size=(60, 5, 3))
    table = {"size": rng.normal(size=60), "sex": rng.choice(["f", "m"], 60), "site": rng.choice(list("xyz"), 60)}
    terms = ["size", "sex", "site", "sex:site", "size:site"]
    result = procrustes_anova(shape, table, terms=terms, permutations=9)
    parts = [row for row in result.rows if row.term != "total"]
    assert [row.df for row in parts] == [1, 1, 2, 2, 2, 51]
    assert sum(row.ss for row in parts) == pytest.approx(result["total"].ss)
    assert sum(row.df for row in parts) == result["total"].df == 59
    assert result["total"].ss == pytest.approx(((shape - shape.mean(axis=0)) ** 2).sum())
    assert sum(row.r2 for row in parts) == pytest.approx(1)


def test_nested_term_takes_all_families_within_treatments():
    rng = np.random.default_rng(3)
    family = np.repeat(np.arange(12), 5)
    treatment = np.where(family < 6, "control", "herbicide")
    shape = rng.normal(size=(60, 4, 2)) + rng.normal(size=(12, 4, 2))[family]
    result = procrustes_anova(
        shape,
        {"treatment": treatment, "family": family},
        terms=["treatment", "treatment:family"],
        factors=["family"],
        error={"treatment": "treatment:family"},
        permutations=199,
    )
    assert (result["treatment"].df, result["treatment:family"].df, result["residual"].df) == (1, 10, 48)
    assert result["treatment"].f == pytest.approx(result["treatment"].ms / result["treatment:family"].ms)
    assert result["treatment:family"].p == 0.005 and result["treatment"].p > 0.01


def test_p_is_uniform_where_nothing_is_to_find_although_another_factor_acts():
    # The reduced model's residuals are exchanged, so an effect of site must not leak into species.
    values = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        species, site = np.tile(["a", "b"], 12), np.repeat(["x", "y"], 12)
        shape = rng.normal(size=(24, 6)) + 3.0 * (site == "x")[:, None]
        table = {"species": species, "site": site}
        values.append(
            procrustes_anova(shape, table, terms=["site", "species"], permutations=99, seed=seed)["species"].p
        )
    assert min(values) >= 0.01
    assert kstest(values, "uniform").pvalue > 0.01
    assert np.mean(np.array(values) <= 0.05) < 0.085


def test_permutation_counts_the_observed_order_and_repeats_with_its_seed():
    shape = np.r_[np.zeros((6, 4)), np.full((6, 4), 9.0)] + 1e-3 * np.random.default_rng(0).normal(size=(12, 4))
    table = {"g": ["a"] * 6 + ["b"] * 6}
    first, again, other = (procrustes_anova(shape, table, terms=["g"], permutations=99, seed=s) for s in (5, 5, 6))
    assert first["g"].p >= 0.01
    assert first == again and first["g"].z != other["g"].z


def test_strata_keep_rows_in_their_blocks():
    # Treatment is the same for a whole block: exchanging within blocks changes nothing, so p must be 1.
    rng = np.random.default_rng(4)
    table = {"treatment": np.repeat(["a", "b"], 10), "block": np.repeat(list("wxyz"), 5)}
    shape = rng.normal(size=(20, 3)) + (table["treatment"] == "a")[:, None] * 5
    assert procrustes_anova(shape, table, terms=["treatment"], strata="block", permutations=49)["treatment"].p == 1.0
    assert procrustes_anova(shape, table, terms=["treatment"], permutations=49)["treatment"].p == 0.02


@pytest.mark.parametrize(
    ("terms", "options", "message"),
    [
        (["mass"], {}, "no column 'mass'"),
        (["g", "g"], {}, "adds no degrees of freedom"),
        (["g", "id"], {}, "no degrees of freedom are left"),
        (["g"], {"error": {"g": "h"}}, "not both among the terms"),
        (["x"], {}, "not finite: 3"),
        (["hole"], {}, "hole is missing for specimens 2"),
    ],
)
def test_designs_that_cannot_be_tested_are_refused(terms, options, message):
    table = {
        "g": list("aaabbb"),
        "h": list("aabbcc"),
        "id": list("abcdef"),
        "x": [1, 2, np.nan, 4, 5, 6],
        "hole": ["a", None, "b", "a", "b", "a"],
    }
    with pytest.raises(InputError, match=message):
        procrustes_anova(np.random.default_rng(0).normal(size=(6, 4)), table, terms=terms, permutations=9, **options)


def test_plethodon_gives_geomorphs_table(shared_data):
    # Printed by geomorph's authors: Adams, Collyer & Kaliontzopoulou, "ANOVA Models", 8 October 2019, GMcourse/Labs/
    # 03.1-ANOVA_PW.html in the repository geomorphR/geomorphR.github.io: procD.lm(coords ~ species * site), F-based Z.
    table = pandas.read_csv(shared_data / "shape-tables" / "plethodon.csv")
    points = table.filter(regex=r"^[xy]\d+$").to_numpy().reshape(40, 12, 2)
    gpa = generalized_procrustes(points)
    shape = tangent_project(gpa.aligned, gpa.mean)
    result = procrustes_anova(shape, table, terms=["species", "site", "species:site"])
    printed = {
        "species": (1, 0.029258, 0.14856, 14.544, 4.6024),
        "site": (1, 0.064375, 0.32688, 32.000, 5.7391),
        "species:site": (1, 0.030885, 0.15682, 15.352, 5.4021),
    }
    for term, (df, ss, r2, f, z) in printed.items():
        row = result[term]
        assert row.df == df and row.p == 0.001
        assert row.ss == pytest.approx(ss, abs=6e-7)
        assert row.r2 == pytest.approx(r2, abs=6e-6)
        assert row.f == pytest.approx(f, abs=6e-4)
        assert row.z == pytest.approx(z, abs=0.4)  # other random orders
    assert result["residual"].ss == pytest.approx(0.072422, abs=6e-7)
    assert result["total"].ss == pytest.approx(0.196940, abs=6e-7)
    assert tangent_pca(gpa.aligned).variances.sum() * 39 == pytest.approx(0.196940, abs=6e-7)

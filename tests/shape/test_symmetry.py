"""Symmetry: components add up, known asymmetries are found, and mosquito wings give geomorph's table."""

import numpy as np
import pandas
import pytest

from ethomorph.core.errors import InputError, LabelError
from ethomorph.shape.symmetry import matching_symmetry, object_symmetry, relabelling

PAIRS = [(0, 1), (2, 3), (4, 5)]
HEAD = np.array([[-3, 0], [3, 0], [-2, 4], [2, 4], [-1, 7], [1, 7], [0, -2], [0, 8.0]])


def heads(individual=0.2, directional=0.0, fluctuating=0.0, error=0.0, n=30, seed=0):
    """Two digitisings of n heads: symmetric variation between individuals, and asymmetries of given size."""
    rng = np.random.default_rng(seed)
    order, mirror = relabelling(PAIRS, 8), np.array([-1.0, 1.0])

    def both(x, sign):
        return (x + sign * x[:, order] * mirror) / 2

    animal = (
        HEAD + individual * both(rng.normal(size=(n, 8, 2)), 1) + fluctuating * both(rng.normal(size=(n, 8, 2)), -1)
    )
    animal[:, 0, 1] += directional
    twice = np.repeat(animal, 2, axis=0)
    return twice + error * rng.normal(size=twice.shape), np.arange(2 * n) // 2


def test_symmetric_and_asymmetric_components_add_up_to_the_sides():
    points, who = heads(fluctuating=0.1, directional=0.2, error=0.02)
    result = object_symmetry(points, who, PAIRS, permutations=9)
    order = relabelling(PAIRS, 8)
    # Both sides live in the frame of the symmetric consensus: its axis is found from its midline landmarks.
    first, second = result.symmetric + result.asymmetric, result.symmetric - result.asymmetric
    np.testing.assert_allclose((first + second) / 2, result.symmetric)
    np.testing.assert_allclose(np.sqrt(((first - second) ** 2).sum(axis=(1, 2))), result.asymmetry_index)
    np.testing.assert_allclose(result.directional, result.asymmetric.mean(axis=0))
    # Mirroring the symmetric component and swapping its pairs changes nothing: it is symmetric.
    axis = np.linalg.svd(result.mean - result.mean[order])[2][0]  # paired landmarks differ across the midline
    reflection = np.eye(2) - 2 * np.outer(axis, axis)
    np.testing.assert_allclose(result.symmetric[:, order] @ reflection, result.symmetric, atol=1e-8)
    # (m, n) weights: within-cell means make the sums of squares of the three terms add to the total.
    parts = [row.ss for row in result.anova.rows if row.term != "total"]
    assert sum(parts) == pytest.approx(result.anova["total"].ss)


def test_what_was_put_in_is_found():
    only_symmetric = object_symmetry(*heads(error=0.02), PAIRS, permutations=99).anova
    assert only_symmetric["individual"].p == 0.01
    assert only_symmetric["side"].p > 0.02 and only_symmetric["individual:side"].p > 0.02
    directional = object_symmetry(*heads(directional=0.3, error=0.02), PAIRS, permutations=99)
    assert directional.anova["side"].p == 0.01
    assert np.argmax(np.linalg.norm(directional.directional, axis=1)) in (0, 1)
    fluctuating = object_symmetry(*heads(fluctuating=0.1, error=0.02), PAIRS, permutations=99)
    assert fluctuating.anova["individual:side"].p == 0.01 and fluctuating.anova["side"].p > 0.02


def test_fluctuating_index_ignores_directional_asymmetry():
    plain = object_symmetry(*heads(fluctuating=0.1), PAIRS, permutations=9)
    shifted = object_symmetry(*heads(fluctuating=0.1, directional=0.5), PAIRS, permutations=9)
    assert shifted.asymmetry_index.mean() > 1.1 * plain.asymmetry_index.mean()
    np.testing.assert_allclose(shifted.fluctuating_index, plain.fluctuating_index, rtol=0.1)
    assert object_symmetry(*heads(), PAIRS, permutations=9).asymmetry_index.max() < 1e-8


def test_perfect_mirror_images_match_once_mirrored():
    rng = np.random.default_rng(0)
    left = rng.normal(size=(9, 2)) + 0.2 * rng.normal(size=(12, 9, 2))
    points = np.concatenate([left, left * [-1, 1] + 5])
    who, side = np.tile(np.arange(12), 2), np.repeat(["left", "right"], 12)
    assert matching_symmetry(points, who, side, mirror="right", permutations=9).asymmetry_index.max() < 1e-8
    assert matching_symmetry(points, who, side, permutations=9).asymmetry_index.min() > 0.1


def test_unpaired_sides_and_landmarks_are_refused():
    points, who = heads()
    with pytest.raises(LabelError, match="stands in two pairs"):
        object_symmetry(points, who, [(0, 1), (1, 2)])
    with pytest.raises(LabelError, match="outside"):
        object_symmetry(points, who, [(0, 8)])
    sides = np.tile(["left", "right"], 30)
    sides[0] = "right"
    with pytest.raises(InputError, match="one side only: 0"):
        matching_symmetry(points, who, sides)
    with pytest.raises(InputError, match="3 sides"):
        matching_symmetry(points, who, ["a", "b", "c"] * 20)


def test_mosquito_wings_give_geomorphs_table(shared_data):
    # Printed by geomorph's authors: Adams, Collyer & Kaliontzopoulou, "04.1: Asymmetry", 8 October 2019, GMcourse/Labs/
    # 04.1-Asymmetry.html in the repository geomorphR/geomorphR.github.io: bilat.symmetry(..., object.sym = FALSE).
    # Its p values (0.061, 0.681, 0.001) come from another scheme of permutation than ours and are not compared.
    table = pandas.read_csv(shared_data / "shape-tables" / "mosquito.csv")
    points = table.filter(regex=r"^[xy]\d+$").to_numpy().reshape(40, 18, 2)
    anova = matching_symmetry(points, table["individual"], table["side"]).anova
    printed = {
        "individual": (9, 0.104888, 0.45533, 2.6901),
        "side": (1, 0.003221, 0.01398, 0.7435),
        "individual:side": (9, 0.038990, 0.16926, 1.0407),
    }
    for term, (df, ss, r2, f) in printed.items():
        row = anova[term]
        assert row.df == df
        assert row.ss == pytest.approx(ss, abs=6e-7)
        assert row.r2 == pytest.approx(r2, abs=6e-6)
        assert row.f == pytest.approx(f, abs=6e-5)
    assert (anova["residual"].df, anova["total"].df) == (20, 39)
    assert anova["residual"].ss == pytest.approx(0.083259, abs=6e-7)
    assert anova["total"].ss == pytest.approx(0.230358, abs=6e-7)


def test_lizard_heads_are_digitised_well_enough_to_see_asymmetry(shared_data):
    folder = shared_data / "shape-tables"
    table = pandas.read_csv(folder / "lizards.csv")
    points = table.filter(regex=r"^[xy]\d+$").to_numpy().reshape(98, 28, 2)
    pairs = pandas.read_csv(folder / "lizards_landmark_pairs.csv").dropna().to_numpy().astype(int) - 1
    result = object_symmetry(points, table["individual"], pairs, permutations=199)
    assert [result.anova[t].df for t in ("individual", "side", "individual:side", "residual")] == [48, 1, 48, 98]
    assert result.anova["individual:side"].f > 5 and result.anova["individual:side"].p == 0.005

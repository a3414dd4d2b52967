"""The pairwise method against a plain, slow implementation of the same recipe."""

import numpy as np
import pytest
from scipy.linalg import eigh
from sklearn.metrics import balanced_accuracy_score

from ethomorph.core.errors import LabelError
from ethomorph.identity.clustering import cut_at_height, cut_to_number, grow_tree, height_for, learn_cut
from ethomorph.identity.fit import PRESETS, canonical_pair, compare_pairs, touching_radius
from ethomorph.identity.table import read_prints
from ethomorph.phantoms.prints import simulate_prints


def plain_distance(a, b, reference, number):
    """Three groups, forward selection by partial F from determinants, canonical axes by generalised eigenvectors."""
    groups = [a, b, reference]
    everything = np.concatenate(groups)
    within = sum((g - g.mean(0)).T @ (g - g.mean(0)) for g in groups)
    total = (everything - everything.mean(0)).T @ (everything - everything.mean(0))
    chosen: list[int] = []
    for _ in range(number):
        best = min(
            (j for j in range(a.shape[1]) if j not in chosen),
            key=lambda j: (
                np.linalg.det(within[np.ix_([*chosen, j], [*chosen, j])])
                / np.linalg.det(total[np.ix_([*chosen, j], [*chosen, j])])
            ),
        )
        chosen.append(best)
    w = within[np.ix_(chosen, chosen)] / (len(everything) - 3)
    between = total[np.ix_(chosen, chosen)] - w * (len(everything) - 3)
    _, axes = eigh(between, w)
    gap = (a.mean(0) - b.mean(0))[chosen] @ axes[:, -2:]
    return float(np.linalg.norm(gap)), chosen


def test_distances_are_those_of_the_plain_recipe():
    table = simulate_prints(animals=4, trails=(1, 2), variables=12, seed=3)
    pairs = compare_pairs(table.values, table.trail, table.values, variables=5)
    scale = table.values.std(0)
    x = (table.values - table.values.mean(0)) / scale
    names = table.trails
    for i, j in ((0, 1), (1, 3), (2, 3)):
        expected, _ = plain_distance(x[table.trail == names[i]], x[table.trail == names[j]], x, 5)
        assert pairs.distance[i, j] == pytest.approx(expected, rel=1e-5)
    assert pairs.chosen.sum() == pytest.approx(5)


def test_canonical_pair_is_the_same_comparison():
    table = simulate_prints(animals=4, trails=(1, 2), variables=12, seed=3)
    pairs = compare_pairs(table.values, table.trail, table.values, variables=5)
    names = table.trails
    one = canonical_pair(table.values, table.trail, (names[2], names[0]), table.values, variables=5)
    assert one.distance == pytest.approx(pairs.distance[0, 2])
    assert np.linalg.norm(one.first.mean(0) - one.second.mean(0)) == pytest.approx(one.distance)


def test_ellipses_touch_where_points_say_so():
    generator = np.random.default_rng(0)
    for _ in range(20):
        mixed = generator.normal(size=(2, 2, 2))
        first, second = mixed[0] @ mixed[0].T + 0.2 * np.eye(2), mixed[1] @ mixed[1].T + 0.2 * np.eye(2)
        gap = generator.normal(size=2) * 4
        radius = float(touching_radius(gap[None], first[None], second[None])[0])
        angle = np.linspace(0, 2 * np.pi, 4000)
        circle = np.stack([np.cos(angle), np.sin(angle)])
        edge = np.sqrt(radius) * (np.linalg.cholesky(first) @ circle).T + gap
        nearest = np.einsum("nd,de,ne->n", edge, np.linalg.inv(second), edge).min()
        assert np.sqrt(nearest) == pytest.approx(np.sqrt(radius), rel=0.02)


def test_short_trails_are_refused():
    table = simulate_prints(animals=5, prints=(2, 2))
    with pytest.raises(LabelError, match="fewer than 3 prints"):
        compare_pairs(table.values, table.trail, table.values)


def test_cuts():
    points = np.array([0.0, 1.0, 10.0, 11.5, 30.0])
    tree = grow_tree(np.abs(np.subtract.outer(points, points)))
    assert cut_at_height(tree, height_for(tree, 3)).tolist() == [0, 0, 1, 1, 2]
    assert cut_to_number(tree, 5).tolist() == [0, 1, 2, 3, 4]
    assert cut_at_height(tree, height_for(tree, 1)).max() == 0
    cut = learn_cut([tree, tree], [3, 2], [10, 10])
    assert height_for(tree, 3) < cut.at(10) < height_for(tree, 2)


@pytest.mark.parametrize(
    ("species", "file", "published"), [("puma", "MountainLion.csv", 0.911), ("tiger", "AmurTiger.csv", 0.929)]
)
def test_in_sample_pairs_reach_the_published_figures(shared_data, species, file, published):
    table = read_prints(shared_data / "footprints" / file)
    preset = PRESETS[species]
    pairs = compare_pairs(table.values, table.trail, table.values, variables=preset.variables)
    owner = table.of_trails(table.animal)
    upper = np.triu_indices(len(owner), 1)
    called = pairs.same(preset.coverage)[upper]
    assert balanced_accuracy_score((owner[:, None] == owner)[upper], called) >= published
    tree = grow_tree(np.log1p(pairs.distance), method="ward")
    assert abs(cut_at_height(tree, preset.cut).max() + 1 - len(set(owner))) <= 3

"""Simulated paw pictures: scale, mirrored feet, repeatable, and edges of pads where the landmarks say."""

import numpy as np
import pytest

from ethomorph.identity.recipe import read_recipe
from ethomorph.identity.variables import measure_prints
from ethomorph.phantoms.paws import NAMES, build_foot, simulate_paws


@pytest.fixture(scope="module")
def sample():
    return simulate_paws(animals=4, trails=(2, 2), prints=(3, 3), right_share=0.5, sites=2, seed=5)


def test_points_are_those_of_the_felid_recipe(sample):
    assert NAMES[2:] == list(read_recipe("felid").placed)
    assert sample.landmarks.names == NAMES
    assert len(sample) == 4 * 2 * 3


def test_the_bar_is_ten_centimetres_and_everything_lies_inside(sample):
    for specimen, image in zip(sample.landmarks, sample.images, strict=True):
        bar = specimen.points[:2] * specimen.scale
        assert np.hypot(*(bar[1] - bar[0])) == pytest.approx(100)
        assert (specimen.points > 0).all()
        assert (specimen.points < image.shape[::-1]).all()


def test_pads_are_darker_than_the_ground(sample):
    for specimen, image in zip(sample.landmarks, sample.images, strict=True):
        toe = specimen.points[2:6]
        x, y = np.round(toe.mean(0)).astype(int)
        inside = image[y - 3 : y + 4, x - 3 : x + 4].mean()
        assert inside < np.median(image) - 15


def test_right_feet_measure_like_left_ones(sample):
    felid = read_recipe("felid")
    table = measure_prints(sample.landmarks, felid)
    feet = {s.attributes["foot"] for s in sample.landmarks}
    assert feet == {"left hind", "right hind"}
    assert set(table.attributes["foot"]) == {"left hind"}
    typical = measure_prints(sample.landmarks.subset([0]), felid).values[0]
    assert np.allclose(table.values, typical, rtol=0.8, atol=3.0)


def test_animals_differ_more_than_their_prints():
    sample = simulate_paws(animals=8, trails=(1, 1), prints=(6, 6), seed=1)
    table = measure_prints(sample.landmarks, read_recipe("felid"))
    means = np.array([table.values[table.animal == a].mean(0) for a in np.unique(table.animal)])
    within = np.array([table.values[table.animal == a].var(0) for a in np.unique(table.animal)]).mean(0)
    assert np.median(means.var(0) / within) > 0.8


def test_the_same_seed_gives_the_same_sample():
    first, second = (simulate_paws(animals=1, trails=(1, 1), prints=(2, 2), seed=3) for _ in range(2))
    assert np.array_equal(first.images[1], second.images[1])
    assert np.array_equal(first.landmarks.array(), second.landmarks.array())


def test_a_foot_without_deviation_is_the_typical_one():
    points, outlines = build_foot(np.zeros(38))
    assert points.shape == (25, 2)
    toe = outlines[0]
    assert toe[:, 1].max() == pytest.approx(points[0, 1], abs=0.1)
    doubled, _ = build_foot(np.zeros(38), 2.0)
    assert doubled == pytest.approx(2 * points)


def test_written_folder(sample, tmp_path):
    folder = sample.write(tmp_path / "paws")
    assert len(list((folder / "images").glob("*.png"))) == len(sample)
    rows = (folder / "specimens.csv").read_text().splitlines()
    assert rows[0] == "image,specimen,trail,foot,sex,site"
    assert len(rows) == len(sample) + 1

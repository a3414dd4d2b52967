"""Distances between two codings: closed forms, gaps, and the lizards landmarked twice."""

import json

import numpy as np
import pytest

from ethomorph.core.errors import InputError, LabelError
from ethomorph.core.landmarks import LandmarkSet
from ethomorph.shape.repeat_error import repeat_error


def codings(n=60, p=12, sd=2.0, seed=0):
    rng = np.random.default_rng(seed)
    truth = 300 * rng.normal(size=(p, 2)) + 30 * rng.normal(size=(n, p, 2))
    return truth + sd * rng.normal(size=(n, p, 2)), truth + sd * rng.normal(size=(n, p, 2))


def test_gaussian_codings_differ_by_the_rayleigh_mean():
    first, second = codings(n=2000)
    result = repeat_error(first, second, fit="none", resamples=50)
    expected = np.sqrt(2) * 2.0 * np.sqrt(np.pi / 2)  # difference of two N(0, 2): sd 2 sqrt 2 in each direction
    assert result.mean.value == pytest.approx(expected, rel=0.02)
    assert 0.02 < result.mean.high - result.mean.low < 0.1  # 24 000 distances of sd 1.85: a standard error of 0.012
    assert result.median.value == pytest.approx(np.sqrt(2) * 2.0 * np.sqrt(2 * np.log(2)), rel=0.02)
    assert result.mean.n == 2000 * 12 and len(result.per_landmark) == 12


def test_a_fit_removes_place_turn_and_size_and_nothing_else():
    first, _ = codings()
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    second = 0.5 * first @ turn.T + [100, -50]
    assert repeat_error(first, second, resamples=20).mean.value == pytest.approx(0, abs=1e-9)
    assert repeat_error(first, second, fit="none", resamples=20).mean.value > 100
    second[:, 0] += 40  # 40 px in the second picture are 80 px in the first
    moved = repeat_error(first, second, resamples=20)
    assert moved.per_landmark["1"].value == max(m.value for m in moved.per_landmark.values()) > 60


def test_missing_landmarks_are_left_out_and_counted():
    first, second = codings()
    second[3, 5] = np.nan
    first[7] = np.nan
    result = repeat_error(first, second, resamples=20)
    assert result.left_out == 13
    assert result.mean.n == 60 * 12 - 13 and result.per_landmark["6"].n == 58
    assert np.isnan(result.distances[7]).all()
    json.dumps(result.to_dict(), allow_nan=False)


def test_scale_gives_millimetres():
    first, second = codings()
    scale = np.linspace(0.03, 0.05, 60)
    px, mm = (
        repeat_error(first, second, resamples=20),
        repeat_error(first, second, scale=scale, unit="mm", resamples=20),
    )
    np.testing.assert_allclose(mm.distances, px.distances * scale[:, None])
    assert mm.mean.unit == "mm"
    with pytest.raises(InputError, match="positive"):
        repeat_error(first, second, scale=np.zeros(60))


def test_groups_widen_the_interval_and_few_groups_have_none():
    first, second = codings()
    second = second + np.repeat(np.linspace(0, 20, 12), 5)[:, None, None]
    alone = repeat_error(first, second, fit="none", resamples=300).mean
    grouped = repeat_error(first, second, fit="none", groups=np.arange(60) // 5, resamples=300).mean
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)
    few = repeat_error(first, second, groups=np.arange(60) // 20, resamples=20).mean
    assert few.low is None and len(few.points) == 3 and few.note


def test_codings_of_other_specimens_are_refused():
    first, second = codings()
    with pytest.raises(LabelError, match="same specimens"):
        repeat_error(first, second[:10])


def complete_pairs(folder) -> tuple[LandmarkSet, LandmarkSet]:
    from ethomorph.formats.registry import read_landmarks

    first, second = (read_landmarks(folder / n, gaps="missing") for n in ("combined.tps", "combined-manual.tps"))
    lines = (folder / "image_mapping.txt").read_text(encoding="utf-8").splitlines()
    partner = dict(line.rsplit(",", 1) for line in lines if line.strip())
    place = {s.image: i for i, s in enumerate(second)}
    rows = [(i, place[partner[s.image]]) for i, s in enumerate(first) if partner.get(s.image) in place]
    rows = [(i, j) for i, j in rows if first[i].visible[:34].all() and second[j].visible[:34].all()]
    return first.subset(i for i, _ in rows), second.subset(j for _, j in rows)


def test_lizards_landmarked_twice_differ_by_the_known_distance(shared_data):
    # Found before, by another program: 32 body points after a similarity fit, mean 6.37 px, median 4.93 px; all points
    # without a fit, median 5.1 px.
    first, second = complete_pairs(shared_data / "lizard-xray")
    a, b = first.array()[:, :34], second.array()[:, :34]
    result = repeat_error(a[:, 2:], b[:, 2:], resamples=300)
    assert len(a) == 258
    assert result.mean.value == pytest.approx(6.37, abs=0.01)
    assert result.median.value == pytest.approx(4.93, abs=0.01)
    assert repeat_error(a, b, fit="none", resamples=20).median.value == pytest.approx(5.1, abs=0.05)
    assert 6.1 < result.mean.low < 6.37 < result.mean.high < 6.7
    assert all(metric.low is not None for metric in result.per_landmark.values())

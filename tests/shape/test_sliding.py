"""Sliding semilandmarks: spacing along a curve must stop mattering, and the curve itself must be kept."""

import numpy as np
import pandas
import pytest

from ethomorph.core.errors import LabelError
from ethomorph.shape.procrustes import centroid_size, generalized_procrustes
from ethomorph.shape.sliding import connected_curves, slide_once, slide_semilandmarks
from ethomorph.shape.thin_plate import bending_energy_matrix

ARC = np.array([[i, i + 1, i + 2] for i in range(19)])


def arcs(n=10, seed=0):
    """Half circles between fixed ends 0 and 20, with 19 semilandmarks spaced differently on each."""
    rng = np.random.default_rng(seed)
    share = np.linspace(0, 1, 21)
    bend = rng.uniform(-0.5, 0.5, size=(n, 1))
    angle = np.pi * (share + bend * share * (1 - share))
    curve = np.stack([np.cos(angle), np.sin(angle)], axis=2)
    third = np.repeat([[[0.0, -0.7]]], n, axis=0)  # a landmark off the curve
    return np.concatenate([curve, third], axis=1)


@pytest.mark.parametrize("criterion", ["bending_energy", "procrustes_distance"])
def test_equal_curves_with_unequal_spacing_become_alike(criterion):
    points = arcs()
    before = (generalized_procrustes(points).procrustes_distance ** 2).sum()
    slid = slide_semilandmarks(points, ARC, criterion=criterion)
    assert (slid.procrustes_distance**2).sum() < 0.05 * before
    assert slid.converged
    np.testing.assert_allclose(slid.centroid_size, centroid_size(points))


def test_semilandmarks_stay_on_their_curve():
    points = arcs()
    slid = slide_semilandmarks(points, ARC)
    for shape in slid.aligned:
        # Least-squares circle through the slid curve: all lie on it, within the sagitta of the 20-piece polygon.
        curve = shape[:21]
        system = np.c_[2 * curve, np.ones(21)]
        centre = np.linalg.lstsq(system, (curve**2).sum(axis=1), rcond=None)[0][:2]
        radius = np.linalg.norm(curve - centre, axis=1)
        assert np.ptp(radius) / radius.mean() < 0.03


def test_one_step_reaches_the_least_energy_along_the_tangents():
    rng = np.random.default_rng(1)
    gpa = generalized_procrustes(arcs() + 0.02 * rng.normal(size=(10, 22, 2)))
    energy = bending_energy_matrix(gpa.mean)

    def cost(shapes, matrix):
        d = shapes - gpa.mean
        return np.einsum("npk,pq,nqk->n", d, matrix, d)

    for criterion, matrix in (("bending_energy", energy), ("procrustes_distance", np.eye(22))):
        slid = slide_once(gpa.aligned, gpa.mean, ARC, criterion=criterion)
        least = cost(slid, matrix)
        assert (least <= cost(gpa.aligned, matrix)).all()
        tangent = gpa.aligned[:, ARC[:, 2]] - gpa.aligned[:, ARC[:, 0]]
        for _ in range(5):  # any further step along the tangents costs more
            further = slid.copy()
            further[:, ARC[:, 1]] += 1e-3 * rng.normal(size=(10, 19, 1)) * tangent
            assert (cost(further, matrix) >= least).all()
        fixed = [0, 20, 21]
        np.testing.assert_array_equal(slid[:, fixed], gpa.aligned[:, fixed])


def test_curves_that_share_an_end_are_kept_apart():
    curves = connected_curves(np.array([[0, 1, 2], [1, 2, 3], [0, 4, 5], [4, 5, 6]]))
    assert sorted(tuple(sorted(slide)) for slide, _ in curves) == [(1, 2), (4, 5)]
    assert sorted(len(pieces) for _, pieces in curves) == [3, 3]


@pytest.mark.parametrize(
    ("sliders", "message"),
    [([[0, 1]], "shape"), ([[0, 1, 99]], "outside"), ([[0, 1, 2], [2, 1, 3]], "slides twice")],
)
def test_bad_sliders_are_refused(sliders, message):
    with pytest.raises(LabelError, match=message):
        slide_semilandmarks(arcs(), np.array(sliders))


def test_hummingbirds_slide_as_in_ktch(shared_data):
    landmark = pytest.importorskip("ktch.landmark")
    folder = shared_data / "shape-tables"
    points = pandas.read_csv(folder / "hummingbirds.csv").filter(regex=r"^[xy]\d+$").to_numpy().reshape(44, 25, 2)
    sliders = pandas.read_csv(folder / "hummingbirds_sliders.csv").to_numpy() - 1
    ours = slide_semilandmarks(points, sliders, criterion="procrustes_distance")
    other = landmark.GeneralizedProcrustesAnalysis(
        n_dim=2, curves=sliders, sliding_criterion="procrustes_distance", max_iter=ours.iterations + 1
    )
    with pytest.warns(UserWarning, match="did not converge"):
        theirs = other.fit_transform(points.reshape(44, -1)).reshape(44, 25, 2)
    theirs /= centroid_size(theirs)[:, None, None]
    squares = (ours.procrustes_distance**2).sum()
    assert squares == pytest.approx(((theirs - theirs.mean(axis=0)) ** 2).sum(), rel=0.03)
    assert squares < 0.25 * (generalized_procrustes(points).procrustes_distance ** 2).sum()

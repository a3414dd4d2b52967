"""Surface distances against closed forms and DeepMind's own library."""

import numpy as np
import pytest

from ethomorph.volumes.surface import corner_areas, hausdorff, mean_distance, surface_dice, surface_distances


def ball(radius: float, shape=(40, 40, 40), centre=(20, 20, 20), spacing=(1.0, 1.0, 1.0)) -> np.ndarray:
    grid = np.meshgrid(*[(np.arange(n) - c) * s for n, c, s in zip(shape, centre, spacing, strict=True)], indexing="ij")
    return np.sqrt(sum(g**2 for g in grid)) < radius


def test_a_box_has_the_area_of_its_faces_but_for_cut_edges():
    mask = np.zeros((20, 30, 40), bool)
    mask[5:15, 5:25, 5:35] = True
    areas = surface_distances(mask, mask, (0.5, 1.0, 2.0)).truth_areas.sum()
    faces = 2 * (5 * 20 + 5 * 60 + 20 * 60)
    assert areas == pytest.approx(faces, rel=0.05) and areas < faces


def test_concentric_balls_are_as_far_apart_as_their_radii():
    found = surface_distances(ball(15), ball(12), (1.0, 1.0, 1.0))
    # surfaces of voxels are about a voxel thick, and the nearest of their corners counts: up to half a voxel too near
    assert mean_distance(found) == pytest.approx(3.0, abs=0.5)
    assert hausdorff(found) == pytest.approx(3.0, abs=0.5)
    assert surface_dice(found, 4.0) == 1.0 and surface_dice(found, 1.5) == 0.0


def test_a_shift_counts_in_mm():
    a, b = ball(8, spacing=(0.5, 0.5, 0.5)), ball(8, centre=(24, 20, 20), spacing=(0.5, 0.5, 0.5))
    assert hausdorff(surface_distances(a, b, (0.5, 0.5, 0.5)), 100.0) == pytest.approx(2.0, abs=0.01)


def test_corner_areas_do_not_depend_on_inside_and_outside():
    areas = corner_areas((1.0, 1.0, 1.0))
    simple = [code for code in range(256) if bin(code).count("1") in (1, 7)]
    assert np.allclose(areas[simple], np.sqrt(3) / 8)
    assert areas[0] == areas[255] == 0 and areas[0b00001111] == pytest.approx(1.0)


def test_empty_masks_are_refused():
    with pytest.raises(ValueError, match="empty"):
        surface_distances(np.zeros((3, 3, 3), bool), np.ones((3, 3, 3), bool), (1, 1, 1))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.5, 1.0, 2.0)])
def test_deepminds_library_measures_the_same(spacing):
    theirs = pytest.importorskip("surface_distance")
    rng = np.random.default_rng(0)
    for _ in range(3):
        a = ball(9 + rng.random(), centre=tuple(rng.uniform(18, 22, 3)), spacing=spacing)
        b = ball(8 + rng.random(), centre=tuple(rng.uniform(17, 23, 3)), spacing=spacing)
        b &= rng.random(b.shape) > 0.002
        ours = surface_distances(a, b, spacing)
        reference = theirs.compute_surface_distances(a, b, spacing)
        for tolerance in (0.5, 1.0, 2.0):
            expected = theirs.compute_surface_dice_at_tolerance(reference, tolerance)
            assert surface_dice(ours, tolerance) == pytest.approx(expected, abs=0.01)
        assert hausdorff(ours) == pytest.approx(theirs.compute_robust_hausdorff(reference, 95), abs=0.1)
        there, back = theirs.compute_average_surface_distance(reference)
        areas = reference["surfel_areas_gt"].sum(), reference["surfel_areas_pred"].sum()
        expected = (there * areas[0] + back * areas[1]) / sum(areas)
        assert mean_distance(ours) == pytest.approx(expected, rel=0.02)

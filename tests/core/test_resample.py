"""Labels brought to another grid by their share: surfaces between voxels, nothing lost at the edge of a volume."""

import numpy as np
import pytest

from ethomorph.core.grid import Grid
from ethomorph.core.resample import resample_labels, resample_shapes


def balls(grid: Grid) -> np.ndarray:
    """Two touching balls of 3 mm about x = -3 and 3."""
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)[..., ::-1]
    points = grid.to_lps(index)
    labels = np.zeros(grid.shape, np.uint16)
    for value, x in ((7, -3.0), (300, 3.0)):
        labels[((points - [x, 0, 0]) ** 2).sum(axis=-1) < 9] = value
    return labels


def around(spacing: float) -> Grid:
    size = (round(8 / spacing), round(8 / spacing), round(14 / spacing))
    origin = tuple(-(n - 1) / 2 * spacing for n in size[::-1])
    return Grid(size, (spacing,) * 3, origin)


@pytest.mark.parametrize("spacing", [0.31, 0.74])
def test_shapes_are_nearer_to_the_truth_than_by_nearest_voxel(spacing):
    source, target = around(0.5), around(spacing)
    labels, truth = balls(source), balls(target)

    def wrong(found: np.ndarray) -> int:
        return int((found != truth).sum())

    ours = resample_shapes(labels, source, target)
    assert ours.dtype == labels.dtype and set(np.unique(ours)) == {0, 7, 300}
    assert wrong(ours) < 0.75 * wrong(resample_labels(labels, source, target))


def test_the_same_grid_gives_the_same_labels():
    grid = around(0.5)
    assert np.array_equal(resample_shapes(balls(grid), grid, grid), balls(grid))


def test_what_the_volume_s_edge_cuts_reaches_the_edge():
    source = Grid((4, 4, 4), (1.0, 1.0, 1.0))
    labels = np.zeros(source.shape, np.uint8)
    labels[:, :2] = 5
    fine = source.resized((0.5, 0.5, 0.5))
    expected = np.zeros(fine.shape, np.uint8)
    expected[:, :4] = 5
    assert np.array_equal(resample_shapes(labels, source, fine), expected)


def test_slabs_of_a_turned_grid_agree_with_the_whole():
    c, s = np.cos(0.3), np.sin(0.3)
    source = around(0.5)
    target = Grid((20, 18, 30), (0.4, 0.4, 0.4), (-6.0, -3.5, -4.0), ((c, -s, 0.0), (s, c, 0.0), (0.0, 0.0, 1.0)))
    whole = resample_shapes(balls(source), source, target)
    part = resample_shapes(balls(source), source, target.cropped((slice(5, 9), slice(None), slice(None))))
    assert np.array_equal(whole[5:9], part) and set(np.unique(whole)) == {0, 7, 300}

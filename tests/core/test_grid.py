"""Grids against closed forms and SimpleITK, labels and images brought from grid to grid."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ethomorph.core.errors import LabelError
from ethomorph.core.grid import Grid, refuse_other_grid
from ethomorph.core.resample import resample_image, resample_labels
from ethomorph.core.volume import LabelVolume, ScalarVolume, Segment, paired

TURNS = [np.eye(3)[list(order)] * np.array(signs)[:, None] for order in ((0, 1, 2), (1, 0, 2), (2, 0, 1))
         for signs in ((1, 1, 1), (-1, -1, 1), (1, -1, -1))]  # fmt: skip


def turned(angle: float) -> tuple:
    c, s = np.cos(angle), np.sin(angle)
    return ((c, -s, 0.0), (s, c, 0.0), (0.0, 0.0, 1.0))


def test_points_go_there_and_back_and_fall_where_simpleitk_has_them():
    sitk = pytest.importorskip("SimpleITK")
    grid = Grid((4, 5, 6), (0.5, 1.0, 2.0), (1.0, -2.0, 3.0), turned(0.3))
    image = sitk.Image(6, 5, 4, sitk.sitkUInt8)
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection([v for row in grid.direction for v in row])
    index = np.random.default_rng(0).uniform(0, 4, (50, 3))
    points = grid.to_lps(index)
    assert np.allclose(points, [image.TransformContinuousIndexToPhysicalPoint(i.tolist()) for i in index])
    assert np.allclose(grid.to_index(points), index)


@settings(deadline=None)
@given(st.tuples(*[st.integers(1, 9)] * 3), st.tuples(*[st.floats(0.01, 5)] * 3), st.floats(-3, 3))
def test_a_matrix_gives_the_grid_back(shape, spacing, angle):
    grid = Grid(shape, spacing, (3.0, 2.0, -1.0), turned(angle))
    assert Grid.from_matrix(grid.matrix, shape).is_same(grid)


def test_a_crop_keeps_its_place():
    grid = Grid((8, 9, 10), (1.0, 2.0, 3.0), (5.0, 5.0, 5.0), turned(1.0))
    crop = grid.cropped((slice(2, 6), slice(3, 9), slice(1, 4)))
    assert crop.shape == (4, 6, 3)
    assert np.allclose(crop.to_lps([0, 0, 0]), grid.to_lps([1, 3, 2]))


def test_resizing_keeps_the_box():
    grid = Grid((10, 20, 30), (0.1, 0.2, 0.3), (1.0, 2.0, 3.0))
    coarse = grid.resized((0.3, 0.4, 0.6))
    assert np.allclose(coarse.size_mm, grid.size_mm)
    assert np.allclose(coarse.to_lps([-0.5] * 3), grid.to_lps([-0.5] * 3))


@pytest.mark.parametrize(
    ("spacing", "direction", "word"),
    [((0, 1, 1), np.eye(3), "spacing"), ((-1, 1, 1), np.eye(3), "spacing"), ((1, 1, np.nan), np.eye(3), "spacing"),
     ((1, 1, 1), [[1, 0.2, 0], [0, 1, 0], [0, 0, 1]], "right angles")],
)  # fmt: skip
def test_impossible_grids_are_refused(spacing, direction, word):
    with pytest.raises(LabelError, match=word):
        Grid((2, 2, 2), spacing, direction=tuple(map(tuple, direction)))


def test_another_grid_is_refused_with_both_grids_and_the_fix():
    image, labels = Grid((2, 3, 4), (1, 1, 1)), Grid((4, 6, 8), (0.5, 0.5, 0.5))
    with pytest.raises(LabelError) as told:
        refuse_other_grid(image, labels)
    assert "4 x 3 x 2 voxels of 1 x 1 x 1 mm" in str(told.value)
    assert "8 x 6 x 4 voxels of 0.5 x 0.5 x 0.5 mm" in str(told.value)
    assert "convert LABELS OUT --grid IMAGE" in str(told.value)


def test_twice_oversampled_labels_come_back_exactly():
    """The laboratory's case: a segmentation with half the voxel size of its volume."""
    rng = np.random.default_rng(1)
    grid = Grid((6, 7, 8), (0.2, 0.2, 0.2), (4.0, 5.0, 6.0))
    array = rng.integers(0, 45, grid.shape).astype(np.uint16)
    fine = LabelVolume.of(array, grid).on(grid.resized((0.1, 0.1, 0.1)))
    assert fine.array.shape == (12, 14, 16)
    assert np.array_equal(fine.array, array.repeat(2, 0).repeat(2, 1).repeat(2, 2))
    image = ScalarVolume(np.zeros(grid.shape, np.uint16), grid)
    assert np.array_equal(paired(image, fine).array, array)
    with pytest.raises(LabelError, match="not on the image's grid"):
        paired(image, fine, resample=False)


@pytest.mark.parametrize("turn", TURNS)
def test_quarter_turns_only_move_voxels(turn):
    rng = np.random.default_rng(2)
    source = Grid((5, 6, 7), (1, 2, 3), (1, 1, 1))
    array = rng.integers(0, 9, source.shape).astype(np.uint8)
    matrix = np.eye(4)
    order = np.abs(turn).argmax(axis=0)
    counts, spacing = np.array([7, 6, 5])[order], np.array([1.0, 2.0, 3.0])[order]
    matrix[:3, :3] = turn * spacing
    middle = source.to_lps((np.array([7, 6, 5]) - 1) / 2)
    matrix[:3, 3] = middle - matrix[:3, :3] @ ((counts - 1) / 2)
    target = Grid.from_matrix(matrix, tuple(counts[::-1]))
    moved = resample_labels(array, source, target)
    assert np.array_equal(np.bincount(moved.ravel(), minlength=9), np.bincount(array.ravel(), minlength=9))
    assert np.array_equal(resample_labels(moved, target, source), array)


def test_turned_labels_agree_with_simpleitk():
    sitk = pytest.importorskip("SimpleITK")
    from ethomorph.formats.metaimage import read_metaimage  # noqa: F401  (warns once about a missing part)

    rng = np.random.default_rng(3)
    source = Grid((9, 10, 11), (0.5, 0.6, 0.7), (1, 2, 3), turned(0.2))
    target = Grid((12, 9, 10), (0.55, 0.5, 0.65), (0.8, 2.2, 2.9), turned(-0.4))
    array = rng.integers(0, 9, source.shape).astype(np.uint8)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(source.spacing)
    image.SetOrigin(source.origin)
    image.SetDirection([v for row in source.direction for v in row])
    like = sitk.Image(*target.shape[::-1], sitk.sitkUInt8)
    like.SetSpacing(target.spacing)
    like.SetOrigin(target.origin)
    like.SetDirection([v for row in target.direction for v in row])
    theirs = sitk.GetArrayFromImage(sitk.Resample(image, like, sitk.Transform(), sitk.sitkNearestNeighbor))
    assert (resample_labels(array, source, target) == theirs).mean() > 0.999
    smooth = rng.normal(size=source.shape).astype(np.float32)
    image2 = sitk.GetImageFromArray(smooth)
    image2.CopyInformation(image)
    theirs = sitk.GetArrayFromImage(sitk.Resample(image2, like, sitk.Transform(), sitk.sitkLinear))
    ours = resample_image(smooth, source, target)
    inside = (theirs != 0) & (ours != 0)
    assert inside.sum() > 300
    assert np.abs(ours - theirs)[inside].max() < 1e-4


def test_coarser_images_are_means():
    grid = Grid((8, 8, 8), (1, 1, 1))
    array = np.random.default_rng(4).normal(size=grid.shape).astype(np.float32)
    coarse = resample_image(array, grid, grid.resized((2, 2, 2)))
    assert np.allclose(coarse, array.reshape(4, 2, 4, 2, 4, 2).mean(axis=(1, 3, 5)), atol=1e-5)


def test_labels_elsewhere_are_refused():
    image = ScalarVolume(np.zeros((4, 4, 4)), Grid((4, 4, 4), (1, 1, 1)))
    far = LabelVolume.of(np.ones((4, 4, 4), np.uint8), Grid((4, 4, 4), (1, 1, 1), (100, 0, 0)))
    with pytest.raises(LabelError, match="lie outside the image"):
        paired(image, far)


def test_ambiguous_tables_are_refused():
    array, grid = np.ones((2, 2, 2), np.uint8), Grid((2, 2, 2), (1, 1, 1))
    for segments, word in (
        ([Segment("a", 1), Segment("b", 1)], "share label value 1"),
        ([Segment("a", 1), Segment("a", 2)], "have the name 'a'"),
        ([Segment("a", 300)], "does not fit uint8"),
    ):
        with pytest.raises(LabelError, match=word):
            LabelVolume.of(array, grid, segments)
    with pytest.raises(LabelError, match="whole numbers"):
        LabelVolume.of(array.astype(float), grid, {"a": 1})

"""Transforms: names of frames, order and inverse, one resampling, and the ITK files that Slicer reads."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ethomorph.core.errors import FormatError
from ethomorph.core.grid import Grid
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.core.mesh import box_mesh
from ethomorph.core.volume import LabelVolume, ScalarVolume
from ethomorph.formats.itk_transform import _tfm, read_transform, write_transform
from ethomorph.spatial.transform import FrameError, Transform, Warp, folded_share


def rigid(seed: int, reach: float = 20.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.random(rng=rng).as_matrix()
    matrix[:3, 3] = rng.uniform(-reach, reach, 3)
    return matrix


def smooth_warp(seed: int, mm: float = 1.0) -> Warp:
    """A smooth field that is zero at the rim of its grid."""
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    grid = Grid((24, 24, 24), (2, 2, 2), (-23, -23, -23))
    field = np.zeros((24, 24, 24, 3), np.float32)
    field[5:-5, 5:-5, 5:-5] = rng.normal(size=(14, 14, 14, 3))
    field = ndimage.gaussian_filter(field, (2, 2, 2, 0))
    return Warp(grid, (field * mm / np.abs(field).max()).astype(np.float32))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_points_there_and_back_through_a_chain(seed):
    chain = Transform.linear(rigid(seed + 1), "table", "head") @ Transform.linear(rigid(seed), "scan", "table")
    points = np.random.default_rng(seed).uniform(-100, 100, (1000, 3))
    moved = chain.points(points, frame="scan")
    assert np.abs(chain.inverse.points(moved, frame="head") - points).max() < 1e-9
    assert np.abs(chain.inverse.matrix @ chain.matrix - np.eye(4)).max() < 1e-9
    assert len(chain.parts) == 1  # composed, so resampled once


def test_order_and_direction_are_refused_by_name():
    inner, outer = Transform.linear(rigid(0), "scan", "table"), Transform.linear(rigid(1), "table", "head")
    with pytest.raises(FrameError, match="turn the order round"):
        inner @ outer
    with pytest.raises(FrameError, match="use its inverse"):
        inner.points([[0, 0, 0]], frame="table")
    with pytest.raises(FrameError, match="bring it to 'scan' first"):
        inner.points([[0, 0, 0]], frame="head")
    with pytest.raises(FrameError, match="itself"):
        Transform.linear(np.eye(4), "scan", "scan")
    with pytest.raises(FrameError, match="no inverse"):
        Transform.linear(np.diag([1, 1, 0, 1]), "scan", "head")


def test_a_known_voxel_lands_where_its_point_lands():
    """Points forward, images backward: a bright voxel is found in the resampled volume where its point goes."""
    source = Grid((30, 32, 34), (0.5, 0.4, 0.6), (3, -4, 5), tuple(Rotation.random(random_state=4).as_matrix()))
    transform = Transform.linear(rigid(2, 3), "table", "head") @ Transform.linear(rigid(3, 3), "scan", "table")
    array = np.zeros(source.shape, np.float32)
    array[12, 20, 9] = 1
    place = (rigid(2, 3) @ rigid(3, 3) @ source.matrix @ [9, 20, 12, 1])[:3]  # by hand: first inner, then outer
    assert np.allclose(transform.points(source.to_lps([9, 20, 12]), frame="scan"), place)
    target = Grid((41, 41, 41), (0.3,) * 3, tuple(place - 6.13))
    image = transform.image(ScalarVolume(array, source), target, frame="scan")
    found = np.array(np.unravel_index(image.array.argmax(), target.shape))[::-1]
    assert np.abs(found - target.to_index(place)).max() <= 1.0
    weights = image.array / image.array.sum()
    centre = [(weights * axis).sum() for axis in np.indices(target.shape)[::-1]]
    assert np.abs(centre - target.to_index(place)).max() < 0.5
    labels = transform.labels(LabelVolume.of((array > 0).astype(np.uint8), source), target, frame="scan")
    centre = [axis[labels.array > 0].mean() for axis in np.indices(target.shape)[::-1]]
    assert np.abs(centre - target.to_index(place)).max() < 0.5


def forgets_the_inverse(patch):
    patch.setattr("ethomorph.spatial.transform.inverted", lambda matrix: matrix)


def multiplies_in_the_wrong_order(patch):
    def merged(parts):
        whole = np.eye(4)
        for part in parts:
            whole = whole @ part
        yield whole

    patch.setattr("ethomorph.spatial.transform._merged", merged)


def composes_in_the_wrong_order(patch):
    def outer_first(self, inner):
        return Transform((*self.parts, *inner.parts), inner.source, self.target)

    patch.setattr(Transform, "__matmul__", outer_first)


def writes_the_file_the_other_way(patch):
    patch.setattr("ethomorph.formats.itk_transform._tfm", lambda m, a, b, tfm=_tfm: tfm(np.linalg.inv(m), a, b))


@pytest.mark.parametrize("fault", [forgets_the_inverse, multiplies_in_the_wrong_order, composes_in_the_wrong_order])
def test_the_test_above_would_notice(fault, monkeypatch):
    """Order or inverse swapped: the voxel is not found where its point is."""
    fault(monkeypatch)
    with pytest.raises((AssertionError, ValueError)):
        test_a_known_voxel_lands_where_its_point_lands()


def test_a_file_written_the_other_way_would_be_noticed(tmp_path, monkeypatch):
    writes_the_file_the_other_way(monkeypatch)
    with pytest.raises(AssertionError):
        test_itk_files_round_trip_and_mean_from_parent(tmp_path, ".tfm")


def test_linear_resampling_equals_itk():
    rng = np.random.default_rng(0)
    source, transform = Grid((12, 13, 14), (1, 1.5, 2)), Transform.linear(rigid(5, 6), "scan", "head")
    middle = transform.points(source.centre, frame="scan")
    target = Grid((15, 11, 12), (1.2, 1, 1.4), tuple(middle - 7))
    array = rng.random(source.shape).astype(np.float32)
    ours = transform.image(ScalarVolume(array, source), target, frame="scan").array
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(source.spacing)
    back = transform.inverse.matrix
    itk = sitk.AffineTransform(back[:3, :3].ravel().tolist(), back[:3, 3].tolist())
    reference = sitk.Image(target.shape[::-1], sitk.sitkFloat32)
    reference.SetSpacing(target.spacing)
    reference.SetOrigin(target.origin)
    theirs = sitk.GetArrayFromImage(sitk.Resample(image, reference, itk, sitk.sitkLinear, 0.0))
    both = (ours > 0) & (theirs > 0)
    assert both.sum() > 100
    inner = np.abs(ours - theirs)[both]
    assert np.quantile(inner, 0.9) < 1e-5


def test_labels_keep_their_set_and_their_volumes():
    grid = Grid((60, 60, 60), (0.2,) * 3, (-5.9,) * 3)
    z, y, x = np.indices(grid.shape)
    array = np.zeros(grid.shape, np.uint8)
    array[(x - 25) ** 2 + (y - 30) ** 2 + (z - 30) ** 2 < 18**2] = 1
    array[(x - 46) ** 2 + (y - 30) ** 2 + (z - 30) ** 2 < 4.5**2] = 2
    labels = LabelVolume.of(array, grid, {"OtherBone": 1, "Tooth": 2})
    for seed in range(4):
        transform = Transform.linear(rigid(seed, 1), "scan", "head")
        box = transform.points(grid.corners, frame="scan")
        size = np.ceil(np.ptp(box, axis=0) / 0.2).astype(int)[::-1] + 2
        moved = transform.labels(labels, Grid(tuple(size), (0.2,) * 3, tuple(box.min(axis=0))), frame="scan")
        assert moved.names == labels.names
        assert set(np.unique(moved.array)) == {0, 1, 2}
        assert (moved.array == 1).sum() == pytest.approx((array == 1).sum(), rel=0.02)
        assert (moved.array == 2).sum() == pytest.approx((array == 2).sum(), rel=0.05)


@pytest.mark.parametrize("suffix", [".tfm", ".txt", ".h5"])
def test_itk_files_round_trip_and_mean_from_parent(tmp_path, suffix):
    transform = Transform.linear(rigid(7), "scan", "head")
    path = write_transform(transform, tmp_path / f"t{suffix}")
    again = read_transform(path)
    assert (again.source, again.target) == ("scan", "head")
    assert np.abs(again.matrix - transform.matrix).max() < 1e-9
    itk, point = sitk.ReadTransform(str(path)), np.array([3.0, -2.0, 8.0])
    in_head = transform.points(point, frame="scan")
    assert np.allclose(itk.TransformPoint(in_head.tolist()), point, atol=1e-9)  # the file maps head to scan
    with pytest.raises(FormatError, match="gigabytes"):
        write_transform(Transform((smooth_warp(0),), "a", "b"), tmp_path / "w.tfm")


def test_what_slicer_shows_is_ras_to_parent(tmp_path):
    """Slicer computes inv(F * M_file * F) from the file: the same matrix as ours."""
    transform = Transform.linear(rigid(9), "scan", "head")
    path = write_transform(transform, tmp_path / "t.tfm")
    itk = sitk.AffineTransform(sitk.ReadTransform(str(path)))
    file = np.eye(4)
    file[:3, :3], file[:3, 3] = np.reshape(itk.GetMatrix(), (3, 3)), itk.GetTranslation()
    flip = np.diag([-1, -1, 1, 1])
    assert np.allclose(transform.slicer_matrix, np.linalg.inv(flip @ file @ flip), atol=1e-9)


def test_files_of_other_programs_with_a_centre_and_in_chains(tmp_path):
    euler = sitk.Euler3DTransform((1.0, 2.0, 3.0), 0.2, -0.4, 0.3, (4.0, 5.0, -6.0))
    scale = sitk.ScaleTransform(3, (1.1, 0.9, 1.2))
    both = sitk.CompositeTransform([euler, scale])
    sitk.WriteTransform(both, str(tmp_path / "c.tfm"))
    with pytest.raises(FormatError, match="between which frames"):
        read_transform(tmp_path / "c.tfm")
    ours = read_transform(tmp_path / "c.tfm", source="moving", target="fixed")
    points = np.random.default_rng(0).uniform(-30, 30, (20, 3))
    theirs = np.array([both.TransformPoint(p.tolist()) for p in points])
    assert np.allclose(ours.inverse.points(points, frame="fixed"), theirs, atol=1e-9)


def test_a_bspline_is_read_with_its_displacements(tmp_path):
    spline = sitk.BSplineTransformInitializer(sitk.Image(30, 30, 30, sitk.sitkUInt8), (4, 4, 4))
    rng = np.random.default_rng(0)
    spline.SetParameters((rng.normal(size=spline.GetNumberOfParameters()) * 0.5).tolist())
    sitk.WriteTransform(spline, str(tmp_path / "b.h5"))
    ours = read_transform(tmp_path / "b.h5", source="moving", target="fixed")
    points = rng.uniform(4, 25, (50, 3))
    theirs = np.array([spline.TransformPoint(p.tolist()) for p in points])
    assert np.abs(ours.inverse.points(points, frame="fixed") - theirs).max() < 0.05


def test_warps_invert_chain_and_write(tmp_path):
    warp = smooth_warp(1)
    assert folded_share(warp) == 0
    first, last = Transform.linear(rigid(2, 2), "scan", "a"), Transform.linear(rigid(1, 2), "b", "head")
    chain = last @ Transform((warp,), "a", "b") @ first
    points = np.random.default_rng(0).uniform(-12, 12, (400, 3))
    moved = chain.points(points, frame="scan")
    assert np.abs(chain.inverse.points(moved, frame="head") - points).max() < 1e-3
    again = read_transform(write_transform(chain, tmp_path / "c.h5"))
    assert np.abs(again.points(points, frame="scan") - moved).max() < 1e-6
    back = read_transform(write_transform(chain.inverse, tmp_path / "i.h5"))
    assert np.abs(back.points(moved, frame="head") - points).max() < 0.1


def test_folding_is_seen():
    warp = smooth_warp(2, mm=30.0)
    assert folded_share(warp) > 0.01


def test_landmarks_curves_and_surfaces_come_along():
    transform = Transform.linear(rigid(3), "scan", "head")
    points = np.array([[1.0, 2, 3], [np.nan] * 3, [4, 5, 6]])
    landmarks = LandmarkSet([Specimen(points, curves=[points[[0, 2]]])], ["a", "b", "c"], frame="lps")
    moved = transform.landmarks(landmarks, frame="scan")
    assert np.isnan(moved[0].points[1]).all()
    assert np.allclose(moved[0].curves[0], moved[0].points[[0, 2]])
    box = box_mesh((0, 0, 0), (1, 2, 3))
    assert transform.mesh(box, frame="scan").volume_mm3 == pytest.approx(6)
    mirror = Transform.linear(np.diag([-1, 1, 1, 1]), "scan", "head")
    assert mirror.mesh(box, frame="scan").volume_mm3 == pytest.approx(6)
    with pytest.raises(FrameError, match="LPS"):
        transform.landmarks(LandmarkSet([Specimen(points[:, :2])], ["a", "b", "c"]), frame="scan")


@pytest.mark.parametrize("text", ["", "#Insight Transform File V1.0\n#Transform 0\nTransform: Nonsense\n", "\x00\x01"])
def test_damaged_files_are_refused(tmp_path, text):
    (tmp_path / "t.tfm").write_text(text)
    with pytest.raises(FormatError):
        read_transform(tmp_path / "t.tfm", source="a", target="b")
    (tmp_path / "t.h5").write_text(text)
    with pytest.raises(FormatError):
        read_transform(tmp_path / "t.h5", source="a", target="b")

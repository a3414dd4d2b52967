"""Image registration on SimpleITK: rigid to affine by mutual information or correlation, B-splines, and demons.

The result is a `Transform` that takes the *moving* frame to the *fixed* one, as everything here does; ITK's own result
runs the other way and never leaves this file.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ethomorph.core.errors import ImageError
from ethomorph.core.grid import Grid
from ethomorph.core.volume import ScalarVolume
from ethomorph.spatial.cloud import bone_points, bone_threshold
from ethomorph.spatial.pose import find_poses
from ethomorph.spatial.rigid import nearest_rotation
from ethomorph.spatial.symmetry import symmetry_planes
from ethomorph.spatial.transform import Transform, Warp, folded_share, inverted

Kind = Literal["rigid", "similarity", "affine"]
Metric = Literal["mutual_information", "correlation"]
SAMPLES = 40_000
SHRINKS, BLURS_VOXELS = (4, 2, 1), (2.0, 1.0, 0.0)
BINS = 40
ELASTIC_LEVELS = ((4, 60), (2, 50), (1, 20))
"""Shrink factor and rounds of each level of demons."""
FIELD_BLUR, UPDATE_BLUR = 1.0, 1.0
KNOTS, KNOT_STEPS = 2, (1, 2, 4)
"""Cells of the coarsest B-spline lattice along the shortest side, and how many times finer each level is."""
SPLINE_ROUNDS, SPLINE_SAMPLES = 25, 20_000
UNFOLDING_VOXELS = (0.6, 0.8, 1.0, 1.3, 1.6, 2.0, 3.0)


def register_linear(
    fixed: ScalarVolume,
    moving: ScalarVolume,
    start: Transform,
    *,
    kind: Kind = "rigid",
    metric: Metric = "mutual_information",
    seed: int = 0,
) -> Transform:
    """Improve a linear start so that the images agree; for CT on MRI take mutual information.

    Parameters
    ----------
    start : moving to fixed; linear, right within some 15 degrees.

    Raises
    ------
    ImageError : the images do not overlap at the start.
    """
    import SimpleITK as sitk

    method = sitk.ImageRegistrationMethod()
    if metric == "mutual_information":
        method.SetMetricAsMattesMutualInformation(BINS)
    else:
        method.SetMetricAsCorrelation()
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(min(1.0, SAMPLES / fixed.grid.voxels), seed + 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-4, 120, 0.6, 1e-6)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(list(SHRINKS))
    method.SetSmoothingSigmasPerLevel([b * min(fixed.grid.spacing) for b in BLURS_VOXELS])
    method.SetSmoothingSigmasAreSpecifiedInPhysicalUnits(True)
    begin: Any = {"rigid": sitk.Euler3DTransform, "similarity": sitk.Similarity3DTransform}.get(kind)
    begin = begin() if begin else sitk.AffineTransform(3)
    begin.SetCenter(fixed.grid.centre.tolist())
    method.SetMovingInitialTransform(_itk_affine(inverted(start.matrix)))
    method.SetInitialTransform(begin, inPlace=False)
    try:
        found = method.Execute(_itk_image(fixed), _itk_image(moving))
    except RuntimeError as error:
        raise ImageError(f"registration failed: {str(error).splitlines()[-1][:120]}",
                         fix="give a better start, such as landmarks") from None  # fmt: skip
    # fixed point -> found -> moving initial -> moving point
    return Transform.linear(inverted(inverted(start.matrix) @ _matrix(found)), start.source, start.target)


def register_spline(
    fixed: ScalarVolume,
    moving: ScalarVolume,
    start: Transform,
    *,
    metric: Metric = "correlation",
    knots: int = KNOTS,
    seed: int = 0,
) -> Transform:
    """Let the moving image bend as a cubic B-spline does, from a linear start; smoother than `register_elastic`.

    Parameters
    ----------
    metric : correlation compares bone with bone; mutual information lets grey values mean something else, as in MRI.
    knots : cells of the coarsest lattice along the shortest side; the last level has four times as many.
    """
    import SimpleITK as sitk

    windowed = metric == "correlation"
    placed = start.image(bone_window(moving) if windowed else moving, fixed.grid, frame=start.source)
    target, source = _itk_image(bone_window(fixed) if windowed else fixed), _itk_image(placed)
    size = np.array(fixed.grid.size_mm)
    mesh = np.maximum(knots, np.round(knots * size / size.min())).astype(int).tolist()
    spline = sitk.BSplineTransformInitializer(target, mesh, order=3)
    method = sitk.ImageRegistrationMethod()
    if windowed:
        method.SetMetricAsCorrelation()
    else:
        method.SetMetricAsMattesMutualInformation(BINS)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(min(1.0, SPLINE_SAMPLES / fixed.grid.voxels), seed + 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsLBFGS2(numberOfIterations=SPLINE_ROUNDS, solutionAccuracy=1e-4)
    method.SetInitialTransformAsBSpline(spline, inPlace=True, scaleFactors=list(KNOT_STEPS))
    method.SetShrinkFactorsPerLevel(list(SHRINKS))
    method.SetSmoothingSigmasPerLevel([b * min(fixed.grid.spacing) for b in BLURS_VOXELS])
    method.SetSmoothingSigmasAreSpecifiedInPhysicalUnits(True)
    try:
        found = method.Execute(target, source)
    except RuntimeError as error:
        raise ImageError(f"registration failed: {str(error).splitlines()[-1][:120]}",
                         fix="give a better start, such as landmarks") from None  # fmt: skip
    image = sitk.TransformToDisplacementField(
        found, sitk.sitkVectorFloat32, target.GetSize(), target.GetOrigin(), target.GetSpacing(), target.GetDirection()
    )
    warp = unfolded(Warp(fixed.grid, sitk.GetArrayFromImage(image), backward=True))
    return Transform((start.matrix, warp), start.source, start.target)


def register_elastic(
    fixed: ScalarVolume, moving: ScalarVolume, start: Transform, *,
    levels: tuple[tuple[int, int], ...] = ELASTIC_LEVELS, seed: int = 0,
) -> Transform:  # fmt: skip
    """Let the moving image bend until it agrees with the fixed one, from a linear start (symmetric-force demons).

    Both are windowed about their own threshold of bone first, so that grey values mean the same. An affine map takes up
    proportions before anything bends.
    """
    import SimpleITK as sitk

    fixed_bone, moving_bone = bone_window(fixed), bone_window(moving)
    start = register_linear(fixed_bone, moving_bone, start, kind="affine", metric="correlation", seed=seed)
    placed = start.image(moving_bone, fixed.grid, frame=start.source)
    target, source = _itk_image(fixed_bone), _itk_image(placed)
    field = None
    for shrink, rounds in levels:
        a, b = (_shrunk(image, shrink) for image in (target, source))
        demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
        demons.SetNumberOfIterations(rounds)
        demons.SetSmoothDisplacementField(True)
        demons.SetStandardDeviations(FIELD_BLUR)
        demons.SetSmoothUpdateField(True)
        demons.SetUpdateFieldStandardDeviations(UPDATE_BLUR)
        begin = None if field is None else sitk.Resample(field, a, sitk.Transform(), sitk.sitkLinear, 0.0)
        field = demons.Execute(a, b) if begin is None else demons.Execute(a, b, begin)
    assert field is not None
    grid = Grid(
        field.GetSize()[::-1], field.GetSpacing(), field.GetOrigin(), tuple(np.reshape(field.GetDirection(), (3, 3)))
    )
    warp = unfolded(Warp(grid, sitk.GetArrayFromImage(field).astype(np.float32), backward=True))
    return Transform((start.matrix, warp), start.source, start.target)


def unfolded(warp: Warp) -> Warp:
    """The warp smoothed by as little as it takes until space is nowhere turned inside out."""
    from scipy import ndimage

    for blur in UNFOLDING_VOXELS:
        if folded_share(warp) == 0:
            return warp
        smooth = np.stack([ndimage.gaussian_filter(warp.mm[..., a], blur) for a in range(3)], axis=-1)
        warp = Warp(warp.grid, smooth, warp.backward)
    return warp


def start_by_bone(
    fixed: ScalarVolume, moving: ScalarVolume, *, source: str, target: str, stretch: bool = True
) -> Transform:
    """A linear start from any orientation, by the surfaces of bone: no pose is tried that mirrors.

    Parameters
    ----------
    stretch : whether proportions may differ along the fixed head's axes; otherwise rigid.
    """
    goal, points = bone_points(fixed), bone_points(moving)
    plane = symmetry_planes(goal)[0]
    # a frame in which the fixed head's plane is x = 0, as the search wants its template
    upright = np.eye(4)
    upright[:3, :3] = _square(plane.normal)
    upright[:3, 3] = -upright[:3, :3] @ (plane.normal * plane.offset)
    laid = goal @ upright[:3, :3].T + upright[:3, 3]
    poses = find_poses(points, laid, symmetry_planes(points)[:3])
    matrix = poses[0].matrix
    if not stretch:
        turn, centre = nearest_rotation(matrix), points.mean(axis=0)
        moved = matrix[:3, :3] @ centre + matrix[:3, 3]
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = turn, moved - turn @ centre
    return Transform.linear(inverted(upright) @ matrix, source, target)


def bone_window(image: ScalarVolume) -> ScalarVolume:
    """The image from half to twice its threshold of bone as 0 to 1, slightly blurred."""
    from scipy import ndimage

    level = bone_threshold(image)
    array = np.clip((np.asarray(image.array, dtype=np.float32) - 0.4 * level) / (1.8 * level), 0, 1)
    return ScalarVolume(ndimage.gaussian_filter(array, 0.6), image.grid, source=image.source)


def _square(normal: np.ndarray) -> np.ndarray:
    """(3, 3) rotation whose first row is the normal."""
    aside = np.eye(3)[np.abs(normal).argmin()]
    y = aside - (aside @ normal) * normal
    y /= np.linalg.norm(y)
    return np.stack([normal, y, np.cross(normal, y)])


def _itk_image(volume: ScalarVolume) -> Any:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.asarray(volume.array, dtype=np.float32))
    image.SetSpacing(volume.grid.spacing)
    image.SetOrigin(volume.grid.origin)
    image.SetDirection(np.ravel(volume.grid.direction).tolist())
    return image


def _shrunk(image: Any, factor: int) -> Any:
    import SimpleITK as sitk

    if factor == 1:
        return image
    smooth = sitk.SmoothingRecursiveGaussian(image, [0.5 * factor * s for s in image.GetSpacing()])
    return sitk.Shrink(smooth, [factor] * 3)


def _itk_affine(matrix: np.ndarray) -> Any:
    import SimpleITK as sitk

    out = sitk.AffineTransform(3)
    out.SetMatrix(matrix[:3, :3].ravel().tolist())
    out.SetTranslation(matrix[:3, 3].tolist())
    return out


def _matrix(transform: Any) -> np.ndarray:
    """(4, 4) of a linear ITK transform, by where it takes the axes."""
    origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    out = np.eye(4)
    out[:3, :3] = np.array([transform.TransformPoint(tuple(e)) for e in np.eye(3)]).T - origin[:, None]
    out[:3, 3] = origin
    return out

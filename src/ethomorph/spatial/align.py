"""Bring a scanned head into its own frame: by landmarks, by a template, by symmetry, in that order of trust.

`find_alignment` decides the pose or refuses; `laid_out` resamples once into an axis-aligned box around the bone;
`carried` brings segmentation, landmarks and surfaces along. Files are the business of `workflow.align`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ethomorph.core.errors import InputError, LabelError
from ethomorph.core.grid import Grid
from ethomorph.core.landmarks import LandmarkSet
from ethomorph.core.mesh import Mesh
from ethomorph.core.metric import Metric
from ethomorph.core.volume import LabelVolume, ScalarVolume
from ethomorph.spatial.anatomy import LandmarkPose, pose_by_pairs, pose_by_reference
from ethomorph.spatial.cloud import bone_points, is_lower_jaw, mask_points, segments_mask
from ethomorph.spatial.pose import TIE, Pose, find_poses, frame_matrix, head_matrix
from ethomorph.spatial.rigid import applied
from ethomorph.spatial.symmetry import Plane, plane_stability_deg, refined_plane, symmetry_planes
from ethomorph.spatial.template import Template, named_points
from ethomorph.spatial.transform import Transform, inverted
from ethomorph.spatial.traps import refuse_elsewhere

Method = Literal["auto", "landmarks", "template", "symmetry"]
SCAN, HEAD = "scan", "head"
UNLIKE = 0.075
"""Residual, as a share of the template's radius, beyond which a bone is not this template's."""
UNSTABLE_DEG = 1.0
LANDMARKS_ROUGH_DEG, LANDMARKS_UNSURE_DEG = 1.0, 5.0
"""Expected errors of the rotation beyond which landmarks' pose is called rough, and beyond which it is refused."""
SLENDER = 1.15
MARGIN_VOXELS = 3
BODY_SHARE = 0.02
"""Bone behind the template's head beyond this share is body, and cut off."""


@dataclass(frozen=True)
class Anchors:
    """Names of landmarks that fix a frame where there is no template: see `anatomy.pose_by_pairs`."""

    origin: list[str]
    anterior: list[str]
    posterior: list[str] | None = None


@dataclass(frozen=True)
class Alignment:
    """A pose, or why there is none.

    Attributes
    ----------
    transform : scan to head; None where refused.
    method : what decided: landmarks, template or symmetry.
    reason : why it was refused.
    checks : what can be said about the pose without knowing the truth.
    notes : what had to be decided, one sentence each.
    plane : the mid-sagittal plane in the scan, where it was looked for.
    points : (n, 3) bone in the scan, LPS mm.
    back_mm : y in the head frame where the template's head ends; bone behind it is neck and body.
    grid : that of the image it was laid on, where it was laid on one.
    """

    transform: Transform | None
    method: str
    reason: str = ""
    checks: dict[str, Metric] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    plane: Plane | None = None
    points: np.ndarray | None = None
    back_mm: float | None = None
    grid: Grid | None = None

    @property
    def refused(self) -> bool:
        return self.transform is None


class Refused(InputError):
    """The pose cannot be told; the reason is the message."""


def find_alignment(
    image: ScalarVolume,
    *,
    labels: LabelVolume | None = None,
    landmarks: LandmarkSet | None = None,
    template: Template | None = None,
    anchors: Anchors | None = None,
    method: Method = "auto",
    threshold: float | None = None,
    seed: int = 0,
) -> Alignment:
    """Find the head frame of a volume.

    Parameters
    ----------
    labels : its segmentation; tells bone from the rest and the lower jaw from the skull.
    landmarks : its landmarks, in LPS mm.
    template : a head in the head frame, for the methods "template" and "landmarks".
    anchors : names of landmarks that fix the frame without a template.
    method : ``auto`` takes landmarks where they can decide, else the template, else symmetry.
    threshold : grey value of bone; found by itself where left out.

    Raises
    ------
    InputError : input that cannot be used at all; a pose that cannot be told is a refused `Alignment` instead.
    """
    named = {} if landmarks is None else named_points(landmarks)
    if landmarks is not None:
        refuse_elsewhere(np.array(list(named.values())).reshape(-1, 3), image.grid, place=landmarks.source)
    chosen = _chosen(method, named, template, anchors)
    points = bone_cloud(image, labels, threshold, seed)
    notes: list[str] = []
    try:
        if chosen == "landmarks":
            return _by_landmarks(named, template, anchors, points)
        planes = symmetry_planes(points)
        if chosen == "template":
            assert template is not None
            return _by_template(points, planes, template, notes, seed)
        return _by_symmetry(points, planes, image, labels, notes, seed)
    except Refused as refusal:
        return Alignment(None, chosen, str(refusal), notes=notes, points=points)


def laid_out(
    alignment: Alignment, image: ScalarVolume, *, spacing: float | None = None, margin: int = MARGIN_VOXELS
) -> tuple[ScalarVolume, Grid]:
    """The image in the head frame, cut to the bone's box, axes along the grid; resampled once.

    An alignment that names a grid, that of the image it was laid on, is resampled there.

    Parameters
    ----------
    spacing : mm, isotropic; the finest of the image where left out.
    margin : voxels around the bone.
    """
    transform = of(alignment)
    air = float(np.asarray(image.array[:: max(1, image.grid.shape[0] // 8)]).min())
    if alignment.grid is not None:
        grid = alignment.grid if spacing is None else alignment.grid.resized((spacing,) * 3)
        return transform.image(image, grid, frame=SCAN, outside=air), grid
    step = spacing or min(image.grid.spacing)
    assert alignment.points is not None
    placed = transform.points(alignment.points, frame=SCAN)
    if alignment.back_mm is not None:
        placed = placed[placed[:, 1] <= alignment.back_mm]
    low, high = placed.min(axis=0) - margin * step, placed.max(axis=0) + margin * step
    counts = np.ceil((high - low) / step).astype(int) + 1
    grid = Grid(tuple(counts[::-1]), (step,) * 3, tuple(low))
    return transform.image(image, grid, frame=SCAN, outside=air), grid


def carried(
    alignment: Alignment, grid: Grid, *, labels: LabelVolume | None = None, landmarks: LandmarkSet | None = None,
    meshes: dict[str, Mesh] | None = None,
) -> tuple[LabelVolume | None, LandmarkSet | None, dict[str, Mesh]]:  # fmt: skip
    """Segmentation, landmarks and surfaces in the head frame."""
    transform = of(alignment)
    return (
        None if labels is None else transform.labels(labels, grid, frame=SCAN),
        None if landmarks is None else transform.landmarks(landmarks, frame=SCAN),
        {name: transform.mesh(mesh, frame=SCAN) for name, mesh in (meshes or {}).items()},
    )


def of(alignment: Alignment) -> Transform:
    """The transform of an alignment; raises Refused where there is none."""
    if alignment.transform is None:
        raise Refused(alignment.reason)
    return alignment.transform


def _chosen(
    method: Method, named: dict[str, np.ndarray], template: Template | None, anchors: Anchors | None
) -> Literal["landmarks", "template", "symmetry"]:
    shared = set(named) & set(template.landmarks) if template else set()
    usable = bool(named) and (len(shared) >= 4 or anchors is not None)
    if method == "auto":
        return "landmarks" if usable else "template" if template else "symmetry"
    if method == "landmarks" and not usable:
        raise LabelError(
            "landmarks cannot fix the frame" if named else "no landmarks were given",
            fix="give --landmarks with a template that has 4 of the same names, or name --origin and --anterior",
        )
    if method == "template" and template is None:
        raise LabelError("no template was given", fix="give --template, a head that lies in the head frame")
    return method


def bone_cloud(image: ScalarVolume, labels: LabelVolume | None, threshold: float | None, seed: int = 0) -> np.ndarray:
    """(n, 3) LPS mm on bone: of the segments that are bone, else above the threshold."""
    if labels is not None:
        mask = segments_mask(labels)
        if mask is not None and mask.any():
            return mask_points(mask, labels.grid, seed=seed)
    return bone_points(image, threshold=threshold, seed=seed)


def _by_landmarks(
    named: dict[str, np.ndarray], template: Template | None, anchors: Anchors | None, points: np.ndarray
) -> Alignment:
    found: LandmarkPose
    if anchors is not None:
        found = pose_by_pairs(named, origin=anchors.origin, anterior=anchors.anterior, posterior=anchors.posterior)
    else:
        assert template is not None
        found = pose_by_reference(named, template.landmarks)
    notes = [f"landmark {name} does not fit the others and was left out" for name in found.outliers]
    checks = {}
    if found.unsure_deg is not None:
        if found.unsure_deg > LANDMARKS_UNSURE_DEG:
            raise Refused(
                f"{len(found.used)} landmarks leave the rotation uncertain by {found.unsure_deg:.1f} degrees, at most "
                f"{LANDMARKS_UNSURE_DEG:g} are accepted; set more, wider apart, or use the template's bone"
            )
        if found.unsure_deg > LANDMARKS_ROUGH_DEG and template is not None:
            notes.append(
                f"these landmarks fix the rotation to about {found.unsure_deg:.1f} degrees; the template's bone may do "
                "better (--method template)"
            )
        checks["rotation_uncertainty"] = Metric(
            found.unsure_deg, unit="deg", n=len(found.used), note="expected, from what is left after the fit"
        )
    if len(found.held_out_mm):
        checks["held_out_landmark_error"] = Metric(
            float(found.held_out_mm.mean()), unit="mm", n=len(found.held_out_mm),
            note="each landmark against the map of the others; other individuals' proportions are part of it",
        )  # fmt: skip
    transform = Transform.linear(found.matrix, SCAN, HEAD)
    plane = Plane(found.matrix[0, :3], -float(found.matrix[0, 3]), float("nan"))
    refined = refined_plane(points, plane)
    checks["symmetry_plane_angle"] = Metric(
        float(np.rad2deg(np.arccos(min(1.0, abs(float(refined.normal @ plane.normal)))))), unit="deg", n=len(points),
        note="between the landmarks' mid-plane and the bone's plane of symmetry",
    )  # fmt: skip
    return Alignment(transform, "landmarks", checks=checks, notes=notes, plane=plane, points=points)


def _by_template(points: np.ndarray, planes: list[Plane], template: Template, notes: list[str], seed: int) -> Alignment:
    poses = find_poses(points, template.points, planes[:3])
    if not poses or not np.isfinite(poses[0].residual):
        raise Refused("no pose of the bone fits the template")
    best = poses[0]
    if best.residual > UNLIKE:
        raise Refused(
            f"the bone does not look like the template: {100 * best.residual:.1f} % of its radius remain, at most "
            f"{100 * UNLIKE:g} % are accepted"
        )
    refuse_tie(poses)
    linear = best.matrix[0, :3]
    guess = Plane(best.rotation[0], -float(best.matrix[0, 3]) / float(np.linalg.norm(linear)), 0.0)
    plane = refined_plane(points, guess)
    if abs(float(plane.normal @ guess.normal)) < np.cos(np.deg2rad(6)):
        notes.append("the bone's own plane of symmetry lies more than 6 degrees off the template's, which was kept")
        plane = guess
    transform = Transform.linear(head_matrix(best, plane), SCAN, HEAD)
    second = poses[1].residual / best.residual if len(poses) > 1 and np.isfinite(poses[1].residual) else None
    checks = plane_checks(points, plane, seed) | {
        "template_residual": Metric(100 * best.residual, unit="% of radius", n=len(points)),
        "second_best_pose": Metric(second, unit="times worse", n=len(poses))
        if second is not None
        else Metric.missing("no other pose came near"),
    }
    behind = _end_of_head(best, transform, template)
    body = float((transform.points(points, frame=SCAN)[:, 1] > behind).mean())
    if body > BODY_SHARE:
        notes.append(f"{100 * body:.0f} % of the bone lies behind the head and was cut off")
    return Alignment(
        transform, "template", checks=checks, notes=notes, plane=plane, points=points,
        back_mm=behind if body > BODY_SHARE else None,
    )  # fmt: skip


def _end_of_head(pose: Pose, transform: Transform, template: Template) -> float:
    """y in the head frame where the template's head ends, brought to the specimen's size, and a tenth more."""
    corners = np.array(
        [[x, y, z] for x in template.box_mm[:, 0] for y in template.box_mm[:, 1] for z in template.box_mm[:, 2]]
    )
    y = transform.points(applied(inverted(pose.matrix), corners), frame=SCAN)[:, 1]
    return float(y.max() + 0.1 * np.ptp(y))


def _by_symmetry(
    points: np.ndarray,
    planes: list[Plane],
    image: ScalarVolume,
    labels: LabelVolume | None,
    notes: list[str],
    seed: int,
) -> Alignment:
    plane = planes[0]
    if len(planes) > 1 and planes[1].asymmetry < TIE * plane.asymmetry:
        raise Refused(
            f"two planes of symmetry are as good ({plane.asymmetry:.3g} and {planes[1].asymmetry:.3g} mm); give "
            "landmarks or a template"
        )
    down = _towards_jaw(labels)
    if down is None:
        raise Refused(
            "symmetry does not tell up from down: give landmarks, a template, or a segmentation with the lower jaw"
        )
    flat = points - np.outer(points @ plane.normal - plane.offset, plane.normal)
    centre = flat.mean(axis=0)
    _, size, axes = np.linalg.svd(flat - centre, full_matrices=False)
    if size[0] < SLENDER * size[1]:
        raise Refused("the bone is about as high as long, so its long axis is uncertain; give landmarks or a template")
    back = axes[0] if _blunt_end(points, plane, axes[0]) else -axes[0]
    up = -(down - (down @ plane.normal) * plane.normal - (down @ back) * back)
    left = np.cross(back, up / np.linalg.norm(up))
    notes.append("pitch is that of the bone's long axis, not of an anatomical landmark")
    matrix = frame_matrix(left, back, centre)
    transform = Transform.linear(matrix, SCAN, HEAD)
    return Alignment(
        transform, "symmetry", checks=plane_checks(points, plane, seed), notes=notes, plane=plane, points=points
    )


def plane_checks(points: np.ndarray, plane: Plane, seed: int) -> dict[str, Metric]:
    """What the mid-plane itself says."""
    size = float(np.linalg.norm(points - points.mean(axis=0), axis=1).mean())
    stability = plane_stability_deg(points, plane, seed=seed)
    if stability > UNSTABLE_DEG:
        raise Refused(f"the mid-plane turns by {stability:.1f} degrees between halves of the bone's points")
    return {
        "asymmetry": Metric(plane.asymmetry, unit="mm", n=len(points), note="bone against its mirror image, trimmed"),
        "asymmetry_share": Metric(100 * plane.asymmetry / size, unit="% of radius", n=len(points)),
        "plane_stability": Metric(stability, unit="deg", n=20, note="95 % of fits to halves of the points lie within"),
    }


def refuse_tie(poses: list[Pose]) -> None:
    """Raise Refused where another orientation fits as well as the best."""
    rivals = [p for p in poses[1:] if p.residual < TIE * poses[0].residual]
    if rivals:
        raise Refused(
            f"two poses fit as well (residuals {100 * poses[0].residual:.2f} and {100 * rivals[0].residual:.2f} % of "
            "the template's radius); give landmarks"
        )


def _towards_jaw(labels: LabelVolume | None) -> np.ndarray | None:
    """(3,) from the rest of the bone to the lower jaw, where the segmentation names it."""
    if labels is None or not any(is_lower_jaw(n) for n in labels.names):
        return None
    rest, whole = segments_mask(labels, jaw=False), segments_mask(labels)
    if rest is None or whole is None or not rest.any() or not (whole & ~rest).any():
        return None
    jaw, skull = (labels.grid.to_lps(np.argwhere(m)[:, ::-1]).mean(axis=0) for m in (whole & ~rest, rest))
    return jaw - skull


def _blunt_end(points: np.ndarray, plane: Plane, axis: np.ndarray) -> bool:
    """Whether the bone is wider at the far end of the axis than at the near one: the snout is the thin end."""
    along = points @ axis
    low, high = np.quantile(along, [0.15, 0.85])
    width = np.abs(points @ plane.normal - plane.offset)
    near, far = (float(np.quantile(width[m], 0.9)) for m in (along < low, along > high))
    return far > near

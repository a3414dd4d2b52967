"""Alignment of simulated heads: by landmarks, template and symmetry; refusals; cropping, labels, files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ethomorph.core.errors import LabelError
from ethomorph.core.grid import Grid
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.core.volume import LabelVolume, ScalarVolume
from ethomorph.phantoms.head import simulate_head
from ethomorph.spatial.align import HEAD, SCAN, Anchors, Refused, carried, find_alignment, laid_out, of
from ethomorph.spatial.anatomy import paired_names, pose_by_reference
from ethomorph.spatial.check import check_alignment
from ethomorph.spatial.rigid import (
    applied,
    fit_map,
    held_out_errors,
    turn_angle_deg,
    turn_uncertainty_deg,
    without_outliers,
)
from ethomorph.spatial.symmetry import angle_deg, symmetry_planes
from ethomorph.spatial.template import Template
from ethomorph.spatial.transform import Transform, inverted
from ethomorph.spatial.traps import refuse_elsewhere

SPACING = 0.35


def fixed(name: str) -> bool:
    return not name.startswith(("jaw_tip", "muscle"))


def coded(head, names=None) -> LandmarkSet:
    names = names or [n for n in head.landmarks if fixed(n)]
    return LandmarkSet([Specimen(np.array([head.landmarks[n] for n in names]))], list(names), frame="lps")


@pytest.fixture(scope="module")
def template() -> Template:
    head = simulate_head(seed=77, spacing=SPACING, rotation=np.eye(3), gape_deg=8, variation=0.0)
    shift = Transform.linear(inverted(head.head_to_lps), SCAN, HEAD)
    made = Template.from_volume(head.image, head.labels)
    marks = {n: shift.points(p, frame=SCAN) for n, p in head.landmarks.items() if fixed(n)}
    points = shift.points(made.points, frame=SCAN)
    return Template(points, marks, np.array([points.min(axis=0), points.max(axis=0)]))


@pytest.fixture(scope="module")
def head():
    return simulate_head(seed=4, spacing=SPACING, pose=3, gape_deg=30)


@pytest.fixture(scope="module")
def aligned(head, template):
    return find_alignment(head.image, template=template)


def test_by_template_alone_from_any_direction(head, aligned):
    truth = inverted(head.head_to_lps)
    assert aligned.method == "template" and not aligned.refused
    matrix = aligned.transform.matrix
    assert turn_angle_deg(matrix, truth) < 1.5
    assert angle_deg(matrix[0, :3], truth[0, :3]) < 0.5
    centre = head.image.grid.centre[None]
    assert abs(applied(matrix, centre)[0, 0] - applied(truth, centre)[0, 0]) < 0.5 * SPACING
    assert np.linalg.det(matrix[:3, :3]) == pytest.approx(1)
    assert aligned.checks["plane_stability"].value < 1


def test_a_fifth_cut_off_keeps_the_plane(head, template):
    cut = head.image.grid.shape[2] // 5
    found = find_alignment(head.image.cropped((slice(None), slice(None), slice(cut, None))), template=template)
    truth = inverted(head.head_to_lps)
    assert found.refused or (
        turn_angle_deg(found.transform.matrix, truth) < 2
        and angle_deg(found.transform.matrix[0, :3], truth[0, :3]) < 0.5
    )


def test_by_landmarks_with_one_that_does_not_belong(head, template):
    marks = coded(head)
    marks[0].points[marks.names.index("orbit_left")] += [0, 6, 0]
    found = find_alignment(head.image, landmarks=marks, template=template)
    assert found.method == "landmarks"
    assert any("orbit_left" in note for note in found.notes)
    assert turn_angle_deg(found.transform.matrix, inverted(head.head_to_lps)) < 1.5


def test_by_pairs_without_a_template(head):
    anchors = Anchors(["jaw_joint_left", "jaw_joint_right"], ["snout_tip"])
    found = find_alignment(head.image, landmarks=coded(head), anchors=anchors)
    matrix, truth = found.transform.matrix, inverted(head.head_to_lps)
    assert angle_deg(matrix[0, :3], truth[0, :3]) < 0.01
    joint = (head.landmarks["jaw_joint_left"] + head.landmarks["jaw_joint_right"]) / 2
    assert np.allclose(applied(matrix, joint[None]), 0, atol=1e-6)
    snout = applied(matrix, head.landmarks["snout_tip"][None])[0]
    assert snout[1] < 0 and abs(snout[0]) < 1e-6 and abs(snout[2]) < 1e-6
    assert applied(matrix, head.landmarks["jaw_joint_left"][None])[0, 0] > 0  # x points to the animal's left


def test_by_symmetry_needs_to_know_the_lower_jaw(head):
    with pytest.raises(Refused, match="up from down"):
        of(find_alignment(head.image))
    found = find_alignment(head.image, labels=head.labels)
    matrix, truth = of(found).matrix, inverted(head.head_to_lps)
    assert angle_deg(matrix[0, :3], truth[0, :3]) < 0.5
    assert turn_angle_deg(matrix, truth) < 40  # the bone's own long axis, with the mouth open by 30 degrees
    assert (matrix[:3, :3] @ truth[:3, :3].T).diagonal().min() > 0.7  # no axis is turned round


def test_shapes_that_have_no_single_pose_are_refused():
    z, y, x = np.indices((60, 60, 60)) - 29.5
    ball = ScalarVolume((np.sqrt(x**2 + y**2 + z**2) < 20).astype(np.float32) * 100, Grid((60,) * 3, (0.5,) * 3))
    labels = LabelVolume.of((ball.array > 0).astype(np.uint8) + ((ball.array > 0) & (z < -8)), ball.grid,
                            {"Skull": 1, "LowerJaw": 2})  # fmt: skip
    assert find_alignment(ball, labels=labels, method="symmetry").refused


def test_another_bone_than_the_template_is_refused(template):
    z, y, x = np.indices((50, 50, 90)) - np.array([24.5, 24.5, 44.5])[:, None, None, None]
    rod = (x / 42) ** 2 + (y / 9) ** 2 + (z / 5) ** 2 < 1
    found = find_alignment(ScalarVolume(rod.astype(np.float32), Grid(rod.shape, (0.3,) * 3)), template=template)
    assert found.refused and found.reason


def test_left_and_right_swapped_is_named(template):
    points = {n: p * [-1, 1, 1] for n, p in template.landmarks.items()}
    points["spine"] = np.array([3.0, 4.0, 5.0])
    reference = template.landmarks | {"spine": np.array([-3.0, 4.0, 5.0])}
    with pytest.raises(LabelError, match="left and right are swapped"):
        pose_by_reference(points, reference)


def test_landmarks_elsewhere_are_named_for_what_they_are(head):
    grid = Grid((80, 90, 100), (0.2, 0.2, 0.2), (5, 40, 30))
    points = grid.to_lps(np.random.default_rng(0).uniform(5, 75, (12, 3)))
    refuse_elsewhere(points, grid)
    for moved, words in (
        (points * [-1, -1, 1], "RAS"),
        (grid.to_index(points), "voxel indices"),
        (points - np.array(grid.origin), "the volume's corner"),
        (points / 1000, "metres"),
    ):
        with pytest.raises(LabelError, match=words):
            refuse_elsewhere(moved, grid)
    around = Grid((80, 90, 100), (0.2, 0.2, 0.2), (-8, -8, -8))  # a volume that holds the origin
    with pytest.raises(LabelError, match=r"within a voxel.*metres"):
        refuse_elsewhere(around.to_lps(np.random.default_rng(0).uniform(5, 75, (12, 3))) / 1000, around)
    wrong = coded(head)
    wrong[0].points[:] += 500
    with pytest.raises(LabelError, match="outside of the volume"):
        find_alignment(head.image, landmarks=wrong)


def test_laid_out_is_cut_to_the_bone_and_brings_everything_along(head, aligned):
    image, grid = laid_out(aligned, head.image)
    labels, marks, _ = carried(aligned, grid, labels=head.labels, landmarks=coded(head))
    assert grid.direction == ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    assert labels.names == head.labels.names
    for name in ("OtherBone", "LowerJaw_left"):
        before, after = head.labels.mask(name).sum(), labels.mask(name).sum()
        assert after == pytest.approx(before, rel=0.02)
    bone = labels.array > 0
    assert not (bone[0].any() or bone[-1].any() or bone[:, 0].any() or bone[..., -1].any())
    # the bright bone lies where the labels say
    assert image.array[bone].mean() > 1.3 * image.array[~bone].mean()
    index = grid.to_index(marks[0].points)
    assert ((index > -2) & (index < np.array(grid.shape[::-1]) + 2)).all()


def test_kabsch_similarity_affine_and_outliers():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(12, 3)) * 10
    truth = np.eye(4)
    truth[:3, :3] = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    truth[:3, :3] *= np.sign(np.linalg.det(truth[:3, :3]))
    truth[:3, 3] = [3, 4, 5]
    assert np.allclose(fit_map(points, applied(truth, points)), truth)
    bigger = truth.copy()
    bigger[:3, :3] *= 1.7
    assert np.allclose(fit_map(points, applied(bigger, points), "similarity"), bigger)
    sheared = truth @ (np.eye(4) + np.diag([0.1], 1).sum() * np.eye(4, k=1) * [1, 1, 1, 0])
    assert np.allclose(fit_map(points, applied(sheared, points), "affine"), sheared)
    mirrored = fit_map(points, points * [-1, 1, 1])
    assert np.linalg.det(mirrored[:3, :3]) == pytest.approx(1)  # never a mirror image
    target = applied(truth, points)
    target[[2, 7]] += [[9, 0, 0], [0, -12, 3]]
    found, keep = without_outliers(points, target)
    assert (~keep).nonzero()[0].tolist() == [2, 7]
    assert np.allclose(found, truth, atol=1e-9)
    noisy = applied(truth, points) + rng.normal(0, 0.1, points.shape)
    fit = np.linalg.norm(applied(fit_map(points, noisy), points) - noisy, axis=1).mean()
    assert held_out_errors(points, noisy).mean() > fit  # what was held out is farther than what was fitted
    with pytest.raises(LabelError, match="one line"):
        fit_map(np.outer(np.arange(5.0), [1, 2, 3]), np.outer(np.arange(5.0), [1, 2, 3]))


def test_the_rotation_is_as_uncertain_as_it_is_said_to_be():
    """Expected and true error of the rotation agree over many noisy landmark sets, and noise is no outlier."""
    rng = np.random.default_rng(3)
    said, true, thrown = [], [], 0
    for _ in range(150):
        points = rng.normal(size=(6, 3)) * [4, 9, 5]
        noisy = 1.1 * points + rng.normal(0, 0.3, points.shape)
        map_, keep = without_outliers(points, noisy, "similarity")
        thrown += int((~keep).sum())
        said.append(turn_uncertainty_deg(points[keep], noisy[keep], "similarity"))
        true.append(turn_angle_deg(map_))
    assert np.sqrt(np.mean(np.square(said))) == pytest.approx(np.sqrt(np.mean(np.square(true))), rel=0.15)
    assert thrown < 0.02 * 900
    assert turn_uncertainty_deg(points[:3], points[:3], "similarity") < 1e-6


def test_landmarks_that_leave_the_rotation_open_are_refused(head, template):
    marks = coded(head)
    marks[0].points += np.random.default_rng(1).normal(0, 3.0, marks[0].points.shape)
    found = find_alignment(head.image, landmarks=marks, template=template)
    assert found.refused and "uncertain" in found.reason


def test_planes_of_a_shape_with_known_symmetry():
    rng = np.random.default_rng(2)
    half = rng.normal(size=(1500, 3)) * [2, 9, 5] + [3, 0, 0]
    half = half[half[:, 0] > 0]
    half[:, 2] += 0.03 * half[:, 1] ** 2
    half[:, 1] += 0.2 * half[:, 2]
    cloud = np.concatenate([half, half * [-1, 1, 1]])
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    plane = symmetry_planes(cloud @ turn.T + [1, 2, 3])[0]
    assert angle_deg(plane.normal, turn[:, 0]) < 0.3
    assert abs(plane.distance(np.array([1.0, 2, 3]))) < 0.05


def test_check_finds_a_pose_again_and_reports_held_out_targets(head, template):
    found = check_alignment(
        head.image, poses=2, seed=1, labels=head.labels, template=template, method="template",
        targets=np.array([head.landmarks["snout_tip"], head.landmarks["occipital"]]),
    )  # fmt: skip
    assert len(found.rows) == 2
    assert found.metrics["points_there_and_back"].value < 1e-6
    assert found.metrics["folded"].value == 0
    assert found.metrics["labels_there_and_back/OtherBone"].value > 0.9
    assert found.metrics["target_registration_error"].value < 2 * SPACING
    assert found.metrics["dice_after"].value > 0.9
    assert found.worst is not None


def test_names_in_pairs():
    assert paired_names(["LeftEye", "RightEye", "Snout", "tip_l", "tip_r", "eye"]) == [
        ("LeftEye", "RightEye"), ("tip_l", "tip_r"),
    ]  # fmt: skip


def test_the_verb(tmp_path, head, template):
    from ethomorph.cli.app import execute
    from ethomorph.formats.itk_transform import read_transform
    from ethomorph.formats.nrrd import write_nrrd
    from ethomorph.formats.registry import write_landmarks
    from ethomorph.formats.seg_nrrd import write_seg_nrrd
    from ethomorph.formats.volumes import read_image, read_labels

    write_nrrd(head.image, tmp_path / "skull.nrrd")
    write_seg_nrrd(head.labels, tmp_path / "skull.seg.nrrd")
    write_landmarks(coded(head), tmp_path / "skull.mrk.json")
    out = tmp_path / "out"
    arguments = [
        "align", str(tmp_path / "skull.nrrd"), "--segmentation", str(tmp_path / "skull.seg.nrrd"), "--landmarks",
        str(tmp_path / "skull.mrk.json"), "--origin", "jaw_joint_left", "--origin", "jaw_joint_right", "--anterior",
        "snout_tip", "--out", str(out),
    ]  # fmt: skip
    assert execute(arguments) == 0
    record = json.loads((out / "align.json").read_text())
    assert record["status"] == "aligned"
    matrix = np.array(record["matrix_lps"])
    to_head, to_scan = (read_transform(out / record["files"][k]) for k in ("to_head", "to_scan"))
    assert np.allclose(to_head.matrix, matrix, atol=1e-9) and np.allclose(to_scan.matrix @ matrix, np.eye(4), atol=1e-9)
    image, labels = read_image(out / "skull_head.nrrd"), read_labels(out / "skull_head.seg.nrrd")
    assert image.grid.is_same(labels.grid) and image.array.dtype == head.image.array.dtype
    assert (out / "align.png").stat().st_size > 10_000
    # the transforms alone, in two nested steps, lead to the same head, resampled once
    assert (
        execute(
            [
                "align",
                str(tmp_path / "skull.nrrd"),
                "--transform",
                str(out / "to_head.tfm"),
                "--check",
                "--out",
                str(tmp_path / "again"),
            ]
        )
        == 0
    )
    again = json.loads((tmp_path / "again" / "align.json").read_text())
    assert again["test"]["points_there_and_back"]["value"] < 1e-6 and "right" not in again["test"]
    assert np.allclose(again["matrix_lps"], matrix, atol=1e-9)
    assert execute(["align", str(tmp_path / "skull.nrrd"), "--out", str(tmp_path / "no")]) == 2
    refused = json.loads((tmp_path / "no" / "align.json").read_text())
    assert refused["status"] == "refused" and refused["matrix_lps"] is None and "up from down" in refused["reason"]
    assert not (tmp_path / "no" / "skull_head.nrrd").exists()


def test_bone_behind_the_head_is_cut_off(head, template):
    """A spine behind the head does not tilt it, and is not part of the head-only volume."""
    grid = head.image.grid
    truth = inverted(head.head_to_lps)
    back = truth[1, :3]
    end = head.landmarks["occipital"] - back * 0.5
    far = end + back * 14
    low, high = np.minimum(grid.corners.min(axis=0), far - 3), np.maximum(grid.corners.max(axis=0), far + 3)
    wide = Grid(tuple(np.ceil((high - low) / SPACING).astype(int)[::-1] + 1), (SPACING,) * 3, tuple(low))
    image = Transform.linear(np.eye(4), "a", "b").image(
        head.image, wide, frame="a", outside=float(head.image.array.min())
    )
    z, y, x = np.indices(wide.shape)
    world = wide.to_lps(np.stack([x, y, z], axis=-1))
    along = np.clip((world - end) @ back, 0, 14)
    spine = np.linalg.norm(world - end - along[..., None] * back, axis=-1) < 1.2
    image.array[spine] = head.image.array.max() * 0.8
    found = find_alignment(image, template=template)
    assert turn_angle_deg(of(found).matrix, truth) < 2
    _, cut = laid_out(found, image)
    assert any("behind the head" in note for note in found.notes)
    assert cut.size_mm[1] < 0.85 * np.ptp(found.transform.points(found.points, frame=SCAN)[:, 1])

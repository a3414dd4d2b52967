"""The simulated head against closed forms, its own labels and its landmarks."""

import numpy as np
import pytest
from scipy import ndimage

from ethomorph.phantoms.head import Fields, draw_rotation, simulate_head
from ethomorph.phantoms.scanner import Scanner, draw_scanner, hardened, ring_artefacts, without_noise
from ethomorph.phantoms.solids import RoundCone


@pytest.fixture(scope="module")
def head():
    return simulate_head(seed=3, spacing=0.3, pose=0.5)


@pytest.mark.parametrize(("ra", "rb", "h"), [(1.0, 1.0, 2.0), (1.0, 0.3, 2.0), (0.8, 0.5, 0.6)])
def test_round_cones_have_the_volume_and_area_that_counting_finds(ra, rb, h):
    from skimage.measure import marching_cubes, mesh_surface_area

    cone = RoundCone(np.zeros(3), np.array([0.0, 0.0, h]), ra, rb)
    step = 0.05
    axis = np.arange(-1.5, h + 1.5, step) + 0.017
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    distance = cone.distance(points)
    low, high = np.full(3, -1.2), np.array([1.2, 1.2, h + 1.2])
    thrown = np.random.default_rng(0).uniform(low, high, (1_000_000, 3))
    share = np.mean(cone.distance(thrown) < 0)
    assert share * np.prod(high - low) == pytest.approx(cone.volume_mm3, rel=5e-3)
    vertices, faces, _, _ = marching_cubes(distance, 0.0, spacing=(step,) * 3)
    assert mesh_surface_area(vertices, faces) == pytest.approx(cone.area_mm2, rel=5e-3)
    gradient = np.linalg.norm(np.stack(np.gradient(distance, step)), axis=0)
    assert np.median(gradient) == pytest.approx(1.0, abs=1e-3)


def test_teeth_have_their_analytic_volume(head):
    fine = simulate_head(seed=3, spacing=0.18, pose=0.5)
    for tooth in [t for t in fine.teeth if not t.replacement]:
        counted = fine.labels.mask(tooth.name).sum() * fine.image.grid.voxel_mm3
        # neighbours that lean overlap a little; the voxel goes to the one that it lies deeper in
        assert counted == pytest.approx(tooth.volume_mm3, rel=0.15), tooth.name


def test_neighbouring_teeth_touch_so_that_connected_components_fail(head):
    teeth = [s.value for s in head.labels if s.name.startswith("Tooth_")]
    assert 20 <= len(teeth) <= 45
    _, blobs = ndimage.label(np.isin(head.labels.array, teeth), np.ones((3, 3, 3)))
    assert blobs < len(teeth) / 2


def test_there_are_replacement_teeth_and_they_are_small(head):
    small = [t for t in head.teeth if t.replacement]
    assert len(small) >= 5
    assert max(t.volume_mm3 for t in small) < min(t.volume_mm3 for t in head.teeth if not t.replacement)


def test_tips_and_bases_lie_at_the_ends_of_their_teeth(head):
    grid = head.image.grid
    for tooth in [t for t in head.teeth if not t.replacement]:
        points = grid.to_lps(np.argwhere(head.labels.mask(tooth.name))[:, ::-1])
        axis = (tooth.tip - tooth.base) / np.linalg.norm(tooth.tip - tooth.base)
        along = (points - tooth.base) @ axis
        assert -0.4 < along.min() < 0.5 and along.max() < np.linalg.norm(tooth.tip - tooth.base) + 0.4


def test_the_pose_moves_landmarks_and_voxels_alike():
    """Landmarks that were moved into the head frame are the same in every pose, and so is what surrounds them."""
    heads = [simulate_head(seed=5, spacing=0.4, pose=pose) for pose in (0.0, 3.0)]
    for name in heads[0].landmarks:
        found = [np.linalg.inv(h.head_to_lps) @ np.append(h.landmarks[name], 1) for h in heads]
        assert np.allclose(found[0], found[1])
    volumes = [(h.labels.array > 0).sum() for h in heads]
    assert volumes[1] == pytest.approx(volumes[0], rel=0.03)
    rotation = heads[1].head_to_lps[:3, :3]
    assert np.allclose(rotation @ rotation.T, np.eye(3)) and np.linalg.det(rotation) == pytest.approx(1)
    assert np.degrees(np.arccos((np.trace(draw_rotation(np.random.default_rng(0), 1.0)) - 1) / 2)) < 30


def test_the_jaw_turns_about_the_joints():
    wide, narrow = (simulate_head(seed=2, spacing=0.5, pose=0, gape_deg=g) for g in (25, 5))
    joint = (wide.landmarks["jaw_joint_left"] + wide.landmarks["jaw_joint_right"]) / 2
    tips = [
        h.landmarks["jaw_tip"] - j
        for h, j in (
            (wide, joint),
            (narrow, (narrow.landmarks["jaw_joint_left"] + narrow.landmarks["jaw_joint_right"]) / 2),
        )
    ]
    angle = np.degrees(np.arccos(tips[0] @ tips[1] / np.linalg.norm(tips[0]) / np.linalg.norm(tips[1])))
    assert angle == pytest.approx(20, abs=0.01)


def test_the_same_seed_gives_the_same_head():
    a, b, c = (simulate_head(seed=s, spacing=0.6) for s in (1, 1, 2))
    assert np.array_equal(a.image.array, b.image.array) and np.array_equal(a.labels.array, b.labels.array)
    assert a.labels.array.shape != c.labels.array.shape or not np.array_equal(a.labels.array, c.labels.array)


def test_anisotropic_spacing_and_a_given_grid(head):
    thick = simulate_head(seed=3, spacing=(0.3, 0.3, 0.9), pose=0.5)
    assert thick.image.grid.spacing == (0.3, 0.3, 0.9)
    on = thick.labels.on(head.labels.grid.resized((0.3, 0.3, 0.9)))
    assert on.names == head.labels.names
    grid = head.image.grid.cropped((slice(5, 40), slice(5, 40), slice(5, 40)))
    assert simulate_head(seed=3, grid=grid).image.array.shape == (35, 35, 35)


def test_contrast_is_ct_or_mri():
    scanner = without_noise(Scanner())
    ct = simulate_head(seed=4, spacing=0.4, scanner=scanner, brain=True)
    mri = simulate_head(seed=4, spacing=0.4, contrast="mri", scanner=without_noise(Scanner(contrast="mri")))
    assert "Brain" in mri.labels.names
    mean = {
        k: {n: float(h.image.array[h.labels.mask(n)].mean()) for n in ("Brain", "OtherBone")}
        for k, h in (("ct", ct), ("mri", mri))
    }
    assert mean["ct"]["OtherBone"] > 1.5 * mean["ct"]["Brain"]
    assert mean["mri"]["Brain"] > 1.5 * mean["mri"]["OtherBone"]
    brain = mri.labels.mask("Brain").sum() * mri.image.grid.voxel_mm3
    assert brain == pytest.approx(mri.brain_mm3, rel=0.03)
    teeth = np.isin(ct.labels.array, [s.value for s in ct.labels if s.name.startswith("Tooth_")])
    assert ct.image.array[teeth].mean() > ct.image.array[ct.labels.mask("OtherBone")].mean()


def test_artefacts_do_what_they_are_called():
    solid = np.zeros((8, 41, 41), np.float32)
    y, x = np.ogrid[:41, :41]
    solid[:, np.hypot(y - 20, x - 20) < 18] = 1
    cupped = hardened(solid, 0.3)
    assert cupped[4, 20, 20] < 0.95 * cupped[4, 20, 4]
    rings = ring_artefacts((8, 41, 41), 0.1, np.random.default_rng(0))
    assert rings.std() > 0.01
    assert np.abs(rings[0] - rings[0][::-1, ::-1]).mean() < 1.5 * rings[0].std()
    unseen = [draw_scanner(np.random.default_rng(s), unseen=True) for s in range(20)]
    seen = [draw_scanner(np.random.default_rng(s)) for s in range(20)]
    assert max(s.photons for s in unseen) < min(s.photons for s in seen)


def test_shells_are_drawn_in_their_own_box(head):
    fields = Fields(head.image.grid, head.head_to_lps)
    cone = head.anatomy.teeth[0].solid
    box = fields.window(cone)
    everywhere = fields.distances(cone, tuple(slice(0, n) for n in head.image.grid.shape))
    outside = np.ones(head.image.grid.shape, bool)
    outside[box] = False
    assert everywhere[outside].min() > fields.scale


def test_written_files_are_read_back(tmp_path, head):
    from ethomorph.formats.volumes import read_image, read_labels

    head.write(tmp_path)
    assert read_labels(tmp_path / "labels/head_0003.seg.nrrd").is_same(head.labels)
    assert np.array_equal(read_image(tmp_path / "images/head_0003.nrrd").array, head.image.array)
    assert (tmp_path / "truth/head_0003.json").is_file()


@pytest.mark.parametrize("bad", [{"teeth": 5}, {"gape_deg": 90.0}, {"contrast": "us"}])
def test_impossible_heads_are_refused(bad):
    with pytest.raises(ValueError):
        simulate_head(spacing=1.0, **bad)

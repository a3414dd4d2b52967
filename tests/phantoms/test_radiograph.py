"""Simulated radiographs: the truth is exact, the population is as described, the same seed gives the same sample."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from ethomorph.phantoms import radiograph, scheme
from ethomorph.phantoms.individual import Pose, draw_individual, draw_pose
from ethomorph.phantoms.projection import Exposure, Tube, attenuation_map, expected_counts
from ethomorph.phantoms.radiograph import simulate_radiographs
from ethomorph.phantoms.sheet import draw_sample


@pytest.fixture(scope="module")
def sample():
    return simulate_radiographs(12, seed=5, images_per_individual=2, repeats=6)


def plates(count: int, *, size=(480, 632)) -> list:
    """Plates laid out as the simulation does it, before anything is exposed."""
    rng = np.random.default_rng(11)
    animals = [draw_individual(str(i), rng) for i in range(count)]
    return [radiograph._lay_out([a], size, Exposure(), "good", rng, 1.0, 0.0, "1") for a in animals]


def test_scheme_is_consistent():
    assert len(scheme.NAMES) == len(set(scheme.NAMES)) == 34
    assert scheme.NAMES[:2] == ["scale_start", "scale_end"]
    for left, right in scheme.SYMMETRY:
        assert scheme.NAMES[left].replace("left", "right") == scheme.NAMES[right]
    assert max(max(pair) for pair in scheme.EDGES) < 34


def test_same_seed_same_sample():
    first, again, other = (simulate_radiographs(2, size=(160, 210), seed=s, repeats=1) for s in (3, 3, 4))
    for a, b in zip(first.images, again.images, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(first.landmarks.array(), again.landmarks.array())
    np.testing.assert_array_equal(first.repeat.array(), again.repeat.array())
    assert not np.allclose(first.landmarks.array(), other.landmarks.array())


def test_a_longer_sample_begins_with_the_shorter():
    short, long = (simulate_radiographs(n, size=(160, 210), seed=3, bad_share=0.0) for n in (1, 3))
    np.testing.assert_array_equal(short.images[0], long.images[0])


def test_a_marker_at_each_landmark_is_found_at_its_landmark():
    """The centroid of a small dense ball at each landmark's place in the animal is the landmark in the picture."""
    plate = plates(1)[0]
    for name, point in zip(scheme.NAMES, plate.points[0], strict=True):
        marker = Tube(plate.bodies[0].points[name][None], np.array([0.3]), 5.0)
        shown = attenuation_map([marker], (480, 632), plate.mm_per_px)
        y, x = np.nonzero(shown)
        found = np.array([x, y]) @ shown[y, x] / shown.sum()
        np.testing.assert_allclose(found, point, atol=0.05)


def test_every_landmark_is_a_place_in_the_skeleton():
    """Each lies on the axis of a bone, or ends one: then it is nearer to the axis than the bone is thick."""
    for plate in plates(3):
        bones = plate.bodies[0].bone
        starts = np.concatenate([t.points[: max(1, len(t.points) - 1)] for t in bones])
        stops = np.concatenate([t.points[min(1, len(t.points) - 1) :] for t in bones])
        for name in scheme.NAMES[2:]:
            point, line = plate.bodies[0].points[name], stops - starts
            along = np.clip(((point - starts) * line).sum(1) / np.maximum((line**2).sum(1), 1e-12), 0, 1)
            nearest = np.hypot(*(point - starts - along[:, None] * line).T).min()
            ends = {"jaw_corner": 0.2, "snout_tip": 0.6, "finger_tip": 0.1, "toe_tip": 0.1}
            assert nearest < ends.get(name.removesuffix("_left").removesuffix("_right"), 1e-6), name


def test_the_bar_ends_where_its_landmarks_are():
    """Edge at half height along the bar's axis, in the noise-free picture, for bars in any direction."""
    for plate in plates(4) + plates(2, size=(632, 480)):
        size = (632, 480) if abs(plate.bar.start - plate.bar.end)[1] > 15 else (480, 632)
        clean = Exposure(photons=1.0, readout=0, blur_px=0.6, scatter=0, vignette=0, grain=0)
        picture = 1 - expected_counts(attenuation_map([plate.bar], size, plate.mm_per_px), clean)
        start, end = plate.points[0][:2]
        along = (end - start) / np.hypot(*(end - start))
        for tip, inwards in ((start, along), (end, -along)):
            steps = np.arange(-6, 6, 0.02)
            line = (tip + steps[:, None] * inwards).astype(np.float32)
            profile = cv2.remap(picture.astype(np.float32), line[:, 0][None], line[:, 1][None], cv2.INTER_LINEAR)[0]
            edge = 6 - 0.02 * profile.sum() / profile[-1]  # where a sharp edge of the same area would be
            assert abs(edge) < 0.05


def test_claws_end_where_their_landmarks_are():
    """Beyond the tip of the longest toe there is no bone; just inside there is."""
    for plate in plates(6):
        toes = plate.bodies[0].bone
        fine = plate.mm_per_px / 4
        for name in ("toe_tip_left", "finger_tip_right"):
            tip = plate.bodies[0].points[name]
            corner = tip - 40 * fine
            window = attenuation_map([replace(t, points=t.points - corner) for t in toes], (81, 81), fine)
            tube = min(toes, key=lambda t: np.hypot(*(t.points[-1] - tip)))
            outward = (tip - tube.points[0]) / np.hypot(*(tip - tube.points[0]))
            steps = np.arange(-12.0, 12.0, 0.05)
            line = (40 + steps[:, None] * outward).astype(np.float32)
            profile = cv2.remap(window, line[:, 0][None], line[:, 1][None], cv2.INTER_LINEAR)[0]
            last = steps[np.flatnonzero(profile > 0.25 * profile[steps < -4].mean())[-1]] / 4  # px of the picture
            assert abs(last) < 0.25
            assert np.hypot(*(tube.points[-1] - tip)) == pytest.approx(tube.radii[-1], rel=0.05)


def test_every_landmark_stands_out_from_its_surroundings(sample):
    """The mean patch around a landmark differs from the mean patch a few pixels off it."""
    def patches(shift):
        out = []
        for i in range(0, 24, 2):
            image = sample.images[i].astype(np.float32)
            image = (image - image.mean()) / image.std()
            points = sample.landmarks[i].points + shift
            out.append([cv2.getRectSubPix(image, (13, 13), (float(x), float(y))) for x, y in points])
        return np.array(out)  # (images, landmarks, 13, 13)

    mean = patches([0, 0]).mean(0)
    for name, patch in zip(scheme.NAMES, mean, strict=True):
        assert patch.std() > 0.03, name


def test_the_bar_is_27_mm_in_every_image(sample):
    bar = sample.landmarks.array()[:, :2]
    length = np.hypot(*(bar[:, 1] - bar[:, 0]).T) * sample.mm_per_px
    np.testing.assert_allclose(length, 27.0, rtol=1e-9)
    assert sample.mm_per_px.std() / sample.mm_per_px.mean() > 0.02


@pytest.mark.parametrize("size", [(480, 632), (632, 480), (300, 300), (1024, 512)])
def test_all_landmarks_lie_in_the_picture(size):
    sample = simulate_radiographs(4, size=size, seed=2)
    points = sample.landmarks.array()
    assert points.min() >= 8
    assert (points <= np.array([size[1], size[0]]) - 9).all()


def test_the_head_points_left_in_a_wide_picture_and_down_in_a_tall_one():
    for size, axis, sign in (((300, 400), 0, 1), ((400, 300), 1, -1)):
        points = simulate_radiographs(3, size=size, seed=2).landmarks.array()
        run = points[:, scheme.INDEX["sacrum"]] - points[:, scheme.INDEX["snout_tip"]]
        assert (sign * run[:, axis] > 50).all()
        left, right = points[:, scheme.INDEX["hip_left"]], points[:, scheme.INDEX["hip_right"]]
        # Seen from above, an animal that faces left has its left side towards the picture's lower edge.
        cross = run[:, 0] * (left - right)[:, 1] - run[:, 1] * (left - right)[:, 0]
        assert (cross > 0).all()


def test_snout_vent_length_is_what_the_table_says():
    """Without pose the distance from snout to tail base is the snout-vent length."""
    from ethomorph.phantoms.anatomy import build_body

    rng = np.random.default_rng(3)
    for _ in range(5):
        animal = draw_individual("a", rng)
        body = build_body(animal, Pose(), rng)
        length = np.hypot(*(body.points["tail_base"] - body.points["snout_tip"]))
        assert length == pytest.approx(animal.svl_mm, rel=0.01)


def test_males_are_larger_and_have_larger_heads():
    rng = np.random.default_rng(0)
    animals = [draw_individual(str(i), rng) for i in range(400)]
    males, females = ([a for a in animals if a.sex == sex] for sex in "MF")
    assert abs(len(males) - 200) < 40
    assert np.mean([a.svl_mm for a in males]) - np.mean([a.svl_mm for a in females]) == pytest.approx(7.0, abs=1.2)
    assert np.mean([a.head_width for a in males]) > 1.05 * np.mean([a.head_width for a in females])
    rng = np.random.default_rng(0)
    alike = [draw_individual(str(i), rng, dimorphism=0.0) for i in range(400)]
    means = [np.mean([a.svl_mm for a in alike if a.sex == sex]) for sex in "MF"]
    assert abs(means[0] - means[1]) < 1.2


def test_heads_grow_less_than_bodies_and_legs_more():
    rng = np.random.default_rng(1)
    animals = [draw_individual(str(i), rng, dimorphism=0.0) for i in range(600)]
    size = np.log([a.size for a in animals])
    head = np.polyfit(size, np.log([a.head_length for a in animals]), 1)[0]
    leg = np.polyfit(size, np.log([np.mean(a.segments["femur"]) for a in animals]), 1)[0]
    assert head == pytest.approx(-0.10, abs=0.05)
    assert leg == pytest.approx(0.08, abs=0.07)


def test_pictures_of_one_individual_are_more_alike_than_of_two(sample):
    """Segment lengths in mm, which pose does not change: within against between individuals."""
    points = sample.landmarks.array() * sample.mm_per_px[:, None, None]
    chain = [("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist")]
    lengths = np.stack([
        np.hypot(*(points[:, scheme.INDEX[f"{a}_{side}"]] - points[:, scheme.INDEX[f"{b}_{side}"]]).T)
        for a, b in chain for side in ("left", "right")
    ], 1).reshape(12, 2, -1)
    within = np.abs(lengths[:, 0] - lengths[:, 1]).mean()
    between = np.abs(lengths[:, 0] - np.roll(lengths[:, 1], 1, axis=0)).mean()
    assert within < 1e-6 < 0.3 < between
    ids = [s.id for s in sample.landmarks]
    assert ids[0] == ids[1] != ids[2]
    assert len(set(sample.image_names)) == 24
    # The pictures themselves differ: another pose, another place.
    assert np.abs(points[0] - points[1]).mean() > 2


def test_second_coding_errs_as_asked():
    sample = simulate_radiographs(26, size=(120, 160), seed=9, repeats=25, bias_px=0.0, repeat_px=1.5)
    assert len(sample.repeat) == 25
    truth = sample.landmarks.where(lambda s: s.id in {r.id for r in sample.repeat}).array()
    error = sample.repeat.array() - truth
    assert np.sqrt(np.mean(error**2)) == pytest.approx(1.5, rel=0.06)
    assert {s.attributes["observer"] for s in sample.repeat} == {"B"}
    assert {s.attributes["observer"] for s in sample.landmarks} == {"truth"}
    assert {s.attributes["observer"] for s in sample.coded} == {"A"}


def test_an_observer_has_habits():
    sample = simulate_radiographs(20, size=(120, 160), seed=9, bias_px=2.0, repeat_px=0.1)
    error = sample.coded.array() - sample.landmarks.array()
    assert error.mean(0).std() == pytest.approx(2.0, rel=0.35)
    assert error.std(0).mean() < 0.2


def test_bad_images_are_noisier_or_blurred(sample):
    grades = [s.attributes["grade"] for s in sample.landmarks]
    assert grades.count("bad") == round(0.08 * 24)
    for photons in (500.0, 8000.0):
        noisy = simulate_radiographs(2, size=(200, 260), seed=1, photons=photons, readout=0, bad_share=0, tag_share=0)
        corner = noisy.images[0][-40:, :40].astype(float)
        relative = np.std(corner - cv2.GaussianBlur(corner, (0, 0), 4)) / 255
        assert relative == pytest.approx(0.9 / np.sqrt(photons), rel=0.25)


@pytest.mark.parametrize("bits", [8, 16])
def test_grey_values_use_the_range(bits):
    sample = simulate_radiographs(2, size=(240, 316), seed=1, bits=bits, bad_share=0)
    full = 2**bits - 1
    for image, specimen in zip(sample.images, sample.landmarks, strict=True):
        assert image.dtype == (np.uint8 if bits == 8 else np.uint16)
        assert np.median(image) < 0.15 * full
        x, y = np.round(specimen.points[:2].mean(0)).astype(int)
        assert image[y, x] > 0.8 * full


def test_missing_landmarks_are_nan_in_every_coding_but_never_the_scale():
    sample = simulate_radiographs(8, size=(120, 160), seed=1, missing_share=0.2, repeats=8)
    lost = np.isnan(sample.landmarks.array()).any(-1)
    assert 0.1 < lost[:, 2:].mean() < 0.3
    assert not lost[:, :2].any()
    np.testing.assert_array_equal(lost, np.isnan(sample.coded.array()).any(-1))
    np.testing.assert_array_equal(lost, np.isnan(sample.repeat.array()).any(-1))


def test_empty_and_double_images():
    sample = simulate_radiographs(1, size=(240, 316), seed=1, empty=2, doubles=1)
    assert len(sample) == 4
    assert [len([s for s in sample.landmarks if s.image == name]) for name in sample.image_names] == [1, 0, 0, 2]
    first, second = (s.points[2:] for s in sample.landmarks if s.image == sample.image_names[3])
    assert first[:, 1].max() < second[:, 1].min()  # they lie side by side, not on each other


def test_written_files_hold_the_sample(tmp_path):
    sample = simulate_radiographs(3, size=(160, 210), seed=1, repeats=2, bits=16, missing_share=0.1)
    folder = sample.write(tmp_path / "study")
    for name, image in zip(sample.image_names, sample.images, strict=True):
        np.testing.assert_array_equal(cv2.imread(str(folder / "images" / name), cv2.IMREAD_UNCHANGED), image)
    from ethomorph.formats.registry import read_landmarks

    back = read_landmarks(folder / "landmarks.tps", images=folder / "images", gaps="missing")
    np.testing.assert_allclose(back.array(), sample.landmarks.array(), atol=1e-4)
    assert [s.id for s in back] == [s.id for s in sample.landmarks]
    assert [s.scale for s in back] == pytest.approx([s.scale for s in sample.landmarks], rel=1e-5)
    assert len(read_landmarks(folder / "repeat.tps", images=folder / "images", gaps="missing")) == 2
    rows = (folder / "specimens.csv").read_text().splitlines()
    assert rows[0] == "image,specimen,sex,svl_mm,grade,mm_per_px,observer"
    assert len(rows) == 4


def test_poses_vary_around_rest():
    rng = np.random.default_rng(0)
    knees = np.array([draw_pose(rng).joints["shank"] for _ in range(500)])
    assert abs(knees.mean()) < np.deg2rad(1.5)
    assert np.rad2deg(knees.std()) == pytest.approx(9.0, rel=0.1)
    assert draw_pose(rng, variation=0.0).joints["shank"] == (0.0, 0.0)


@pytest.mark.parametrize("wrong", [{"size": (50, 600)}, {"bits": 12}, {"specimens": -1}, {"images_per_individual": 0}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=r"size|bits|counts"):
        simulate_radiographs(**{"specimens": 1, **wrong})


def test_contact_sheet(tmp_path):
    sample = simulate_radiographs(3, size=(160, 210), seed=1)
    path = draw_sample(sample, tmp_path / "sheet.png")
    assert cv2.imread(str(path)).shape[0] > 300

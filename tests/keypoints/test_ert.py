"""Regression trees: they learn in seconds, keep the order of landmarks, and keep up with plain dlib."""

import json
import time
from pathlib import Path

import cv2
import dlib
import numpy as np
import pytest

from ethomorph.core.errors import FormatError, LabelError, StudyError
from ethomorph.core.landmarks import Specimen
from ethomorph.formats.registry import read_landmarks
from ethomorph.keypoints.boxes import jittered, landmark_box
from ethomorph.keypoints.data import Picture, by_picture
from ethomorph.keypoints.ert import ErtModel, combine, from_small, load_grey, shrunk, to_bytes, to_small
from ethomorph.keypoints.ert_settings import PRESETS, ErtSettings
from ethomorph.keypoints.ert_train import Example, shortened, train_cascade
from ethomorph.keypoints.plain_dlib import plain_dlib

FAST = ErtSettings(
    cascade_depth=8, num_trees_per_cascade_level=40, tree_depth=3, oversampling_amount=12, feature_pool_size=200,
    threads=2,
)


@pytest.fixture(scope="module")
def data(leaves):
    return leaves.leaf_set(24, seed=0)


@pytest.fixture(scope="module")
def model(data):
    pictures, points = data
    return ErtModel(settings=FAST).fit_arrays(pictures, [[p] for p in points], [f"m{i}" for i in range(12)])


def errors(found, points):
    return np.concatenate([np.linalg.norm(f[0].points - p, axis=1) for f, p in zip(found, points, strict=True)])


def test_learns_landmarks_of_new_pictures_without_boxes(model, leaves):
    pictures, points = leaves.leaf_set(12, seed=1)
    found = model.predict_images(pictures)
    assert [len(f) for f in found] == [1] * 12
    error = errors(found, points)
    centre = np.concatenate([np.linalg.norm(p - p.mean(axis=0), axis=1) for p in points])
    assert error.mean() < 4 and error.mean() < centre.mean() / 10
    # More than ten landmarks in the right order: each is nearest to its own truth.
    for f, p in zip(found, points, strict=True):
        near = np.linalg.norm(f[0].points[:, None] - p[None], axis=2).argmin(axis=1)
        np.testing.assert_array_equal(near, np.arange(12))


def test_spread_is_measured_and_larger_where_the_fit_is_worse(model, leaves):
    pictures, points = leaves.leaf_set(12, seed=2)
    found = model.predict_images(pictures)
    spread = np.concatenate([f[0].spread for f in found])
    assert np.isfinite(spread).all() and (spread > 0).mean() > 0.9
    error = errors(found, points)
    assert np.corrcoef(spread, error)[0, 1] > 0.1
    confidence = np.concatenate([f[0].confidence for f in found])
    assert ((confidence > 0) & (confidence <= 1)).all()


def test_finds_none_one_or_several(model, leaves):
    rng = np.random.default_rng(3)
    pair = [leaves.leaf_points(rng, at=[130.0, 120.0]), leaves.leaf_points(rng, at=[370.0, 110.0])]
    both = model.predict_image(leaves.leaf_picture(rng, pair, width=500))
    assert len(both) == 2
    both.sort(key=lambda f: f.points[:, 0].mean())
    assert max(np.linalg.norm(f.points - p, axis=1).mean() for f, p in zip(both, pair, strict=True)) < 8
    assert model.predict_image(leaves.leaf_picture(rng, [])) == []
    assert model.predict_image(np.full((200, 300), 0.5, np.float32)) == []


def test_same_answer_alone_and_in_a_batch(model, leaves):
    pictures, _ = leaves.leaf_set(5, seed=4)
    together = model.predict_images(pictures)
    alone = model.predict_image(pictures[3])
    np.testing.assert_allclose(together[3][0].points, alone[0].points, atol=1e-3)


def test_saved_model_gives_the_same_and_dlib_reads_its_trees(model, leaves, tmp_path):
    pictures, points = leaves.leaf_set(3, seed=5)
    again = ErtModel.load(model.save(tmp_path / "model"))
    assert again.names_ == model.names_ and again.settings == model.settings
    for a, b in zip(again.predict_images(pictures), model.predict_images(pictures), strict=True):
        np.testing.assert_array_equal(a[0].points, b[0].points)
    predictor = dlib.shape_predictor(str(model.to_dat(tmp_path / "trees.dat")))
    box = np.floor(landmark_box(points[0]) + 0.5)
    theirs = [(p.x, p.y) for p in predictor(to_bytes(pictures[0]), dlib.rectangle(*(int(v) for v in box))).parts()]
    ours = model.cascade_.fit([to_bytes(pictures[0])], [0], box[None])[0]
    np.testing.assert_array_equal(np.floor(ours + 0.5), theirs)


def test_missing_landmarks_are_left_out_not_learned(data):
    pictures, points = data
    rng = np.random.default_rng(6)
    gappy = [np.where(rng.random((12, 1)) < 0.15, np.nan, p) for p in points]
    model = ErtModel(settings=FAST).fit_arrays(pictures, [[p] for p in gappy])
    assert any("missing" in note for note in model.notes_)
    found = model.predict_images(pictures)
    hidden = np.concatenate([np.isnan(g[:, 0]) for g in gappy])
    assert hidden.sum() > 20 and errors(found, points)[hidden].mean() < 8


def test_as_good_as_plain_dlib_in_boxes_from_the_truth(shared_data):
    """Fly wings, few trees: within 10 % of dlib itself with the same options (it is better: views and no rounding)."""
    wings = read_landmarks(shared_data / "fly-wings/landmarks.tps", images=shared_data / "fly-wings/images")
    pictures = [load_grey(p) for p in wings.image_paths()]
    points = [s.points for s in wings]
    settings = ErtSettings.preset("dlib", num_trees_per_cascade_level=40, box_jitter=0.0, threads=2)
    ours = ErtModel(settings=settings).fit_arrays(pictures[:30], [[p] for p in points[:30]])
    boxed = ours.fit_boxes(pictures[30:], [landmark_box(p)[None] for p in points[30:]])
    plain = plain_dlib(
        [to_bytes(p) for p in pictures[:30]], points[:30], [to_bytes(p) for p in pictures[30:]], points[30:], settings
    )
    theirs = np.linalg.norm(plain - np.array(points[30:]), axis=2).mean()
    assert errors(boxed, points[30:]).mean() < 1.1 * theirs


def test_trains_from_picture_files(data, tmp_path):
    pictures, points = data
    given = []
    for i, (picture, shape) in enumerate(zip(pictures[:12], points[:12], strict=True)):
        path = tmp_path / f"{i}.png"
        cv2.imwrite(str(path), to_bytes(picture))
        given.append(Picture(path, [Specimen(shape, image=path.name, image_path=path)]))
    fewer = ErtSettings.from_dict(FAST.to_dict() | {"num_trees_per_cascade_level": 5, "cascade_depth": 2})
    model = ErtModel(settings=fewer).fit(given, None, [f"m{i}" for i in range(12)], progress=False)
    assert model.predict_image(load_grey(given[0].path))


def test_large_pictures_are_shrunk_and_points_come_back_in_their_pixels(data, leaves):
    pictures, points = data
    big = [cv2.resize(p, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC).clip(0, 1) for p in pictures[:16]]
    large = [from_small(p, 1 / 3) for p in points[:16]]
    settings = ErtSettings.from_dict(FAST.to_dict() | {"max_side_px": 300, "num_trees_per_cascade_level": 30})
    model = ErtModel(settings=settings).fit_arrays(big, [[p] for p in large])
    assert errors(model.predict_images(big), large).mean() < 12


def test_time_limit_is_kept_by_giving_up_oversampling(data):
    pictures, points = data
    slow = ErtSettings.from_dict(FAST.to_dict() | {"num_trees_per_cascade_level": 500, "oversampling_amount": 2000})
    started = time.monotonic()
    model = ErtModel(settings=slow).fit_arrays(pictures, [[p] for p in points], max_minutes=0.1)
    assert time.monotonic() - started < 90  # 6 s and the detector, on a machine that others use too
    assert any("changed" in note and "oversampling_amount from" in note for note in model.notes_)
    assert len(model.predict_image(pictures[0])) == 1


def test_shortening_gives_up_oversampling_before_trees():
    options = {"oversampling_amount": 20, "num_trees_per_cascade_level": 500}
    assert shortened(options, 4.0) == {"oversampling_amount": 5, "num_trees_per_cascade_level": 500}
    both = shortened(options, 100.0)
    assert both == {"oversampling_amount": 4, "num_trees_per_cascade_level": 25}
    assert shortened(options, 0.5) == options and shortened(options, 1.0) == options


def test_same_seed_same_trees(data):
    pictures, points = data
    few = ErtSettings.from_dict(FAST.to_dict() | {"num_trees_per_cascade_level": 4, "cascade_depth": 2, "threads": 1})
    first, second, other = (
        ErtModel(settings=few).fit_arrays(pictures, [[p] for p in points], seed=s).cascade_.leaves for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_nothing_to_train_on_is_refused(data):
    pictures, points = data
    with pytest.raises(LabelError, match="no specimen"):
        ErtModel().fit_arrays(pictures[:1], [[]])
    blank = [[np.where(np.arange(12)[:, None] == 4, np.nan, p)] for p in points]
    with pytest.raises(LabelError, match="landmark 5 is missing in every"):
        ErtModel().fit_arrays(pictures, blank)


def test_damaged_model_folder_is_refused(model, tmp_path):
    folder = model.save(tmp_path / "model")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    with pytest.raises(FormatError, match=r"model\.safetensors|model\.toml"):
        ErtModel.load(folder)
    with pytest.raises(FormatError):
        ErtModel.load(tmp_path / "nothing")


def test_a_child_that_fails_says_why(data):
    pictures, points = data
    example = Example(to_bytes(pictures[0]), [points[0]], [(5, 5, 60, 60)])
    with pytest.raises(RuntimeError, match="dlib ended with status"):
        train_cascade([example], FAST.dlib_options() | {"random_seed": "0", "num_threads": 1, "nu": 7.0})


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_complete_and_survive_their_file(name):
    settings = ErtSettings.preset(name)
    assert ErtSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


def test_preset_values_are_the_tools():
    readme, dlibs, lizard = (ErtSettings.preset(n) for n in ("readme", "dlib", "lizardmorph"))
    assert (readme.tree_depth, readme.nu, readme.cascade_depth, readme.oversampling_amount) == (3, 0.08, 20, 200)
    plain = dlib.shape_predictor_training_options()
    for field in ("cascade_depth", "tree_depth", "nu", "oversampling_amount", "feature_pool_size", "lambda_param"):
        assert getattr(dlibs, field) == getattr(plain, field)
    assert (lizard.feature_pool_size, lizard.oversampling_amount) == (400, 5)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"preset": "mlmorph"}, "choose dlib, ml-morph"), ({"tree_depht": 3}, "unknown: tree_depht"),
        ({"tree_depth": 2.5}, "give a whole number"), ({"nu": 0}, "above 0"), ({"views": 0}, "from 1 to"),
        ({"tree_depth": True}, "give a whole number"), ({"nu": "much"}, "give a number"),
    ],
)  # fmt: skip
def test_wrong_settings_are_refused_by_name(values, said):
    with pytest.raises(StudyError, match=said):
        ErtSettings.from_dict(values)


def test_boxes_share_the_oversampling():
    settings = ErtSettings(oversampling_amount=20)
    assert settings.boxes_per_specimen == 5 and settings.dlib_options()["oversampling_amount"] == 4
    plain = ErtSettings(oversampling_amount=20, box_jitter=0.0)
    assert plain.boxes_per_specimen == 1 and plain.dlib_options()["oversampling_amount"] == 20


def test_median_of_views_ignores_one_stray():
    fits = np.zeros((1, 5, 3, 2))
    fits[0, 2] += 100
    points, spread = combine(fits)
    assert (points == 0).all() and np.allclose(spread, np.sqrt(20000 / 5))
    assert np.isnan(combine(fits[:, :1])[1]).all()


def test_views_are_balanced():
    box = np.array([[10.0, 20.0, 110.0, 70.0]])
    views = jittered(box, 9, 0.02)
    np.testing.assert_array_equal(views[0, 0], box[0])
    np.testing.assert_allclose(((views[..., :2] + views[..., 2:]) / 2).mean(axis=1), [[60, 45]])


def test_shrinking_keeps_pixel_centres():
    points = np.array([[0.0, 0.0], [99.0, 49.0]])
    np.testing.assert_allclose(from_small(to_small(points, 0.37), 0.37), points)
    np.testing.assert_allclose(to_small(np.array([[0.5, 0.5]]), 0.5), [[0.0, 0.0]])
    pixels, factor = shrunk(np.zeros((600, 1000), np.uint8), 500)
    assert pixels.shape == (300, 500) and factor == 0.5


def test_prediction_is_fast_enough(model, leaves):
    """4,000 pictures a minute is 15 ms each; asked for at a third of that here, as other tests share the machine."""
    pictures, _ = leaves.leaf_set(16, seed=7)
    model.predict_images(pictures)
    started = time.process_time()
    model.predict_images(pictures)
    assert (time.process_time() - started) / len(pictures) < 0.045


def test_pictures_group_their_specimens(tmp_path):
    path = Path(tmp_path / "a.png")
    cv2.imwrite(str(path), np.zeros((9, 9), np.uint8))
    specimens = [Specimen([[1, 2], [3, 4]], image="a.png", image_path=path) for _ in range(2)]
    from ethomorph.core.landmarks import LandmarkSet

    assert len(by_picture(LandmarkSet(specimens, ["x", "y"]))[0].specimens) == 2

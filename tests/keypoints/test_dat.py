"""dlib's own file: read and written as dlib does, and refused when damaged."""

import dlib
import numpy as np
import pytest

from ethomorph.core.errors import FormatError
from ethomorph.keypoints.cascade import Cascade, similarity_matrices
from ethomorph.keypoints.dat import read_dat, write_dat
from ethomorph.keypoints.ert import ErtModel, numeric_order

BOX = (12.0, 9.0, 71.0, 66.0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A predictor of 12 landmarks trained by dlib on noise, its pictures, and its file."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (80, 90)).astype(np.uint8) for _ in range(6)]
    rectangle = dlib.rectangle(*(int(v) for v in BOX))
    places = [[dlib.point(int(x), int(y)) for x, y in rng.uniform(15, 65, (12, 2))] for _ in images]
    parts = [[dlib.full_object_detection(rectangle, place)] for place in places]
    options = dlib.shape_predictor_training_options()
    options.cascade_depth, options.num_trees_per_cascade_level, options.tree_depth = 3, 6, 3
    options.feature_pool_size, options.oversampling_amount = 40, 4
    predictor = dlib.train_shape_predictor(images, parts, options)
    path = tmp_path_factory.mktemp("dat") / "predictor.dat"
    predictor.save(str(path))
    return predictor, images, path


def test_fits_what_dlib_fits(trained):
    predictor, images, path = trained
    rng = np.random.default_rng(1)
    boxes = np.array(BOX) + rng.integers(-9, 9, (len(images), 4))
    ours = read_dat(path).fit(images, np.arange(len(images)), boxes)
    theirs = [
        [(p.x, p.y) for p in predictor(image, dlib.rectangle(*(int(v) for v in box))).parts()]
        for image, box in zip(images, boxes, strict=True)
    ]
    np.testing.assert_array_equal(np.floor(ours + 0.5), theirs)
    assert np.abs(ours - np.floor(ours + 0.5)).max() > 0.1  # dlib rounds to pixels, this does not


def test_written_file_is_dlibs_byte_for_byte(trained, tmp_path):
    _, _, path = trained
    written = write_dat(read_dat(path), tmp_path / "copy.dat")
    assert written.read_bytes() == path.read_bytes()
    dlib.shape_predictor(str(written))


def test_batches_agree_with_single_boxes(trained):
    _, images, path = trained
    cascade = read_dat(path)
    which = np.arange(150) % len(images)
    boxes = np.array(BOX) + np.random.default_rng(2).normal(size=(150, 4))
    together = cascade.fit(images, which, boxes)
    for i in (0, 63, 64, 149):
        np.testing.assert_allclose(together[i], cascade.fit(images, which[i : i + 1], boxes[i : i + 1])[0], atol=1e-3)


def test_reordering_moves_landmarks_and_nothing_else(trained):
    _, images, path = trained
    cascade = read_dat(path)
    order = np.random.default_rng(3).permutation(12)
    plain = cascade.fit(images, [0], np.array([BOX]))
    np.testing.assert_allclose(cascade.reordered(order).fit(images, [0], np.array([BOX])), plain[:, order], atol=1e-4)


def test_ml_morphs_text_order_is_put_right(trained):
    _, images, path = trained
    written = [0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9]  # how dlib sorts the names 0..11
    raw = read_dat(path).fit(images, [0], np.array([BOX]))[0]
    model = ErtModel.from_dat(path, landmarks=12)
    right = model.cascade_.fit(images, [0], np.array([BOX]))[0]
    np.testing.assert_allclose(right[written], raw, atol=1e-4)
    np.testing.assert_array_equal(np.array(written)[numeric_order(12)], np.arange(12))
    assert ErtModel.from_dat(path, text_order=False).cascade_.initial.tolist() == read_dat(path).initial.tolist()


def test_bare_predictor_looks_at_the_whole_picture(trained, tmp_path):
    _, images, path = trained
    model = ErtModel.from_dat(path, landmarks=[f"p{i}" for i in range(12)])
    found = model.predict_image(images[0] / np.float32(255))
    assert len(found) == 1 and np.isfinite(found[0].points).all() and model.names_[3] == "p3"
    again = ErtModel.load(model.save(tmp_path / "model")).predict_image(images[0] / np.float32(255))
    np.testing.assert_array_equal(again[0].points, found[0].points)


@pytest.mark.parametrize("landmarks", [11, ["a", "b"]])
def test_another_number_of_landmarks_is_refused(trained, landmarks):
    with pytest.raises(FormatError, match="12 landmarks"):
        ErtModel.from_dat(trained[2], landmarks=landmarks)


def test_damaged_files_are_refused_in_one_line(trained, tmp_path):
    data = trained[2].read_bytes()
    rng = np.random.default_rng(4)
    damaged = {
        "empty": b"", "text": b"<?xml version='1.0'?>" * 50, "noise": rng.bytes(4000), "zeros": bytes(5000),
        "half": data[: len(data) // 2], "one byte short": data[:-1], "longer": data + b"\x01\x05",
        "huge length": b"\x01\x01\x88" + b"\xff" * 7 + b"\x7f" + data[5:],
    }
    for name, content in damaged.items():
        path = tmp_path / "damaged.dat"
        path.write_bytes(content)
        with pytest.raises(FormatError) as caught:
            read_dat(path)
        assert "damaged.dat" in str(caught.value) and "\n" not in str(caught.value), name


def test_flipped_bytes_never_crash(trained, tmp_path):
    """Either refused, or read into arrays that can be evaluated: dlib itself would follow wild indices."""
    data = bytearray(trained[2].read_bytes())
    images = trained[1]
    rng = np.random.default_rng(5)
    refused = 0
    for _ in range(120):
        broken = data.copy()
        for place in rng.integers(0, len(data), 3):
            broken[place] ^= int(rng.integers(1, 256))
        path = tmp_path / "flipped.dat"
        path.write_bytes(broken)
        try:
            cascade = read_dat(path)
        except FormatError:
            refused += 1
            continue
        cascade.fit(images, [0], np.array([BOX]))
    assert refused > 60


def test_missing_file_is_an_error_a_person_can_act_on(tmp_path):
    with pytest.raises(FormatError, match="cannot be read"):
        read_dat(tmp_path / "nowhere.dat")


def test_indices_outside_their_array_are_refused(trained):
    arrays = read_dat(trained[2]).to_arrays()
    arrays["first"] = arrays["first"] + 1000
    with pytest.raises(ValueError, match="first points outside"):
        Cascade.from_arrays(arrays)


def test_similarity_recovers_rotation_and_scale():
    rng = np.random.default_rng(6)
    source = rng.normal(size=(7, 2))
    matrix = 1.7 * np.array([[np.cos(0.8), -np.sin(0.8)], [np.sin(0.8), np.cos(0.8)]])
    np.testing.assert_allclose(similarity_matrices(source, (source @ matrix.T + 5)[None])[0], matrix, atol=1e-6)
    np.testing.assert_array_equal(similarity_matrices(source[:1], source[None, :1])[0], np.eye(2))


def test_a_dat_from_elsewhere_predicts_pictures(trained, tmp_path, capsys):
    from PIL import Image

    from ethomorph.cli.app import execute
    from ethomorph.formats.registry import read_landmarks

    predictor, images, path = trained
    Image.fromarray(images[0]).save(tmp_path / "a.png")
    out = tmp_path / "found.tps"
    assert execute(["predict", str(path), str(tmp_path / "a.png"), "--out", str(out), "--quiet"]) == 0
    found = read_landmarks(out, images=tmp_path).array()[0]
    whole = dlib.rectangle(0, 0, images[0].shape[1] - 1, images[0].shape[0] - 1)
    theirs = np.array([(p.x, p.y) for p in predictor(images[0], whole).parts()])[numeric_order(12)]
    assert np.linalg.norm(found - theirs, axis=1).mean() < 10
    assert "no detector" in capsys.readouterr().err


def test_a_dat_that_is_none_is_refused_in_a_line(tmp_path, capsys):
    from ethomorph.cli.app import execute

    (tmp_path / "bad.dat").write_bytes(b"not a predictor")
    assert execute(["predict", str(tmp_path / "bad.dat"), "x.png", "--out", str(tmp_path / "o.tps")]) == 2
    assert "bad.dat" in capsys.readouterr().err

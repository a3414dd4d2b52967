"""The estimator's face: what goes in, what comes out, and what is refused, whatever the method behind it."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from ethomorph.core.errors import FormatError, ImageError, InputError, LabelError, StudyError
from ethomorph.core.landmarks import LandmarkSet
from ethomorph.keypoints.data import Found
from ethomorph.keypoints.estimator import CHUNK, LandmarkRegressor

NAMES = ["disc", "ring", "dot", "hole"]


class Brightest:
    """A method that needs no training: four points about the brightest pixel, nothing in dark pictures."""

    def __init__(self) -> None:
        self.notes_: list[str] = []
        self.batches: list[int] = []

    def predict_images(self, images: list[np.ndarray]) -> list[list[Found]]:
        self.batches.append(len(images))
        return [self.predict_image(image) for image in images]

    def predict_image(self, image: np.ndarray) -> list[Found]:
        assert image.dtype == np.float32 and image.ndim == 2 and image.max() <= 1
        if image.max() < 0.5:
            return []
        y, x = np.unravel_index(image.argmax(), image.shape)
        points = np.array([[x, y], [x + 9.0, y], [x + 9.0, y + 9.0], [x, y + 9.0]])
        return [Found(points, np.full(4, 0.9), np.full(4, 0.5), (x, y, x + 9.0, y + 9.0), 0.8)]


@pytest.fixture
def fitted() -> LandmarkRegressor:
    model = LandmarkRegressor()
    model.model_, model.names_, model.prior_ = Brightest(), NAMES, None  # type: ignore[assignment]
    model.edges_, model.symmetry_ = [(0, 1)], [(0, 3)]
    return model


def dots(folder: Path, count: int) -> list[tuple[int, int]]:
    places = [(10 + 3 * i, 40 - i) for i in range(count)]
    for i, (x, y) in enumerate(places):
        picture = np.zeros((64, 100), np.uint8)
        picture[y, x] = 255
        cv2.imwrite(str(folder / f"p{i + 1}.png"), picture)
    return places


def test_folder_in_natural_order_and_in_chunks(fitted: LandmarkRegressor, tmp_path: Path) -> None:
    places = dots(tmp_path, 2 * CHUNK + 3)
    found = fitted.predict(tmp_path, progress=False)
    assert [s.image for s in found] == [f"p{i + 1}.png" for i in range(len(places))]
    assert [tuple(s.points[0]) for s in found] == places
    assert fitted.model_.batches == [CHUNK, CHUNK, 3]  # type: ignore[union-attr]
    first = found[0]
    assert first.image_path == tmp_path / "p1.png" and first.image_size == (64, 100) and first.id == "p1"
    assert first.attributes["score"] == "0.800" and first.box is not None
    assert found.names == NAMES and found.edges == [(0, 1)] and found.symmetry == [(0, 3)]


def test_arrays_grey_and_colour(fitted: LandmarkRegressor) -> None:
    picture = np.zeros((50, 60), np.uint8)
    picture[20, 30] = 255
    found = fitted.predict([picture, np.stack([picture] * 3, axis=-1), picture.astype(np.uint16) * 257], progress=False)
    assert [s.points[0].tolist() for s in found] == [[30, 20]] * 3
    assert fitted.predict(picture, progress=False)[0].points[0].tolist() == [30, 20]


def test_a_picture_with_nothing_in_it_says_so(fitted: LandmarkRegressor) -> None:
    found = fitted.predict([np.zeros((40, 40), np.uint8)], progress=False)
    assert found[0].attributes["status"] == "not found" and not found[0].visible.any()


def test_a_landmark_set_keeps_identity_and_scale_but_not_coordinates(
    fitted: LandmarkRegressor, toys: ModuleType, tmp_path: Path
) -> None:
    truth = toys.make(tmp_path, 3)
    truth[1].id, truth[1].scale, truth[1].unit = "animal 7", 0.031, "mm"
    found = fitted.predict(truth, progress=False)
    assert [s.id for s in found] == ["toy00", "animal 7", "toy02"]
    assert found[1].scale == 0.031 and found[0].scale is None
    assert not np.allclose(found.array(), truth.array())


def test_a_bad_picture_is_named_or_left_out(fitted: LandmarkRegressor, tmp_path: Path) -> None:
    dots(tmp_path, 3)
    whole = (tmp_path / "p2.png").read_bytes()
    (tmp_path / "p2.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match=r"p2\.png"):
        fitted.predict(tmp_path, progress=False)
    found = fitted.predict(tmp_path, progress=False, on_error="report")
    assert [s.image for s in found] == ["p1.png", "p3.png"]
    assert len(fitted.skipped_) == 1 and "p2.png" in fitted.skipped_[0] and "p2.png" in found.notes[0]
    assert fitted.predict(tmp_path / "p1.png", progress=False) is not None and fitted.skipped_ == []


def test_enhancement_comes_before_the_method(fitted: LandmarkRegressor) -> None:
    picture = np.full((50, 60), 255, np.uint8)
    picture[20, 30] = 0
    inverted = LandmarkRegressor(enhancement={"invert": True})
    for name in ("model_", "names_", "prior_", "edges_", "symmetry_"):
        setattr(inverted, name, getattr(fitted, name))
    assert inverted.predict([picture], progress=False)[0].points[0].tolist() == [30, 20]
    assert inverted.resolved()["enhancement"]["invert"] is True


def test_refusals_name_what_is_wrong(toys: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no method 'svm'"):
        LandmarkRegressor(method="svm")  # type: ignore[arg-type]
    with pytest.raises(StudyError, match=r"settings\.stepz"):
        LandmarkRegressor(settings={"stepz": 3})
    with pytest.raises(InputError, match="not been trained"):
        LandmarkRegressor().predict(tmp_path)
    with pytest.raises(FormatError, match=r"estimator\.toml"):
        LandmarkRegressor.load(tmp_path)
    with pytest.raises(LabelError, match="3-D"):
        LandmarkRegressor().fit(LandmarkSet([toys.Specimen(np.zeros((2, 3)))], ["a", "b"], frame="lps"))
    with pytest.raises(LabelError, match="no specimen"):
        LandmarkRegressor().fit(LandmarkSet([], ["a"]))
    lost = toys.make(tmp_path, 2)
    lost[1].image_path = None
    with pytest.raises(LabelError, match="was not found"):
        LandmarkRegressor().fit(lost)
    gone = toys.make(tmp_path, 2)
    (tmp_path / "toy01.png").unlink()
    with pytest.raises(ImageError, match="toy01"):
        LandmarkRegressor(shape_prior=False, settings=toys.SETTINGS).fit(gone, progress=False)


def test_settings_survive_being_written_down(toys: ModuleType) -> None:
    for method, settings in (("heatmap", toys.SETTINGS), ("ert", {"preset": "readme"})):
        resolved = LandmarkRegressor(method=method, settings=settings).resolved()
        again = LandmarkRegressor(method=method, settings=resolved["settings"], enhancement=resolved["enhancement"])
        assert again.resolved() == resolved

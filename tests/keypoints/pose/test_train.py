"""What a training step sees: views of frames, several crops of one, batches of both."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ethomorph.core.errors import StudyError
from ethomorph.keypoints.pose.augment import sided, view
from ethomorph.keypoints.pose.data import Scheme
from ethomorph.keypoints.pose.estimator import PoseEstimator, opened
from ethomorph.keypoints.pose.train import Views, loader

SETTINGS = {"model": {"backbone": "unet-bn", "filters": 4, "max_stride": 8}, "data": {"crop_px": 40}}


@pytest.fixture(scope="module")
def made(tmp_path_factory, toys):
    labels = toys.film(tmp_path_factory.mktemp("views"), animals=2, frames=6)
    scheme, frames, films, _ = opened(labels, None)

    def make(method: str, *, calm: bool, **data: int) -> Views:
        settings = SETTINGS | {"data": data}
        pipeline, store = PoseEstimator(method=method, settings=settings).prepared(frames, films, scheme)
        return Views(frames, store, pipeline, count=6, seed=0, calm=calm)

    return make


@pytest.fixture(scope="module")
def views(made):
    return lambda most, calm=False: made("top_down", calm=calm, crop_px=40, crops=most)


@pytest.mark.parametrize(("most", "crops"), [(1, 1), (2, 2), (4, 2)])
def test_a_frame_gives_a_crop_of_each_of_its_animals(views, most, crops):
    sample = views(most)[0]
    assert sample["centered_instance.images"].shape == (crops, 1, 40, 40)
    assert sample["centered_instance.points"].shape == (crops, 2, 3, 2)
    assert sample["centroid.images"].shape[0] == 1
    middles = sample["centered_instance.points"][:, 0, 1]
    assert torch.isfinite(middles).all() and (middles - 19.5).abs().max() < 12


def test_calm_crops_of_one_frame_are_of_different_animals(views):
    pictures = views(4, calm=True)[0]["centered_instance.images"]
    assert not torch.equal(pictures[0], pictures[1])


def test_a_batch_joins_the_crops_of_its_frames(views):
    (batch,) = [b for b, _ in zip(loader(views(2), 0)(4), range(1), strict=False)]
    assert batch["centered_instance.images"].shape[:2] == (8, 1) and batch["centroid.images"].shape[0] == 4
    assert np.isfinite(batch["centered_instance.points"][:, 0].numpy()).any()


def test_a_bottom_up_network_may_learn_from_windows_but_is_judged_on_whole_frames(made):
    windows = made("bottom_up", calm=False, window_px=48)
    seen = 0
    for i in range(6):
        sample = windows[i]
        picture, points = sample["bottom_up.images"][0, 0].numpy(), sample["bottom_up.points"][0].numpy()
        assert picture.shape == (48, 48)
        heads = points[np.isfinite(points[:, 0, 0]), 0].round().astype(int)  # an arrow's head is a bright disc
        heads = heads[((heads > 1) & (heads < 46)).all(1)]
        assert all(picture[y - 1 : y + 2, x - 1 : x + 2].mean() > 170 for x, y in heads)
        seen += len(heads)
    assert seen >= 3
    assert made("bottom_up", calm=True, window_px=48)[0]["bottom_up.images"].shape[-2:] == (96, 96)


@pytest.mark.parametrize("side", ["crop_px", "window_px"])
def test_a_side_that_does_not_fit_the_network_is_refused(side):
    with pytest.raises(StudyError, match=f"settings.data.{side}.*44 is no multiple of model.max_stride = 8"):
        PoseEstimator(settings=SETTINGS | {"data": {side: 44}})


def test_left_and_right_change_places_in_a_mirrored_view_also_where_only_their_names_say_so():
    scheme, notes = sided(Scheme(("head", "wingL", "wingR", "ear_l", "ear_r", "tail")), "horizontal")
    assert scheme.symmetry == ((1, 2), (3, 4)) and "wingL - wingR" in notes[0]
    points = np.array([[[9.0, 2], [5, 4], [13, 4], [4, 8], [14, 8], [9, 15]]])
    mirror = np.array([[-1.0, 0, 19], [0, 1, 0], [0, 0, 1]])
    picture = np.zeros((20, 20), np.uint8)
    picture[4, 5] = 255  # the left wing
    shown, moved = view(picture, points, mirror, True, (20, 20), scheme)
    assert moved[0, 2].tolist() == [14, 4] and shown[4, 14] == 255  # now looks like a right one
    assert moved[0, 1].tolist() == [6, 4] and moved[0, 0].tolist() == [10, 2]


def test_mirroring_without_partners_is_said_and_what_the_labels_say_goes_first():
    assert sided(Scheme(("a", "l", "lr")), "none") == (Scheme(("a", "l", "lr")), [])
    scheme, notes = sided(Scheme(("head", "tail")), "vertical")
    assert scheme.symmetry == () and "no node has a partner" in notes[0]
    known = Scheme(("aL", "aR", "b"), symmetry=((0, 2),))
    assert sided(known, "horizontal") == (known, [])

"""Images and segmentations are paired by name and put on one grid by header."""

import numpy as np
import pytest

from ethomorph.core.errors import LabelError
from ethomorph.core.grid import Grid
from ethomorph.core.volume import LabelVolume, ScalarVolume
from ethomorph.formats.volumes import write_volume
from ethomorph.volumes.data import expand, find_cases

GRID = Grid((4, 5, 6), (1, 1, 1))


def put(folder, images=(), labels=(), fine=False):
    for name in images:
        write_volume(ScalarVolume(np.zeros(GRID.shape, np.uint16), GRID), folder / "images" / name)
    array = np.zeros(GRID.shape, np.uint8)
    array[1:3, 1:3, 1:3] = 1
    made = LabelVolume.of(array, GRID, {"a": 1})
    for name in labels:
        write_volume(made.on(GRID.resized((0.5, 0.5, 0.5))) if fine else made, folder / "labels" / name)
    return folder


def test_names_pair_whatever_the_order_and_suffix(tmp_path):
    put(tmp_path, ["b.nrrd", "a_.nii.gz", "unlabelled.mha"], ["a-label.nii.gz", "b.seg.nrrd"])
    cases = find_cases(tmp_path / "labels", tmp_path / "images")
    assert {c.name: (c.image.name, c.labels.name) for c in cases} == {
        "a_": ("a_.nii.gz", "a-label.nii.gz"), "b": ("b.nrrd", "b.seg.nrrd"),
    }  # fmt: skip


def test_one_folder_for_both(tmp_path):
    put(tmp_path, ["a.nrrd"], ["a.seg.nrrd"])
    (tmp_path / "labels" / "a.seg.nrrd").rename(tmp_path / "images" / "a.seg.nrrd")
    assert [c.name for c in find_cases(tmp_path / "images", None)] == ["a"]


def test_oversampled_labels_land_on_the_image(tmp_path):
    put(tmp_path, ["a.nrrd"], ["a.seg.nrrd"], fine=True)
    case = find_cases(tmp_path / "labels", tmp_path / "images")[0]
    labels = case.read_labels(case.read_image())
    assert labels.array.shape == GRID.shape and labels.array.sum() == 8


def test_a_segmentation_without_image_and_doubled_names_are_refused(tmp_path):
    put(tmp_path, ["a.nrrd"], ["a.seg.nrrd", "c.seg.nrrd"])
    with pytest.raises(LabelError, match="no image has its name"):
        find_cases(tmp_path / "labels", tmp_path / "images")
    put(tmp_path, ["a.mha", "c.nrrd"])
    with pytest.raises(LabelError, match="have one name"):
        find_cases(tmp_path / "labels", tmp_path / "images")


def test_inputs_of_predict(tmp_path):
    put(tmp_path, ["a.nrrd", "b.nii.gz"])
    assert [p.name for p in expand([tmp_path / "images"])] == ["a.nrrd", "b.nii.gz"]
    assert [p.name for p in expand([str(tmp_path / "images" / "*.nrrd")])] == ["a.nrrd"]
    with pytest.raises(LabelError):
        expand([tmp_path / "nothing"])

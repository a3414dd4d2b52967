from __future__ import annotations

import numpy as np
import pytest

from ethomorph.core.errors import LabelError
from ethomorph.core.landmarks import LandmarkSet, Specimen, concatenate


def test_specimens_of_another_count_are_named():
    odd = [Specimen(np.zeros((2, 2)), id="fine"), Specimen(np.zeros((3, 2)), id="wing 7")]
    with pytest.raises(LabelError, match=r"the scheme has 2 landmarks, but specimen 2 \(wing 7\): 3"):
        LandmarkSet(odd, names=["a", "b"])


def test_two_and_three_dimensions_do_not_mix():
    with pytest.raises(LabelError, match="2-D and 3-D"):
        LandmarkSet([Specimen(np.zeros((1, 2))), Specimen(np.zeros((1, 3)))], names=["a"])


def test_labels_of_sleap_hold_points_names_and_several_animals():
    two = [Specimen([[1, 2], [3, 4]], image="a.png"), Specimen([[5, 6], [np.nan, np.nan]], image="a.png")]
    labels = LandmarkSet(two, names=["head", "tail"], edges=[(0, 1)]).to_labels()
    assert labels.skeleton.node_names == ["head", "tail"]
    assert len(labels.labeled_frames) == 1
    np.testing.assert_array_equal(labels.labeled_frames[0].instances[1].numpy(), two[1].points)


def test_joining_other_schemes_is_refused():
    a = LandmarkSet([Specimen(np.zeros((1, 2)))], names=["a"])
    b = LandmarkSet([Specimen(np.zeros((1, 2)))], names=["b"])
    assert len(concatenate([a, a])) == 2
    with pytest.raises(LabelError, match="another landmark scheme"):
        concatenate([a, b])

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


def test_subsets_of_landmarks_keep_their_pairs():
    three = LandmarkSet([Specimen([[0, 0], [1, 1], [2, 2]])], names=["a", "b", "c"], edges=[(0, 2), (0, 1)])
    kept = three.keep(["c", "a"])
    assert kept.edges == [(1, 0)]
    np.testing.assert_array_equal(kept[0].points, [[2, 2], [0, 0]])
    with pytest.raises(LabelError, match="no landmark 'd'"):
        three.keep(["d"])
    with pytest.raises(LabelError, match="2 names"):
        three.renamed(["x", "y"])


def test_joining_other_schemes_is_refused():
    a = LandmarkSet([Specimen(np.zeros((1, 2)))], names=["a"])
    b = LandmarkSet([Specimen(np.zeros((1, 2)))], names=["b"])
    assert len(concatenate([a, a])) == 2
    with pytest.raises(LabelError, match="another landmark scheme"):
        concatenate([a, b])

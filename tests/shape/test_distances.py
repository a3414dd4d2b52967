"""Named distances: right in px and mm, with a reason where there is none."""

import numpy as np
import pytest

from ethomorph.core.errors import LabelError
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.shape.distances import landmark_distances

PAIRS = {"length": ("a", "b"), "height": ("a", "c")}


def fish(**changes):
    return Specimen([[0, 0], [30, 40], [0, 7]], **({"id": "fish", "image": "f.jpg"} | changes))


def test_px_and_mm_by_each_specimens_own_unit():
    specimens = [fish(scale=0.1), fish(scale=0.01, unit="cm"), fish(scale=100.0, unit="um"), fish()]
    table = landmark_distances(LandmarkSet(specimens, names=list("abc")), PAIRS)
    length = table[table["distance"] == "length"]
    assert length["px"].tolist() == [50.0] * 4
    np.testing.assert_allclose(length["mm"].to_numpy()[:3], 5.0)
    assert np.isnan(length["mm"].iloc[3]) and length["note"].iloc[3] == "no scale"
    assert table["px"].tolist()[1] == 7.0 and len(table) == 8


def test_given_scale_overrides_and_missing_landmarks_say_so():
    gap = fish(scale=0.1)
    gap.points[1] = np.nan
    table = landmark_distances(LandmarkSet([gap], names=list("abc")), PAIRS, mm_per_px=0.5)
    assert table["note"].tolist() == ["b missing", ""]
    assert np.isnan(table["px"][0]) and table["mm"][1] == 3.5
    assert "nan" not in table.to_csv(index=False).lower()


def test_three_dimensional_landmarks_are_millimetres_already():
    skull = LandmarkSet([Specimen([[0, 0, 0], [1, 2, 2]])], names=["a", "b"], frame="lps")
    row = landmark_distances(skull, {"d": ("a", "b")}).iloc[0]
    assert row["mm"] == 3.0 and np.isnan(row["px"]) and row["note"] == ""


def test_unknown_landmarks_and_scales_are_refused():
    landmarks = LandmarkSet([fish()], names=list("abc"))
    with pytest.raises(LabelError, match="no landmark 'z'"):
        landmark_distances(landmarks, {"bad": ("a", "z")})
    with pytest.raises(LabelError, match="specimen fish: scale -1"):
        landmark_distances(landmarks, PAIRS, mm_per_px=-1)
    with pytest.raises(LabelError, match="2 scales for 1"):
        landmark_distances(landmarks, PAIRS, mm_per_px=[0.1, 0.2])
    with pytest.raises(LabelError, match="specimen fish: 'furlong' is no unit"):
        landmark_distances(LandmarkSet([fish(scale=1.0, unit="furlong")], names=list("abc")), PAIRS)

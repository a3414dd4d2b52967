"""The shape table: one row a specimen, whatever happened to it."""

import numpy as np
import pandas
import pytest

from ethomorph.core.errors import LabelError
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.shape.measure import measure_shape, shape_measurement
from ethomorph.shape.procrustes import centroid_size, generalized_procrustes


def wings(n=12, **changes):
    rng = np.random.default_rng(0)
    points = 100 * rng.normal(size=(6, 2)) + 3 * rng.normal(size=(n, 6, 2))
    return LandmarkSet([Specimen(x, id=f"w{i}", **changes) for i, x in enumerate(points)], names=list("abcdef"))


def test_columns_are_what_they_are_named():
    landmarks = wings(scale=0.02)
    table = measure_shape(landmarks, components=3)
    gpa = generalized_procrustes(landmarks.array())
    np.testing.assert_allclose(table["centroid_size_px"], centroid_size(landmarks.array()))
    np.testing.assert_allclose(table["centroid_size_mm"], 0.02 * table["centroid_size_px"])
    np.testing.assert_allclose(table["procrustes_distance"], gpa.procrustes_distance)
    assert [c for c in table if c.startswith("pc")] == ["pc1", "pc2", "pc3"]
    assert table["specimen"].tolist() == [f"w{i}" for i in range(12)] and (table["note"] == "").all()
    assert (np.diff(table[["pc1", "pc2", "pc3"]].var()) < 0).all()
    assert "centroid_size_mm" not in measure_shape(wings())


def test_gaps_are_filled_and_counted_and_hopeless_specimens_keep_their_row():
    landmarks = wings()
    landmarks[3].points[0] = np.nan
    landmarks[5].points[2:] = np.nan
    landmarks[7].points[:] = 5.0
    landmarks[8].points[:] = np.c_[np.arange(6), np.arange(6)]
    landmarks[8].points[0] = np.nan
    measured = shape_measurement(landmarks)
    table = measured.table
    assert table["note"][7] == "all visible landmarks coincide" and "on one line" in table["note"][8]
    assert len(table) == 12 and table["landmarks_filled"].tolist() == [0, 0, 0, 1] + [0] * 8
    assert table["landmarks_visible"][5] == 2 and np.isnan(table["pc1"][5])
    assert table["note"][5] == "only 2 landmarks visible, at least 3 are needed"
    assert 5 not in measured.rows and measured.filled[3, 0]
    assert "nan" not in table.to_csv(index=False).lower()


def test_a_specimen_table_joins_by_name_and_gaps_in_it_are_named():
    by = pandas.DataFrame({"specimen": [f"w{i}" for i in range(12)][::-1], "sex": ["f", "m"] * 6})
    table = measure_shape(wings(), by=by)
    assert list(table.columns[:3]) == ["specimen", "image", "sex"]
    assert table["sex"].tolist() == ["f", "m"] * 6 or table["sex"].tolist() == ["m", "f"] * 6
    assert table.set_index("specimen")["sex"]["w11"] == "f"
    with pytest.raises(LabelError, match="w0, w1 are not in the table"):
        measure_shape(wings(), by=by[:10])
    with pytest.raises(LabelError, match="w3 are in the table twice"):
        measure_shape(wings(), by=pandas.concat([by, by[by["specimen"] == "w3"]]))
    with pytest.raises(LabelError, match="columns pc1 of the table"):
        measure_shape(wings(), by=by.rename(columns={"sex": "pc1"}))


def test_three_dimensional_sets_are_in_millimetres_and_two_specimens_too_few():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(7, 3)) + 0.1 * rng.normal(size=(6, 7, 3))
    skulls = LandmarkSet([Specimen(x, id=str(i)) for i, x in enumerate(points)], names=list("abcdefg"), frame="lps")
    table = measure_shape(skulls)
    np.testing.assert_allclose(table["centroid_size_mm"], centroid_size(points))
    assert "centroid_size_px" not in table
    with pytest.raises(LabelError, match="2 of 2 specimens"):
        measure_shape(skulls.subset([0, 1]))

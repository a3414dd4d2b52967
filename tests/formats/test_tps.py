"""TPS as programs and people really write it."""

from __future__ import annotations

import numpy as np
import pytest

from ethomorph.core.errors import FormatError, LabelError
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.formats.tps import read_tps, write_tps

EVERYTHING = """LM=3
290. 108
1e2 1.5E+1
-1 -1
CURVES=2
POINTS=2
1 2
3 4
POINTS=1
5 6
OUTLINES=1
POINTS=3
1 1
2 2
3 3
IMAGE=C:\\my pictures\\fly, no. 1 (left).jpg
ID=7
SCALE=0.0125
COMMENT=first
COMMENT=second = third
VARIABLES=sex=F,age=3
Radius=12
"""


def read(tmp_path, text, encoding="utf-8", **options):
    path = tmp_path / "wings.tps"
    path.write_bytes(text.encode(encoding))
    return read_tps(path, **options)


def check_everything(wings):
    wing = wings[0]
    np.testing.assert_array_equal(wing.points, [[290, 108], [100, 15], [np.nan, np.nan]])
    assert [curve.tolist() for curve in wing.curves] == [[[1, 2], [3, 4]], [[5, 6]], [[1, 1], [2, 2], [3, 3]]]
    assert (wing.id, wing.image, wing.scale) == ("7", "C:\\my pictures\\fly, no. 1 (left).jpg", 0.0125)
    assert wing.attributes == {
        "COMMENT": "first\nsecond = third",
        "VARIABLES": "sex=F,age=3",
        "Radius": "12",
        "OUTLINES": "1",
    }
    assert any("1 points are missing" in note for note in wings.notes)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t,
        lambda t: t.replace("\n", "\r\n"),
        lambda t: t.replace("\n", "\r"),
        lambda t: "\ufeff" + t,
        lambda t: t.replace("LM=", "lm = "),
        lambda t: (
            t.replace("IMAGE", "Image")
            .replace("SCALE", "scale")
            .replace("CURVES", "Curves")
            .replace("COMMENT", "Comment")
        ),
        lambda t: t.replace("1.5E+1", "1,5E+1").replace("0.0125", "0,0125"),
        lambda t: t.replace(" 108", "\t  108  "),
        lambda t: "\n\n" + t + "\n\n",
    ],
)
def test_everything_in_every_spelling(tmp_path, change):
    check_everything(read(tmp_path, change(EVERYTHING)))


def test_everything_is_written_again(tmp_path):
    wings = read(tmp_path, EVERYTHING)
    assert write_tps(wings, tmp_path / "again.tps") == []
    check_everything(read_tps(tmp_path / "again.tps"))


def test_encodings(tmp_path):
    text = "LM=1\n1 2\nIMAGE=Flügel ä.jpg\n"
    for encoding in ("utf-8", "latin-1", "utf-16"):
        assert read(tmp_path, text, encoding)[0].image == "Flügel ä.jpg"


def test_negative_coordinates_are_points_unless_told(tmp_path):
    text = "LM=2\n-5 3\n4 4\nID=a\n"
    assert read(tmp_path, text)[0].visible.tolist() == [True, True]
    assert read(tmp_path, text, negative="missing")[0].visible.tolist() == [False, True]


def test_three_dimensions(tmp_path):
    skulls = read(tmp_path, "LM3=2\n1 2 3\n4 5 6\nID=a\n")
    assert (skulls.dim, skulls.frame) == (3, "lps")
    assert write_tps(skulls, tmp_path / "skull.tps") == []
    np.testing.assert_array_equal(read_tps(tmp_path / "skull.tps").array(), skulls.array())


def test_repeated_ids_stay(tmp_path):
    assert [s.id for s in read(tmp_path, "LM=1\n1 2\nID=a\n" * 3)] == ["a", "a", "a"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2\nLM=1\n", "line 1: '1 2' stands before the first LM= line"),
        ("LM=1\n1 2 3\n", r"specimen 1, line 2: '1 2 3' is not 2 coordinates"),
        ("LM=1\n1 2\nCURVES=1\nPOINTS=2\n1 2\n", r"curve 1: POINTS=2, but 1 coordinate lines follow"),
        ("LM=1\n1 2\nCURVES=2\nPOINTS=1\n1 2\n", r"2 curves and outlines are declared, 1 follow"),
        ("LM=x\n1 2\n", r"LM=: 'x' is not a count"),
        ("LM=1\n1 2\nSCALE=0\n", r"SCALE=0 is not above 0"),
        ("hello\n", "stands before the first LM="),
        ("LM=0\nIMAGE=a.jpg\n", "no specimen has landmarks"),
    ],
)
def test_faults_are_placed(tmp_path, text, message):
    with pytest.raises((FormatError, LabelError), match=message) as refused:
        read(tmp_path, text)
    assert "wings.tps" in str(refused.value)


def test_the_other_y_direction_needs_the_height(tmp_path):
    wing = LandmarkSet([Specimen([[1, 2]], image="a.jpg")], ["1"])
    with pytest.raises(LabelError, match=r"height of 'a.jpg' is not known; give the folder of the images"):
        write_tps(wing, tmp_path / "a.tps")
    wing[0].image_size = (10, 20)
    write_tps(wing, tmp_path / "a.tps")
    assert (tmp_path / "a.tps").read_text() == "LM=1\n1.0 8.0\nIMAGE=a.jpg\n"


def test_infinity_is_not_written(tmp_path):
    with pytest.raises(LabelError, match=r"specimen 1 \(a\) has an infinite coordinate"):
        write_tps(LandmarkSet([Specimen([[np.inf, 2]], id="a")], ["1"], frame="y_up"), tmp_path / "a.tps")

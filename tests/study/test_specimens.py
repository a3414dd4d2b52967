from __future__ import annotations

import pytest

from ethomorph.core.errors import StudyError
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.study.specimens import group_of, join_specimens, read_specimens


def landmarks() -> LandmarkSet:
    points = [[0, 0], [1, 1]]
    return LandmarkSet([Specimen(points, id=f"L{i}", image=f"L{i} left.jpg") for i in range(3)], names=["a", "b"])


def test_rows_join_by_image_and_name_the_individual(tmp_path):
    (tmp_path / "s.csv").write_text("image,specimen,sex\nL0 left.jpg,Ann,F\nL1 left.jpg,Ann,F\nL9.jpg,Bob,M\n")
    found = landmarks()
    said = join_specimens(found, read_specimens(tmp_path / "s.csv"))
    assert [group_of(s, "specimen") for s in found] == ["Ann", "Ann", "L2"]
    assert [group_of(s, "sex") for s in found] == ["F", "F", None]
    assert said == ["1 labelled specimen(s) without a row: L2", "1 row(s) without a label: L9.jpg"]


def test_semicolons_and_ids(tmp_path):
    (tmp_path / "s.csv").write_text("specimen;site\nL0;north\nL1;south\nL2;north\n")
    found = landmarks()
    assert join_specimens(found, read_specimens(tmp_path / "s.csv")) == []
    assert [group_of(s, "site") for s in found] == ["north", "south", "north"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,sex\na,F\n", "no column 'specimen'"),
        ("specimen,sex\n", "no rows"),
        ("", "not a table"),
        ("specimen,sex\nL0,F\nL0,M\n", "several rows that disagree"),
        ("specimen,sex\nX1,F\n", "no row's specimen fits any label"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(tmp_path, text, said):
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(StudyError, match=said):
        join_specimens(landmarks(), read_specimens(tmp_path / "s.csv"), place="s.csv")

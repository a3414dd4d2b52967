"""Grading files in every spelling, and a join that accounts for every row and specimen."""

from __future__ import annotations

import numpy as np
import pytest

from ethomorph.core.errors import FormatError
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.formats.grades import Grade, join_grades, read_grades


def a_set(*images: str) -> LandmarkSet:
    return LandmarkSet(
        [Specimen(np.zeros((2, 2)), id=f"s{i}", image=name) for i, name in enumerate(images)], ["p", "q"]
    )


EXPECTED = [("my wing 1.jpg", "good", "w1"), ("my wing 2.jpg", "bad", "w2")]


@pytest.mark.parametrize(
    "text",
    [
        "filename,grade,id\nmy wing 1.jpg,good,w1\nmy wing 2.jpg,BAD,w2\n",
        "my wing 1.jpg,good,w1\r\nmy wing 2.jpg,bad,w2\r\n",
        "my wing 1.jpg\tgood\tw1\nmy wing 2.jpg\tbad\tw2",
        "id;Quality;Image name\nw1;good;my wing 1.jpg\nw2;bad;my wing 2.jpg\n",
        "my wing 1.jpg good w1\nmy wing 2.jpg   bad  w2\n",
        '\ufefffile,grade,id\n\n# a comment\n"my wing 1.jpg",good,w1\nmy wing 2.jpg, bad ,w2\n',
    ],
    ids=["header", "headerless CRLF", "tab", "other order", "blanks", "BOM, quotes, comment"],
)
def test_every_spelling(tmp_path, text):
    (tmp_path / "grades.txt").write_text(text, encoding="utf-8", newline="")
    assert [(g.filename, g.grade, g.id) for g in read_grades(tmp_path / "grades.txt")] == EXPECTED


def test_third_column_is_a_note_where_it_is_prose(tmp_path):
    (tmp_path / "g.txt").write_text("a.jpg,good,\nb.jpg,bad,feet at two angles, and dark\nc.jpg,good,\n")
    rows = read_grades(tmp_path / "g.txt")
    assert [r.note for r in rows] == ["", "feet at two angles and dark", ""]
    assert [r.id for r in rows] == ["", "", ""] and [r.line for r in rows] == [1, 2, 3]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no rows"),
        (b"a.jpg,good\nb.jpg,\n", "line.*2"),
        (b"\x00\x01\x02", "no text"),
        (b"filename,grade\n,good", "line.*2"),
    ],
)
def test_bad_files_are_refused(tmp_path, content, said):
    (tmp_path / "g.csv").write_bytes(content)
    with pytest.raises(FormatError, match=rf"g\.csv.*{said}"):
        read_grades(tmp_path / "g.csv")
    with pytest.raises(FormatError, match="cannot be opened"):
        read_grades(tmp_path / "absent.csv")


def test_join_accounts_for_everything():
    landmarks = a_set("a.jpg", "b.jpg", "c.jpg", "c.jpg", "d.jpg", "sub\\e.jpg", "f.jpg")
    rows = [
        Grade("a.jpg", "good", note="nice", line=1),
        Grade("A.png", "bad", line=2),
        Grade("b.jpg", "good", line=3),
        Grade("b.jpg", "bad", line=4),
        Grade("c.jpg", "bad", line=5),
        Grade("c.jpg", "bad", line=6),
        Grade("sub/e.jpg", "good", line=7),
        Grade("x.jpg", "good", line=8),
    ]
    graded, join = join_grades(landmarks, rows)
    assert [s.attributes.get("grade") for s in graded] == ["good", None, "bad", "bad", None, "good", None]
    assert graded[0].attributes["grade_note"] == "nice"
    assert (join.matched, join.counts) == (4, {"good": 2, "bad": 2})
    assert [r.line for r in join.unmatched_rows] == [2, 8]
    assert join.near == 1  # A.png against a.jpg: said, not matched
    assert join.unmatched_specimens == ["s1", "s4", "s6"]
    assert [r.line for r in join.contradicting_rows] == [3, 4]
    assert [r.line for r in join.repeated_rows] == [6]
    assert [r.line for r in join.shared_rows] == [5]
    assert len(join.sentences()) == 6 and graded.notes == join.sentences()
    assert "grade" not in landmarks[0].attributes  # the input is left alone


def test_clean_join_says_nothing():
    graded, join = join_grades(a_set("a.jpg", "b.jpg"), [Grade("a.jpg", "good"), Grade("b.jpg", "bad")])
    assert join.sentences() == [] and graded.notes == []


def test_lizard_grades(shared_data):
    folder = shared_data / "lizard-xray"
    first, rest = read_grades(folder / "graded_lizards.txt"), read_grades(folder / "graded_lizards_rest.txt")
    assert (len(first), len(rest)) == (280, 241)
    assert {r.grade for r in first + rest} == {"good", "bad"}
    assert first[1].note == "feet at two different angles" and not first[1].id
    assert rest[0].id == "0405" and not rest[0].note

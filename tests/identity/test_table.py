"""Tables as people have them: read right, or refused in one line that names the place."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ethomorph.core.errors import FormatError, InputError, LabelError
from ethomorph.identity.table import pseudo_trails, read_prints

GOOD = "Animal,Trail,Sex,V1,V2\na,t1,F,1.5,10\na,t1,F,1.6,11\nb,t2,M,2.5,20\nb,t2,M,2.6,21\n"
VALUES = [[1.5, 10], [1.6, 11], [2.5, 20], [2.6, 21]]


def written(folder, text, name="table.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        GOOD.replace(",", ";"),
        GOOD.replace(",", "\t"),
        GOOD.replace(",", ";").replace(".", ","),
        'Animal,Trail,Sex,V1,V2\na,t1,F,"1,5",10\na,t1,F,"1,6",11\nb,t2,M,"2,5",20\nb,t2,M,"2,6",21\n',
        GOOD.replace("\n", "\r\n") + ",,,,\r\n",
    ],
    ids=["comma", "semicolon", "tab", "semicolon and decimal comma", "quoted decimal comma", "CRLF and empty row"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_dialects(tmp_path, text, encoding):
    table = read_prints(written(tmp_path, text, encoding=encoding))
    assert table.values.tolist() == VALUES
    assert table.variables == ["V1", "V2"]
    assert table.animal.tolist() == ["a", "a", "b", "b"]
    assert table.trail.tolist() == ["t1", "t1", "t2", "t2"]
    assert table.attributes["sex"].tolist() == ["F", "F", "M", "M"]


def test_excel(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in [["Animal", "Trail", "V1", "V2"], ["a", 1, 1.5, 10], ["a", 1, None, 11], ["b", 2, 2.5, 20]]:
        book.active.append(row)
    book.save(tmp_path / "table.xlsx")
    table = read_prints(tmp_path / "table.xlsx")
    assert np.isnan(table.values[1, 0])
    assert table.trails == ["1", "2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no rows"),
        ("Animal,V1\n", "no rows"),
        ("Animal,V1\na,1\n", "one print"),
        ("Animal,V1,V2\na,1\n", "line 2 has 2 cells"),
        (GOOD + "".join(f"c,t3,M,{i}.5,{i}\n" for i in range(30)) + "c,t3,M,1.6 cm,4\n", "line 36: '1.6 cm'"),
        ("Animal,Trail,V1\na,t,5\na,t,5\nb,u,5\nb,u,5\n", "no measured variables"),
        ("Animal,Note\na,x\nb,y\n", "no measured variables"),
        ("Tiger,Puma,V1\na,x,1\na,y,2\nb,y,3\n", "could both name the animal"),
        ("Animal,Trail,A,B,C,D\na,t,1,2,3,4\nb,u,1,2,3,4\na,t,2,3,4,6\n", "same measurements"),
    ],
)  # fmt: skip
def test_refusals_are_one_line_and_name_the_file(tmp_path, text, message):
    with pytest.raises(InputError) as caught:
        read_prints(written(tmp_path, text))
    assert message in str(caught.value)
    assert "table.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_notes_say_what_was_left_aside(tmp_path):
    rows = "".join(f"{i},{'ab'[i % 2]},t{i % 4},5,{i * 1.5},,n\n" for i in range(1, 9))
    table = read_prints(written(tmp_path, "No,Animal,Trail,Fixed,V1,Gone,Remark\n" + rows))
    said = " ".join(table.notes)
    assert table.variables == ["V1"]
    for word in ("running number", "constant", "is empty", "is text"):
        assert word in said


def test_doubled_and_trailless_rows_are_counted(tmp_path):
    text = "Animal,Trail,A,B,C,D\na,t,1,2,3,4\na,t,1,2,3,4\na,t,2,2,3,5\nb,,1,9,9,9\nb,u,4,4,9,9\n"
    table = read_prints(written(tmp_path, text))
    assert len(table) == 3
    assert any("1 doubled rows" in note for note in table.notes)
    assert any("1 prints without trail" in note for note in table.notes)
    assert len(read_prints(written(tmp_path, text), missing_trail="single")) == 4


def test_trail_names_that_repeat_between_animals_are_told_apart(tmp_path):
    table = read_prints(written(tmp_path, "Animal,Trail,V1\na,1,1\na,2,2\nb,1,3\nb,2,5\n"))
    assert table.trails == ["a / 1", "a / 2", "b / 1", "b / 2"]


def test_embedding_column_becomes_variables(tmp_path):
    text = 'animal,trail,embedding\na,t,"[0.1, 0.2]"\na,t,"[0.3, 0.1]"\nb,u,"[0.5 0.7]"\n'
    assert read_prints(written(tmp_path, text)).values.tolist() == [[0.1, 0.2], [0.3, 0.1], [0.5, 0.7]]


def test_given_columns_overrule_and_unknown_ones_are_refused(tmp_path):
    path = written(tmp_path, "Tiger,Name,V1\na,x,1\na,y,2\nb,y,3\n")
    assert read_prints(path, animal="Name").animal.tolist() == ["x", "y", "y"]
    with pytest.raises(FormatError, match="no column 'Nobody'"):
        read_prints(path, animal="Nobody")


def test_pseudo_trails_need_animals(tmp_path):
    table = read_prints(written(tmp_path, "V1,V2\n1,2\n2,3\n4,5\n"))
    with pytest.raises(LabelError, match="unknown animals"):
        pseudo_trails(table)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=6), st.booleans())
def test_damage_is_read_or_refused(tmp_path_factory, place, junk, cut):
    raw = GOOD.encode()
    path = tmp_path_factory.mktemp("damage") / "table.csv"
    path.write_bytes(raw[:place] + junk + (b"" if cut else raw[place:]))
    try:
        read_prints(path)
    except InputError as error:
        assert "\n" not in str(error)


def test_public_tables(shared_data):
    puma = read_prints(shared_data / "footprints" / "MountainLion.csv")
    assert (len(puma), len(puma.trails), len(set(puma.animal)), puma.values.shape[1]) == (531, 77, 35, 133)
    tiger = read_prints(shared_data / "footprints" / "AmurTiger.csv")
    assert (len(tiger), len(set(tiger.animal)), tiger.values.shape[1]) == (604, 44, 128)

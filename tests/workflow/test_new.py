from __future__ import annotations

import tomllib

import pytest

from ethomorph.core.errors import FormatError, StudyError
from ethomorph.workflow.new import new_study, quoted, task_name

TPS = "".join(f"LM=2\n1 2\n3 {i}\nIMAGE=a{i}.jpg\nID=a{i}\n" for i in range(5))


def test_a_new_study_can_be_opened_and_names_what_was_given(tmp_path):
    (tmp_path / 'my "wings".tps').write_text(TPS)
    file, _ = new_study(tmp_path / "study", kind="landmarks", labels=tmp_path / 'my "wings".tps')
    document = tomllib.loads(file.read_text())
    assert document["task"] == {
        "my_wings": {"kind": "landmarks", "labels": '../my "wings".tps', "method": "heatmap"},
    }
    with pytest.raises(StudyError, match="a study is here already"):
        new_study(tmp_path / "study", kind="landmarks", labels=tmp_path / 'my "wings".tps')


def test_bad_labels_leave_nothing_behind(tmp_path):
    (tmp_path / "w.tps").write_bytes(b"\0\1\2")
    with pytest.raises(FormatError):
        new_study(tmp_path / "study", kind="landmarks", labels=tmp_path / "w.tps")
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(("name", "task"), [("w.tps", "w"), ("a b.c.tps", "a_b"), ("..tps", "task"), ("é.csv", "task")])
def test_task_names_make_folders(name, task):
    assert task_name(name) == task


def test_quoting_survives_toml():
    for text in ('a"b', "a\\b", "plain"):
        assert tomllib.loads(f"x = {quoted(text)}")["x"] == text

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


def test_behaviour_scored_frame_by_frame(tmp_path):
    from ethomorph.study.config import Study
    from ethomorph.study.task import open_task

    for mouse in "ab":
        rows = [f"{i},{i}.5,1,0.9,{int(i % 9 < 4)}" for i in range(40)]
        (tmp_path / "simba").mkdir(exist_ok=True)
        (tmp_path / "simba" / f"{mouse}.csv").write_text("\n".join([",nose_x,nose_y,nose_p,run", *rows]) + "\n")
    with pytest.raises(FormatError, match="or give --fps"):
        new_study(tmp_path / "study", kind="behavior", labels=tmp_path / "simba")
    file, notes = new_study(tmp_path / "study", kind="behavior", labels=tmp_path / "simba", fps=20)
    task = open_task(Study(file.parent))
    assert task.blocks is not None and [r.fps for r in task.blocks.recordings] == [20, 20] and not notes
    assert task.samples["group"].tolist() == ["a", "b"] and task.classes == ["other", "run"]
    with pytest.raises(StudyError, match="has no --poses, --fps and --column"):
        new_study(tmp_path / "wings", kind="landmarks", labels=tmp_path / "simba", fps=20)

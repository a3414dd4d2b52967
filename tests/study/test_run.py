from __future__ import annotations

import pytest

from ethomorph.core.errors import StudyError
from ethomorph.study.config import Study
from ethomorph.study.run import Run, plain


@pytest.fixture
def opened(tmp_path):
    (tmp_path / "study.toml").write_text('[study]\nname = "x"\n')
    return Study(tmp_path)


def test_split_goes_there_and_back(opened):
    run = Run.new(opened, "wings", "first")
    run.write_config({"task": "wings"})
    run.write_split([("a, b.jpg", "ann", "train"), ("c.jpg", "bob", "test")])
    assert run.split_file.read_text().splitlines()[0] == "sample,group,part"
    assert Run.open(opened.folder).read_split() == {"a, b.jpg": "train", "c.jpg": "test"}
    assert Run.open(opened.folder / "runs" / "wings").study().folder == opened.folder


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden"])
def test_names_that_leave_the_folder_are_refused(opened, name):
    with pytest.raises(StudyError, match="cannot name a run"):
        Run.new(opened, "wings", name)


def test_runs_made_in_one_second_get_their_own_folders(opened):
    folders = set()
    for _ in range(3):
        run = Run.new(opened, "wings")
        run.write_config({"task": "wings"})
        folders.add(run.folder)
    assert len(folders) == 3


def test_missing_and_damaged_files_are_named(opened):
    with pytest.raises(StudyError, match="no run here"):
        Run.open(opened.folder)
    run = Run.new(opened, "wings", "first")
    run.write_config({})
    (run.folder / "scores.json").write_text("{")
    with pytest.raises(StudyError, match=r"scores\.json: damaged"):
        run.read_json("scores.json")
    with pytest.raises(StudyError, match=r"no health\.json"):
        run.read_json("health.json")


def test_nan_never_reaches_a_file(opened):
    run = Run.new(opened, "wings", "first")
    with pytest.raises(ValueError, match="JSON"):
        run.write_json("scores.json", {"value": float("nan")})
    assert not run.scores_file.exists()


def test_plain_leaves_out_none():
    assert plain({"a": None, "b": (1, 2), "c": {"d": None}}) == {"b": [1, 2], "c": {}}

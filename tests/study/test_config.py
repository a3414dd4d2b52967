from __future__ import annotations

import pytest

from ethomorph.core.errors import StudyError
from ethomorph.study.config import Study

GOOD = """
[study]
name = "Wings"
[split]
test = 0.2
[task.wings]
kind = "landmarks"
labels = "wings.tps"
"""


def study(tmp_path, text):
    (tmp_path / "study.toml").write_text(text)
    return Study(tmp_path)


def test_a_good_study_is_read_with_defaults(tmp_path):
    opened = study(tmp_path, GOOD)
    name, section = opened.task()
    assert (name, section.kind, section.gaps) == ("wings", "landmarks", "refuse")
    assert opened.config.split.model_dump() == {"by": "specimen", "test": 0.2, "validation": 0.15, "seed": 0}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("test = 0.2", "tset = 0.2"), r"split\.tset: unknown key; did you mean 'test'"),
        (("test = 0.2", "test = 1.5"), r"split\.test: found 1.5; input should be less than 1"),
        (("test = 0.2", "test = 0.9"), "test 0.9 and validation 0.15 leave nothing to train on"),
        (
            ('kind = "landmarks"', 'kind = "landmark"'),
            r"task\.wings\.kind: found 'landmark'; input should be 'landmarks'",
        ),
        (('labels = "wings.tps"', ""), r"task\.wings\.labels: missing"),
        (('name = "Wings"', 'name = "Wings'), "not valid TOML"),
        (("[task.wings]", '[task."../x"]'), "cannot name a folder"),
        (
            ('labels = "wings.tps"', 'labels = "wings.tps"\ndistances = {femur = ["hip"]}'),
            "femur needs two landmark names",
        ),
        (('labels = "wings.tps"', 'labels = "wings.tps"\nscale = {mm = 27}'), "landmarks and mm belong together"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_key(tmp_path, change, said):
    with pytest.raises(StudyError, match=said) as caught:
        study(tmp_path, GOOD.replace(*change))
    assert "study.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_study_says_how_to_make_one(tmp_path):
    with pytest.raises(StudyError, match="ethomorph new"):
        Study(tmp_path)


def test_binary_file_is_refused(tmp_path):
    (tmp_path / "study.toml").write_bytes(b"\xff\xfe\x00\x01" * 40)
    with pytest.raises(StudyError, match="UTF-8"):
        Study(tmp_path)


def test_unknown_and_ambiguous_tasks_are_listed(tmp_path):
    opened = study(tmp_path, GOOD + '\n[task.legs]\nkind = "landmarks"\nlabels = "legs.tps"\n')
    with pytest.raises(StudyError, match="choose one with --task"):
        opened.task()
    with pytest.raises(StudyError, match="choose one of: wings, legs"):
        opened.task("arms")

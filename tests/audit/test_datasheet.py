"""The datasheet says what is known and what is open; the Croissant file names every file and column."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from ethomorph.audit.datasheet import QUESTIONS, read_answers, write_croissant, write_datasheet
from ethomorph.core.errors import StudyError
from ethomorph.core.files import sha256

SAMPLES = pd.DataFrame({"sample": ["a", "b"], "group": ["f1", "f2"], "label": ["dig", "dig"], "second": [1.5, 2.0]})


def test_answers_are_taken_and_open_questions_counted(tmp_path):
    (tmp_path / "datasheet.toml").write_text('sampling = "every event of 10 h"\nlicence = "CC-BY-4.0"\n')
    answers = read_answers(tmp_path)
    still_open = write_datasheet(tmp_path / "d.md", name="X", samples=SAMPLES, answers=answers, findings=[])
    text = (tmp_path / "d.md").read_text()
    assert still_open == len(QUESTIONS) - 2 and text.count("Not answered yet") == still_open
    assert "every event of 10 h" in text and "2 samples of 2 groups" in text and "dig 2" in text


def test_an_unknown_question_is_refused(tmp_path):
    (tmp_path / "datasheet.toml").write_text('wether = "fine"\n')
    with pytest.raises(StudyError, match="wether: no such question"):
        read_answers(tmp_path)
    assert read_answers(tmp_path / "nowhere") == {}


def test_croissant(tmp_path):
    labels = tmp_path / "labels.csv"
    SAMPLES.to_csv(labels, index=False)
    write_croissant(tmp_path / "c.json", name="X", files=[labels], folder=tmp_path, samples=SAMPLES, answers={})
    document = json.loads((tmp_path / "c.json").read_text())
    assert document["conformsTo"] == "http://mlcommons.org/croissant/1.0" and document["@type"] == "sc:Dataset"
    (file,) = document["distribution"]
    assert file["sha256"] == sha256(labels) and file["contentUrl"] == "labels.csv"
    (records,) = document["recordSet"]
    assert [f["name"] for f in records["field"]] == list(SAMPLES.columns)
    assert records["field"][3]["dataType"] == "sc:Float"
    assert all(f["source"]["fileObject"]["@id"] == "labels.csv" for f in records["field"])

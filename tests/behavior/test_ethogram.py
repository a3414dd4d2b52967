"""The ethogram file and what it finds in scores."""

from __future__ import annotations

import pytest

from ethomorph.behavior.ethogram import (
    Behavior,
    Ethogram,
    event_problems,
    label_problems,
    read_ethogram,
    write_ethogram,
)
from ethomorph.core.errors import FormatError, LabelError
from ethomorph.core.events import Event, EventLog, Observation

TOML = """\
name = "cichlids"
version = "2"

[[behavior]]
code = "d"
name = "dig"
definition = "takes sand into the mouth"
exclusive_with = ["s"]
least_s = 0.5

[[behavior]]
code = "s"
name = "swim"

[[behavior]]
code = "c"
kind = "point"
"""


@pytest.fixture
def ethogram(tmp_path):
    path = tmp_path / "ethogram.toml"
    path.write_text(TOML)
    return read_ethogram(path)


def rules(problems):
    return {p.rule: p.count for p in problems}


def test_round_trip(ethogram, tmp_path):
    write_ethogram(ethogram, tmp_path / "again.toml")
    again = read_ethogram(tmp_path / "again.toml")
    assert again.behaviors == ethogram.behaviors and again.version == "2"


def test_a_table_does_too(tmp_path, ethogram):
    path = tmp_path / "e.csv"
    head = "code,name,definition,kind,exclusive_with,least_s\n"
    path.write_text(head + "d,dig,takes sand into the mouth,State event,s,0.5\ns,swim,,,,\nc,,,point,,\n")
    assert read_ethogram(path).behaviors == ethogram.behaviors


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('code = "s"', 'code = "d"'), "defined twice"),
        (('kind = "point"', 'kind = "long"'), "kind is 'long'"),
        (('exclusive_with = ["s"]', 'exclusive_with = ["q"]'), "exclusive with 'q'"),
        (("definition =", "definiton ="), "unknown key 'definiton'"),
        (("least_s = 0.5", 'least_s = "short"'), "least_s is 'short'"),
        (("[[behavior]]", "[[behaviour]]"), "unknown key 'behaviour'"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(tmp_path, change, said):
    path = tmp_path / "ethogram.toml"
    path.write_text(TOML.replace(*change))
    with pytest.raises((FormatError, LabelError), match=said) as error:
        read_ethogram(path)
    assert str(error.value).startswith(str(path))


def test_labels_are_checked(ethogram):
    found = label_problems(ethogram, ["d", "D", "dd", "s", ""])
    assert {p.rule for p in found} == {"case_variant", "unknown_code", "never_scored"}
    assert "'D' is written 'd'" in next(p.what for p in found if p.rule == "case_variant")


def test_events_are_checked(ethogram):
    events = [
        Event("o", "a", "d", 0, 3),
        Event("o", "a", "s", 2, 5),  # excluded by d, for one second
        Event("o", "b", "s", 0, 5),  # of another subject
        Event("o", "a", "d", 6, 6.2),  # too short
        Event("o", "a", "c", 7, 8),  # a point that lasts
        Event("o", "a", "s", 9, 12),  # beyond the end
    ]
    found = rules(event_problems(ethogram, EventLog(events, {"o": Observation("o", 0, 10)})))
    assert found == {"exclusive": 1, "too_short": 1, "other_kind": 1, "outside": 1}


def test_touching_bouts_do_not_overlap(ethogram):
    events = [Event("o", "a", "d", 0, 3), Event("o", "a", "s", 3, 5)]
    assert "exclusive" not in rules(event_problems(ethogram, EventLog(events, {"o": Observation("o", 0, 10)})))


def test_codes_of_a_boris_project():
    one = Ethogram([Behavior("a", exclusive_with=("b",)), Behavior("b")])
    assert one.exclusive("b", "a") and not one.exclusive("a", "a")

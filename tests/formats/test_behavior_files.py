"""Files of scored behaviour: tables of clips, cichlid names, BORIS, SimBA, CalMS21, labels a frame."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ethomorph.core.errors import FormatError, LabelError
from ethomorph.core.events import Event, EventLog, Observation
from ethomorph.formats.boris import read_aggregated, read_boris, read_project, write_aggregated
from ethomorph.formats.cichlid import parse_name
from ethomorph.formats.clip_table import read_clip_folders, read_clip_table
from ethomorph.formats.frame_labels import REST, read_calms21, read_frame_labels, read_simba

PROJECT = {
    "behaviors_conf": {
        "0": {"code": "dig", "type": "State event", "excluded": "swim", "description": "takes sand"},
        "1": {"code": "swim", "type": "State event", "excluded": ""},
        "2": {"code": "call", "type": "Point event"},
    },
    "subjects_conf": {"0": {"name": "fish"}, "1": {"name": "mate"}},
    "observations": {
        "o1": {
            "events": [
                [1.0, "fish", "dig", "", "first"], [4.5, "fish", "dig", "", ""], [2.0, "mate", "swim", "", ""],
                [3.0, "fish", "call", "", ""], [9.0, "mate", "swim", "", ""], [9.5, "fish", "swim", "", ""],
            ],
            "media_info": {"length": {"a.mp4": 12.0}}, "file": {"1": ["a.mp4"]},
            "observation time interval": [0, 0], "independent_variables": {"tank": "3"},
        },
        "o2": {"events": [], "observation time interval": [5, 25]},
    },
}  # fmt: skip


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_a_clip_name_says_when_and_where():
    said = parse_name("MC_s1_2__0004_vid__192__2135__797__238__1036.mp4")
    assert said["project"] == "MC_s1_2" and said["video"] == "MC_s1_2:0004_vid"
    assert (said["size_px"], said["second"], said["row_px"], said["column_px"]) == ("2135", "797", "238", "1036")
    assert parse_name("a__b.mp4") is None


def test_columns_are_known_by_many_names(tmp_path):
    path = write(
        tmp_path / "t.csv", "LID;VideoFile;ManualLabel;MLabeler;ProjectID;light\n1;x;d;ann;P;dim\n2;y;s;ann;Q;\n"
    )
    clips = read_clip_table(path)
    assert clips.labels == ["d", "s"] and clips.groups == ["P", "Q"]
    assert clips[0].attributes["observer"] == "ann" and "light" not in clips[1].attributes


def test_twice_labelled_clips_are_told(tmp_path):
    path = write(tmp_path / "t.csv", "clip,label\na,d\nb,s\na,d\nb,d\n")
    clips = read_clip_table(path)
    assert len(clips) == 2 and clips[1].attributes["second_label"] == "d"
    assert clips.notes == ["2 clips are labelled twice, 1 of them differently; the first label counts"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clip,when\na,1\n", "no column of labels"),
        ("label,when\na,1\n", "no column of clips"),
        ("clip,label,start_s,stop_s\na,d,5,4\n", "ends at 4 s and starts at 5 s"),
        ("clip,label\n", "no rows"),
        ("clip,label\na,d,3\n", "has 3 cells"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path, text, said):
    path = write(tmp_path / "t.csv", text)
    with pytest.raises(FormatError, match=said) as error:
        read_clip_table(path)
    assert str(path) in str(error.value)


def test_videos_are_matched_by_their_whole_name(tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in ("c1.mp4", "c11.mp4", "._c1.mp4", "c1_ManualLabel.mp4"):
        (folder / name).write_bytes(b"x" * 300)
    table = write(tmp_path / "t.csv", "clip,label\nc1,d\nc11,s\n")
    clips = read_clip_table(table, videos=folder)
    assert [c.path.name for c in clips] == ["c1.mp4", "c11.mp4"]
    (folder / "b").mkdir()
    (folder / "b" / "c1.mp4").write_bytes(b"x" * 300)
    with pytest.raises(LabelError, match="1 clips have several videos of their name"):
        read_clip_table(table, videos=folder)
    missing = write(tmp_path / "u.csv", "clip,label\nc2,d\n")
    with pytest.raises(LabelError, match="1 of 1 clips have no video"):
        read_clip_table(missing, videos=folder)


def test_a_folder_for_each_class(tmp_path):
    for name in ("dig/a.mp4", "swim/a.mp4", "swim/._a.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    clips = read_clip_folders(tmp_path)
    assert clips.labels == ["dig", "swim"] and clips.notes
    with pytest.raises(FormatError, match="holds videos"):
        read_clip_folders(tmp_path / "dig")


def test_signals_in_a_wide_table(shared_data):
    clips = read_clip_table(shared_data / "behaviour-stork" / "stork_acc.csv")
    assert len(clips) == 1222 and clips.channels == ["x", "y", "z"] and clips[0].signal.shape == (40, 3)
    assert clips[0].signal[0].tolist() == [-4.05319, -2.74909, -11.343]
    assert clips[0].signal[1, 0] == 2.45257


def test_the_real_cichlid_table(shared_data):
    clips = read_clip_table(shared_data / "cichlid-labels" / "cichlid_labels.csv")
    counts = {name: clips.labels.count(name) for name in clips.classes}
    assert len(clips) == 14950 and len(set(clips.groups)) == 10
    assert max(counts.values()) / min(counts.values()) == pytest.approx(10.2, abs=0.1)


def test_a_boris_project(tmp_path):
    path = write(tmp_path / "p.boris", json.dumps(PROJECT))
    log = read_project(path)
    assert [(e.subject, e.behavior, e.start_s, e.stop_s, e.point) for e in log.of("o1")] == [
        ("fish", "dig", 1.0, 4.5, False), ("mate", "swim", 2.0, 9.0, False), ("fish", "call", 3.0, 3.0, True),
        ("fish", "swim", 9.5, 12.0, False),
    ]  # fmt: skip
    assert log.observations["o1"].stop_s == 12 and log.observations["o1"].attributes == {"tank": "3", "Source": "a.mp4"}
    assert log.observations["o2"].seconds == 20
    assert log.notes == ["o1: 1 states never end and are closed with the observation: swim at 9.5 s"]


def test_a_projects_videos_are_found_by_name(tmp_path):
    from ethomorph.behavior.samples import clips_of_events

    project = json.loads(json.dumps(PROJECT))
    project["observations"]["o1"]["file"] = {"1": ["C:\\films\\a.mp4"], "2": []}
    del project["observations"]["o2"]
    log = read_project(write(tmp_path / "p.boris", json.dumps(project)))
    assert log.observations["o1"].attributes["Source"] == "C:\\films\\a.mp4"
    write_aggregated(log, tmp_path / "e.csv")
    text = (tmp_path / "e.csv").read_text().replace("C:\\films", "player #1:C:\\films")
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_bytes(b"video")
    for one in (log, read_aggregated(write(tmp_path / "e.csv", text))):
        clips = clips_of_events(one, tmp_path / "videos")
        assert {clip.path.name for clip in clips} == {"a.mp4"} and set(clips.groups) == {"fish", "mate"}


def test_an_unknown_code_in_a_project(tmp_path):
    broken = json.loads(json.dumps(PROJECT))
    broken["observations"]["o1"]["events"].append([5.0, "fish", "fly", "", ""])
    with pytest.raises(FormatError, match="o1: fly is not in the ethogram"):
        read_project(write(tmp_path / "p.boris", json.dumps(broken)))


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"behaviors_conf": 3, "observations": {}}', "no json", '{"observations": {}}']
)
def test_hostile_projects_are_refused(tmp_path, text):
    with pytest.raises(FormatError):
        read_boris(write(tmp_path / "p.boris", text))


def test_the_old_and_the_new_aggregated_export(tmp_path):
    old = "Observation id\tTotal length\tFPS\tSubject\tBehavior\tModifiers\tBehavior type\tStart (s)\tStop (s)"
    old += "\tDuration (s)\n"
    old += "o\t540.000\t25.0\tNo focal subject\tsit\t\tSTATE\t1.800\t8.125\t6.325\n"
    old += "o\t540.000\t25.0\tNo focal subject\tcall\t\tPOINT\t32.825\t32.825\tNA\n"
    log = read_aggregated(write(tmp_path / "a.tsv", old))
    assert log.observations["o"].seconds == 540 and log.events[0].seconds == pytest.approx(6.325)
    assert log.events[1].point and log.events[1].subject == ""


events = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.sampled_from(["dig", "swim"]),
        st.integers(0, 5000),
        st.integers(0, 900),
        st.booleans(),
    ),
    max_size=12,
)


@given(events)
def test_writing_and_reading_an_export(tmp_path_factory, rows):
    made = [Event("o", s, b, t / 100, t / 100 + (0 if p else d / 100), p) for s, b, t, d, p in rows]
    log = EventLog(made, {"o": Observation("o", 0.0, 60.0)})
    path = tmp_path_factory.mktemp("boris") / "x.csv"
    said = write_aggregated(log, path)
    if not made:
        assert said
        return
    again = read_aggregated(path)
    assert again.observations["o"].seconds == pytest.approx(60)
    assert [(e.subject, e.behavior, e.point) for e in again] == [(e.subject, e.behavior, e.point) for e in log]
    assert np.allclose([[e.start_s, e.stop_s] for e in again], [[e.start_s, e.stop_s] for e in log], atol=1e-3)


def test_labels_a_frame(tmp_path):
    path = write(tmp_path / "l.csv", "frame,dig,swim\n0,1,0\n1,0,1\n2,0,0\n3,,\n")
    labels, _ = read_frame_labels(path)
    assert labels.tolist() == ["dig", "swim", REST, ""]
    assert read_frame_labels(path, column="dig")[0].tolist() == ["dig", REST, REST, ""]
    coded = write(tmp_path / "m.csv", "frame,label\n0,dig\n1,\n")
    assert read_frame_labels(coded)[0].tolist() == ["dig", ""]
    with pytest.raises(FormatError, match="1 frames have several behaviours, the first is 1"):
        read_frame_labels(write(tmp_path / "n.csv", "frame,dig,swim\n0,1,0\n1,1,1\n"))
    with pytest.raises(FormatError, match="no column 'run'"):
        read_frame_labels(path, column="run")
    with pytest.raises(FormatError, match="other than 0 and 1"):
        read_frame_labels(write(tmp_path / "o.csv", "frame,dig\n0,1\n1,3\n"))


def test_simba_targets(tmp_path):
    text = "Nose_x,Nose_y,Nose_p,Tail_x,Tail_y,Tail_p,speed,dig\n1,2,0.9,3,4,0.8,0.5,1\n0,0,0,5,6,0.7,1.5,0\n"
    found = read_simba(write(tmp_path / "s.csv", text), fps=30)
    assert found.nodes == ["Nose", "Tail"] and found.labels.tolist() == ["dig", REST]
    assert found.points.shape == (2, 1, 2, 2) and np.isnan(found.points[1, 0, 0]).all()
    assert found.confidence[0, 0].tolist() == [0.9, 0.8]


def test_calms21(tmp_path):
    frames = 5
    points = np.arange(frames * 28, dtype=float).reshape(frames, 2, 2, 7)
    document = {
        "annotator-id_0": {
            "task1/train/mouse001": {
                "keypoints": points.tolist(), "scores": np.ones((frames, 2, 7)).tolist(),
                "annotations": [3, 3, 0, 1, 2],
                "metadata": {"vocab": {"attack": 0, "investigation": 1, "mount": 2, "other": 3}},
            }
        }
    }  # fmt: skip
    (found,) = read_calms21(write(tmp_path / "c.json", json.dumps(document)))
    assert found.labels.tolist() == ["other", "other", "attack", "investigation", "mount"]
    assert found.fps == 30 and found.points.shape == (5, 2, 7, 2)
    assert found.points[1, 1, 3].tolist() == [points[1, 1, 0, 3], points[1, 1, 1, 3]]
    with pytest.raises(FormatError, match=r"keypoints have shape"):
        document["annotator-id_0"]["task1/train/mouse001"]["keypoints"] = [[1, 2]]
        read_calms21(write(tmp_path / "d.json", json.dumps(document)))

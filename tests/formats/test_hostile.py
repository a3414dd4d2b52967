"""Damaged and malicious files: every answer is one line that names the file; nothing hangs, expands or runs."""

from __future__ import annotations

import pickle
import random
import time

import h5py
import numpy as np
import pytest

from ethomorph.core.errors import FormatError, InputError, LabelError
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.formats import text
from ethomorph.formats.registry import FORMATS, detect_format, format_named, read_landmarks

MUTATIONS = {"deeplabcut-h5": 40, "sleap": 25}
NAMES = [f.name for f in FORMATS]


def example(name):
    """A set that the format holds, with a missing point where it can."""
    holds = format_named(name).holds
    rng = np.random.default_rng(3)
    dim = holds.dims[-1]
    specimens = [
        Specimen(rng.uniform(0, 500, (6, dim)), id=f"a{i}", image=f"{i}.jpg", scale=0.01, attributes={"sex": "F"})
        for i in range(1 if name == "fcsv" else 3)
    ]
    if holds.missing:
        specimens[0].points[2] = np.nan
    return LandmarkSet(specimens, list("abcdef"), frame=next(f for f in holds.frames if (f == "lps") == (dim == 3)))


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    """One valid file of every format, as bytes."""
    folder = tmp_path_factory.mktemp("valid")
    files = {}
    for f in FORMATS:
        path = folder / f"valid_{f.name}{f.suffixes[0]}"
        f.write(example(f.name), path)
        files[f.name] = path.read_bytes()
    return files


def mutated(data, rng):
    """A damaged copy: cut, bytes replaced, doubled, deleted, or numbers made strange."""
    data = bytearray(data)
    kind = rng.randrange(7)
    at = rng.randrange(len(data))
    if kind == 0:
        return bytes(data[:at])
    if kind == 1:
        for _ in range(rng.randrange(1, 9)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif kind == 2:
        data[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 30)))
    elif kind == 3:
        del data[at : at + rng.randrange(1, 60)]
    elif kind == 4:
        piece = data[at : at + rng.randrange(1, 200)]
        data[at:at] = piece * rng.randrange(1, 4)
    elif kind == 5:
        odd = rng.choice(
            [b"NaN", b"inf", b"-1e999", b"1e308", b"-5", b"99999999999999999999", b"", b"[]", b"{}", b"null", b"\0"]
        )
        digits = [i for i, c in enumerate(data) if 48 <= c <= 57] or [at]
        i = rng.choice(digits)
        data[i : i + 1] = odd
    else:
        lines = bytes(data).split(b"\n")
        rng.shuffle(lines)
        return b"\n".join(lines)
    return bytes(data)


@pytest.mark.parametrize("name", NAMES)
def test_mutations_raise_only_input_errors(name, valid, tmp_path):
    chosen = format_named(name)
    rng = random.Random(11)
    path = tmp_path / f"damaged{chosen.suffixes[0]}"
    refused = 0
    for _ in range(MUTATIONS.get(name, 80)):
        path.write_bytes(mutated(valid[name], rng))
        for read in (chosen.read, read_landmarks):
            try:
                read(path)
            except InputError as error:
                refused += 1
                assert "\n" not in str(error)
                assert "damaged" in str(error), "the line does not name the file"
    assert refused > 10  # the damage is real


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "content", [b"", b"   \n", b"\0" * 500, bytes(range(256)) * 9, b"\xff\xfe\x00", b"{" * 9000, b"[" * 200_000]
)
def test_garbage_is_refused(name, content, tmp_path):
    chosen = format_named(name)
    path = tmp_path / f"garbage{chosen.suffixes[0]}"
    path.write_bytes(content)
    with pytest.raises(InputError, match="garbage"):
        chosen.read(path)
    with pytest.raises(InputError, match="garbage"):
        read_landmarks(path)


def test_a_huge_declared_count_costs_nothing(tmp_path):
    started = time.perf_counter()
    for line, suffix in [
        ("LM=999999999\n1 2\n", ".tps"),
        ("1 999999999L 999999998 0 DIM=2\na\n1 2\n", ".nts"),
        ("[individuals]\n999999999\n[landmarks]\n99\n[dimensions]\n2\n[rawpoints]\n1 2\n", ".txt"),
    ]:
        path = tmp_path / f"huge{suffix}"
        path.write_text(line)
        with pytest.raises(FormatError, match="huge"):
            read_landmarks(path)
    assert time.perf_counter() - started < 2


def test_count_mismatch_names_file_specimen_and_line(tmp_path):
    path = tmp_path / "wings.tps"
    path.write_text("LM=2\n1 2\n3 4\nID=a\nLM=3\n1 2\n3 4\nIMAGE=b.jpg\n")
    with pytest.raises(
        FormatError, match=r"wings.tps, specimen 2 \(b.jpg\), line 5: LM=3, but 2 coordinate lines follow"
    ):
        read_landmarks(path)


def test_other_counts_name_the_specimens(tmp_path):
    path = tmp_path / "wings.tps"
    path.write_text("LM=2\n1 2\n3 4\nID=a\nLM=1\n1 2\nID=b\nLM=2\n1 2\n3 4\nID=c\n")
    with pytest.raises(LabelError, match=r"wings.tps.*specimen 2 \(b\): 1"):
        read_landmarks(path)
    filled = read_landmarks(path, gaps="missing")
    assert [int(s.visible.sum()) for s in filled] == [2, 0, 2]
    assert "specimen 2 (b) has 1" in filled.notes[0]


@pytest.mark.parametrize("bad", ["inf", "1e999", "-Infinity", "٣", "1_0", "0x1"])
def test_what_is_no_finite_number_is_refused(bad, tmp_path):
    path = tmp_path / "wings.tps"
    path.write_text(f"LM=2\n{bad} 2\n3 4\nID=a\n", encoding="utf-8")
    with pytest.raises(FormatError, match=r"wings.tps, specimen 1, line 2"):
        read_landmarks(path)


def test_entities_are_not_expanded(tmp_path):
    path = tmp_path / "laughs.xml"
    layers = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    path.write_text(f'<!DOCTYPE x [<!ENTITY l0 "ha">{layers}]><dataset><images><image file="&l9;"/></images></dataset>')
    started = time.perf_counter()
    with pytest.raises(FormatError, match=r"laughs.xml, line 1: declares a document type"):
        read_landmarks(path, format="dlib")
    assert time.perf_counter() - started < 1


def test_sizes_are_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "MAX_BYTES", 1000)
    monkeypatch.setattr(text.read_bytes, "__defaults__", (1000,))
    path = tmp_path / "large.tps"
    path.write_text("LM=1\n" + "1 2\n" * 1000)
    with pytest.raises(FormatError, match=r"large.tps: has 0 MB"):
        read_landmarks(path)


def test_long_lines_are_refused(tmp_path):
    path = tmp_path / "long.tps"
    path.write_text("LM=1\n1 " + "2" * (text.MAX_LINE + 1) + "\n")
    with pytest.raises(FormatError, match=r"long.tps: line 2 has 1,000,003 characters"):
        read_landmarks(path)


def test_long_digits_do_not_stall(tmp_path):
    path = tmp_path / "digits.tps"
    path.write_text("LM=1\n1 " + "2" * 900_000 + "x\n")
    started = time.perf_counter()
    with pytest.raises(FormatError, match="is not a number"):
        read_landmarks(path)
    assert time.perf_counter() - started < 2


def test_pickles_in_h5_are_not_opened(tmp_path):
    opened = tmp_path / "opened"

    class Bomb:
        def __reduce__(self):
            return (open, (str(opened), "w"))

    path = tmp_path / "bomb.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs["pandas_type"] = np.bytes_("frame_table")
        group.attrs["non_index_axes"] = np.void(pickle.dumps(Bomb()))
    with pytest.raises(FormatError, match=r"bomb.h5.*pickles"):
        read_landmarks(path)
    assert not opened.exists()


@pytest.mark.parametrize("suffix", [".h5", ".slp"])
def test_h5_bombs_and_links_are_refused(suffix, tmp_path):
    path = tmp_path / f"bomb{suffix}"
    with h5py.File(path, "w") as file:
        file.create_dataset("zeros", shape=(2**40,), dtype="f8", chunks=(2**16,), compression="gzip")
    with pytest.raises(FormatError, match="unfolds to 8192 GB"):
        read_landmarks(path)
    with h5py.File(path, "w") as file:
        file["frames"] = h5py.ExternalLink("/etc/passwd", "/")
    with pytest.raises(FormatError, match="link to another file"):
        read_landmarks(path)
    with h5py.File(path, "w") as file:
        file.create_dataset("raw", shape=(4,), dtype="u1", external=[("/etc/passwd", 0, 4)])
    with pytest.raises(FormatError, match="in another file"):
        read_landmarks(path)


def test_what_is_not_a_file_is_refused(tmp_path):
    with pytest.raises(FormatError, match="no such file"):
        read_landmarks(tmp_path / "absent.tps")
    with pytest.raises(FormatError, match="holds no Slicer files"):
        read_landmarks(tmp_path)
    with pytest.raises(FormatError, match="is not a file"):
        format_named("tps").read(tmp_path)
    (tmp_path / "picture.jpg").write_bytes(b"\xff\xd8\xff" + b"\1" * 99)
    with pytest.raises(FormatError, match="no landmark format that is known"):
        detect_format(tmp_path / "picture.jpg")

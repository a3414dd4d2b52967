"""Decoding: the whole clip, the right stretch, what is no video; and the cache."""

from __future__ import annotations

import numpy as np
import pytest

from ethomorph.behavior.cache import decode, key_of, refuse_bad
from ethomorph.behavior.video import Canvas, canvas_for, probe, read_clip
from ethomorph.core.clips import Clip, ClipSet
from ethomorph.core.errors import ImageError
from ethomorph.phantoms.arena import write_video


def counting(path, frames=50, size=(40, 60), fps=10):
    """A video whose frame i has the grey value 4 * i."""
    pictures = (np.full((*size, 3), 4 * i, np.uint8) for i in range(frames))
    return write_video(path, pictures, fps, crf=1)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return counting(tmp_path_factory.mktemp("video") / "count.mp4")


def grey(frames):
    return frames.mean((1, 2, 3)) / 4


def test_header(video):
    facts = probe(video)
    assert facts.size == (40, 60) and facts.fps == 10 and facts.seconds == pytest.approx(5)


def test_frames_are_sampled_over_the_whole_clip(video):
    found = read_clip(Clip("a", path=video), Canvas(10, 16, 24))
    assert found.shape == (10, 16, 24, 1) and found.dtype == np.uint8
    assert np.abs(grey(found) - np.arange(2, 50, 5)).max() < 1


def test_a_stretch_holds_its_own_frames_only(video):
    found = read_clip(Clip("a", path=video, start_s=2.0, stop_s=4.0), Canvas(4, 16, 24))
    assert np.abs(grey(found) - [22, 27, 32, 37]).max() < 1
    with pytest.raises(ImageError, match=r"\[9 s to 10 s\]: no frame"):
        read_clip(Clip("a", path=video, start_s=9.0, stop_s=10.0), Canvas(4, 16, 24))


def test_shape_is_kept_and_the_border_is_the_frames_own_mean(tmp_path):
    tall = counting(tmp_path / "tall.mp4", size=(60, 20))
    canvas = Canvas(3, 32, 48)
    found = read_clip(Clip("t", path=tall), canvas)
    assert np.abs(found.astype(float) - found.mean((1, 2, 3), keepdims=True)).max() < 3
    assert canvas_for(Clip("t", path=tall), frames=3, side=48, colour=True) == Canvas(3, 48, 16, True)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.mp4", b"", "stub of 0 bytes"),
        ("._a.mp4", b"x" * 4096, "a stub"),
        ("b.mp4", b"no video at all" * 40, "no video that can be opened"),
    ],
)
def test_what_is_no_video_is_refused_by_name(tmp_path, name, content, said):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ImageError, match=said) as error:
        read_clip(Clip("x", path=path), Canvas(2, 16, 16))
    assert str(path) in str(error.value)


def test_a_video_cut_off_is_no_clip(video, tmp_path):
    half = tmp_path / "half.mp4"
    half.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    with pytest.raises(ImageError):
        read_clip(Clip("h", path=half), Canvas(2, 16, 16))


def test_the_cache_gives_the_same_frames_and_knows_a_changed_file(tmp_path, monkeypatch):
    paths = [counting(tmp_path / f"{i}.mp4", frames=8 + i) for i in range(4)]
    clips = ClipSet([Clip(p.stem, path=p) for p in paths])
    canvas = Canvas(4, 16, 24)
    fresh, first = decode(clips, canvas), decode(clips, canvas, tmp_path / "cache")
    assert np.array_equal(fresh.frames, np.asarray(first.frames[:]))

    from ethomorph.behavior import cache

    monkeypatch.setattr(cache, "read_clip", lambda *_: pytest.fail("decoded again"))
    shuffled = clips.subset([2, 0, 3])
    again = decode(shuffled, canvas, tmp_path / "cache")
    assert np.array_equal(np.asarray(again.frames[np.arange(3)]), fresh.frames[[2, 0, 3]])
    monkeypatch.undo()
    key = key_of(clips[1])
    counting(paths[1], frames=20)
    assert key_of(clips[1]) != key
    changed = decode(clips, canvas, tmp_path / "cache")
    assert np.array_equal(np.asarray(changed.frames[1]), read_clip(clips[1], canvas))
    assert np.array_equal(np.asarray(changed.frames[0]), fresh.frames[0])


def test_unreadable_clips_are_listed_and_refused_by_name(tmp_path):
    good = counting(tmp_path / "good.mp4", frames=6)
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"broken" * 100)
    clips = ClipSet([Clip("good", path=good), Clip("bad", path=bad)], "labels.csv")
    for folder in (None, tmp_path / "cache"):
        decoded = decode(clips, Canvas(3, 16, 16), folder)
        assert decoded.good == [0] and list(decoded.bad) == [1]
        with pytest.raises(ImageError, match=r"labels.csv: 1 of 2 clips cannot be read: bad"):
            refuse_bad(clips, decoded)

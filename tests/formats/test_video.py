"""Frames by number: the right ones, whatever was asked for before."""

from __future__ import annotations

import av
import cv2
import numpy as np
import pytest

from ethomorph.core.errors import ImageError, InputError
from ethomorph.formats.video import PictureFilm, VideoFilm, open_film, re_encode, write_video

BITS = 9


def numbered(index: int, size: int = 96) -> np.ndarray:
    """A frame that shows its number as bright and dark squares, so that no codec can blur it away."""
    frame = np.full((size, size, 3), 40, np.uint8)
    for bit in range(BITS):
        row, column = divmod(bit, 3)
        value = 230 if index >> bit & 1 else 20
        frame[row * 32 : row * 32 + 32, column * 32 : column * 32 + 32] = value
    return frame


def number_of(frame: np.ndarray) -> int:
    grey = frame if frame.ndim == 2 else frame.mean(2)
    return sum(1 << bit for bit in range(BITS) if grey[bit // 3 * 32 + 16, bit % 3 * 32 + 16] > 125)


def encoded(path, count, *, codec="libx264", options=None, form="mp4", keep=lambda i: True):
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.width = stream.height = 96
        stream.pix_fmt = "yuv420p"
        for i in range(count):
            for packet in stream.encode(av.VideoFrame.from_ndarray(numbered(i), format="rgb24")):
                container.mux(packet)
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"g": "30", "bf": "3"}, "b.mp4"),
        ({"g": "300"}, "one_key.mp4"),
        ({"g": "10", "x264-params": "open-gop=1"}, "open.mp4"),
    ],
)
def test_any_frame_is_the_one_asked_for(tmp_path, options, name):
    film = VideoFilm(encoded(tmp_path / name, 300, options=options))
    assert len(film) == 300 and film.exact and not film.notes
    rng = np.random.default_rng(0)
    for index in rng.integers(0, 300, 40).tolist():
        assert number_of(film.frame(index, grey=True)) == index
    assert [number_of(p) for _, p in film.stream(100, 130)] == list(range(100, 130))
    assert [i for i, _ in film.stream(290)] == list(range(290, 300))


def test_files_without_times_are_decoded_from_the_start_and_say_so(tmp_path):
    raw = encoded(tmp_path / "raw.mpeg", 60, codec="mpeg4", form="m4v", options={"b": "4000000"})
    film = VideoFilm(raw)
    assert len(film) == 60
    assert [number_of(film.frame(i)) for i in (50, 3, 51, 20)] == [50, 3, 51, 20]
    if not film.exact:
        assert "re-encode" in film.notes[0]
    re_encode(raw, tmp_path / "sound.mp4")
    again = VideoFilm(tmp_path / "sound.mp4")
    assert again.exact and [number_of(again.frame(i)) for i in (50, 3, 20)] == [50, 3, 20]


def test_a_damaged_middle_keeps_the_numbers_of_what_follows(tmp_path):
    path = encoded(tmp_path / "a.mp4", 200, options={"g": "20", "bf": "0"})
    data = bytearray(path.read_bytes())
    start = data.find(b"mdat") + len(data) // 3
    data[start : start + 2000] = bytes(2000)
    path.write_bytes(data)
    seen = dict(VideoFilm(path).stream(grey=True))
    assert list(seen) == list(range(200))
    right = [number_of(p) == i for i, p in seen.items() if p is not None]
    assert np.mean(right) > 0.7 and number_of(seen[199]) == 199


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5])
def test_a_truncated_file_is_refused_in_one_line(tmp_path, share):
    whole = encoded(tmp_path / "a.mp4", 50).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ImageError, match=r"cut\.mp4: not a readable video") as error:
        open_film(tmp_path / "cut.mp4")
    assert "\n" not in str(error.value)


def test_sound_alone_and_frames_beyond_the_end_are_refused(tmp_path):
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(ImageError, match="no pictures"):
        open_film(tmp_path / "sound.mp4")
    film = open_film(encoded(tmp_path / "a.mp4", 10))
    with pytest.raises(InputError, match="no frame 10, there are 10"):
        film.frame(10)


def test_a_folder_of_pictures_is_a_video_in_natural_order(tmp_path):
    for i in range(12):
        cv2.imwrite(str(tmp_path / f"img{i}.png"), numbered(i))
    film = open_film(tmp_path)
    assert isinstance(film, PictureFilm) and len(film) == 12 and film.size == (96, 96)
    assert [number_of(p) for _, p in film.stream(grey=True)] == list(range(12))


def test_written_videos_read_back(tmp_path):
    assert write_video(tmp_path / "w.mp4", (numbered(i) for i in range(40)), 29.97) == 40
    film = open_film(tmp_path / "w.mp4")
    assert film.fps == pytest.approx(29.97, abs=0.01) and number_of(film.frame(33)) == 33


def test_old_444_video_decodes_alike_after_seeking(shared_data):
    path = shared_data / "pose-openfield" / "videos" / "m3v1mp4.mp4"
    in_order = {i: p for i, p in VideoFilm(path).stream(0, 520, grey=True) if i in (300, 510)}
    film = VideoFilm(path)
    for index in (510, 300):
        assert np.array_equal(film.frame(index, grey=True), in_order[index])

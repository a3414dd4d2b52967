"""Long predictions: aligned, resumable, bounded, and written without an object an animal."""

from __future__ import annotations

import numpy as np
import pytest
import sleap_io

from ethomorph.formats.slp_tables import write_slp_tables
from ethomorph.formats.video import PictureFilm, open_film
from ethomorph.keypoints.pose.data import Scheme
from ethomorph.keypoints.pose.decode import FoundPose
from ethomorph.keypoints.pose.stream import Spool, batch_for, predict_film, read_ahead
from ethomorph.keypoints.pose.table import PoseTable, labels_of, tables_of

SCHEME = Scheme(("a", "b"), ((0, 1),))


class Counting:
    """A film of frames that show their number; some cannot be decoded."""

    name, fps, size, notes = "counting.mp4", 25.0, (8, 8), []

    def __init__(self, count, lost=()):
        self.count, self.lost = count, set(lost)

    def __len__(self):
        return self.count

    def frame(self, index, *, grey=False):
        return None if index in self.lost else np.full((8, 8), index % 251, np.uint8)

    def stream(self, start=0, stop=None, *, grey=False):
        for index in range(start, self.count if stop is None else stop):
            yield index, self.frame(index)


def find(pictures):
    """One animal at (number, number), none where the number is a multiple of 7."""
    found = []
    for picture in pictures:
        value = float(picture[0, 0])
        animal = FoundPose(np.array([[value, value], [np.nan, np.nan]]), np.array([0.9, 0.1]), 0.5)
        found.append([] if value % 7 == 0 else [animal])
    return found


def test_every_frame_has_its_row_also_where_nothing_is_seen_or_decoded():
    tables = list(predict_film(Counting(50, lost=[10, 11]), find, nodes=2, grey=True, scale=1.0, shard=16))
    assert [(t.start, t.stop) for t in tables] == [(0, 16), (16, 32), (32, 48), (48, 50)]
    assert tables[0].lost.tolist() == [10, 11] and 7 not in tables[0].frames
    whole = np.concatenate([t.frames for t in tables])
    assert np.array_equal(np.concatenate([t.points[:, 0, 0] for t in tables]), whole)


def test_a_stopped_prediction_goes_on_where_it_was(tmp_path):
    facts = {"model": "m", "video": "v"}
    spool = Spool(tmp_path / "part", facts)
    for table in predict_film(Counting(40), find, nodes=2, grey=True, scale=1.0, shard=10):
        if table.start >= 16:
            break
        spool.write(table)
    again = Spool(tmp_path / "part", facts)
    first = again.next
    assert first == 20
    for table in predict_film(Counting(40), find, nodes=2, grey=True, scale=1.0, start=first, shard=10):
        again.write(table)
    found = np.concatenate([t.frames for t in again.tables()])
    assert found.tolist() == [i for i in range(40) if i % 7]
    assert Spool(tmp_path / "part", {"model": "other"}).next == 0


def test_tiny_frames_are_found_many_at_a_time_but_never_more_than_a_shard():
    seen = []

    def counted(pictures):
        seen.append(len(pictures))
        return find(pictures)

    film = Counting(300)
    list(predict_film(film, counted, nodes=2, grey=True, scale=1.0))
    assert seen == [64, 64, 64, 64, 44]
    seen.clear()
    film.size = (480, 640)
    list(predict_film(film, counted, nodes=2, grey=True, scale=1.0, shard=5))
    assert set(seen) == {5}
    assert batch_for((480, 640)) == 8


def test_a_reader_that_fails_is_heard_and_one_that_is_left_stops():
    class Broken(Counting):
        def stream(self, start=0, stop=None, *, grey=False):
            yield 0, self.frame(0)
            raise ValueError("broken film")

    with pytest.raises(ValueError, match="broken film"):
        list(read_ahead(Broken(100), 0, 100, grey=True, scale=1.0))
    batches = read_ahead(Counting(10**6), 0, 10**6, grey=True, scale=1.0)
    next(batches)
    batches.close()


def test_slp_from_tables_equals_slp_from_labels(tmp_path):
    tables = list(predict_film(Counting(30), find, nodes=2, grey=True, scale=1.0, shard=8))
    for table in tables:
        table.tracks[:] = 0
    video = sleap_io.Video(filename="counting.mp4", open_backend=False)
    counts = write_slp_tables(tmp_path / "a.slp", ((0, t) for t in tables), [video], SCHEME.skeleton(), ["fish"])
    assert counts == {"frames": 30, "instances": 25}
    read = sleap_io.load_slp(str(tmp_path / "a.slp"), open_videos=False)
    assert len(read.labeled_frames) == 30 and read.tracks[0].name == "fish"
    assert [len(f.instances) for f in read.labeled_frames][:9] == [0, 1, 1, 1, 1, 1, 1, 0, 1]
    instance = read.labeled_frames[20].instances[0]
    assert np.allclose(instance.numpy(), [[20, 20], [np.nan, np.nan]], equal_nan=True)
    assert instance.score == 0.5 and instance.points["score"].tolist() == pytest.approx([0.9, 0.1])
    found = tables_of(read)[0][0]
    again = tables_of(labels_of([found], [video], SCHEME, ["fish"]))[0][0]
    for name in ("frames", "points", "scores", "score", "tracks"):
        assert np.array_equal(getattr(found, name), getattr(again, name), equal_nan=name == "points")


def test_a_long_file_is_written_in_bounded_memory(tmp_path):
    import tracemalloc

    def tables():
        rng = np.random.default_rng(0)
        for start in range(0, 40_000, 1000):
            frames = np.repeat(np.arange(start, start + 1000), 5)
            points = rng.normal(size=(5000, 8, 2)).astype(np.float32)
            ones = np.ones((5000, 8), np.float32)
            tracks, lost = np.tile(np.arange(5), 1000).astype(np.int32), np.empty(0, np.int64)
            yield 0, PoseTable(frames, points, ones, ones[:, 0], tracks, start, start + 1000, lost)

    video = sleap_io.Video(filename="long.mp4", open_backend=False)
    skeleton = Scheme(tuple("abcdefgh")).skeleton()
    tracemalloc.start()
    counts = write_slp_tables(tmp_path / "long.slp", tables(), [video], skeleton, [f"fish {i}" for i in range(5)])
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    assert counts == {"frames": 40_000, "instances": 200_000} and peak < 60


def test_pictures_of_several_sizes_are_one_film(tmp_path):
    import cv2

    for i, side in enumerate((8, 12, 8)):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((side, side), 10 * i + 1, np.uint8))
    film = open_film(tmp_path)
    assert isinstance(film, PictureFilm)
    (table,) = predict_film(film, find, nodes=2, grey=True, scale=1.0)
    assert table.points[:, 0, 0].tolist() == [1, 11]

"""Pictures: marks stand where the landmarks are, sheets hold every picture, and nothing is lost that cannot be read."""

import cv2
import numpy as np
import pytest

from ethomorph.core.errors import ImageError
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.keypoints import draw
from ethomorph.keypoints.draw import Tile, draw_extremes, draw_overlay, draw_sheet, mean_error, sheet_tiles
from ethomorph.keypoints.marks import PREDICTION, TRUTH

POINTS = np.array([[20.0, 30.0], [90.0, 40.0], [60.0, 70.0]])


@pytest.fixture
def landmarks(tmp_path):
    """Eight pictures of 120 x 100 px with three landmarks each."""
    rng = np.random.default_rng(0)
    specimens = []
    for i in range(8):
        path = tmp_path / f"{i}.png"
        cv2.imwrite(str(path), rng.integers(90, 110, (100, 120)).astype(np.uint8))
        specimens.append(Specimen(POINTS + rng.normal(size=(3, 2)), id=f"s{i}", image=path.name, image_path=path))
    return LandmarkSet(specimens, ["a", "b", "c"], edges=[(0, 1)])


def near(picture, colour, place, reach=9):
    """Whether pixels of about this colour lie around a place."""
    x, y = (round(v) for v in place)
    part = picture[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1].astype(int)
    return bool((np.abs(part - colour).max(axis=2) < 40).any())


def test_marks_stand_on_their_landmarks():
    picture = draw_overlay(np.full((100, 120), 0.4, np.float32), Tile(None, [POINTS], [POINTS[:, ::-1] + 3]), width=480)
    assert picture.shape == (400, 480, 3)
    for x, y in POINTS:
        assert near(picture, TRUTH, ((x + 0.5) * 4 - 0.5, (y + 0.5) * 4 - 0.5))
        assert near(picture, PREDICTION, ((y + 3.5) * 4 - 0.5, (x + 3.5) * 4 - 0.5))
    assert not near(picture, TRUTH, (460, 20)) and not near(picture, PREDICTION, (460, 20))


def test_missing_and_far_landmarks_are_not_drawn_and_break_nothing():
    wild = np.array([[np.nan, np.nan], [1e9, -1e9], [60.0, 50.0]])
    tile = Tile(None, [wild], [wild], [np.full(3, 7.0)])
    picture = draw_overlay(np.full((100, 120), 0.4, np.float32), tile, width=240)
    assert near(picture, PREDICTION, (120, 100))


def test_extremes_are_the_worst_and_the_best(landmarks, tmp_path, monkeypatch):
    found = landmarks.array()
    found[:, :, 0] += np.arange(8)[:, None]
    found[2] = np.nan
    seen = []
    monkeypatch.setattr(draw, "montage", lambda tiles, **_: seen.append(tiles) or np.zeros((4, 4, 3), np.uint8))
    worst, best = draw_extremes(landmarks, found, tmp_path / "out", count=3)
    assert worst.name == "worst.png" and best.name == "best.png" and worst.exists()
    assert [t.title for t in seen[0]] == ["2.png", "7.png", "6.png"]
    assert [t.note for t in seen[0]] == ["missed", "", ""] and seen[0][1].detail == "7.0 px"
    assert [t.title for t in seen[1]] == ["0.png", "1.png", "3.png"]


def test_sheet_shows_every_picture_and_continues_on_further_files(landmarks, tmp_path, monkeypatch):
    monkeypatch.setattr(draw, "MOST_TILES", 5)
    files = draw_sheet(landmarks, tmp_path / "sheet.png", truth=landmarks, columns=3, width=200)
    assert [f.name for f in files] == ["sheet.png", "sheet-2.png"]
    first, second = (cv2.imread(str(f)) for f in files)
    assert first.shape[1] == 3 * 214 + 14 and first.shape[0] > second.shape[0] > 200


def test_tiles_say_what_was_not_found_or_looks_wrong(landmarks):
    landmarks.specimens[1].points[:] = np.nan
    landmarks.specimens[2].attributes["flags"] = "landmark b is far from where the others put it"
    tiles = sheet_tiles(landmarks)
    assert [t.note for t in tiles[:3]] == ["", "not found", "landmark b is far from where the others put it"]
    assert tiles[1].predicted == []


def test_tiles_hold_all_specimens_of_a_picture(landmarks):
    second = Specimen(POINTS + 5, image="0.png", image_path=landmarks[0].image_path)
    landmarks.specimens.append(second)
    tile = sheet_tiles(landmarks, landmarks)[0]
    assert len(tile.predicted) == len(tile.truth) == 2 and tile.detail == "0.0 px"


def test_unreadable_pictures_leave_an_empty_tile(landmarks, tmp_path):
    landmarks.specimens[0].image_path.write_bytes(b"not a picture")
    landmarks.specimens[1].image_path = None
    assert draw_sheet(landmarks, tmp_path / "sheet.jpg")[0].stat().st_size > 1000


def test_unknown_suffix_is_refused(landmarks, tmp_path):
    with pytest.raises(ImageError, match=r"use \.png"):
        draw_sheet(landmarks, tmp_path / "sheet.tps")


def test_mean_error_passes_over_gaps():
    assert mean_error(np.array([[0.0, 0], [np.nan, 0]]), np.array([[3.0, 4], [1, 1]])) == 5
    assert mean_error(np.full((2, 2), np.nan), np.zeros((2, 2))) == np.inf

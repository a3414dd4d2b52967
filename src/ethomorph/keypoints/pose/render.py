"""An overlay video: skeletons, tracks, trails and confidence on the frames, cropped or slowed down where asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ethomorph.core.errors import InputError
from ethomorph.formats.video import Film, open_film, write_video
from ethomorph.keypoints.pose.data import Scheme, centre_of, resized, scaled, scheme_of
from ethomorph.keypoints.pose.draw import colour_of, draw_animal, draw_trail
from ethomorph.keypoints.pose.stream import frame_progress
from ethomorph.keypoints.pose.table import PoseTable

LEAST_SIDE = 16


@dataclass(frozen=True)
class Look:
    """How an overlay looks.

    Parameters
    ----------
    trail : frames that a trail reaches back; 0 for none.
    names : whether tracks are named beside their animals.
    confidence : whether the animal's score is written too.
    scale : size of the result relative to the video.
    speed : 0.5 plays at half speed.
    crop : (left, top, right, bottom) px, or None for the whole frame.
    follow : name of a track that the picture stays centred on, with `crop`'s size or a third of the frame's.
    start, stop : frames.
    """

    trail: int = 0
    names: bool = True
    confidence: bool = False
    scale: float = 1.0
    speed: float = 1.0
    crop: tuple[int, int, int, int] | None = None
    follow: str = ""
    start: int = 0
    stop: int | None = None


def render(
    video: str | Path, labels: str | Path | None, target: str | Path, *, look: Look | None = None, progress: bool = True
) -> dict[str, int | str]:
    """Draw the poses of a label file on a video's frames; a ``.png`` target is a still sheet of twelve.

    Parameters
    ----------
    labels : None only writes the video again, which makes a damaged or odd one sound.

    Returns
    -------
    ``out``, ``frames``, ``animals`` drawn.

    Raises
    ------
    InputError : a video or label file that cannot be read, frames or a track that are not there.
    """
    from ethomorph.formats.poses import read_poses
    from ethomorph.keypoints.pose.draw import draw_video_sheet
    from ethomorph.keypoints.pose.table import tables_of

    look = look or Look()
    film = open_film(video)
    target = Path(target)
    if target.suffix.lower() == ".png":
        if labels is None:
            raise InputError("a sheet needs poses", place=target, fix="give a label file")
        draw_video_sheet(film, labels, target)
        return {"out": str(target), "frames": min(12, len(film)), "animals": 0}
    scheme, table = Scheme(()), None
    names: list[str] = []
    if labels is not None:
        read, _ = read_poses(labels)
        tables, names = tables_of(read)
        scheme, table = scheme_of(read), tables[video_of(read, film)]
    stop = len(film) if look.stop is None else min(look.stop, len(film))
    if not 0 <= look.start < stop:
        raise InputError(f"no frames from {look.start} to {stop}", place=film.name, fix=f"there are {len(film)}")
    drawn = 0

    def frames() -> Iterator[np.ndarray]:
        nonlocal drawn
        painter = Painter(film, scheme, table, names, look)
        with frame_progress("rendering", stop - look.start, progress) as advance:
            last = np.zeros((*film.size, 3), np.uint8)
            for index, pixels in film.stream(look.start, stop):
                last = last if pixels is None else pixels
                picture, animals = painter.paint(index, last.copy())
                drawn += animals
                advance(1)
                yield picture

    count = write_video(target, frames(), film.fps * look.speed)
    return {"out": str(target), "frames": count, "animals": drawn}


class Painter:
    """Draws one frame after the other; keeps what trails need and nothing more."""

    def __init__(self, film: Film, scheme: Scheme, table: PoseTable | None, names: list[str], look: Look) -> None:
        self.scheme, self.table, self.names, self.look = scheme, table, names, look
        self.size = max(0.7, look.scale * max(film.size) / 600)
        self.trails: dict[int, deque[np.ndarray]] = {}
        height, width = (max(1, round(side * look.scale)) for side in film.size)
        left, top, right, bottom = (
            [round(look.scale * side) for side in look.crop] if look.crop else (0, 0, width, height)
        )
        self.box = (max(0, left), max(0, top), min(width, right), min(height, bottom))
        if self.box[2] - self.box[0] < LEAST_SIDE or self.box[3] - self.box[1] < LEAST_SIDE:
            raise InputError(
                f"crop {look.crop} leaves nothing of {width} x {height} px", fix="give left,top,right,bottom"
            )
        if look.follow and look.follow not in names:
            raise InputError(f"no track {look.follow!r}", fix=f"the tracks are {', '.join(names) or 'none'}")
        self.window = (height // 3, width // 3) if look.crop is None else (bottom - top, right - left)
        self.middle: np.ndarray | None = None

    def paint(self, frame: int, picture: np.ndarray) -> tuple[np.ndarray, int]:
        """The finished frame, and how many animals were drawn."""
        picture = np.ascontiguousarray(resized(picture, self.look.scale))
        rows = np.flatnonzero(self.table.frames == frame) if self.table is not None else np.zeros(0, int)
        for row in rows:
            self._animal(picture, int(row))
        return self._framed(picture), len(rows)

    def _animal(self, picture: np.ndarray, row: int) -> None:
        assert self.table is not None
        points = scaled(self.table.points[row].astype(float), self.look.scale)
        track = int(self.table.tracks[row])
        colour, middle = colour_of(max(track, 0)), centre_of(points, None)
        if self.look.trail:
            trail = self.trails.setdefault(track, deque(maxlen=self.look.trail))
            trail.append(middle)
            draw_trail(picture, list(trail), colour, size=self.size)
        draw_animal(picture, points, self.scheme, colour, size=self.size, scores=self.table.scores[row])
        if self.look.follow and track >= 0 and self.names[track] == self.look.follow:
            self.middle = middle
        words = [self.names[track]] if self.look.names and track >= 0 else []
        words += [f"{self.table.score[row]:.2f}"] if self.look.confidence else []
        if words and np.isfinite(middle).all():
            top = np.nanmin(points[:, 1]) - 8 * self.size
            at = (round(float(middle[0]) - 12 * self.size), round(float(max(top, 12 * self.size))))
            for shade, line in (((20, 20, 20), 3), (colour, 1)):
                cv2.putText(
                    picture, " ".join(words), at, cv2.FONT_HERSHEY_SIMPLEX, 0.42 * self.size, shade, line, cv2.LINE_AA
                )

    def _framed(self, picture: np.ndarray) -> np.ndarray:
        left, top, right, bottom = self.box
        if self.look.follow and self.middle is not None and np.isfinite(self.middle).all():
            height, width = self.window
            left = int(np.clip(self.middle[0] - width / 2, 0, picture.shape[1] - width))
            top = int(np.clip(self.middle[1] - height / 2, 0, picture.shape[0] - height))
            right, bottom = left + width, top + height
        elif self.look.follow:
            right, bottom = left + self.window[1], top + self.window[0]
        return picture[top:bottom, left:right]


def video_of(labels: object, film: Film) -> int:
    """Which video of the labels a film is: the one of its name, or the only one."""
    from ethomorph.keypoints.pose.frames import file_name

    videos = labels.videos  # type: ignore[attr-defined]
    names = [file_name(video) for video in videos]
    if film.name in names:
        return names.index(film.name)
    if len(videos) == 1:
        return 0
    raise InputError(f"the labels know no video {film.name!r}", fix=f"their videos are {', '.join(names)}")

"""Frames of clips, decoded with PyAV: sampled over the whole clip, shrunk to one canvas, uint8.

It decodes and nothing else; which clips there are stands in `core.clips`, keeping what was decoded in `cache`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ethomorph.core.clips import Clip
from ethomorph.core.errors import ImageError

MOST_FRAMES = 20_000
"""Frames that a clip may have; more is a recording, of which a stretch has to be named."""
SMALLEST_BYTES = 200  # no video is smaller; what is, is a stub or was cut off
END_SLACK_S = 0.5  # a stretch may end so much after the video: tables round to frames and seconds


@dataclass(frozen=True)
class Canvas:
    """What every clip is brought to.

    Attributes
    ----------
    frames : how many are sampled, evenly over the whole clip.
    height, width : px; a clip of another shape is fitted in and its border filled with its own mean.
    colour : whether R, G, B are kept.
    """

    frames: int = 24
    height: int = 96
    width: int = 96
    colour: bool = False

    @property
    def channels(self) -> int:
        return 3 if self.colour else 1

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(frames, height, width, channels)."""
        return self.frames, self.height, self.width, self.channels


@dataclass(frozen=True)
class VideoFacts:
    """What a video's header says: (height, width) px, frames per second, seconds (None where it does not say)."""

    size: tuple[int, int]
    fps: float
    seconds: float | None


def canvas_for(clip: Clip, *, frames: int, side: int, colour: bool) -> Canvas:
    """The canvas of `side` px along the longer side in this clip's shape, both sides multiples of 8."""
    height, width = probe(clip.path or Path()).size
    scale = side / max(height, width)
    return Canvas(frames, max(8, round(height * scale / 8) * 8), max(8, round(width * scale / 8) * 8), colour)


def probe(path: Path) -> VideoFacts:
    """Look at a video's header.

    Raises
    ------
    ImageError : not a video, a stub, or without pictures.
    """
    with opened(path) as (container, stream):
        seconds = float(container.duration / 1_000_000) if container.duration else None
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        return VideoFacts((stream.codec_context.height, stream.codec_context.width), rate, seconds)


def read_clip(clip: Clip, canvas: Canvas) -> np.ndarray:
    """(frames, height, width, channels) uint8 of a clip, sampled evenly over its whole length.

    Raises
    ------
    ImageError : unreadable, without frames in the stretch, or longer than `MOST_FRAMES`.
    """
    if clip.path is None:
        raise ImageError("has no video", place=clip.name, fix="give the folder of the videos")
    shrunk = list(stretch(clip.path, clip.start_s, clip.stop_s, canvas))
    if not shrunk:
        raise ImageError("no frame can be decoded in this stretch", place=place_of(clip), fix="look at the video")
    chosen = np.floor((np.arange(canvas.frames) + 0.5) / canvas.frames * len(shrunk)).astype(int)
    return np.stack([shrunk[i] for i in chosen])


def stretch(path: Path, start_s: float | None, stop_s: float | None, canvas: Canvas) -> Iterator[np.ndarray]:
    """Every frame of a stretch of a video, each (height, width, channels)."""
    import av

    with opened(path) as (container, stream):
        begin = start_s or 0.0
        if begin > 0:
            container.seek(int(begin / stream.time_base), stream=stream)
        first = None
        count = 0
        try:
            for frame in container.decode(stream):
                seconds = frame.time if frame.time is not None else count / float(stream.average_rate or 25)
                first = seconds if first is None and start_s is None else first
                seconds -= first or 0.0
                if start_s is not None and seconds < begin - 1e-6:
                    continue
                if stop_s is not None and seconds >= stop_s - 1e-6:
                    return
                count += 1
                if count > MOST_FRAMES:
                    raise ImageError(
                        f"more than {MOST_FRAMES:,} frames", place=path, fix="name stretches with start_s and stop_s"
                    )
                yield fitted(frame, canvas)
        except av.error.FFmpegError as error:
            if count == 0:
                raise ImageError(f"cannot be decoded ({error.strerror or error})", place=path) from None
            raise ImageError(
                f"is damaged after {count} frames ({error.strerror or error})", place=path, fix="export it again"
            ) from None


def fitted(frame: Any, canvas: Canvas) -> np.ndarray:
    """A decoded frame on the canvas, averaged down; its shape is kept."""
    scale = min(canvas.height / frame.height, canvas.width / frame.width)
    height, width = max(1, round(frame.height * scale)), max(1, round(frame.width * scale))
    small = frame.reformat(
        width, height, format="rgb24" if canvas.colour else "gray", interpolation="AREA"
    ).to_ndarray()
    small = small.reshape(height, width, canvas.channels)
    if (height, width) == (canvas.height, canvas.width):
        return small
    whole = np.empty(canvas.shape[1:], np.uint8)
    whole[:] = small.mean((0, 1)).round()
    top, left = (canvas.height - height) // 2, (canvas.width - width) // 2
    whole[top : top + height, left : left + width] = small
    return whole


class opened:
    """A video's container and its first picture stream, as a context; raises ImageError for what is no video."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> tuple[Any, Any]:
        import av

        refuse_stub(self.path)
        try:
            self.container = av.open(str(self.path), metadata_errors="ignore")
        except (av.error.FFmpegError, OSError) as error:
            said = getattr(error, "strerror", None) or error
            raise ImageError(
                f"is no video that can be opened ({said})", place=self.path, fix="export it again"
            ) from None
        if not self.container.streams.video:
            self.container.close()
            raise ImageError("holds no pictures", place=self.path)
        stream = self.container.streams.video[0]
        stream.thread_type = "NONE"  # clips are decoded side by side, each in its own thread
        return self.container, stream

    def __exit__(self, *error: object) -> None:
        self.container.close()


def refuse_stub(path: Path) -> None:
    """Raise ImageError for a missing file, an empty one, and what macOS leaves beside videos."""
    if not path.is_file():
        raise ImageError("there is no such video", place=path)
    size = path.stat().st_size
    if size < SMALLEST_BYTES or path.name.startswith("._"):
        raise ImageError(f"is a stub of {size} bytes, no video", place=path, fix="copy the video again")


def place_of(clip: Clip) -> str:
    """The clip for a message: its file, and its stretch."""
    if clip.start_s is None and clip.stop_s is None:
        return str(clip.path)
    return f"{clip.path} [{clip.start_s or 0:g} s to {'end' if clip.stop_s is None else f'{clip.stop_s:g} s'}]"

"""Videos whose every frame can be asked for by number, and is that frame: mp4 and its kin, folders of pictures.

A frame's number is its rank among the presentation times that the file promises. A frame that cannot be decoded is
None and keeps its number, so that rows stay aligned with frames. It does not know labels.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ethomorph.core.errors import ImageError, InputError
from ethomorph.core.files import atomic_path

if TYPE_CHECKING:
    import sleap_io

SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".m4v", ".webm", ".mpg", ".mpeg", ".wmv", ".mjpeg", ".ts")
"""Suffixes by which a file is taken for a video."""
NEAR = 64
"""Frames that are decoded and thrown away rather than looked up by seeking."""
FAULTS = 200
"""Packets in a row that may fail to decode before a video counts as ended."""
SMALL = 2**17
"""Pixels of a frame up to which handing it from thread to thread takes longer than decoding it."""


class Film(Protocol):
    """What every kind of video offers."""

    name: str
    notes: list[str]

    def __len__(self) -> int: ...

    @property
    def fps(self) -> float: ...

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the first frame, px."""

    def frame(self, index: int, *, grey: bool = False) -> np.ndarray | None:
        """One frame, uint8 (height, width, 3) in R, G, B, or (height, width); None where it cannot be decoded."""

    def stream(
        self, start: int = 0, stop: int | None = None, *, grey: bool = False
    ) -> Iterator[tuple[int, np.ndarray | None]]:
        """Frames with their numbers, in order, none left out."""


@dataclass
class VideoFilm:
    """A video file, by PyAV.

    Attributes
    ----------
    times : presentation times of the frames in units of the stream's time base, ascending.
    exact : whether frames can be looked up by time; otherwise the file is decoded from its beginning each time.
    notes : what is wrong with the file, one sentence each.

    Raises
    ------
    ImageError : not a video, nothing in it, or damaged from the start.
    """

    path: Path
    times: list[int] = field(default_factory=list, repr=False)
    exact: bool = True
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.path = Path(self.path)
        self.name = self.path.name
        self._container: Any = None
        self._decoder: Iterator[Any] | None = None
        self._next = 0
        self._sought = False
        self._converter: Any = None
        self._index()

    def __len__(self) -> int:
        return len(self.times)

    @property
    def fps(self) -> float:
        return self._fps

    @property
    def size(self) -> tuple[int, int]:
        return self._size

    def _index(self) -> None:
        """Read every packet's time without decoding anything."""
        promised, packets = 0, []
        with opened(self.path) as container:
            stream = container.streams.video[0]
            promised = int(stream.frames or 0)
            self._fps = float(stream.average_rate or stream.guessed_rate or 0) or 25.0
            self._size = (int(stream.height), int(stream.width))
            try:
                packets = [(p.pts, p.dts) for p in container.demux(stream) if p.size and not p.is_discard]
            except _errors() as error:
                self.notes.append(f"cannot be read to its end ({told(error)})")
        times = sorted(pts for pts, _ in packets if pts is not None)
        if len(times) < len(packets) or len(set(times)) < len(times):
            self.exact = False
            times = list(range(self._counted()))
            self.notes.append(
                "frames have no times of their own, so it is decoded from the start wherever one is looked up; "
                "re-encode it with `ethomorph render VIDEO --out OUT.mp4`"
            )
        if not times:
            raise ImageError("no frame in it", place=self.path, fix="record or copy it again")
        if promised > len(times):
            self.notes.append(f"the header promises {promised} frames, {len(times)} are there")
        self.times = times
        if self._size[0] < 1 or self._size[1] < 1:
            raise ImageError("frames without a size", place=self.path, fix="record or copy it again")

    def _counted(self) -> int:
        with opened(self.path) as container:
            count = 0
            try:
                for _ in container.decode(video=0):
                    count += 1
            except _errors() as error:
                self.notes.append(f"cannot be decoded beyond frame {count} ({told(error)})")
            return count

    def frame(self, index: int, *, grey: bool = False) -> np.ndarray | None:
        refuse_beyond(index, len(self), self.name)
        if self._decoder is None or not 0 <= index - self._next < NEAR:
            self._seek(index)
        return next((pixels for at, pixels in self._decode(index, index + 1, grey)), None)

    def stream(
        self, start: int = 0, stop: int | None = None, *, grey: bool = False
    ) -> Iterator[tuple[int, np.ndarray | None]]:
        stop = len(self) if stop is None else min(stop, len(self))
        if start < stop:
            if self._decoder is None or self._next != start:
                self._seek(start)
            yield from self._decode(start, stop, grey)

    def close(self) -> None:
        """Let go of the file; it opens again when next needed."""
        if self._container is not None:
            self._container.close()
        self._container, self._decoder, self._next, self._sought = None, None, 0, False

    def _seek(self, index: int) -> None:
        """Make ready to decode from a key frame at or before frame `index`."""
        self.close()
        self._container = opened(self.path)
        stream = self._container.streams.video[0]
        stream.thread_type = "NONE" if self._size[0] * self._size[1] <= SMALL else "AUTO"
        self._next = 0
        if self.exact and index > NEAR:
            # the first frame may tell of encoder faults that the decoder must know of, as old 4:4:4 H.264 does
            next(self._container.decode(stream), None)
            # frames that follow a key frame in the file may precede it in time: aim a little earlier
            self._container.seek(self.times[max(0, index - 2)], stream=stream, backward=True, any_frame=False)
            self._next, self._sought = -1, True
        self._decoder = self._container.decode(stream)

    def _decode(self, start: int, stop: int, grey: bool) -> Iterator[tuple[int, np.ndarray | None]]:
        """Frames start..stop from the decoder, which stands at or before `start`; a gap is None."""
        wanted = start
        while wanted < stop:
            got = self._one()
            if got is None:
                break
            at, picture = got
            if self._sought and at > wanted:
                self._seek(0)  # the file's index led too far: from the start then
                continue
            self._sought = False
            if at < wanted:
                continue
            for missing in range(wanted, min(at, stop)):
                yield missing, None
            if at >= stop:
                self._next = -1  # this frame is gone: seek before the next
                self._decoder = None
                return
            wanted = at + 1
            yield at, self._pixels(picture, grey)
        for missing in range(wanted, stop):
            yield missing, None

    def _pixels(self, picture: Any, grey: bool) -> np.ndarray:
        """A decoded frame as an array; one converter serves all frames, since making it costs more than using it."""
        from av.video.reformatter import VideoReformatter

        self._converter = self._converter or VideoReformatter()
        pixels: np.ndarray = self._converter.reformat(picture, format="gray" if grey else "rgb24").to_ndarray()
        return pixels

    def _one(self) -> tuple[int, Any] | None:
        """The next decoded frame with its number; None at the end."""
        faults = 0
        while self._decoder is not None:
            try:
                picture = next(self._decoder)
            except StopIteration:
                self._decoder = None
                return None
            except _errors():
                faults += 1
                alive = self.exact and faults < FAULTS and self._container is not None
                self._decoder = self._container.decode(video=0) if alive else None
                continue
            if not self.exact:
                self._next += 1
                return self._next - 1, picture
            if picture.pts is None:
                continue
            at = bisect_left(self.times, picture.pts)
            if at < len(self.times) and self.times[at] == picture.pts:
                self._next = at + 1
                return at, picture
        return None


@dataclass
class PictureFilm:
    """A list of picture files as a video, a frame each."""

    paths: list[Path]
    fps: float = 25.0
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.paths:
            raise ImageError("no picture", fix="give a folder with pictures")
        self.paths = [Path(path) for path in self.paths]
        self.name = self.paths[0].parent.name or self.paths[0].name

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def size(self) -> tuple[int, int]:
        from ethomorph.formats.images import image_size

        height, width = image_size(self.paths[0])
        return int(height), int(width)

    def frame(self, index: int, *, grey: bool = False) -> np.ndarray | None:
        from ethomorph.formats.images import read_image

        refuse_beyond(index, len(self), self.name)
        return as_bytes(read_image(self.paths[index]).pixels, grey=grey)

    def stream(
        self, start: int = 0, stop: int | None = None, *, grey: bool = False
    ) -> Iterator[tuple[int, np.ndarray | None]]:
        for index in range(start, len(self) if stop is None else min(stop, len(self))):
            yield index, self.frame(index, grey=grey)


@dataclass
class EmbeddedFilm:
    """Frames that lie inside a ``.pkg.slp``, found by the number they had in their own video."""

    video: sleap_io.Video
    fps: float = 25.0
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        backend = self.video.backend
        numbers = getattr(backend, "source_inds", None)
        self.name = Path(str(self.video.filename)).name
        self.there = [int(n) for n in numbers] if numbers is not None else list(range(len(self.video)))

    def __len__(self) -> int:
        return max(self.there) + 1

    @property
    def size(self) -> tuple[int, int]:
        first = self.frame(self.there[0])
        return (0, 0) if first is None else (int(first.shape[0]), int(first.shape[1]))

    def frame(self, index: int, *, grey: bool = False) -> np.ndarray | None:
        refuse_beyond(index, len(self), self.name)
        return as_bytes(np.asarray(self.video[index]), grey=grey) if index in self.there else None

    def stream(
        self, start: int = 0, stop: int | None = None, *, grey: bool = False
    ) -> Iterator[tuple[int, np.ndarray | None]]:
        for index in range(start, len(self) if stop is None else min(stop, len(self))):
            yield index, self.frame(index, grey=grey)


def open_film(source: str | Path | list[str] | list[Path]) -> Film:
    """A video file, a folder of pictures, one picture or a list of pictures as a film.

    Raises
    ------
    ImageError : nothing there, or nothing in it that can be read.
    """
    if isinstance(source, (list, tuple)):
        return PictureFilm([Path(one) for one in source])
    path = Path(source)
    if path.is_dir():
        from ethomorph.formats.images import find_images

        return PictureFilm(find_images([path]))
    if not path.exists():
        raise ImageError("no such video", place=path, fix="correct the path")
    if path.suffix.lower() in SUFFIXES:
        return VideoFilm(path)
    return PictureFilm([path])


def is_video(path: str | Path) -> bool:
    """Whether a path is taken for a video file by its suffix."""
    return Path(path).suffix.lower() in SUFFIXES


def write_video(path: str | Path, frames: Iterable[np.ndarray], fps: float, *, crf: int = 20) -> int:
    """Write RGB frames (height, width, 3) uint8 as H.264 with a key frame a second; returns how many there were.

    Odd sides are cut by one px, which H.264 in 4:2:0 asks for.
    """
    from fractions import Fraction

    import av

    count = 0
    with atomic_path(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        rate = Fraction(fps).limit_denominator(1001)
        options = {"crf": str(crf), "preset": "veryfast", "g": str(max(1, round(fps)))}
        stream: Any = None
        for picture in frames:
            if stream is None:
                stream = container.add_stream("libx264", rate=rate, options=options)
                stream.height, stream.width = (side - side % 2 for side in picture.shape[:2])
                stream.pix_fmt = "yuv420p"
            clipped = np.ascontiguousarray(picture[: stream.height, : stream.width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(clipped, format="rgb24")))
            count += 1
        if stream is None:
            raise ImageError("no frame to write", place=path, fix="give at least one")
        container.mux(stream.encode())
    return count


def re_encode(source: str | Path, target: str | Path, *, crf: int = 18) -> list[str]:
    """Write a video again as H.264 whose frames can be looked up; returns what was lost, one sentence each.

    A frame that cannot be decoded is replaced by the one before, so that numbers stay.
    """
    film = open_film(source)
    height, width = film.size
    lost = 0

    def frames() -> Iterator[np.ndarray]:
        nonlocal lost
        last = np.zeros((height, width, 3), np.uint8)
        for _, picture in film.stream():
            lost += picture is None
            last = last if picture is None else picture
            yield last

    write_video(target, frames(), film.fps, crf=crf)
    return [*film.notes, *([f"{lost} frames could not be decoded and repeat the one before"] if lost else [])]


def as_bytes(pixels: np.ndarray, *, grey: bool) -> np.ndarray:
    """Pixels of any depth and number of channels as uint8 R, G, B or grey; 16 bits are divided by 257."""
    picture = np.asarray(pixels)
    if picture.ndim == 3 and picture.shape[2] in (1, 2):
        picture = picture[..., 0]
    if picture.dtype == np.uint16:
        picture = (picture // 257).astype(np.uint8)
    elif picture.dtype != np.uint8:
        picture = np.clip(picture * (255.0 if picture.max(initial=0) <= 1 else 1.0), 0, 255).astype(np.uint8)
    if grey and picture.ndim == 3:
        import cv2

        return cv2.cvtColor(np.ascontiguousarray(picture[..., :3]), cv2.COLOR_RGB2GRAY)
    if not grey and picture.ndim == 2:
        return np.repeat(picture[..., None], 3, axis=2)
    return np.ascontiguousarray(picture if picture.ndim == 2 else picture[..., :3])


def opened(path: Path) -> Any:
    """A PyAV container with a video stream; raises ImageError naming the file."""
    import av

    try:
        container = av.open(str(path))
    except _errors() as error:
        raise ImageError(f"not a readable video ({told(error)})", place=path, fix="copy or record it again") from None
    if not container.streams.video:
        container.close()
        raise ImageError("no pictures in it", place=path, fix="give a video")
    return container


def told(error: BaseException) -> str:
    """What a decoder's error says, without the path and numbers around it."""
    return str(getattr(error, "strerror", None) or error).split(":")[0][:80]


def refuse_beyond(index: int, count: int, name: str) -> None:
    """Raise InputError for a frame that a film does not have."""
    if not 0 <= index < count:
        raise InputError(f"no frame {index}, there are {count}", place=name, fix=f"ask for 0 to {count - 1}")


def _errors() -> tuple[type[BaseException], ...]:
    import av

    return (av.error.FFmpegError, OSError, ValueError, EOFError)

"""Prediction of whole videos: read ahead in a thread, found in batches, kept in shards, so that memory stays bounded
and a prediction that was stopped goes on where it was."""

from __future__ import annotations

import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ethomorph.core.errors import InputError
from ethomorph.core.files import atomic_path, write_json
from ethomorph.formats.video import Film
from ethomorph.keypoints.pose.data import resized
from ethomorph.keypoints.pose.decode import FoundPose
from ethomorph.keypoints.pose.table import PoseTable

BATCH, MOST_BATCH, BATCH_PIXELS = 8, 64, 2**18
"""Frames found together, and where frames are tiny as many more as have so many pixels together: what a batch costs
besides its pixels, most of all handing it from thread to thread, is then shared by more of them."""
AHEAD = 3
"""Batches that are decoded before they are needed; bounds the memory."""
SHARD = 1000
"""Frames in a shard: what is lost at most when a prediction is killed."""

Find = Callable[[list[np.ndarray]], list[list[FoundPose]]]
Batch = list[tuple[int, np.ndarray | None]]


def batch_for(size: tuple[int, int]) -> int:
    """How many frames of `size` (height, width) px are found together.

    >>> batch_for((480, 640)), batch_for((48, 48))
    (8, 64)
    """
    return max(BATCH, min(MOST_BATCH, BATCH_PIXELS // max(1, size[0] * size[1])))


def read_ahead(film: Film, start: int, stop: int, *, grey: bool, scale: float, batch: int = BATCH) -> Iterator[Batch]:
    """Batches of resized frames with their numbers, decoded by a thread `AHEAD` batches before they are needed."""
    waiting: queue.Queue[Batch | BaseException | None] = queue.Queue(maxsize=AHEAD)
    done = threading.Event()

    def put(thing: Batch | BaseException | None) -> None:
        while not done.is_set():
            try:
                waiting.put(thing, timeout=0.2)
                return
            except queue.Full:
                continue

    def read() -> None:
        try:
            some: Batch = []
            for index, picture in film.stream(start, stop, grey=grey):
                some.append((index, None if picture is None else resized(picture, scale)))
                if len(some) == batch:
                    put(some)
                    some = []
                if done.is_set():
                    return
            if some:
                put(some)
            put(None)
        except BaseException as error:  # handed to the consumer, which raises it
            put(error)

    thread = threading.Thread(target=read, name="read", daemon=True)
    thread.start()
    try:
        while (thing := waiting.get()) is not None:
            if isinstance(thing, BaseException):
                raise thing
            yield thing
    finally:
        done.set()
        thread.join(timeout=10)


def find_in(batch: Batch, find: Find) -> list[tuple[int, list[FoundPose] | None]]:
    """The animals of each frame of a batch, frames of one size together; None for frames that were not decoded."""
    found: dict[int, list[FoundPose] | None] = {}
    sizes: dict[tuple[int, ...], list[int]] = {}
    for place, (index, picture) in enumerate(batch):
        if picture is None:
            found[index] = None
        else:
            sizes.setdefault(picture.shape, []).append(place)
    for places in sizes.values():
        pictures = [batch[place][1] for place in places]
        for place, animals in zip(places, find(pictures), strict=True):  # type: ignore[arg-type]
            found[batch[place][0]] = animals
    return [(index, found[index]) for index, _ in batch]


class Spool:
    """Shards of one prediction in a folder beside its output, to go on from.

    Parameters
    ----------
    folder : made where it is not there.
    facts : what the prediction depends on; shards of another one are thrown away.
    """

    def __init__(self, folder: Path, facts: dict[str, Any]) -> None:
        import json

        self.folder = folder
        marker = folder / "prediction.json"
        try:
            known = json.loads(marker.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            known = None
        if known != facts:
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir(parents=True)
            write_json(marker, facts)

    def paths(self) -> list[Path]:
        """Shards in order of their frames."""
        return sorted(self.folder.glob("*.npz"))

    @property
    def next(self) -> int:
        """The first frame that no shard holds."""
        paths = self.paths()
        return self.read(paths[-1]).stop if paths else 0

    def write(self, table: PoseTable) -> Path:
        path = self.folder / f"{table.start:010d}.npz"
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **table.arrays())  # type: ignore[arg-type]
        return path

    def read(self, path: Path) -> PoseTable:
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return PoseTable.from_arrays(arrays)
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                f"a damaged shard ({error})", place=path, fix="delete the folder and predict again"
            ) from None

    def tables(self) -> Iterator[PoseTable]:
        """Every shard, one at a time."""
        for path in self.paths():
            yield self.read(path)

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def predict_film(
    film: Film, find: Find, *, nodes: int, grey: bool, scale: float, start: int = 0, stop: int | None = None,
    advance: Callable[[int], None] | None = None, shard: int = SHARD,
) -> Iterator[PoseTable]:  # fmt: skip
    """Tables of `shard` frames each, in order, as they are found."""
    stop = len(film) if stop is None else min(stop, len(film))
    kept: list[tuple[int, list[FoundPose] | None]] = []
    for batch in read_ahead(film, start, stop, grey=grey, scale=scale, batch=min(shard, batch_for(film.size))):
        kept += find_in(batch, find)
        if advance is not None:
            advance(len(batch))
        if len(kept) >= shard:
            yield PoseTable.of(kept, nodes, kept[0][0])
            kept = []
    if kept:
        yield PoseTable.of(kept, nodes, kept[0][0])


class frame_progress:
    """A bar with frames a second and the time left, on standard error; gives a function to call with what is done."""

    def __init__(self, name: str, total: int, shown: bool, *, done: int = 0) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[speed]} frames/s"), TimeRemainingColumn(),
        )  # fmt: skip
        console = Console(stderr=True)
        self.bar = Progress(*columns, console=console, disable=not shown or not console.is_terminal, transient=True)
        self.task = self.bar.add_task(name, total=total, completed=done, speed="-")
        self.count, self.begun = 0, time.monotonic()

    def __enter__(self) -> Callable[[int], None]:
        self.bar.start()
        return self.advance

    def advance(self, more: int) -> None:
        self.count += more
        speed = self.count / max(1e-6, time.monotonic() - self.begun)
        self.bar.update(self.task, advance=more, speed=f"{speed:.1f}")

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

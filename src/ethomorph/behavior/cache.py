"""Decoded clips kept on disk: one file of uint8 frames that training reads like memory.

A cache belongs to one canvas; a clip is decoded again only where its video, its stretch or the canvas changed. Clips
that cannot be read are told, never skipped in silence.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from ethomorph.behavior.video import Canvas, place_of, read_clip
from ethomorph.core.clips import Clip, ClipSet
from ethomorph.core.errors import ImageError
from ethomorph.core.files import write_json
from ethomorph.formats.record import listed

WRITE_EVERY = 200  # clips decoded between two notes of what is done, so that a killed run goes on where it was


@dataclass
class Decoded:
    """Frames of clips.

    Attributes
    ----------
    frames : (clips, frames, height, width, channels) uint8, usually a map of a file; rows of bad clips are 0.
    bad : index of each clip that could not be read, with the reason.
    """

    frames: np.ndarray
    bad: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def good(self) -> list[int]:
        return [i for i in range(len(self)) if i not in self.bad]


def decode(
    clips: ClipSet,
    canvas: Canvas,
    folder: str | Path | None = None,
    *,
    workers: int | None = None,
    progress: bool = False,
) -> Decoded:
    """Decode clips, from the cache in `folder` where they are there already.

    Parameters
    ----------
    folder : where the cache is kept; None decodes into memory.
    workers : threads; as many as there are processors where left out.
    """
    workers = workers or os.cpu_count() or 1
    if folder is None:
        frames = np.zeros((len(clips), *canvas.shape), np.uint8)
        return Decoded(frames, _fill(frames, clips.clips, range(len(clips)), canvas, workers, progress))
    return _cached(clips, canvas, Path(folder), workers, progress)


def refuse_bad(clips: ClipSet, decoded: Decoded) -> None:
    """Raise ImageError naming the clips that cannot be read."""
    if decoded.bad:
        first = next(iter(decoded.bad.values()))
        names = [clips[i].name for i in decoded.bad]
        raise ImageError(
            f"{len(names)} of {len(clips)} clips cannot be read: {listed(names)}; the first: {first}",
            place=clips.source,
            fix="export them again, or leave them out with settings.unreadable = 'leave_out'",
        )


def _cached(clips: ClipSet, canvas: Canvas, folder: Path, workers: int, progress: bool) -> Decoded:
    """The cache holds its clips in the order in which they came; a clip is known by its file and stretch."""
    keys = [key_of(clip) for clip in clips]
    place = folder_of(folder, canvas)
    index_file, frames_file = place / "index.json", place / "frames.npy"
    index: dict[str, int] = {}
    bad: dict[str, str] = {}
    rows = 0
    if index_file.exists() and frames_file.exists():
        try:
            known = json.loads(index_file.read_text(encoding="utf-8"))
            index, bad, rows = known["rows"], known["bad"], len(np.load(frames_file, mmap_mode="r"))
        except (ValueError, KeyError, OSError):
            index, bad, rows = {}, {}, 0
    index = {key: row for key, row in index.items() if row < rows}
    missing = [i for i, key in enumerate(keys) if key not in index]
    if missing:
        place.mkdir(parents=True, exist_ok=True)
        used = max(index.values(), default=-1) + 1
        store = _grown(frames_file, used + len(missing), canvas, keep=used)
        for start in range(0, len(missing), WRITE_EVERY):
            part = missing[start : start + WRITE_EVERY]
            spots = {i: used + start + n for n, i in enumerate(part)}
            failed = _fill(store, clips.clips, part, canvas, workers, progress, spots)
            index |= {keys[i]: row for i, row in spots.items()}
            bad |= {keys[i]: why for i, why in failed.items()}
            store.flush()
            write_json(index_file, {"canvas": asdict(canvas), "rows": index, "bad": bad})
    whole = np.load(frames_file, mmap_mode="r")
    order = np.array([index[key] for key in keys])
    straight = len(order) and (np.diff(order) == 1).all()
    frames = whole[order[0] : order[-1] + 1] if straight else Rows(whole, order)
    return Decoded(frames, {i: bad[key] for i, key in enumerate(keys) if key in bad})  # type: ignore[arg-type]


class Rows:
    """Chosen rows of a mapped array, in another order, read only when they are asked for."""

    def __init__(self, whole: np.ndarray, order: np.ndarray) -> None:
        self.whole, self.order = whole, order
        self.shape, self.dtype = (len(order), *whole.shape[1:]), whole.dtype

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int | slice | Sequence[int] | np.ndarray) -> np.ndarray:
        return self.whole[self.order[index]]


def folder_of(folder: Path, canvas: Canvas) -> Path:
    """Where a cache keeps what belongs to a canvas."""
    described = json.dumps(asdict(canvas), sort_keys=True)
    return folder / hashlib.sha256(described.encode()).hexdigest()[:12]


def key_of(clip: Clip) -> str:
    """What tells whether a clip is still the one that was decoded: path, size, time of change, and stretch."""
    try:
        stat = clip.path.stat() if clip.path else None
    except OSError:
        stat = None
    facts = [str(clip.path), stat and stat.st_size, stat and stat.st_mtime_ns, clip.start_s, clip.stop_s]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]


def _grown(file: Path, rows: int, canvas: Canvas, *, keep: int) -> np.memmap:
    """The cache's file with room for `rows` clips, its first `keep` kept; moved into place once it is there."""
    fresh = file.with_suffix(".new.npy")
    store = np.lib.format.open_memmap(fresh, mode="w+", dtype=np.uint8, shape=(rows, *canvas.shape))
    if keep:
        old = np.load(file, mmap_mode="r")
        for start in range(0, keep, WRITE_EVERY):
            store[start : min(keep, start + WRITE_EVERY)] = old[start : min(keep, start + WRITE_EVERY)]
    store.flush()
    os.replace(fresh, file)
    return store


def _fill(
    store: np.ndarray, clips: list[Clip], which: Sequence[int], canvas: Canvas, workers: int, progress: bool,
    spots: dict[int, int] | None = None,
) -> dict[int, str]:  # fmt: skip
    """Decode clips into their rows of `store`; returns why some could not be."""
    from rich.console import Console
    from rich.progress import track

    def one(i: int) -> str | None:
        try:
            store[spots[i] if spots else i] = read_clip(clips[i], canvas)
        except ImageError as error:
            return str(error) if str(error).startswith(str(clips[i].path)) else f"{place_of(clips[i])}: {error}"
        return None

    bad: dict[int, str] = {}
    with ThreadPoolExecutor(max_workers=workers) as pool:
        futures = {pool.submit(one, i): i for i in which}
        done = track(
            as_completed(futures), "decoding clips", total=len(futures), console=Console(stderr=True), transient=True,
            disable=not progress,
        )  # fmt: skip
        for future in done:
            reason = future.result()
            if reason is not None:
                bad[futures[future]] = reason
    return dict(sorted(bad.items()))

"""Whole videos predicted into one file: shard by shard, resumable, tracked where there are several animals."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ethomorph.core.errors import ImageError
from ethomorph.formats.poses import WRITERS, read_poses, video_named, write_poses
from ethomorph.formats.slp_tables import write_slp_tables
from ethomorph.formats.video import Film, PictureFilm, is_video, open_film
from ethomorph.keypoints.pose.estimator import PoseEstimator
from ethomorph.keypoints.pose.stream import Spool, frame_progress
from ethomorph.keypoints.pose.table import PoseTable
from ethomorph.keypoints.pose.track import Tracking, renumbered, track_tables


def predict_videos(
    model: PoseEstimator, inputs: Sequence[str | Path], *, out: str | Path, sheet: str | Path | None = None,
    tracking: Tracking | None = None, skip_bad: bool = False, progress: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """Predict every frame of some videos.

    What was found so far lies in ``.<out>.part/`` until the end: the same call again goes on from there.

    Parameters
    ----------
    inputs : videos, folders of pictures, pictures.
    out : the file to write; its suffix says the format.
    sheet : also draw a sheet of frames with their poses.
    tracking : how animals are followed; None, or a model of one animal, gives every animal of a video one track.
    skip_bad : leave unreadable videos out and say so.

    Returns
    -------
    ``out``, ``images`` (frames), ``found`` (animals), ``not_found`` (frames without one), ``seconds``,
    ``frames_per_second``, ``runtimes``, ``notes``, ``skipped``.

    Raises
    ------
    ImageError : an unreadable video (unless `skip_bad`), or none at all.
    FormatError : a suffix that no writer knows.
    """
    out = Path(out)
    refuse_unknown_suffix(out)
    films, skipped = open_all(inputs, skip_bad)
    begun, done, empty, lost = time.monotonic(), 0, 0, 0
    spools: list[Spool] = []
    for number, film in enumerate(films):
        facts = {"model": model.identity(), "video": film.name, "frames": len(film), "number": number}
        spool = Spool(out.parent / f".{out.name}.part" / f"{number:04d}", facts)
        first = spool.next
        with frame_progress(film.name, len(film), progress, done=first) as advance:
            for table in model.tables(film, start=first, advance=advance):
                spool.write(table)
                done += table.stop - table.start
        spools.append(spool)
    seconds = time.monotonic() - begun
    videos = [video_named(name_of(film)) for film in films]
    tracks: list[str] = []
    plans = []
    for spool, film in zip(spools, films, strict=True):
        numbers, count = follow(spool, model, tracking, film)
        plans.append((spool, numbers, len(tracks)))
        tracks += [f"animal {len(tracks) + i + 1}" for i in range(count)]

    def every() -> Iterator[tuple[int, PoseTable]]:
        nonlocal empty, lost
        for video, (spool, numbers, first) in enumerate(plans):
            for table in spool.tables():
                table = renumbered(table, np.where(numbers >= 0, numbers + first, -1)) if numbers is not None else table
                empty += (table.stop - table.start) - len(set(table.frames.tolist()))
                lost += len(table.lost)
                yield video, table

    native = out if out.suffix == ".slp" else out.with_suffix(".part.slp")
    counts = write_slp_tables(native, every(), videos, model.scheme_.skeleton(), tracks)
    notes = [f"{film.name}: {note}" for film in films for note in film.notes]
    if lost:
        notes.append(f"{lost} frames could not be decoded; their rows are there and empty")
    if native != out:
        labels, _ = read_poses(native)
        notes += write_poses(labels, out)
        native.unlink()
    for spool in spools:
        spool.remove()
    for folder in (out.parent / f".{out.name}.part",):
        folder.rmdir()
    if sheet is not None:
        from ethomorph.keypoints.pose.draw import draw_video_sheet

        draw_video_sheet(films[0], out, Path(sheet))
    return {
        "out": str(out), "images": counts["frames"], "found": counts["instances"], "not_found": empty,
        "tracks": len(tracks), "seconds": round(seconds, 2), "skipped": skipped, "notes": notes,
        "frames_per_second": round(done / seconds, 2) if done and seconds > 0 else None,
        "runtimes": {name: [str(trial) for trial in trials] for name, trials in model.trials_.items()},
    }  # fmt: skip


def follow(spool: Spool, model: PoseEstimator, tracking: Tracking | None, film: Film) -> tuple[Any, int]:
    """The final number of each track of one video, written into its shards, and how many there are."""
    if model.method == "single_instance":
        for table in spool.tables():
            table.tracks[:] = 0
            spool.write(table)
        return np.zeros(1, np.int32), 1
    moved, tracker = track_tables(spool.tables(), tracking or Tracking(animals=1), film)
    for table in moved:
        spool.write(table)
    numbers = tracker.joined()
    if tracker.looks is not None:
        film.notes.append(tracker.looks.note)
    return numbers, int(numbers.max()) + 1 if len(numbers) else 0


def open_all(inputs: Sequence[str | Path], skip_bad: bool) -> tuple[list[Film], list[str]]:
    """Films of the inputs; several single pictures are one film."""
    films: list[Film] = []
    skipped: list[str] = []
    pictures = [Path(one) for one in inputs if not is_video(one) and Path(one).is_file()]
    for one in [*([pictures] if pictures else []), *(i for i in inputs if Path(i) not in pictures)]:
        try:
            films.append(open_film(one))
        except ImageError as error:
            if not skip_bad:
                raise
            skipped.append(str(error))
    if not films:
        raise ImageError("there is no video to predict", fix="give videos or folders of pictures")
    return films, skipped


def name_of(film: Film) -> Any:
    """What a label file calls a film: its absolute path, or those of its pictures."""
    if isinstance(film, PictureFilm):
        return [str(path.absolute()) for path in film.paths]
    path = getattr(film, "path", None)
    return str(path.absolute()) if path is not None else film.name


def refuse_unknown_suffix(out: Path) -> None:
    """Raise FormatError before any work where nothing can be written under this name."""
    from ethomorph.core.errors import FormatError

    if not any(out.name.lower().endswith(suffix) for suffix in WRITERS):
        raise FormatError(
            f"no pose format has the suffix {out.suffix!r}", place=out, fix=f"use one of {', '.join(WRITERS)}"
        )

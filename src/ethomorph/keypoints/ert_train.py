"""Trains regression trees with dlib, in a process of its own.

dlib cannot be interrupted, reports progress only on standard output and ends the process on a severe error; a child
process can be watched, timed and stopped. `train_cascade` starts it; ``python -m ethomorph.keypoints.ert_train FOLDER``
is the child.
"""

from __future__ import annotations

import contextlib
import json
import math
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from ethomorph.keypoints.cascade import Cascade
from ethomorph.keypoints.dat import read_dat
from ethomorph.keypoints.ert_child import DATASET, ERRORS, OPTIONS, PREDICTOR, SECONDS
from ethomorph.keypoints.ert_settings import STARTS

PROGRESS = re.compile(rb"Progress: (\d+)/(\d+)")
WATCHED_SHARE = 0.03
"""Share of the trees after which the total time is predicted, if at least `WATCHED_S` have passed."""
WATCHED_S = 2.0
TICK_S = 0.5
"""The clock is looked at this often, whether dlib says something or not."""
MOST_SLOWER = 1000
"""Where nothing is finished when time is up, training is taken to be this many times too slow."""
PILOT_TREES, PILOT_OVERSAMPLING = 16, 4
RESTARTS = 2
SAFETY = 0.85
"""Share of the allowed time that a shortened training aims at."""


@dataclass(frozen=True)
class Example:
    """One picture and its specimens: uint8 grey (y, x), and per specimen the points (landmarks, 2) and the box."""

    pixels: np.ndarray
    points: list[np.ndarray]
    boxes: list[tuple[int, int, int, int]]


class TooSlow(Exception):
    """Training would take `factor` times as long as is allowed."""

    def __init__(self, factor: float) -> None:
        super().__init__(f"{factor:.1f} times too slow")
        self.factor = factor


def train_cascade(
    examples: list[Example],
    options: dict[str, Any],
    *,
    max_minutes: float | None = None,
    report: Callable[[float], None] | None = None,
) -> tuple[Cascade, dict[str, Any]]:
    """Train dlib's shape predictor.

    Parameters
    ----------
    examples : pictures with points in px (rounded to whole pixels, as dlib stores them); NaN rows are missing parts.
    options : attributes of ``dlib.shape_predictor_training_options``.
    max_minutes : where a few trees trained ahead, or the progress made, show that training would take longer, it gets
        proportionally less oversampling, and after that fewer trees; the options that were used are returned.
    report : called with the finished share in 0..1.

    Returns
    -------
    The cascade, and the options used.
    """
    deadline = math.inf if max_minutes is None else time.monotonic() + 60 * max_minutes
    with tempfile.TemporaryDirectory(prefix="ethomorph-ert-") as name:
        folder = Path(name)
        write_examples(examples, folder)
        said = report or (lambda share: None)
        if max_minutes is not None:
            options = shortened(options, _pilot_seconds(folder, options) / (SAFETY * (deadline - time.monotonic())))
        for _ in range(RESTARTS):
            try:
                _run_child(folder, options, deadline, said)
                return read_dat(folder / PREDICTOR), options
            except TooSlow as slow:
                options = shortened(options, slow.factor)
        # Better late than never: what is left to do is little.
        _run_child(folder, options, math.inf, said)
        return read_dat(folder / PREDICTOR), options


def shortened(options: dict[str, Any], factor: float) -> dict[str, Any]:
    """Options that train `factor` times as fast, if that is more than 1: oversampling is given up first, then trees."""
    if 0 <= factor <= 1:
        return options
    factor = factor if 0 < factor < math.inf else MOST_SLOWER
    before = options["oversampling_amount"]
    oversampling = max(min(STARTS, before), int(before / factor))
    rest = factor * oversampling / before
    trees = options["num_trees_per_cascade_level"]
    if oversampling == before or rest > 1:
        trees = max(1, min(trees - 1, int(trees / max(rest, 1.0)))) if trees > 1 else 1
    return options | {"oversampling_amount": oversampling, "num_trees_per_cascade_level": trees}


def write_examples(examples: list[Example], folder: Path) -> None:
    """Write pictures and dlib's XML; dlib sorts names as text, so they are zero-padded; missing parts are left out."""
    import cv2

    images = []
    for number, example in enumerate(examples):
        cv2.imwrite(str(folder / f"{number:06d}.png"), example.pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        boxes = "".join(_box_xml(p, b) for p, b in zip(example.points, example.boxes, strict=True))
        images.append(f"<image file='{number:06d}.png'>{boxes}</image>")
    text = f"<?xml version='1.0'?>\n<dataset><images>\n{chr(10).join(images)}\n</images></dataset>\n"
    (folder / DATASET).write_text(text, encoding="ascii")


def _box_xml(points: np.ndarray, box: tuple[int, int, int, int]) -> str:
    left, top, right, bottom = box
    whole = np.floor(points + 0.5)
    parts = "".join(
        f"<part name='{i:04d}' x='{int(x)}' y='{int(y)}'/>" for i, (x, y) in enumerate(whole) if np.isfinite(x + y)
    )
    return f"<box top='{top}' left='{left}' width='{right - left + 1}' height='{bottom - top + 1}'>{parts}</box>"


def _pilot_seconds(folder: Path, options: dict[str, Any]) -> float:
    """How long training will take, from a few trees on a part of the start shapes; time is linear in both."""
    oversampling = min(PILOT_OVERSAMPLING, options["oversampling_amount"])
    few = {"cascade_depth": 1, "num_trees_per_cascade_level": PILOT_TREES, "oversampling_amount": oversampling}
    _run_child(folder, options | few, math.inf, lambda share: None)
    trees = options["cascade_depth"] * options["num_trees_per_cascade_level"]
    more = options["oversampling_amount"] / oversampling * trees / PILOT_TREES
    return float((folder / SECONDS).read_text()) * more


def _run_child(folder: Path, options: dict[str, Any], deadline: float, report: Callable[[float], None]) -> None:
    (folder / OPTIONS).write_text(json.dumps(options))
    started = time.monotonic()
    with (folder / ERRORS).open("wb") as errors:
        child = subprocess.Popen(
            [sys.executable, "-m", "ethomorph.keypoints.ert_child", str(folder)], stdout=subprocess.PIPE, stderr=errors
        )
        try:
            for share in _shares(child):
                report(share)
                _refuse_late(share, time.monotonic() - started, deadline)
            status = child.wait()
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
    if status != 0:
        said = (folder / ERRORS).read_text(errors="replace").strip().splitlines()
        raise RuntimeError(f"dlib ended with status {status}: {said[-1] if said else 'it said nothing'}")
    report(1.0)


def _refuse_late(share: float, spent: float, deadline: float) -> None:
    """Raise TooSlow once the total is predictable and beyond the deadline, or the deadline is over."""
    left = deadline - time.monotonic()
    predictable = share >= WATCHED_SHARE and spent >= WATCHED_S
    needed = spent / share - spent if share > 0 else math.inf
    if left <= 0 or (predictable and needed > left):
        total = min(needed + spent, MOST_SLOWER * spent)
        # The new attempt has only what is left, and at least a little, so that it ends.
        raise TooSlow(max(1.5, total / max(SAFETY * left, 1.0)))


def _shares(child: subprocess.Popen[bytes]) -> Iterator[float]:
    """The finished share, every `TICK_S` or whenever dlib says something new, until the child ends its output."""
    assert child.stdout is not None
    heard: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_listen, args=(child.stdout, heard), daemon=True).start()
    share, tail = 0.0, b""
    while True:
        try:
            chunk = heard.get(timeout=TICK_S)
        except queue.Empty:
            yield share
            continue
        if not chunk:
            return
        tail = (tail + chunk)[-4096:]
        # The line rewrites itself with carriage returns: the last entry is the latest.
        found = PROGRESS.findall(tail)
        if found:
            share = int(found[-1][0]) / int(found[-1][1])
        yield share


def _listen(stream: IO[bytes], heard: queue.Queue[bytes]) -> None:
    """Pass on what arrives, and an empty chunk at the end."""
    with contextlib.suppress(OSError, ValueError):
        while chunk := stream.read1(4096):  # type: ignore[attr-defined]
            heard.put(chunk)
    heard.put(b"")

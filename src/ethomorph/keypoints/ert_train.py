"""Trains regression trees with dlib, in a process of its own.

dlib cannot be interrupted, reports progress only on standard output and ends the process on a severe error; a child
process can be watched, timed and stopped. `train_cascade` starts it; ``python -m ethomorph.keypoints.ert_train FOLDER``
is the child.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from ethomorph.keypoints.cascade import Cascade
from ethomorph.keypoints.dat import read_dat
from ethomorph.keypoints.ert_child import DATASET, ERRORS, OPTIONS, PREDICTOR

PROGRESS = re.compile(rb"Progress: (\d+)/(\d+)")
WATCHED_SHARE = 0.03
"""Share of the trees after which the total time is predicted, if at least `WATCHED_S` have passed."""
WATCHED_S = 2.0
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
    max_minutes : where training would take longer, it starts again with proportionally less oversampling, then with
        fewer trees; the options that were used are returned.
    report : called with the finished share in 0..1.

    Returns
    -------
    The cascade, and the options used.
    """
    deadline = math.inf if max_minutes is None else time.monotonic() + 60 * max_minutes
    with tempfile.TemporaryDirectory(prefix="ethomorph-ert-") as name:
        folder = Path(name)
        write_examples(examples, folder)
        while True:
            try:
                _run_child(folder, options, deadline, report or (lambda share: None))
                return read_dat(folder / PREDICTOR), options
            except TooSlow as slow:
                options = shortened(options, slow.factor)


def shortened(options: dict[str, Any], factor: float) -> dict[str, Any]:
    """Options that train `factor` times as fast: oversampling is given up first, then trees."""
    oversampling = max(1, int(options["oversampling_amount"] / factor))
    rest = factor * oversampling / options["oversampling_amount"]
    trees = options["num_trees_per_cascade_level"]
    if oversampling == options["oversampling_amount"] or rest > 1:
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


def _run_child(folder: Path, options: dict[str, Any], deadline: float, report: Callable[[float], None]) -> None:
    (folder / OPTIONS).write_text(json.dumps(options))
    started = time.monotonic()
    with (folder / ERRORS).open("wb") as errors:
        child = subprocess.Popen(
            [sys.executable, "-m", "ethomorph.keypoints.ert_child", str(folder)], stdout=subprocess.PIPE, stderr=errors
        )
        try:
            assert child.stdout is not None
            for share in _shares(child.stdout):
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
    """Raise TooSlow once the total is predictable and beyond the deadline."""
    left = deadline - time.monotonic()
    if (share >= WATCHED_SHARE and spent >= WATCHED_S) or left <= 0:
        needed = spent / max(share, 1e-3) - spent
        if needed > max(left, 0.0):
            # The new attempt has only what is left, and at least a little, so that it ends.
            raise TooSlow(max(1.2, (needed + spent) / max(SAFETY * left, 1.0)))


def _shares(stream: IO[bytes]) -> Iterator[float]:
    """Finished shares from dlib's progress line, which rewrites itself with carriage returns."""
    tail = b""
    while chunk := stream.read1(4096):  # type: ignore[attr-defined]
        tail += chunk
        found = PROGRESS.findall(tail)
        if found:
            yield int(found[-1][0]) / int(found[-1][1])
        tail = tail[-64:]


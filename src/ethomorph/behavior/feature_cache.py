"""Features of clips kept beside their decoded frames, so that no clip is looked at twice by the same code.

A row belongs to a clip's file and stretch, to the canvas, and to `VERSION`, which is raised whenever features change
their meaning.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ethomorph.behavior.cache import folder_of, key_of
from ethomorph.behavior.video import Canvas
from ethomorph.core.clips import ClipSet
from ethomorph.core.files import atomic_path, write_json

VERSION = 1
NAME = "features"


def cached_features(
    clips: ClipSet, canvas: Canvas, folder: Path | None, compute: Callable[[list[int]], tuple[np.ndarray, list[str]]]
) -> tuple[np.ndarray, list[str]]:
    """(clips, features) float32 and the features' names.

    Parameters
    ----------
    folder : the cache's folder; None keeps nothing.
    compute : rows and names for clips by their index; asked only for those that are not kept.
    """
    if folder is None:
        return compute(list(range(len(clips))))
    place = folder_of(folder, canvas)
    index_file, rows_file = place / f"{NAME}.json", place / f"{NAME}.npy"
    rows, names, values = _kept(index_file, rows_file)
    keys = [key_of(clip) for clip in clips]
    missing = [i for i, key in enumerate(keys) if key not in rows]
    if missing:
        fresh, names = compute(missing)
        begin = len(values)
        values = np.concatenate([values, fresh]) if begin else fresh
        rows |= {keys[i]: begin + n for n, i in enumerate(missing)}
        place.mkdir(parents=True, exist_ok=True)
        with atomic_path(rows_file) as temporary:
            np.save(temporary, values)
        write_json(index_file, {"version": VERSION, "names": names, "rows": rows})
    return values[[rows[key] for key in keys]], names


def _kept(index_file: Path, rows_file: Path) -> tuple[dict[str, int], list[str], np.ndarray]:
    """What an earlier run has kept; nothing where that was another version or is damaged."""
    nothing: tuple[dict[str, int], list[str], np.ndarray] = ({}, [], np.zeros((0, 0), np.float32))
    try:
        known = json.loads(index_file.read_text(encoding="utf-8"))
        values = np.load(rows_file)
        rows = {str(key): int(row) for key, row in known["rows"].items() if row < len(values)}
        if known["version"] != VERSION or values.shape[1] != len(known["names"]):
            return nothing
    except (OSError, ValueError, KeyError, TypeError):
        return nothing
    return rows, [str(name) for name in known["names"]], values

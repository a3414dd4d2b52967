"""A volume cut into planes along all three axes, on disk: any slice is one short read, and no server holds a volume.

Built once a volume by ``python -m ethomorph.review.planes``, in a process of its own, because a packed volume has to be
unpacked whole. Images become eight bits between their 0.2nd and 99.8th percentile; segments become numbers from 1.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ethomorph.core.files import write_json

AXES = ("z", "y", "x")
SLAB = 32
"""Planes that are turned at once."""
TYPES: dict[str, np.dtype[Any]] = {
    "image": np.dtype(np.uint8), "truth": np.dtype(np.uint16), "prediction": np.dtype(np.uint16),
}  # fmt: skip
MOST_SAMPLES = 400_000
DONE = "planes.json"


class Planes:
    """The planes of one volume, on disk in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._facts: dict[str, Any] | None = None

    @property
    def ready(self) -> bool:
        return (self.folder / DONE).is_file()

    @property
    def facts(self) -> dict[str, Any]:
        """Shape, spacing, segments and instances, as `build` found them."""
        if self._facts is None:
            self._facts = json.loads((self.folder / DONE).read_text(encoding="utf-8"))
        return self._facts

    def plane(self, which: str, axis: str, index: int) -> np.ndarray:
        """One slice: (y, x) for z, (z, x) for y, (z, y) for x. Raises IndexError outside, FileNotFoundError without."""
        shape = self.facts["shape"]
        if not 0 <= index < shape[AXES.index(axis)]:
            raise IndexError(index)
        size = [n for name, n in zip(AXES, shape, strict=True) if name != axis]
        kind = TYPES[which]
        count = size[0] * size[1]
        with (self.folder / f"{which}-{axis}.bin").open("rb") as stream:
            stream.seek(index * count * kind.itemsize)
            return np.frombuffer(stream.read(count * kind.itemsize), kind).reshape(size)


def build(image: Path, truth: Path | None, prediction: Path | None, folder: Path) -> dict[str, Any]:
    """Cut an image and its segmentations into planes; returns and leaves the facts, last of all."""
    from ethomorph.core.volume import paired
    from ethomorph.formats.volumes import read_image, read_labels

    folder.mkdir(parents=True, exist_ok=True)
    volume = read_image(image)
    low, high = _window(volume.array)
    scale = 255 / max(high - low, 1e-12)
    _cut(volume.array, folder, "image", lambda slab: np.clip((slab.astype(np.float32) - low) * scale + 0.5, 0, 255))
    facts: dict[str, Any] = {
        "shape": list(volume.grid.shape), "spacing": list(volume.grid.spacing), "window": [low, high],
        "segments": {}, "instances": [],
    }  # fmt: skip
    numbered: dict[str, np.ndarray] = {}
    for which, path in (("truth", truth), ("prediction", prediction)):
        if path is not None:
            labels = paired(volume, read_labels(path))
            numbered[which] = _numbers(labels)
            _cut(numbered[which], folder, which, lambda slab: slab)
            facts["segments"][which] = [
                {"id": i, "name": s.name, "color": list(s.color)} for i, s in enumerate(labels.segments, start=1)
            ]
    facts["instances"] = _instances(numbered, facts)
    write_json(folder / DONE, facts)
    return facts


def _window(array: np.ndarray) -> tuple[float, float]:
    flat = array.reshape(-1)
    sample = np.asarray(flat[:: max(1, len(flat) // MOST_SAMPLES)], dtype=np.float64)
    low, high = np.percentile(sample, [0.2, 99.8])
    return float(low), float(high) if high > low else float(low) + 1


def _cut(array: np.ndarray, folder: Path, which: str, shown: Any) -> None:
    """Write the planes along z, y and x; slab by slab, so that memory stays small."""
    kind = TYPES[which]
    depth, height, width = array.shape
    handles = [os.open(folder / f"{which}-{axis}.bin", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644) for axis in AXES]
    try:
        for start in range(0, depth, SLAB):
            slab = np.ascontiguousarray(shown(array[start : start + SLAB]), dtype=kind)
            os.pwrite(handles[0], slab.tobytes(), start * height * width * kind.itemsize)
            for axis, other, handle in ((1, width, handles[1]), (2, height, handles[2])):
                turned = np.ascontiguousarray(np.moveaxis(slab, axis, 0))
                for i in range(slab.shape[axis]):
                    place = (i * depth + start) * other * kind.itemsize
                    os.pwrite(handle, turned[i].tobytes(), place)
    finally:
        for handle in handles:
            os.close(handle)


def _numbers(labels: Any) -> np.ndarray:
    """(z, y, x) number of the segment on top, from 1 in the order of the table."""
    out = np.zeros(labels.grid.shape, np.uint16)
    for layer in range(len(labels.layers)):
        values = [(s.value, i) for i, s in enumerate(labels.segments, start=1) if s.layer == layer]
        table = np.zeros(int(max([labels.layers[layer].max(), *(v for v, _ in values)])) + 1, np.uint16)
        for value, number in values:
            table[value] = number
        new = table[labels.layers[layer]]
        out = np.where(new > 0, new, out)
    return out


def _instances(numbered: dict[str, np.ndarray], facts: dict[str, Any]) -> list[dict[str, Any]]:
    """A row a segment of the truth, or of the prediction where there is none: voxels, centre, best Dice."""
    main = "truth" if "truth" in numbered else "prediction"
    if main not in numbered:
        return []
    array, segments = numbered[main], facts["segments"][main]
    counts = np.bincount(array.reshape(-1), minlength=len(segments) + 1)
    centres = _centres(array, counts)
    best = _overlaps(array, numbered["prediction"], counts) if main == "truth" and "prediction" in numbered else {}
    rows = [
        {"id": s["id"], "name": s["name"], "voxels": int(counts[s["id"]]), "centre": centres[s["id"]],
         **best.get(s["id"], {"dice": None, "other": None})}
        for s in segments if counts[s["id"]]
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (1.0 if row["dice"] is None else row["dice"], -row["voxels"]))


def _centres(array: np.ndarray, counts: np.ndarray) -> list[list[int]]:
    """(z, y, x) of a voxel of each number, near the middle of its mass."""
    sums = np.zeros((3, len(counts)))
    for z, plane in enumerate(array):
        flat = np.bincount(plane.reshape(-1), minlength=len(counts))
        sums[0] += flat * z
        ys, xs = np.nonzero(plane)
        sums[1] += np.bincount(plane[ys, xs], ys, len(counts))
        sums[2] += np.bincount(plane[ys, xs], xs, len(counts))
    with np.errstate(invalid="ignore"):
        means = np.nan_to_num(sums / counts).round().astype(int)
    return [[int(v) for v in means[:, i]] for i in range(len(counts))]


def _overlaps(truth: np.ndarray, other: np.ndarray, counts: np.ndarray) -> dict[int, dict[str, Any]]:
    """For each number of the truth: the number of the prediction that overlaps it most, and their Dice."""
    wide = int(other.max()) + 1
    joint = np.zeros(len(counts) * wide, np.int64)
    for a, b in zip(truth, other, strict=True):
        joint += np.bincount(a.reshape(-1).astype(np.int64) * wide + b.reshape(-1), minlength=len(joint))
    table = joint.reshape(len(counts), wide)
    theirs = table.sum(axis=0)
    found: dict[int, dict[str, Any]] = {}
    for number in range(1, len(counts)):
        if counts[number]:
            dice = 2 * table[number, 1:] / np.maximum(counts[number] + theirs[1:], 1)
            best = int(dice.argmax()) if len(dice) else -1
            lost = best < 0 or dice[best] == 0
            found[number] = {"dice": 0.0 if lost else round(float(dice[best]), 4), "other": None if lost else best + 1}
    return found


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    truth, prediction = (Path(given[k]) if given.get(k) else None for k in ("truth", "prediction"))
    build(Path(given["image"]), truth, prediction, Path(given["folder"]))

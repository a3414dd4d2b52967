"""`Cascade`: an ensemble of regression trees that moves a mean shape onto the landmarks of a specimen in a box.

This evaluates what dlib's shape predictor learns (Kazemi and Sullivan 2014), in numpy, for many boxes at once and
without dlib's rounding to whole pixels. It does not train and reads no files; `ert_train` and `dat` do.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from scipy.sparse import csr_array

CHUNK = 64
"""Boxes evaluated together: enough to hide numpy's overhead, few enough to stay in the cache."""


@dataclass(frozen=True)
class Cascade:
    """The fitted arrays; coordinates are relative to the box: (0, 0) its top left, (1, 1) its bottom right pixel.

    Attributes
    ----------
    initial : float32 (landmarks, 2), the mean shape that every fit starts from.
    anchors : int32 (levels, pool), the landmark that each feature pixel is tied to.
    offsets : float32 (levels, pool, 2), feature pixel minus its landmark, in the mean shape.
    first, second : int32 (levels, trees, nodes), the two feature pixels a node compares.
    thresholds : float32 (levels, trees, nodes), grey levels; a node goes left where first - second is larger.
    leaves : float32 (levels, trees, nodes + 1, landmarks, 2), the step that a leaf adds to the shape.
    """

    initial: np.ndarray
    anchors: np.ndarray
    offsets: np.ndarray
    first: np.ndarray
    second: np.ndarray
    thresholds: np.ndarray
    leaves: np.ndarray

    @property
    def landmarks(self) -> int:
        return len(self.initial)

    @property
    def depth(self) -> int:
        """Comparisons from root to leaf."""
        return int(self.first.shape[2] + 1).bit_length() - 1

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name, for safetensors."""
        return {field.name: np.array(getattr(self, field.name), order="C") for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Cascade:
        """The inverse of `to_arrays`; raises ValueError where the arrays do not fit together."""
        cascade = cls(**{field.name: arrays[field.name] for field in fields(cls)})
        refuse_inconsistent(cascade)
        return cascade

    def reordered(self, order: np.ndarray) -> Cascade:
        """The same fits with landmark ``order[i]`` of this cascade as landmark i."""
        place = np.empty(len(order), dtype=np.int32)
        place[order] = np.arange(len(order), dtype=np.int32)
        return Cascade(
            initial=self.initial[order], anchors=place[self.anchors], offsets=self.offsets, first=self.first,
            second=self.second, thresholds=self.thresholds, leaves=np.ascontiguousarray(self.leaves[:, :, :, order]),
        )

    def fit(self, images: list[np.ndarray], which: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Landmarks of one specimen per box.

        Parameters
        ----------
        images : uint8 grey pictures (y, x).
        which : int (boxes,), the picture of each box.
        boxes : (boxes, 4) left, top, right, bottom px, inclusive.

        Returns
        -------
        points : float64 (boxes, landmarks, 2) px.
        """
        which, boxes = np.asarray(which, dtype=np.intp), np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
        found = np.empty((len(boxes), self.landmarks, 2))
        for start in range(0, len(boxes), CHUNK):
            part = slice(start, start + CHUNK)
            found[part] = self._fit_chunk(images, which[part], boxes[part])
        return found

    def _fit_chunk(self, images: list[np.ndarray], which: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        corner, size = boxes[:, None, :2], boxes[:, None, 2:] - boxes[:, None, :2]
        shape = np.repeat(self.initial[None], len(boxes), axis=0)
        for level in range(len(self.anchors)):
            turn = similarity_matrices(self.initial, shape)
            pixels = np.matmul(self.offsets[level][None], turn.transpose(0, 2, 1)) + shape[:, self.anchors[level]]
            values = grey_at(images, which, corner + size * pixels)
            leaf = self._leaf_index(level, values)
            steps = self.leaves[level].reshape(-1, self.landmarks * 2)
            # One sparse product adds up the chosen leaves several times faster than gathering them.
            chosen = csr_array(
                (np.ones(leaf.size, dtype=np.float32), leaf.ravel(), np.arange(0, leaf.size + 1, leaf.shape[1])),
                shape=(len(leaf), len(steps)),
            )
            shape = shape + (chosen @ steps).reshape(shape.shape)
        return corner + size * shape.astype(np.float64)

    def _leaf_index(self, level: int, values: np.ndarray) -> np.ndarray:
        """(boxes, trees) row of each box's leaf in the level's leaves, flattened over trees."""
        trees, nodes = self.first.shape[1:]
        first, second = self.first[level].ravel(), self.second[level].ravel()
        thresholds = self.thresholds[level].ravel()
        row = (np.arange(len(values), dtype=np.intp) * values.shape[1])[:, None]
        root = (np.arange(trees, dtype=np.intp) * nodes)[None]
        values, node = values.ravel(), np.zeros((len(values), trees), dtype=np.intp)
        for _ in range(self.depth):
            at = root + node
            a, b = first.take(at, mode="clip"), second.take(at, mode="clip")
            difference = values.take(row + a, mode="clip") - values.take(row + b, mode="clip")
            node = 2 * node + 2 - (difference > thresholds.take(at, mode="clip"))
        return node - nodes + np.arange(trees) * (nodes + 1)


def similarity_matrices(source: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Rotation times scale (n, 2, 2) that best turns `source` (p, 2) into each of `targets` (n, p, 2), no reflection.

    Least squares in the complex plane: ``a = sum(conj(s) t) / sum(|s|^2)`` on centred points. One landmark, or a source
    without extent, has no direction: identity.
    """
    s = (source - source.mean(axis=0)).astype(np.float64)
    t = (targets - targets.mean(axis=1, keepdims=True)).astype(np.float64)
    extent = float((s**2).sum())
    if len(source) < 2 or extent == 0:
        return np.repeat(np.eye(2, dtype=np.float32)[None], len(targets), axis=0)
    a = (t * s).sum(axis=(1, 2)) / extent
    b = (t[..., 1] * s[:, 0] - t[..., 0] * s[:, 1]).sum(axis=1) / extent
    return np.stack([np.stack([a, -b], -1), np.stack([b, a], -1)], axis=1).astype(np.float32)


def grey_at(images: list[np.ndarray], which: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Grey levels float32 (n, m) at the pixels nearest to `points` (n, m, 2); 0 outside the picture."""
    whole = np.floor(points + 0.5).astype(np.intp)
    values = np.empty(whole.shape[:2], dtype=np.float32)
    for i, image in enumerate(which):
        pixels = images[image]
        x, y = whole[i, :, 0], whole[i, :, 1]
        inside = (x >= 0) & (y >= 0) & (x < pixels.shape[1]) & (y < pixels.shape[0])
        values[i] = np.where(inside, pixels.ravel().take(np.where(inside, y * pixels.shape[1] + x, 0)), 0)
    return values


def refuse_inconsistent(cascade: Cascade) -> None:
    """Raise ValueError where shapes disagree or an index points outside its array."""
    levels, pool = cascade.anchors.shape
    trees, nodes = cascade.first.shape[1:]
    expected = {
        "initial": (cascade.landmarks, 2), "offsets": (levels, pool, 2), "first": (levels, trees, nodes),
        "second": (levels, trees, nodes), "thresholds": (levels, trees, nodes),
        "leaves": (levels, trees, nodes + 1, cascade.landmarks, 2),
    }
    for name, shape in expected.items():
        if getattr(cascade, name).shape != shape:
            raise ValueError(f"{name} has shape {getattr(cascade, name).shape}, not {shape}")
    if min(cascade.landmarks, levels, pool, trees) < 1 or nodes + 1 != 1 << cascade.depth:
        raise ValueError(f"{levels} levels of {trees} trees with {nodes} nodes over {pool} pixels are no cascade")
    for name, limit in (("anchors", cascade.landmarks), ("first", pool), ("second", pool)):
        indices = getattr(cascade, name)
        if indices.min() < 0 or indices.max() >= limit:
            raise ValueError(f"{name} points outside 0..{limit - 1}")
    for name in ("initial", "offsets", "thresholds", "leaves"):
        if not np.isfinite(getattr(cascade, name)).all():
            raise ValueError(f"{name} holds values that are not finite")

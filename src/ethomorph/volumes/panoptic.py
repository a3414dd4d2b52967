"""Instances against instances: strict panoptic quality, splits and merges, from one table of overlaps.

A true and a predicted instance match where their intersection over union is above one half; then at most one can
(Kirillov et al. 2019, Panoptic Segmentation). At exactly one half nothing matches, where some libraries count a match.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PIECE = 0.1
"""A predicted piece counts towards a split where it holds at least this share of the true instance."""


@dataclass(frozen=True)
class Panoptic:
    """Counts of one class in one volume.

    Attributes
    ----------
    overlaps : intersection over union of the matched pairs.
    pairs : (true id, predicted id) of the matched.
    missed, spurious : ids of true instances without a match, and of predicted ones.
    split : true instances that two or more predicted instances share, each of which lies mostly in it.
    merged : predicted instances that hold most of two or more true ones.
    truth, predicted : how many there are.
    """

    overlaps: np.ndarray
    pairs: list[tuple[int, int]]
    missed: list[int]
    spurious: list[int]
    split: list[int]
    merged: list[int]
    truth: int
    predicted: int

    @property
    def sums(self) -> tuple[float, int, int, int]:
        """Sum of overlaps, true positives, false positives, false negatives: what pools over volumes."""
        return float(self.overlaps.sum()), len(self.pairs), len(self.spurious), len(self.missed)


def compare_instances(truth: np.ndarray, predicted: np.ndarray) -> Panoptic:
    """Compare two (z, y, x) arrays of whole ids, 0 being nothing.

    Examples
    --------
    >>> found = compare_instances(np.array([[[1, 1, 1, 2]]]), np.array([[[7, 7, 0, 0]]]))
    >>> found.pairs, found.missed, round(float(found.overlaps[0]), 3)
    ([(1, 7)], [2], 0.667)
    """
    true_ids, predicted_ids, shared, true_size, predicted_size = overlap_table(truth, predicted)
    with np.errstate(invalid="ignore", divide="ignore"):
        union = true_size[:, None] + predicted_size[None, :] - shared
        overlap = np.where(union > 0, shared / union, 0.0)
    rows, columns = np.nonzero(overlap > 0.5)
    mine = shared > 0.5 * predicted_size[None, :]
    pieces = (mine & (shared >= PIECE * true_size[:, None])).sum(axis=1)
    held = (shared > 0.5 * true_size[:, None]).sum(axis=0)
    return Panoptic(
        overlap[rows, columns],
        [(int(true_ids[r]), int(predicted_ids[c])) for r, c in zip(rows, columns, strict=True)],
        [int(v) for i, v in enumerate(true_ids) if i not in set(rows.tolist())],
        [int(v) for i, v in enumerate(predicted_ids) if i not in set(columns.tolist())],
        [int(true_ids[i]) for i in np.flatnonzero(pieces > 1)],
        [int(predicted_ids[i]) for i in np.flatnonzero(held > 1)],
        len(true_ids), len(predicted_ids),
    )  # fmt: skip


def overlap_table(
    truth: np.ndarray, predicted: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Ids of both sides, voxels shared by each pair (true, predicted), and the sizes of each; 0 is left out."""
    high, wide = int(truth.max(initial=0)) + 1, int(predicted.max(initial=0)) + 1
    if high * wide > 2**26:  # sparse ids: number them densely first
        true_names, truth = np.unique(truth, return_inverse=True)
        predicted_names, predicted = np.unique(predicted, return_inverse=True)
        if true_names[0] != 0:
            true_names, truth = np.insert(true_names, 0, 0), truth + 1
        if predicted_names[0] != 0:
            predicted_names, predicted = np.insert(predicted_names, 0, 0), predicted + 1
        high, wide = len(true_names), len(predicted_names)
    else:
        true_names, predicted_names = np.arange(high), np.arange(wide)
    codes = truth.astype(np.int64) * wide + predicted
    table = np.bincount(codes.ravel(), minlength=high * wide).reshape(high, wide).astype(float)
    rows, columns = table.sum(axis=1) > 0, table.sum(axis=0) > 0
    rows[0] = columns[0] = False
    sizes = table[rows].sum(axis=1), table[:, columns].sum(axis=0)
    return true_names[rows], predicted_names[columns], table[rows][:, columns], *sizes


def panoptic_quality(sums: np.ndarray) -> float:
    """PQ of pooled rows (sum of overlaps, TP, FP, FN); NaN where there is nothing on either side.

    >>> panoptic_quality(np.array([[0.8, 1, 1, 0]]))
    0.5333333333333333
    """
    overlap, tp, fp, fn = np.atleast_2d(sums).sum(axis=0)
    return float(overlap / (tp + fp / 2 + fn / 2)) if tp + fp + fn else float("nan")


def segmentation_quality(sums: np.ndarray) -> float:
    """SQ: mean overlap of the matched pairs; NaN where none matched."""
    overlap, tp, _, _ = np.atleast_2d(sums).sum(axis=0)
    return float(overlap / tp) if tp else float("nan")


def recognition_quality(sums: np.ndarray) -> float:
    """RQ, which is F1 at an intersection over union above one half."""
    _, tp, fp, fn = np.atleast_2d(sums).sum(axis=0)
    return float(tp / (tp + fp / 2 + fn / 2)) if tp + fp + fn else float("nan")

"""What the training specimens have in common: their mean shape, and how far each landmark strays from it.

It turns specimens the same way up and says where to look again; it does not judge shapes, which is the shape prior's
business.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ethomorph.keypoints import augment

LEAST_REACH = 0.01  # of the mean shape's size: the least doubt about where a landmark lies


@dataclass(frozen=True)
class Template:
    """The mean shape in patch pixels.

    Attributes
    ----------
    mean : (landmarks, 2) px about the origin.
    reach : (landmarks,) standard deviation along an axis of specimens about it, px.
    levels : resolutions at which patches are cut; level l shows a region 2^l times as wide as level 0.
    """

    mean: np.ndarray
    reach: np.ndarray
    levels: int

    @classmethod
    def fit(cls, shapes: np.ndarray) -> Template:
        """From shapes (n, landmarks, 2), NaN where missing: turned as the most complete one lies, of the median size.

        Generalised Procrustes by alternating a similarity fit to the mean and the mean of what was fitted; missing
        landmarks are left out of both. Reach is measured with robust fits, so that a part that moves by itself, such as
        a scale bar, has a long one and does not lengthen those of the others.
        """
        complete = shapes[np.isfinite(shapes).all(-1).sum(1).argmax()]
        mean = np.nan_to_num(complete - np.nanmean(complete, axis=0))
        seen = np.isfinite(complete).all(1)
        for _ in range(6):
            target = np.where(seen[:, None], mean, np.nan)
            matrices = [robust_similarity(shape, target, rounds=1) for shape in shapes]
            fitted = np.array([augment.move(shape, matrix) for shape, matrix in zip(shapes, matrices, strict=True)])
            mean = np.nanmean(fitted, axis=0)
            seen = np.ones(len(mean), dtype=bool)
            mean -= mean.mean(axis=0)
            mean /= np.median([size_of(matrix) for matrix in matrices])
        fitted = np.array([augment.move(shape, robust_similarity(shape, mean)) for shape in shapes])
        reach = np.sqrt(np.nanmean(((fitted - mean) ** 2).sum(-1), axis=0) / 2)
        return cls(mean, reach, 1)

    @property
    def size(self) -> float:
        """Diagonal of the mean shape's box, px; 0 for a single landmark."""
        return float(np.linalg.norm(np.ptp(self.mean, axis=0)))

    def scaled(self, factor: float, *, levels: int) -> Template:
        """The template for patches of another resolution."""
        return Template(self.mean * factor, self.reach * factor, levels)

    def expected(self, points: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where each landmark should lie by a robust fit to all of `points` (landmarks, 2), and with what deviation."""
        matrix = np.linalg.inv(robust_similarity(points, self.mean, weights))
        deviation = (1.5 * self.reach + LEAST_REACH * self.size) * size_of(matrix)
        return augment.move(self.mean, matrix), deviation


def size_of(matrix: np.ndarray) -> float:
    """By how much a similarity or affinity (3, 3) enlarges lengths, on average."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))


def robust_similarity(
    source: np.ndarray, target: np.ndarray, weights: np.ndarray | None = None, *, rounds: int = 10
) -> np.ndarray:
    """3x3 matrix of the similarity that takes `source` (n, 2) to `target`, led astray little by a few wild points.

    Least squares in complex numbers, reweighted with Geman-McClure weights 1 / (1 + (r / (2 median r))^2)^2. Rows with
    NaN are ignored. One usable point gives a shift, none the identity.
    """
    keep = np.isfinite(source).all(1) & np.isfinite(target).all(1)
    a, b = source[keep] @ [1, 1j], target[keep] @ [1, 1j]
    if not len(a):
        return np.eye(3)
    base = np.ones(len(a)) if weights is None else np.maximum(weights[keep], 1e-3)
    weight, turn, shift = base, 1 + 0j, 0j
    for _ in range(rounds):
        middle_a, middle_b = np.average(a, weights=weight), np.average(b, weights=weight)
        power = (weight * abs(a - middle_a) ** 2).sum()
        turn = (weight * (b - middle_b) * np.conj(a - middle_a)).sum() / power if power > 1e-9 else 1 + 0j
        turn = turn if abs(turn) > 1e-6 else 1 + 0j
        shift = middle_b - turn * middle_a
        residual = abs(turn * a + shift - b)
        weight = base / (1 + (residual / (2 * np.median(residual) + 1e-6)) ** 2) ** 2
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag], [0.0, 0.0, 1.0]])

"""`ShapePrior`: what shapes specimens have, to find landmarks that cannot be right and to fill those not seen.

Shapes are Procrustes-aligned and described by one Gaussian with a shrunken covariance, which is PCA without having to
choose a number of axes. It looks at coordinates only, never at pictures, and cannot tell a monster from a mistake.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from itertools import combinations

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.shape.procrustes import centroid_size, generalized_procrustes, similarity, superimpose

LEAST_SPECIMENS = 3
ROUNDS = 4
"""Rounds of filling gaps and estimating again while training (they change little after the second)."""
FOLDS = 10
"""Training shapes are judged by priors that have not seen them, in this many turns (fewer shapes: one by one)."""
RARE = 5e-4
"""A landmark is an outlier where the others would put it this far away in fewer than this share of specimens."""
STRETCH = 1.3
"""Thresholds are at least this much beyond what 98 % of the training shapes show when left out."""
SWAP_GAIN = 0.5
"""An exchange is reported where it takes away at least this share of the squared distance from the mean shape."""
MAX_SWAP_PAIRS = 3000
UNSURE = 0.05
"""Spread, as a share of centroid size, beyond which a landmark's place is a guess."""


@dataclass(frozen=True)
class ShapePrior:
    """The fitted Gaussian, in units of the aligned shapes (centroid size 1).

    Attributes
    ----------
    mean : (p, 2) mean shape.
    covariance : (2p, 2p) of aligned coordinates x1, y1, x2 ...
    point_limit : (p,) conditional distance beyond which a landmark is an outlier.
    shape_limit : distance of a whole shape beyond which something is wrong.
    """

    mean: np.ndarray
    covariance: np.ndarray
    point_limit: np.ndarray
    shape_limit: np.ndarray
    precision: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "precision", np.linalg.inv(self.covariance))

    @classmethod
    def fit(cls, points: np.ndarray, *, seed: int = 0) -> ShapePrior:
        """Learn from shapes (n, p, 2), NaN where missing.

        Raises
        ------
        LabelError : fewer than `LEAST_SPECIMENS` shapes, fewer than 3 landmarks, or shapes that cannot be aligned.
        """
        points = np.asarray(points, dtype=float)
        refuse_unteachable(points)
        whole = _gaussian(points)
        fold = np.random.default_rng(seed).permutation(len(points)) % min(FOLDS, len(points))
        distances, lengths = np.full(points.shape[:2], np.nan), np.full(len(points), np.nan)
        for turn in range(fold.max() + 1):
            mine, others = fold == turn, fold != turn
            if others.sum() < LEAST_SPECIMENS or not np.isfinite(points[others]).all(axis=2).any(axis=0).all():
                continue
            unseen = _gaussian(points[others])
            distances[mine], lengths[mine] = unseen.distances(points[mine])
        if np.isnan(distances).all():
            distances, lengths = whole.distances(points)
        return cls(whole.mean, whole.covariance, point_limits(distances), np.array(shape_limit(lengths)))

    def distances(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far each landmark is from where the others put it, and each shape from the mean shape.

        Parameters
        ----------
        points : (n, p, 2) px; NaN rows are filled first and have no distance.

        Returns
        -------
        (n, p) conditional Mahalanobis distances, NaN where missing, and (n,) Mahalanobis distances of whole shapes.
        """
        points = np.asarray(points, dtype=float)
        seen = np.isfinite(points).all(axis=2)
        filled = np.stack([self.fill(p) for p in points]) if not seen.all() else points
        aligned = superimpose(filled, self.mean)
        residual = (aligned - self.mean).reshape(len(points), -1)
        pull = residual @ self.precision
        blocks = np.linalg.inv(_diagonal_blocks(self.precision))
        each = pull.reshape(points.shape)
        conditional = np.sqrt(np.maximum(np.einsum("npi,pij,npj->np", each, blocks, each), 0))
        whole = np.sqrt(np.maximum((pull * residual).sum(axis=1), 0))
        return np.where(seen, conditional, np.nan), whole

    def fill(self, points: np.ndarray, *, trust: np.ndarray | None = None) -> np.ndarray:
        """A copy of (p, 2) with missing landmarks put where the visible ones lead one to expect them.

        Parameters
        ----------
        points : px, NaN rows missing.
        trust : (p,) boolean; landmarks that are not to be trusted are filled like missing ones.

        With fewer than two trusted landmarks nothing can be placed, and the gaps remain.
        """
        points = np.asarray(points, dtype=float)
        seen = np.isfinite(points).all(axis=1)
        seen &= True if trust is None else trust
        if seen.all() or seen.sum() < 2 or np.ptp(points[seen], axis=0).max() == 0:
            return points.copy()
        fit = similarity(np.where(seen[:, None], points, np.nan), self.mean)
        known, gaps = np.repeat(seen, 2), np.repeat(~seen, 2)
        residual = (fit.apply(points) - self.mean).ravel()[known]
        cross = self.covariance[np.ix_(gaps, known)]
        expected = cross @ np.linalg.solve(self.covariance[np.ix_(known, known)], residual)
        out = points.copy()
        out[~seen] = fit.inverse().apply(self.mean[~seen] + expected.reshape(-1, 2))
        return out

    def outliers(self, points: np.ndarray) -> np.ndarray:
        """Boolean (p,): landmarks of (p, 2) that the others contradict.

        Each in turn is left out of alignment and shape; the one without which the rest is most like a specimen goes
        first, if it lies too far from where the rest puts it, and the rest is judged again.
        """
        points = np.asarray(points, dtype=float).copy()
        wrong = np.zeros(len(points), dtype=bool)
        while True:
            seen = np.flatnonzero(np.isfinite(points).all(axis=1))
            each, whole = self.distances(points[None])
            suspicious = whole[0] > self.shape_limit or (each[0][seen] > self.point_limit[seen]).any()
            if not suspicious or len(seen) <= max(3, len(points) // 2):
                return wrong
            filled, rest = self._without_each(points)
            best = int(rest.argmin())
            landmark = seen[best]
            if self._away(points[landmark], filled[best], landmark) <= self.point_limit[landmark]:
                return wrong
            wrong[landmark] = True
            points[landmark] = np.nan

    def _without_each(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Shapes (s, p, 2), each with another visible landmark put where the rest expects it; their distances (s,)."""
        seen = np.flatnonzero(np.isfinite(points).all(axis=1))
        without = np.repeat(points[None], len(seen), axis=0)
        without[np.arange(len(seen)), seen] = np.nan
        filled = np.stack([self.fill(p) for p in without])
        return filled, self.distances(filled)[1]

    def _away(self, point: np.ndarray, shape: np.ndarray, landmark: int) -> float:
        """Conditional distance of `point` (2,) from its landmark in `shape` (p, 2), which is aligned without it."""
        fit = similarity(shape, self.mean)
        gap = fit.apply(point) - fit.apply(shape[landmark])
        block = self.precision[2 * landmark : 2 * landmark + 2, 2 * landmark : 2 * landmark + 2]
        return float(np.sqrt(gap @ block @ gap))

    def swaps(self, points: np.ndarray, pairs: Sequence[tuple[int, int]] | None = None) -> list[tuple[int, int]]:
        """Pairs of landmarks of (p, 2) that fit much better when exchanged, in the order in which they are set right.

        Parameters
        ----------
        pairs : candidates; by default every pair of landmarks that look wrong as they stand.
        """
        points = np.asarray(points, dtype=float).copy()
        found: list[tuple[int, int]] = []
        each, whole = self.distances(points[None])
        if not whole[0] > self.shape_limit:
            return found
        suspects = np.flatnonzero(each[0] > self.point_limit)
        candidates = list(pairs) if pairs is not None else list(combinations(suspects.tolist(), 2))[:MAX_SWAP_PAIRS]
        while candidates and whole[0] > self.shape_limit:
            tried = np.repeat(points[None], len(candidates), axis=0)
            for row, (i, j) in enumerate(candidates):
                tried[row, [i, j]] = tried[row, [j, i]]
            after = self.distances(tried)[1]
            best = int(after.argmin())
            # A single stray landmark also fits better elsewhere; then leaving it out explains more than an exchange.
            if after[best] ** 2 > (1 - SWAP_GAIN) * whole[0] ** 2 or after[best] > self._without_each(points)[1].min():
                break
            found.append(candidates.pop(best))
            points, whole = tried[best], after[best : best + 1]
        return found

    def mirrored(self, points: np.ndarray) -> bool:
        """Whether the whole of (p, 2) fits as a mirror image, and not as it is."""
        _, whole = self.distances(np.stack([points, points * [-1, 1]]))
        return bool(whole[0] > self.shape_limit and whole[1] ** 2 < (1 - SWAP_GAIN) * whole[0] ** 2)

    def check(
        self, points: np.ndarray, spread: np.ndarray | None = None, *, names: Sequence[str] | None = None,
        pairs: Sequence[tuple[int, int]] | None = None,
    ) -> tuple[list[str], np.ndarray]:
        """What is wrong with a specimen's landmarks, and where they would be expected instead.

        Parameters
        ----------
        points : (p, 2) px, NaN where missing.
        spread : (p,) px; a landmark that views disagree about by more than `UNSURE` of the specimen's size is filled.
        names : for the sentences; numbers from 1 by default.
        pairs : landmarks that may be mistaken for each other; default any two that look wrong.

        Returns
        -------
        flags, short sentences, none for a shape like those in training; and a copy of `points` in which exchanges are
        set right and outlying, unsure and missing landmarks stand where the others put them.
        """
        points = np.asarray(points, dtype=float)
        names = names or [str(i + 1) for i in range(len(points))]
        if np.isfinite(points).all(axis=1).sum() < 3:
            return [], points.copy()
        unsure = np.zeros(len(points), dtype=bool)
        if spread is not None:
            unsure = np.nan_to_num(spread) > UNSURE * centroid_size(points)
        each, whole = self.distances(points[None])
        if whole[0] <= self.shape_limit and not (each[0] > self.point_limit).any():
            return [], self.fill(points, trust=~unsure)
        if self.mirrored(points):
            return ["the whole specimen looks mirrored"], points.copy()
        flags, points = [], points.copy()
        for i, j in self.swaps(points, pairs):
            flags.append(f"landmarks {names[i]} and {names[j]} look exchanged")
            points[[i, j]] = points[[j, i]]
        outlying = self.outliers(points)
        wrong = [str(names[i]) for i in np.flatnonzero(outlying).tolist()]
        if len(wrong) == 1:
            flags.append(f"landmark {wrong[0]} is far from where the others put it")
        elif wrong:
            flags.append(f"landmarks {', '.join(wrong)} are far from where the others put them")
        if not flags:
            flags.append("a shape unlike any in training")
        return flags, self.fill(points, trust=~(outlying | unsure))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name, for safetensors."""
        return {f.name: np.array(getattr(self, f.name), order="C") for f in fields(self) if f.init}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> ShapePrior:
        """The inverse of `to_arrays`; raises ValueError where the arrays do not fit together."""
        values = {f.name: np.asarray(arrays[f.name], dtype=float) for f in fields(cls) if f.init}
        count = len(values["mean"])
        shapes = {"mean": (count, 2), "covariance": (2 * count, 2 * count), "point_limit": (count,), "shape_limit": ()}
        for name, shape in shapes.items():
            if values[name].shape != shape or not np.isfinite(values[name]).all():
                raise ValueError(f"{name} of the shape prior is damaged")
        return cls(**values)


def point_limits(distances: np.ndarray) -> np.ndarray:
    """(p,) limits from conditional distances (n, p) of shapes left out of training.

    In two dimensions distances follow Rayleigh's distribution up to a scale, which the median gives without being moved
    by wrong labels; the limit leaves `RARE` beyond it. A heavier tail, if training shows one, moves it out.
    """
    pooled = np.nanmedian(distances) / np.sqrt(2 * np.log(2))
    scale = np.maximum(np.nanmedian(distances, axis=0) / np.sqrt(2 * np.log(2)), 0.5 * pooled)
    scale = np.where(np.isfinite(scale), scale, pooled)
    tail = np.nanquantile(distances / scale, 0.98)
    return scale * max(np.sqrt(-2 * np.log(RARE)), STRETCH * tail)


def shape_limit(lengths: np.ndarray) -> float:
    """The limit for whole shapes, from the distances (n,) of shapes left out of training: median, MAD and tail."""
    lengths = lengths[np.isfinite(lengths)]
    middle = float(np.median(lengths))
    spread = 1.4826 * float(np.median(np.abs(lengths - middle)))
    tail = STRETCH * float(np.quantile(lengths, 0.98)) if len(lengths) >= 20 else 0.0
    return max(middle + 4 * spread, tail, 1.2 * middle)


def refuse_unteachable(points: np.ndarray) -> None:
    """Raise LabelError for too few shapes or landmarks."""
    if points.ndim != 3 or points.shape[2] != 2:
        raise LabelError(f"shapes have dimensions {points.shape}", fix="give (specimens, landmarks, 2)")
    if len(points) < LEAST_SPECIMENS or points.shape[1] < 3:
        raise LabelError(
            f"a shape prior cannot be learnt from {len(points)} specimens with {points.shape[1]} landmarks",
            fix=f"give at least {LEAST_SPECIMENS} specimens with 3 landmarks, or set shape_prior to false",
        )


def _gaussian(points: np.ndarray) -> ShapePrior:
    """Mean and covariance, without limits; gaps are filled by expectation and the estimate repeated."""
    from sklearn.covariance import ledoit_wolf

    gpa = generalized_procrustes(points)
    count = points.shape[1]
    mean, filled = gpa.mean, np.where(np.isfinite(gpa.aligned), gpa.aligned, gpa.mean)
    for _ in range(ROUNDS):
        covariance = ledoit_wolf(filled.reshape(len(filled), -1))[0]
        covariance.flat[:: len(covariance) + 1] += 1e-12  # identical training shapes have no covariance at all
        prior = ShapePrior(mean, covariance, np.full(count, np.inf), np.array(np.inf))
        if np.isfinite(points).all():
            return prior
        filled = superimpose(np.stack([prior.fill(p) for p in points]), mean)
        mean = filled.mean(axis=0)
    return prior


def _diagonal_blocks(matrix: np.ndarray) -> np.ndarray:
    """(p, 2, 2) from (2p, 2p)."""
    count = len(matrix) // 2
    index = np.arange(count)
    return matrix.reshape(count, 2, count, 2)[index, :, index, :]

"""Procrustes superimposition: two configurations onto each other, or a whole sample onto its mean.

Pure functions on coordinate arrays, 2-D or 3-D, missing landmarks as NaN. It computes no statistics of shape (see
`tangent`, `anova`) and slides no semilandmarks (see `sliding`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.shape.checks import listed

DistanceKind = Literal["partial", "full", "riemannian"]


@dataclass(frozen=True)
class Similarity:
    """The map ``x -> scale * rotation @ x + translation``.

    Attributes
    ----------
    rotation : (k, k), orthogonal; determinant -1 only where reflection was allowed and fitted better.
    scale : target units per source unit.
    translation : (k,), target units.
    """

    rotation: np.ndarray
    scale: float
    translation: np.ndarray

    @property
    def matrix(self) -> np.ndarray:
        """Homogeneous (k+1, k+1) matrix that acts on column vectors."""
        k = len(self.translation)
        matrix = np.eye(k + 1)
        matrix[:k, :k] = self.scale * self.rotation
        matrix[:k, k] = self.translation
        return matrix

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Map points (..., k); NaN stays NaN."""
        return self.scale * np.asarray(points, float) @ self.rotation.T + self.translation

    def inverse(self) -> Similarity:
        """The map back."""
        back = self.rotation.T
        return Similarity(back, 1 / self.scale, -back @ self.translation / self.scale)


@dataclass(frozen=True)
class Gpa:
    """What `generalized_procrustes` gives.

    Attributes
    ----------
    mean : (p, k), average of `aligned` over the specimens that show the landmark.
    aligned : (n, p, k), NaN where the specimen lacks the landmark.
    centroid_size : (n,), in the units of the input.
    procrustes_distance : (n,), root sum of squared distances between `aligned` and `mean`.
    iterations : how many were needed.
    converged : whether the mean stood still within the tolerance.
    """

    mean: np.ndarray
    aligned: np.ndarray
    centroid_size: np.ndarray
    procrustes_distance: np.ndarray
    iterations: int
    converged: bool


def generalized_procrustes(
    points: np.ndarray,
    *,
    scale: bool = True,
    full: bool = False,
    reflect: bool = False,
    tolerance: float = 1e-10,
    max_iterations: int = 200,
) -> Gpa:
    """Superimpose a sample of configurations on its mean shape.

    Each iteration fits every specimen to the unit-size mean by least squares over the rotation (Gower 1975, Rohlf &
    Slice 1990). The default is the *partial* superimposition, which most of the field means by GPA: every specimen has
    centroid size 1. ``full=True`` also chooses each specimen's scale by least squares (cos rho instead of 1).

    A specimen with missing landmarks is fitted on those it shows: their centroid goes to the centroid of the same
    landmarks in the mean, their size to the size these have in the mean. Its centroid size is that of the whole
    configuration which the mean's proportions imply, so complete and incomplete specimens can be compared, and its
    Procrustes distance is scaled up by the share of landmarks seen.

    Parameters
    ----------
    points : (n, p, k), k 2 or 3, NaN rows missing.
    scale : remove size; False keeps it (size-and-shape, "form").
    full : fit the scale as well; ignored where `scale` is False.
    reflect : allow mirror images to be fitted.
    tolerance : largest movement of the unit-size mean, as root sum of squares, that counts as standing still.
    max_iterations : limit; see `Gpa.converged`.

    Returns
    -------
    Gpa, oriented like the specimen with the most landmarks (the first of them).

    Raises
    ------
    LabelError
        Where a specimen shows fewer than k landmarks or all its landmarks coincide, a landmark is nowhere visible, or
        the specimens share too few landmarks to be brought together.

    Examples
    --------
    >>> triangle = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    >>> gpa = generalized_procrustes(np.stack([triangle, 2 * triangle + 5]))
    >>> gpa.centroid_size.round(3).tolist(), float(gpa.procrustes_distance.max().round(9))
    ([4.082, 8.165], 0.0)
    """
    points = _checked(points)
    n, p, k = points.shape
    visible = np.isfinite(points).all(axis=2)
    refuse_unusable(points, visible)
    start = int(visible.sum(axis=1).argmax())
    mean = np.where(visible[start, :, None], points[start], np.nan)
    mean = (mean - np.nanmean(mean, axis=0)) / (centroid_size(mean) if scale else 1.0)
    iterations, converged = 0, False
    while not converged and iterations < max_iterations:
        iterations += 1
        fit = _fit(points, mean, reflect=reflect)
        with np.errstate(invalid="ignore", divide="ignore"):  # nothing shared with the mean yet: set aside below
            factor = fit.target_size / fit.source_size * (fit.cosine if full else 1.0) if scale else np.ones(n)
        aligned = _apply(points, fit, factor)
        aligned[fit.shared < k] = np.nan  # joins once the mean knows enough of its landmarks
        average, known = _average(aligned)
        previous, mean = mean, average - np.nanmean(average, axis=0)
        if scale:
            mean /= centroid_size(mean)
        # While the mean still gains landmarks its size changes its meaning, so movement is not yet comparable.
        settled = known.all() and np.isfinite(previous).all()
        converged = bool(settled and np.linalg.norm(mean - previous) <= tolerance * centroid_size(mean))
        if not known.all() and np.array_equal(known, np.isfinite(previous).all(axis=1)):
            break  # no specimen can join any more
    refuse_disconnected(aligned, average)
    total = centroid_size(previous) if np.isfinite(previous).all() else fit.target_size
    squared = np.nansum((aligned - average) ** 2, axis=(1, 2)) * p / visible.sum(axis=1)
    return Gpa(average, aligned, fit.source_size / fit.target_size * total, np.sqrt(squared), iterations, converged)


def similarity(source: np.ndarray, target: np.ndarray, *, scale: bool = True, reflect: bool = False) -> Similarity:
    """Least-squares similarity that maps `source` onto `target`, over the landmarks that both show.

    Umeyama (1991), IEEE PAMI 13:376-380.

    Parameters
    ----------
    source, target : (p, k), NaN rows are ignored.
    scale : fit the scale; False gives a rigid motion.
    reflect : allow a mirror image.

    Raises
    ------
    LabelError
        Fewer than k shared landmarks, or the source's coincide.

    Examples
    --------
    >>> square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    >>> fit = similarity(square, 3 * square + [2.0, 0.0])
    >>> round(fit.scale, 6), fit.translation.round(6).tolist()
    (3.0, [2.0, 0.0])
    """
    source, target = np.asarray(source, float), np.asarray(target, float)
    refuse_unequal(source, target)
    k = source.shape[1]
    fit = _fit(source[None], target, reflect=reflect)
    if fit.shared[0] < k or fit.source_size[0] == 0:
        raise LabelError(f"only {fit.shared[0]} distinct landmarks are shared", fix=f"a {k}-D fit needs at least {k}")
    factor = float(fit.target_size[0] / fit.source_size[0] * fit.cosine[0]) if scale else 1.0
    rotation = fit.rotation[0].T
    return Similarity(rotation, factor, fit.target_centre[0] - factor * rotation @ fit.source_centre[0])


def superimpose(source: np.ndarray, target: np.ndarray, *, scale: bool = True, reflect: bool = False) -> np.ndarray:
    """Map each of `source` (n, p, k) onto its own `target` (n, p, k), or all onto one (p, k), by least squares.

    The batched form of `similarity`; specimens that share fewer than k landmarks with their target come back as NaN.
    """
    source = _checked(source)
    fit = _fit(source, np.asarray(target, float), reflect=reflect)
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = fit.target_size / fit.source_size * fit.cosine if scale else np.ones(len(source))
    unusable = (fit.shared < source.shape[2]) | (fit.source_size == 0)
    return _apply(source, fit, np.where(unusable, np.nan, factor))


def centroid_size(points: np.ndarray) -> np.ndarray:
    """Root sum of squared distances of the visible landmarks (..., p, k) to their centroid; shape (...).

    Examples
    --------
    >>> float(centroid_size(np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])))
    2.0
    """
    points = np.asarray(points, float)
    weight = np.isfinite(points).all(axis=-1)
    return _moments(points, weight)[1]


def procrustes_distance(
    a: np.ndarray, b: np.ndarray, *, kind: DistanceKind = "partial", reflect: bool = False
) -> np.ndarray:
    """Procrustes distance between shapes (n, p, k) or (p, k) and `b` (n, p, k) or (p, k), over shared landmarks.

    With rho the angle between the two pre-shapes after the best rotation (Dryden & Mardia 2016, ch. 4): `riemannian`
    rho, `partial` 2 sin(rho / 2), `full` sin(rho).

    Examples
    --------
    >>> a = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    >>> float(procrustes_distance(a, 7 * a[:, ::-1] * [-1.0, 1.0] + 2).round(6))
    0.0
    """
    a = np.asarray(a, float)
    stack = a if a.ndim == 3 else a[None]
    fit = _fit(stack, np.asarray(b, float), reflect=reflect)
    rho = np.arccos(np.clip(fit.cosine, -1, 1))
    # arccos is flat at 1: for near-identical shapes take the chord from the residual itself.
    residual = superimpose(stack, b, reflect=reflect) - b
    sine = np.sqrt(np.nansum(residual**2, axis=(1, 2))) / fit.target_size
    rho = np.where(rho < 0.1, np.arcsin(np.clip(sine, 0, 1)), rho)
    rho = np.where(fit.shared < stack.shape[2], np.nan, rho)
    distance = {"riemannian": rho, "partial": 2 * np.sin(rho / 2), "full": np.sin(rho)}[kind]
    return distance if a.ndim == 3 or np.ndim(b) == 3 else distance[0]


def refuse_unusable(points: np.ndarray, visible: np.ndarray) -> None:
    """Raise LabelError for specimens with too few or coinciding landmarks, and for landmarks that no specimen shows."""
    k = points.shape[2]
    few = np.flatnonzero(visible.sum(axis=1) < k)
    if len(few):
        raise LabelError(
            f"specimens {listed(few + 1)} show fewer than {k} landmarks", fix="leave them out of the superimposition"
        )
    nowhere = np.flatnonzero(~visible.any(axis=0))
    if len(nowhere):
        raise LabelError(f"landmarks {listed(nowhere + 1)} are missing in every specimen", fix="leave them out")
    flat = np.flatnonzero(centroid_size(points) == 0)
    if len(flat):
        raise LabelError(f"all landmarks of specimens {listed(flat + 1)} coincide", fix="correct or leave them out")


def refuse_disconnected(aligned: np.ndarray, mean: np.ndarray) -> None:
    """Raise LabelError where specimens share too few landmarks for one superimposition."""
    apart = np.flatnonzero(~np.isfinite(aligned).any(axis=(1, 2)))
    if len(apart) or not np.isfinite(mean).all():
        raise LabelError(
            f"specimens {listed(apart + 1)} share too few landmarks with the others",
            fix="leave them, or the landmarks that only they show, out",
        )


def refuse_unequal(a: np.ndarray, b: np.ndarray) -> None:
    """Raise LabelError where two configurations differ in landmark count or dimension."""
    if a.shape != b.shape or a.ndim != 2 or a.shape[1] not in (2, 3):
        raise LabelError(f"configurations of shape {a.shape} and {b.shape}", fix="give two arrays (landmarks, 2 or 3)")


class _Fit(NamedTuple):
    """Least-squares rotations and what scale and translation follow from, one row a specimen."""

    rotation: np.ndarray  # (n, k, k), acts on row vectors from the right
    cosine: np.ndarray  # (n,), cos rho between the centred unit-size configurations
    source_centre: np.ndarray
    target_centre: np.ndarray
    source_size: np.ndarray
    target_size: np.ndarray
    shared: np.ndarray


def _fit(source: np.ndarray, target: np.ndarray, *, reflect: bool) -> _Fit:
    """Fit each source (n, p, k) to the target (p, k) or (n, p, k) over the landmarks both show."""
    target = np.broadcast_to(target, source.shape) if target.ndim == 2 else target
    weight = np.isfinite(source).all(axis=2) & np.isfinite(target).all(axis=2)
    source_centre, source_size = _moments(source, weight)
    target_centre, target_size = _moments(target, weight)
    seen = weight[..., None]
    x = np.where(seen, source - source_centre[:, None], 0.0)
    y = np.where(seen, target - target_centre[:, None], 0.0)
    u, singular, vt = np.linalg.svd(np.swapaxes(x, 1, 2) @ y)
    if not reflect:
        sign = np.where(np.linalg.det(u @ vt) < 0, -1.0, 1.0)
        u[:, :, -1] *= sign[:, None]
        singular[:, -1] *= sign
    size = source_size * target_size
    cosine = np.divide(singular.sum(axis=1), size, out=np.ones_like(size), where=size > 0)
    return _Fit(u @ vt, cosine, source_centre, target_centre, source_size, target_size, weight.sum(axis=1))


def _apply(points: np.ndarray, fit: _Fit, factor: np.ndarray) -> np.ndarray:
    centred = points - fit.source_centre[:, None]
    return factor[:, None, None] * (centred @ fit.rotation) + fit.target_centre[:, None]


def _moments(points: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centroid (..., k) and centroid size (...) of the landmarks with weight; zeros where none has."""
    seen = weight[..., None]
    count = np.maximum(weight.sum(axis=-1), 1)[..., None]
    centre = np.where(seen, points, 0.0).sum(axis=-2) / count
    squared = np.where(seen, (points - centre[..., None, :]) ** 2, 0.0).sum(axis=(-1, -2))
    return centre, np.sqrt(squared)


def _average(aligned: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (p, k) over the specimens that show each landmark, NaN where none does, and which are known (p,)."""
    visible = np.isfinite(aligned).all(axis=2)
    count = visible.sum(axis=0)[:, None]
    total = np.where(visible[..., None], aligned, 0.0).sum(axis=0)
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean, count[:, 0] > 0


def _checked(points: np.ndarray) -> np.ndarray:
    points = np.asarray(points, dtype=float)
    if points.ndim != 3 or points.shape[2] not in (2, 3) or not len(points):
        raise LabelError(f"coordinates have shape {points.shape}", fix="give (specimens, landmarks, 2 or 3)")
    return np.where(np.isfinite(points).all(axis=2, keepdims=True), points, np.nan)

"""The flat space in which shapes are analysed: tangent projection and principal components, there and back.

It takes superimposed shapes (see `procrustes`) without gaps; it tests no hypotheses (see `anova`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ethomorph.shape.checks import complete_sample
from ethomorph.shape.procrustes import centroid_size, superimpose


@dataclass(frozen=True)
class ShapeSpace:
    """Principal components of a sample of shapes, largest variance first.

    Attributes
    ----------
    mean : (p, k), the sample mean in tangent space.
    vectors : (components, p * k), orthonormal, each signed so that its largest loading is positive.
    variances : (components,), of the scores (denominator n - 1).
    explained : (components,), share of the total variance.
    scores : (n, components).
    """

    mean: np.ndarray
    vectors: np.ndarray
    variances: np.ndarray
    explained: np.ndarray
    scores: np.ndarray

    def project(self, points: np.ndarray) -> np.ndarray:
        """Scores (n, components) of raw configurations (n, p, k), superimposed on the mean at unit size.

        Raises LabelError where landmarks are missing.
        """
        points = complete_sample(points, least=1)
        pole = self.mean - self.mean.mean(axis=0)
        pole = pole / centroid_size(pole)
        aligned = superimpose(points, pole)
        aligned /= centroid_size(aligned)[:, None, None]
        flat = tangent_project(aligned, pole).reshape(len(points), -1)
        return (flat - self.mean.ravel()) @ self.vectors.T

    def shape_at(self, scores: np.ndarray) -> np.ndarray:
        """Shapes (..., p, k) at scores (..., c); components beyond the c given are zero."""
        scores = np.asarray(scores, dtype=float)
        flat = self.mean.ravel() + scores @ self.vectors[: scores.shape[-1]]
        return flat.reshape(*scores.shape[:-1], *self.mean.shape)


def tangent_project(aligned: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Orthogonal projection of unit-size shapes onto the plane that touches shape space at `mean`.

    ``x - (x . m) m + m`` with m the mean at unit size (Rohlf 1999, J Classif 16:197-223, the Kendall tangent space).

    Parameters
    ----------
    aligned : (n, p, k), superimposed, centroid size 1, no gaps.
    mean : (p, k), of any size.

    Examples
    --------
    >>> m = np.array([[1.0, 0.0], [-1.0, 0.0]]) / 2**0.5
    >>> turned = np.array([[[0.6, 0.8], [-0.6, -0.8]]]) / 2**0.5
    >>> float((tangent_project(turned, m)[0] * m).sum().round(12))  # no component of size left
    1.0
    """
    aligned = complete_sample(aligned, least=1)
    pole = np.asarray(mean, dtype=float)
    pole = (pole - pole.mean(axis=0)).ravel()
    pole = pole / np.linalg.norm(pole)
    flat = aligned.reshape(len(aligned), -1)
    return (flat - np.outer(flat @ pole - 1, pole)).reshape(aligned.shape)


def tangent_pca(aligned: np.ndarray, *, components: int | None = None, project: bool = True) -> ShapeSpace:
    """Principal components of superimposed shapes.

    Parameters
    ----------
    aligned : (n, p, k) superimposed shapes without gaps, n >= 2.
    components : how many to keep; None keeps every one with variance.
    project : take the shapes into tangent space first; False where they are there already, or where size was kept.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> space = tangent_pca(rng.normal(size=(9, 4, 2)), project=False)
    >>> bool(np.allclose(space.shape_at(space.scores).mean(axis=0), space.mean))
    True
    """
    aligned = complete_sample(aligned)
    n = len(aligned)
    shapes = tangent_project(aligned, aligned.mean(axis=0)) if project else aligned
    mean = shapes.mean(axis=0)
    u, singular, vectors = np.linalg.svd((shapes - mean).reshape(n, -1), full_matrices=False)
    keep = singular > 1e-12 * max(singular[0], 1e-300)
    keep[n - 1 :] = False
    sign = np.sign(vectors[np.arange(len(vectors)), np.abs(vectors).argmax(axis=1)])
    vectors, scores = vectors * sign[:, None], u * singular * sign
    variances = singular**2 / (n - 1)
    total = variances.sum()
    chosen = np.flatnonzero(keep)[:components]
    explained = variances[chosen] / total if total > 0 else variances[chosen]
    return ShapeSpace(mean, vectors[chosen], variances[chosen], explained, scores[:, chosen])

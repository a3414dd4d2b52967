"""Sliding semilandmarks along curves, so that their arbitrary spacing adds no shape variation.

Each semilandmark moves along the line through its two neighbours; it is not put back onto the drawn curve afterwards,
so curves should be sampled densely. Surfaces are not handled.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.shape.checks import complete_sample
from ethomorph.shape.procrustes import Gpa, centroid_size, generalized_procrustes
from ethomorph.shape.thin_plate import bending_energy_matrix

Criterion = Literal["bending_energy", "procrustes_distance"]


def slide_semilandmarks(
    points: np.ndarray,
    sliders: np.ndarray,
    *,
    criterion: Criterion = "bending_energy",
    tolerance: float = 1e-6,
    max_iterations: int = 20,
) -> Gpa:
    """Superimpose a sample while its semilandmarks slide.

    Superimposition and sliding against the mean alternate until the mean stands still (Gunz & Mitteroecker 2013,
    Hystrix 24:103-109). With U the tangents and L the bending energy matrix of the mean (the identity for Procrustes
    distance), the displacement along the tangents is ``-(U' L U)^-1 U' L (x - mean)``.

    Parameters
    ----------
    points : (n, p, k) without gaps.
    sliders : (m, 3) landmark indices from 0: the neighbour before, the semilandmark, the neighbour after.
    criterion : what the sliding makes smallest.
    tolerance : movement of the unit-size mean that counts as standing still.
    max_iterations : limit; `Gpa.converged` says whether it was enough.

    Returns
    -------
    Gpa
        As `generalized_procrustes` gives it, with the slid shapes; centroid sizes are those before sliding.
    """
    points = complete_sample(points)
    sliders = np.asarray(sliders, dtype=int)
    refuse_bad_sliders(sliders, points.shape[1])
    original_size = centroid_size(points)
    gpa = generalized_procrustes(points)
    converged, iterations = False, 0
    while not converged and iterations < max_iterations:
        iterations += 1
        slid = slide_once(gpa.aligned, gpa.mean, sliders, criterion=criterion)
        previous, gpa = gpa.mean, generalized_procrustes(slid)
        converged = bool(np.linalg.norm(gpa.mean - previous) < tolerance)
    return Gpa(gpa.mean, gpa.aligned, original_size, gpa.procrustes_distance, iterations, converged)


def slide_once(aligned: np.ndarray, mean: np.ndarray, sliders: np.ndarray, *, criterion: Criterion) -> np.ndarray:
    """One sliding step of superimposed shapes (n, p, k) towards `mean` (p, k)."""
    before, slide, after = sliders.T
    tangents = aligned[:, after] - aligned[:, before]
    length = np.linalg.norm(tangents, axis=2, keepdims=True)
    tangents = np.divide(tangents, length, out=np.zeros_like(tangents), where=length > 0)
    moved = aligned.copy()
    difference = aligned - mean
    if criterion == "procrustes_distance":
        along = (tangents * difference[:, slide]).sum(axis=2)
    else:
        energy = bending_energy_matrix(mean)
        # U' L U with the coordinates' blocks of L equal: sum over coordinates of t_i L_ij t_j.
        system = np.einsum("nik,ij,njk->nij", tangents, energy[np.ix_(slide, slide)], tangents)
        pull = np.einsum("nik,ip,npk->ni", tangents, energy[slide], difference)
        ridge = 1e-10 * np.trace(system, axis1=1, axis2=2)[:, None, None] / len(slide) * np.eye(len(slide))
        along = np.linalg.solve(system + ridge, pull[..., None])[..., 0]
    moved[:, slide] -= along[..., None] * tangents
    return moved


def refuse_bad_sliders(sliders: np.ndarray, landmarks: int) -> None:
    """Raise LabelError unless sliders are (m, 3), each semilandmark once, all indices within the scheme."""
    if sliders.ndim != 2 or sliders.shape[1] != 3:
        raise LabelError(f"sliders have shape {sliders.shape}", fix="give (sliders, 3): before, slide, after")
    if sliders.min() < 0 or sliders.max() >= landmarks:
        raise LabelError(f"sliders name landmarks outside 0..{landmarks - 1}", fix="count landmarks from 0")
    if len(np.unique(sliders[:, 1])) < len(sliders):
        raise LabelError("a semilandmark slides twice", fix="list each semilandmark once")

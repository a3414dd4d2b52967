"""Sliding semilandmarks along curves, so that their arbitrary spacing adds no shape variation.

Each semilandmark moves along the line through its two neighbours and is then put back onto the digitised curve, taken
as straight between its points. Surfaces are not handled.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.shape.checks import complete_sample
from ethomorph.shape.procrustes import Gpa, centroid_size, generalized_procrustes, superimpose
from ethomorph.shape.thin_plate import bending_energy_matrix

Criterion = Literal["bending_energy", "procrustes_distance"]


def slide_semilandmarks(
    points: np.ndarray,
    sliders: np.ndarray,
    *,
    criterion: Criterion = "bending_energy",
    tolerance: float = 0.01,
    max_iterations: int = 20,
) -> Gpa:
    """Superimpose a sample while its semilandmarks slide.

    Superimposition, sliding against the mean and projection onto the curve alternate (Gunz & Mitteroecker 2013, Hystrix
    24:103-109). With U the tangents and L the bending energy matrix of the mean (the identity for Procrustes distance),
    the displacement along the tangents is ``-(U' L U)^-1 U' L (x - mean)``.

    It stops where a further round gains little, not where the mean stands still: a sample as a whole can wander along
    its curves at almost no cost, and would for hundreds of rounds, losing even spacing and gaining nothing.

    Parameters
    ----------
    points : (n, p, k) without gaps.
    sliders : (m, 3) landmark indices from 0: the neighbour before, the semilandmark, the neighbour after.
    criterion : what the sliding makes smallest.
    tolerance : fall of the summed criterion, as a share of what it was before sliding, not worth another round.
    max_iterations : limit; `Gpa.converged` says whether it was enough.

    Returns
    -------
    Gpa
        As `generalized_procrustes` gives it, with the slid shapes; centroid sizes are those before sliding.
    """
    points = complete_sample(points)
    sliders = np.asarray(sliders, dtype=int)
    refuse_bad_sliders(sliders, points.shape[1])
    curves = connected_curves(sliders)
    gpa = generalized_procrustes(points)
    outline = gpa.aligned
    converged, iterations, cost = False, 0, _cost(gpa, criterion)
    enough = tolerance * cost
    while not converged and iterations < max_iterations:
        iterations += 1
        slid = slide_once(gpa.aligned, gpa.mean, sliders, criterion=criterion)
        slid = _onto_curves(slid, outline, curves)
        gpa = generalized_procrustes(slid)
        # The digitised curve follows: fitted by the slid landmarks alone, as its own have no target.
        both, target = np.concatenate([slid, outline], axis=1), np.concatenate([gpa.aligned, outline * np.nan], axis=1)
        outline = superimpose(both, target)[:, points.shape[1] :]
        previous, cost = cost, _cost(gpa, criterion)
        converged = bool(previous - cost <= enough)
    return Gpa(gpa.mean, gpa.aligned, centroid_size(points), gpa.procrustes_distance, iterations, converged)


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


def connected_curves(sliders: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each curve as its semilandmarks (m,) and its straight pieces (s, 2), from sliders (before, slide, after)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    size = int(sliders.max()) + 1
    pieces = np.unique(np.sort(np.concatenate([sliders[:, :2], sliders[:, 1:]]), axis=1), axis=0)
    # Curves meet in fixed landmarks, so only pieces between semilandmarks connect.
    inner = pieces[np.isin(pieces, sliders[:, 1]).all(axis=1)]
    links = coo_array((np.ones(len(inner)), (inner[:, 0], inner[:, 1])), shape=(size, size))
    curve_of = connected_components(links, directed=False)[1]
    curves = []
    for curve in np.unique(curve_of[sliders[:, 1]]):
        slide = sliders[curve_of[sliders[:, 1]] == curve, 1]
        curves.append((slide, pieces[np.isin(pieces, slide).any(axis=1)]))
    return curves


def _cost(gpa: Gpa, criterion: Criterion) -> float:
    """What sliding makes small, summed over the sample."""
    if criterion == "procrustes_distance":
        return float((gpa.procrustes_distance**2).sum())
    difference = gpa.aligned - gpa.mean
    return float(np.einsum("npk,pq,nqk->", difference, bending_energy_matrix(gpa.mean), difference))


def _onto_curves(moved: np.ndarray, outline: np.ndarray, curves: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Move every semilandmark to the nearest point of its specimen's digitised curve."""
    result = moved.copy()
    for slide, pieces in curves:
        start, along = outline[:, pieces[:, 0]], outline[:, pieces[:, 1]] - outline[:, pieces[:, 0]]
        offset = moved[:, slide, None] - start[:, None]
        square = np.maximum((along**2).sum(axis=2), 1e-300)[:, None]
        share = np.clip((offset * along[:, None]).sum(axis=3) / square, 0, 1)
        foot = start[:, None] + share[..., None] * along[:, None]
        nearest = ((foot - moved[:, slide, None]) ** 2).sum(axis=3).argmin(axis=2)
        result[:, slide] = np.take_along_axis(foot, nearest[:, :, None, None], axis=2)[:, :, 0]
    return result


def refuse_bad_sliders(sliders: np.ndarray, landmarks: int) -> None:
    """Raise LabelError unless sliders are (m, 3), each semilandmark once, all indices within the scheme."""
    if sliders.ndim != 2 or sliders.shape[1] != 3:
        raise LabelError(f"sliders have shape {sliders.shape}", fix="give (sliders, 3): before, slide, after")
    if sliders.min() < 0 or sliders.max() >= landmarks:
        raise LabelError(f"sliders name landmarks outside 0..{landmarks - 1}", fix="count landmarks from 0")
    if len(np.unique(sliders[:, 1])) < len(sliders):
        raise LabelError("a semilandmark slides twice", fix="list each semilandmark once")

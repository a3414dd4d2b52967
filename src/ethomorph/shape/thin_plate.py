"""Thin-plate splines: the smoothest map that takes one configuration exactly onto another, and how much it bends.

Used for warp pictures, for filling missing landmarks and for sliding semilandmarks. 2-D and 3-D.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.shape.procrustes import refuse_unequal


@dataclass(frozen=True)
class ThinPlate:
    """A fitted spline; make one with `thin_plate`.

    Attributes
    ----------
    source : (p, k), the landmarks it starts from.
    centre, size : what brings the source to the origin and to unit size, where the spline is computed.
    weights : (p, k), of the bending part.
    affine : (k + 1, k), constant row first.
    bending_energy : integral of the squared second derivatives, up to a constant; 0 for an affine map.
    """

    source: np.ndarray
    centre: np.ndarray
    size: float
    weights: np.ndarray
    affine: np.ndarray
    bending_energy: float

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Map points (..., k)."""
        points = np.asarray(points, dtype=float)
        flat = (points.reshape(-1, points.shape[-1]) - self.centre) / self.size
        mapped = (
            _kernel(flat, (self.source - self.centre) / self.size) @ self.weights
            + self.affine[0]
            + flat @ self.affine[1:]
        )
        return mapped.reshape(points.shape)


def thin_plate(source: np.ndarray, target: np.ndarray) -> ThinPlate:
    """Fit the spline that takes `source` (p, k) onto `target` (p, k); landmarks missing in either are left out.

    Bookstein (1989), IEEE PAMI 11:567-585: ``U(r) = r^2 ln r^2`` in 2-D, ``-|r|`` in 3-D.

    Raises
    ------
    LabelError
        Fewer than k + 1 shared landmarks, or they lie on one line (plane), or two of them coincide in the source.

    Examples
    --------
    >>> square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    >>> bent = square + [[0.0, 0.0], [0.0, 0.2], [0.0, 0.0], [0.0, 0.2]]
    >>> spline = thin_plate(square, bent)
    >>> bool(np.allclose(spline.apply(square), bent)), round(thin_plate(square, 2 * square).bending_energy, 9)
    (True, 0.0)
    """
    source, target = np.asarray(source, float), np.asarray(target, float)
    refuse_unequal(source, target)
    shared = np.isfinite(source).all(axis=1) & np.isfinite(target).all(axis=1)
    source, target = source[shared], target[shared]
    p, k = source.shape
    centre, size = _unit_frame(source)
    inverse = _inverse_system((source - centre) / size)
    weights, affine = inverse[:p, :p] @ target, inverse[p:, :p] @ target
    # U at another size differs by a factor and by terms in r^2, which the weights' side conditions annul.
    energy = float((target * weights).sum()) / (size**2 if k == 2 else size)
    return ThinPlate(source, centre, size, weights, affine, max(energy, 0.0))


def bending_energy_matrix(reference: np.ndarray) -> np.ndarray:
    """(p, p) symmetric matrix B of a reference (p, k): a target t bends the spline by ``trace(t.T @ B @ t)``.

    Its null space are the affine maps; the rest of its eigenvectors are Bookstein's principal warps.
    """
    reference = np.asarray(reference, float)
    p, k = reference.shape
    centre, size = _unit_frame(reference)
    matrix = _inverse_system((reference - centre) / size)[:p, :p] / (size**2 if k == 2 else size)
    return (matrix + matrix.T) / 2


def partial_warps(reference: np.ndarray, shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Partial warp scores of shapes and the bending energy of each principal warp.

    Parameters
    ----------
    reference : (p, k), usually the mean shape.
    shapes : (n, p, k), superimposed on it.

    Returns
    -------
    scores : (n, p - k - 1, k), smallest energy (largest scale) first.
    energies : (p - k - 1,).
    """
    reference = np.asarray(reference, float)
    k = reference.shape[1]
    energies, warps = np.linalg.eigh(bending_energy_matrix(reference))
    energies, warps = energies[k + 1 :], warps[:, k + 1 :]
    return np.einsum("pw,npk->nwk", warps, np.asarray(shapes, float) - reference), energies


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """U between points a (m, k) and b (p, k): (m, p), signed so that the bending energy is positive."""
    squared = ((a[:, None] - b[None]) ** 2).sum(axis=2)
    if a.shape[1] == 3:
        return -np.sqrt(squared)
    return squared * np.log(np.where(squared > 0, squared, 1.0))


def _unit_frame(source: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre and size; at unit size the system's condition says the same for pixels as for metres."""
    centre = source.mean(axis=0)
    return centre, float(np.sqrt(((source - centre) ** 2).sum())) or 1.0


def _inverse_system(unit: np.ndarray) -> np.ndarray:
    """Inverse of Bookstein's matrix L (p + k + 1, p + k + 1) of landmarks at unit size."""
    p, k = unit.shape
    system = np.zeros((p + k + 1, p + k + 1))
    system[:p, :p] = _kernel(unit, unit)
    system[:p, p] = system[p, :p] = 1
    system[:p, p + 1 :] = unit
    system[p + 1 :, :p] = unit.T
    if p <= k or np.linalg.cond(system) > 1e13:
        raise LabelError(
            f"{p} landmarks do not span a {k}-D thin-plate spline",
            fix=f"at least {k + 1} distinct landmarks that are not on one {'line' if k == 2 else 'plane'} are needed",
        )
    return np.linalg.inv(system)

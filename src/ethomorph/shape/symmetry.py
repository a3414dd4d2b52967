"""Bilateral symmetry: what individuals share, what sides differ in everywhere, and what each individual adds by chance.

Mardia, Bookstein & Moreton (2000), Biometrika 87:285-300; Klingenberg, Barluenga & Meyer (2002), Evolution
56:1909-1920. Object symmetry is a skull with both sides in one configuration; matching symmetry a pair of wings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ethomorph.core.errors import InputError, LabelError
from ethomorph.shape.anova import Anova, procrustes_anova
from ethomorph.shape.checks import complete_sample, labels_for
from ethomorph.shape.procrustes import generalized_procrustes
from ethomorph.shape.tangent import tangent_project


@dataclass(frozen=True)
class Symmetry:
    """Symmetric and asymmetric components of shape, one of each an individual.

    Attributes
    ----------
    individuals : labels in the order of what follows.
    mean : (p, k), the consensus, symmetric for object symmetry.
    symmetric : (m, p, k), mean of the individual's two sides.
    asymmetric : (m, p, k), half the difference of the sides: first side = symmetric + asymmetric, second side =
        symmetric - asymmetric.
    directional : (p, k), mean of `asymmetric`: directional asymmetry.
    asymmetry_index : (m,), Procrustes distance between the two sides.
    fluctuating_index : (m,), the same once directional asymmetry is taken out.
    anova : terms individual, side, individual:side; the first two are tested against the third, the third against the
        residual, which is measurement error and exists only with replicates.
    """

    individuals: list[str]
    mean: np.ndarray
    symmetric: np.ndarray
    asymmetric: np.ndarray
    directional: np.ndarray
    asymmetry_index: np.ndarray
    fluctuating_index: np.ndarray
    anova: Anova


def object_symmetry(
    points: np.ndarray,
    individuals: Sequence[Any],
    pairs: Sequence[tuple[int, int]] | np.ndarray,
    *,
    permutations: int = 999,
    seed: int = 0,
) -> Symmetry:
    """Symmetry of structures that hold both sides, such as a skull in dorsal view.

    Every configuration is joined by its mirror image with paired landmarks relabelled, and all are superimposed
    together; "side" is original against mirror image.

    Parameters
    ----------
    points : (n, p, k) without gaps.
    individuals : (n,) labels; repeated where an individual was digitised more than once.
    pairs : (m, 2) landmark indices from 0 that lie opposite each other; all others are on the midline.
    permutations, seed : of the Procrustes ANOVA.
    """
    points = complete_sample(points)
    order = relabelling(pairs, points.shape[1])
    mirrored = points[:, order] * np.r_[-1.0, np.ones(points.shape[2] - 1)]
    labels = labels_for(individuals, len(points), "individual")
    both = np.concatenate([points, mirrored])
    sides = np.repeat(["original", "mirrored"], len(points))
    return _analyse(both, np.tile(labels, 2), sides, ("original", "mirrored"), permutations, seed)


def matching_symmetry(
    points: np.ndarray,
    individuals: Sequence[Any],
    sides: Sequence[Any],
    *,
    mirror: Any = None,
    permutations: int = 999,
    seed: int = 0,
) -> Symmetry:
    """Symmetry of paired structures that were digitised separately, such as left and right wings.

    Parameters
    ----------
    points : (n, p, k) without gaps.
    individuals, sides : (n,) labels; two sides, every individual with both.
    mirror : the side to mirror before superimposition; None where the files hold it mirrored already.
    permutations, seed : of the Procrustes ANOVA.
    """
    points = complete_sample(points).copy()
    labels, side_labels = labels_for(individuals, len(points), "individual"), labels_for(sides, len(points), "side")
    names = np.unique(side_labels)
    if len(names) != 2:
        raise InputError(f"{len(names)} sides ({', '.join(names[:4])})", fix="give two, left and right")
    if mirror is not None:
        if str(mirror) not in names:
            raise InputError(f"no side {mirror!r}", fix=f"the sides are {names[0]} and {names[1]}")
        points[side_labels == str(mirror), :, 0] *= -1
    return _analyse(points, labels, side_labels, (names[0], names[1]), permutations, seed)


def relabelling(pairs: Sequence[tuple[int, int]] | np.ndarray, landmarks: int) -> np.ndarray:
    """Landmark order (p,) after reflection; raises LabelError where a landmark is outside, or in two pairs."""
    pairs = np.asarray(pairs, dtype=int).reshape(-1, 2)
    used = pairs.ravel()
    if len(used) and (used.min() < 0 or used.max() >= landmarks):
        raise LabelError(f"pairs name landmarks outside 0..{landmarks - 1}", fix="count landmarks from 0")
    if len(np.unique(used)) < len(used):
        raise LabelError("a landmark stands in two pairs", fix="list each landmark once")
    order = np.arange(landmarks)
    order[pairs[:, 0]], order[pairs[:, 1]] = pairs[:, 1], pairs[:, 0]
    return order


def _analyse(
    points: np.ndarray, labels: np.ndarray, sides: np.ndarray, names: tuple[str, str], permutations: int, seed: int
) -> Symmetry:
    individuals, codes = np.unique(labels, return_inverse=True)
    refuse_one_sided(individuals, codes, sides == names[0])
    gpa = generalized_procrustes(points)
    shape = tangent_project(gpa.aligned, gpa.mean)
    anova = procrustes_anova(
        shape,
        {"individual": labels, "side": sides},
        terms=["individual", "side", "individual:side"],
        error={"individual": "individual:side", "side": "individual:side"},
        permutations=permutations,
        seed=seed,
    )
    first, second = (_cell_means(shape, codes, sides == name) for name in names)
    asymmetric = (first - second) / 2
    directional = asymmetric.mean(axis=0)
    return Symmetry(
        individuals=[str(name) for name in individuals],
        mean=shape.mean(axis=0),
        symmetric=(first + second) / 2,
        asymmetric=asymmetric,
        directional=directional,
        asymmetry_index=2 * np.sqrt((asymmetric**2).sum(axis=(1, 2))),
        fluctuating_index=2 * np.sqrt(((asymmetric - directional) ** 2).sum(axis=(1, 2))),
        anova=anova,
    )


def refuse_one_sided(individuals: np.ndarray, codes: np.ndarray, first: np.ndarray) -> None:
    """Raise InputError naming individuals of whom only one side is there."""
    count = len(individuals)
    both = (np.bincount(codes[first], minlength=count) > 0) & (np.bincount(codes[~first], minlength=count) > 0)
    if not both.all():
        alone = individuals[~both]
        more = f" and {len(alone) - 8} more" if len(alone) > 8 else ""
        raise InputError(f"individuals with one side only: {', '.join(alone[:8])}{more}", fix="leave them out")


def _cell_means(shape: np.ndarray, codes: np.ndarray, keep: np.ndarray) -> np.ndarray:
    member = (codes[keep][:, None] == np.arange(codes.max() + 1)).astype(float)
    return np.einsum("nm,npk->mpk", member / member.sum(axis=0), shape[keep])

"""From the landmarks of a print to its variables: orientation, derived points, lengths, angles, areas in cm.

Carries out a `Recipe`. Variables do not depend on how the picture was turned or where the print lay in it, and a
mirrored right foot gives what its left twin gives.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.core.landmarks import LandmarkSet
from ethomorph.core.prints import PrintTable
from ethomorph.core.units import millimetres
from ethomorph.identity.recipe import Recipe, Step

RIGHT = {
    "right": "left", "r": "l", "rh": "lh", "rf": "lf", "right hind": "left hind", "right front": "left front",
}  # fmt: skip
"""What an attribute `foot` may say of a right foot, and what it is once mirrored."""

KNOWN = ("sex", "age", "species", "site", "session", "foot", "substrate")
"""Attributes of a specimen that its print keeps."""


def measure_prints(landmarks: LandmarkSet, recipe: Recipe, *, cm_per_unit: float | None = None) -> PrintTable:
    """Variables of landmarked prints, one row a specimen.

    Parameters
    ----------
    landmarks : 2-D, with the recipe's points by name (in any order, further ones ignored). Attributes ``animal`` (or
        ``specimen``), ``trail`` and those of `KNOWN` are taken over; right feet are mirrored.
    recipe : of the species.
    cm_per_unit : scale where the specimens have none of their own (``Specimen.scale`` with its unit mm, cm or m).

    Returns
    -------
    PrintTable
        Missing landmarks give missing variables; prints without any are left out, and told of in `notes`. Variables
        are named as in the recipe, with their unit. Trails default to the specimen's id or image.

    Raises
    ------
    LabelError
        Where points of the recipe are absent or a specimen has no scale.
    """
    absent = [name for name in recipe.placed if name not in landmarks.names]
    if absent:
        raise LabelError(
            f"{len(absent)} points of recipe {recipe.species!r} are absent ({', '.join(absent[:5])})",
            place=landmarks.source, fix="name the landmarks as the recipe does",
        )  # fmt: skip
    if landmarks.dim != 2:
        raise LabelError("prints are measured in 2-D", place=landmarks.source)
    order = [landmarks.names.index(name) for name in recipe.placed]
    points = landmarks.array()[:, order]
    if landmarks.frame == "y_up":
        points = points * np.array([1.0, -1.0])
    scale = np.array([_cm(s.scale, s.unit, cm_per_unit, s.label, landmarks.source) for s in landmarks])
    feet = [s.attributes.get("foot", "").strip() for s in landmarks]
    mirrored = np.array([foot.lower() in RIGHT for foot in feet], dtype=bool)
    points[mirrored] *= np.array([-1.0, 1.0])
    values = variables_of(points * scale[:, None, None], recipe)
    given = {role: np.array([s.attributes.get(role, "") for s in landmarks]) for role in KNOWN}
    given["foot"] = np.array([RIGHT.get(foot.lower(), foot) for foot in feet])
    known = {role: column for role, column in given.items() if (column != "").any()}
    table = PrintTable(
        values, recipe.columns, np.array([s.attributes.get("trail") or s.label for s in landmarks]),
        np.array([s.attributes.get("animal") or s.attributes.get("specimen", "") for s in landmarks]),
        known | {"print": np.array([s.label for s in landmarks])}, source=landmarks.source,
        notes=[f"{mirrored.sum()} right feet were mirrored"] if mirrored.any() else [],
    )  # fmt: skip
    return _without_bare(table)


def _without_bare(table: PrintTable) -> PrintTable:
    """Leave out prints of which nothing could be measured."""
    bare = ~np.isfinite(table.values).any(axis=1)
    if not bare.any():
        return table
    listed = ", ".join(table.attributes["print"][bare][:5].tolist())
    kept = table.where(~bare)
    kept.notes.append(f"{bare.sum()} prints have too few landmarks to measure anything and were left out ({listed})")
    return kept


def variables_of(points: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Placed points (prints, points, 2) in cm, left feet, y down, to variables (prints, variables); NaN spreads.

    Examples
    --------
    >>> from ethomorph.identity.recipe import read_recipe
    >>> felid = read_recipe("felid")
    >>> variables_of(np.random.default_rng(0).normal(size=(2, 25, 2)), felid).shape == (2, len(felid.names))
    True
    """
    where = all_points(points, recipe)
    measured: dict[str, np.ndarray] = {}
    for step in recipe.variables:
        measured[step.name] = _measure(step, where, measured)
    return np.stack([measured[step.name] for step in recipe.variables], axis=1)


def all_points(points: np.ndarray, recipe: Recipe) -> dict[str, np.ndarray]:
    """Placed and derived points by name, each (prints, 2), oriented as the recipe says (y up)."""
    where = dict(zip(recipe.placed, np.moveaxis(orient(points, recipe), 1, 0), strict=True))
    for step in recipe.derived:
        where[step.name] = _derive(step.rule, [where[name] for name in step.of])
    return where


def orient(points: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Turn and shift prints so that the recipe's left-right line is horizontal and its `up` point above it; y up.

    A print without the points of that line stays as it lies: no measure depends on the direction.
    """
    left, right = (points[:, recipe.placed.index(name)] for name in (recipe.left, recipe.right))
    upright = points * np.array([1.0, -1.0])
    axis = (right - left) * np.array([1.0, -1.0])
    axis = axis / np.linalg.norm(axis, axis=1, keepdims=True)
    middle = (left + right) / 2 * np.array([1.0, -1.0])
    lost = ~np.isfinite(axis).all(axis=1)
    axis[lost], middle[lost] = (1.0, 0.0), 0.0
    across = np.stack([-axis[:, 1], axis[:, 0]], axis=1)
    turned = np.einsum("npd,nad->npa", upright - middle[:, None], np.stack([axis, across], axis=1))
    below = turned[:, recipe.placed.index(recipe.up), 1] < 0
    turned[below] *= -1.0  # half a turn more
    return turned


def _derive(rule: str, of: Sequence[np.ndarray]) -> np.ndarray:
    if rule in ("midpoint", "centroid"):
        return np.mean(of, axis=0)
    if rule == "foot":
        point, a, b = of
        along = b - a
        share = ((point - a) * along).sum(1) / (along**2).sum(1)
        return a + share[:, None] * along
    a, b, c, d = of
    first, second = b - a, d - c
    turn = _cross(first, second)
    parallel = np.abs(turn) < 1e-9 * np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    share = _cross(c - a, second) / np.where(parallel, np.nan, turn)
    return a + share[:, None] * first


def _measure(step: Step, where: dict[str, np.ndarray], measured: dict[str, np.ndarray]) -> np.ndarray:
    if step.rule == "ratio":
        below = measured[step.of[1]]
        return measured[step.of[0]] / np.where(np.abs(below) > 1e-12, below, np.nan)
    if step.rule == "sum":
        return np.sum([measured[name] for name in step.of], axis=0)
    of = [where[name] for name in step.of]
    if step.rule == "length":
        return np.linalg.norm(of[1] - of[0], axis=1)
    if step.rule == "angle":
        a, b = of[0] - of[1], of[2] - of[1]
        return np.degrees(np.arctan2(np.abs(_cross(a, b)), (a * b).sum(1)))
    if step.rule == "ellipse":
        return np.pi / 4 * np.linalg.norm(of[1] - of[0], axis=1) * np.linalg.norm(of[3] - of[2], axis=1)
    polygon = np.stack(of, axis=1)
    return np.abs(_cross(polygon, np.roll(polygon, -1, axis=1)).sum(1)) / 2


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _cm(scale: float | None, unit: str, given: float | None, label: str, place: str) -> float:
    if scale is None:
        if given is None:
            raise LabelError(
                f"specimen {label} has no scale", place=place, fix="digitise the scale bar or give cm per px"
            )
        return given
    return scale * millimetres(unit, place=f"{place}, specimen {label}") / 10

"""Which predicted specimen is which marked one: pictures by name, specimens within a picture by distance.

Scores count what is left over on either side: a marked specimen without a prediction is missed, a prediction without a
marked specimen is extra.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.core.landmarks import LandmarkSet, Specimen

FEWEST = 3
"""Marked landmarks from which a specimen's extent says how far away a prediction may lie and still be of it."""


@dataclass(frozen=True)
class Pairing:
    """Predictions in the order of the marked specimens.

    Attributes
    ----------
    predicted : (n, p, dim) of each marked specimen, NaN where it was missed.
    match : (n,) index of the prediction, -1 where missed.
    extra : indices of predictions that belong to no marked specimen.
    astray : how many of both were put apart because the prediction lies nowhere near the specimen.
    """

    predicted: np.ndarray
    match: np.ndarray
    extra: list[int]
    astray: int

    @property
    def found(self) -> np.ndarray:
        """Boolean (n,): which marked specimens have a prediction."""
        return self.match >= 0


def pair_specimens(truth: LandmarkSet, predicted: LandmarkSet) -> Pairing:
    """Assign predictions to marked specimens so that the summed mean distance is least (Hungarian, per picture).

    Where a picture holds more predictions than specimens or fewer, the assignment leaves the worst over. A prediction
    farther from its specimen, on average over landmarks, than the specimen is long belongs to none.

    Raises
    ------
    LabelError : other landmarks than the truth's, or a prediction in a picture that the truth does not know.
    """
    refuse_other_scheme(truth, predicted)
    refuse_other_pictures(truth, predicted)
    marked, guessed = _by_key(truth), _by_key(predicted)
    match = np.full(len(truth), -1, dtype=np.intp)
    extra: list[int] = []
    astray = 0
    for key, guesses in guessed.items():
        guesses = [g for g in guesses if predicted[g].visible.any()]
        rows, columns, near = _assign([truth[i] for i in marked[key]], [predicted[g] for g in guesses])
        taken = {guesses[c] for c in columns[near]}
        match[[marked[key][r] for r in rows[near]]] = [guesses[c] for c in columns[near]]
        extra += [g for g in guesses if g not in taken]
        astray += int((~near).sum())
    points = np.full((len(truth), len(truth.names), truth.dim), np.nan)
    for i in np.flatnonzero(match >= 0):
        points[i] = predicted[match[i]].points
    return Pairing(points, match, extra, astray)


def second_coding(truth: LandmarkSet, repeat: LandmarkSet) -> tuple[np.ndarray, bool]:
    """The second coding of each specimen (n, p, dim), NaN where none, and whether all were on the same pictures.

    Specimens are joined by picture and id, else by picture alone, else by id alone; a picture or id that stands twice
    in `repeat` tells nothing by itself.
    """
    refuse_other_scheme(truth, repeat)
    keys = [((s.image, s.id), (s.image, None), (None, s.id)) for s in repeat]
    count = Counter(key for three in keys for key in three)
    lookup = {key: s for s, three in zip(repeat, keys, strict=True) for key in three if count[key] == 1}
    points = np.full((len(truth), len(truth.names), truth.dim), np.nan)
    same = True
    for i, specimen in enumerate(truth):
        wanted: list[tuple[str | None, str | None]] = [(specimen.image, specimen.id)] if specimen.image else []
        wanted += [(specimen.image, None)] if specimen.image else []
        wanted += [(None, specimen.id)] if specimen.id else []
        second = next((lookup[key] for key in wanted if key in lookup), None)
        if second is not None:
            points[i] = second.points
            same &= second.image is None or specimen.image is None or second.image == specimen.image
    return points, same


def refuse_other_scheme(truth: LandmarkSet, other: LandmarkSet) -> None:
    """Raise LabelError where names, dimension or frame differ."""
    if other.names != truth.names:
        raise LabelError(
            f"{len(other.names)} landmarks ({', '.join(other.names[:3])} ...) are not the truth's "
            f"{len(truth.names)} ({', '.join(truth.names[:3])} ...)",
            place=other.source, fix="bring both to the same names and order",
        )
    if len(other) and (other.dim != truth.dim or other.frame != truth.frame):
        raise LabelError(
            f"points are {other.dim}-D in frame {other.frame!r}, the truth's {truth.dim}-D in {truth.frame!r}",
            place=other.source, fix="convert one to the other's frame",
        )


def refuse_other_pictures(truth: LandmarkSet, predicted: LandmarkSet) -> None:
    """Raise LabelError naming predictions in pictures that the truth does not know."""
    known = set(_by_key(truth))
    strange = sorted({key for key in _by_key(predicted) if key not in known})
    if strange:
        raise LabelError(
            f"{len(strange)} predicted pictures are not among the labelled ones, such as {strange[0]}",
            place=predicted.source, fix="score predictions of labelled pictures only",
        )


def picture_key(specimen: Specimen) -> str:
    """What two sets know one picture by: its file name, else the specimen's id."""
    if specimen.image:
        return Path(specimen.image.replace("\\", "/")).name
    return specimen.image_path.name if specimen.image_path else specimen.id


def _by_key(landmarks: LandmarkSet) -> dict[str, list[int]]:
    keys: dict[str, list[int]] = {}
    for index, specimen in enumerate(landmarks):
        keys.setdefault(picture_key(specimen), []).append(index)
    return keys


def _assign(marked: list[Specimen], guessed: list[Specimen]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows and columns of the assignment, and which of them are near enough."""
    from scipy.optimize import linear_sum_assignment

    if not marked or not guessed:
        nothing = np.empty(0, dtype=np.intp)
        return nothing, nothing, np.empty(0, dtype=bool)
    distance = np.array([[_mean_distance(m.points, g.points) for g in guessed] for m in marked])
    reach = np.array([_extent(m.points) for m in marked])
    # Pairs without a common landmark have no distance; they are taken last and never count.
    cost = np.where(np.isfinite(distance), distance, 1e12)
    rows, columns = linear_sum_assignment(cost)
    near = cost[rows, columns] <= np.minimum(reach[rows], 1e11)
    return rows, columns, near


def _mean_distance(a: np.ndarray, b: np.ndarray) -> float:
    each = np.linalg.norm(a - b, axis=1)
    each = each[np.isfinite(each)]
    return float(each.mean()) if len(each) else np.inf


def _extent(points: np.ndarray) -> float:
    """Diagonal of the box around the visible landmarks; infinite where too few are visible to tell."""
    seen = points[np.isfinite(points).all(axis=1)]
    return float(np.linalg.norm(np.ptp(seen, axis=0))) if len(seen) >= FEWEST else np.inf

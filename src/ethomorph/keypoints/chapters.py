"""The landmark chapters of a report: each landmark and grade, worst and best pictures, error ellipses, shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ethomorph.core.landmarks import LandmarkSet
from ethomorph.core.metric import Metric
from ethomorph.study.task import Chapter, Part

SHOWN = 6
"""How many of the worst and of the best pictures are drawn."""

WIDEST_ELLIPSE = 0.06
"""Root mean square error of the worst landmark, as a share of centroid size, up to which ellipses are magnified."""


def landmark_chapters(
    truth: LandmarkSet, predicted: LandmarkSet, scores: dict[str, Any], *, anatomy: list[int], folder: Path
) -> list[Chapter]:
    """Everything about landmarks that the numbers at the top do not show.

    Parameters
    ----------
    truth, predicted : the test part; specimens of one picture are paired as the score pairs them.
    anatomy : indices of the landmarks that shape is measured on.
    folder : where the pictures are drawn.
    """
    from ethomorph.keypoints.pairing import pair_specimens

    paired = pair_specimens(truth, predicted)
    found = paired.predicted
    chapters = [pictures_chapter(truth, found, folder), landmarks_chapter(truth, found, scores, anatomy, folder)]
    shape = shape_chapter(truth, found, anatomy, folder)
    return [*chapters, shape] if shape is not None else chapters


def pictures_chapter(truth: LandmarkSet, found: np.ndarray, folder: Path) -> Chapter:
    """The six worst and six best pictures with truth and prediction."""
    from ethomorph.keypoints.draw import draw_extremes

    worst, best = draw_extremes(truth, found, folder, count=SHOWN)
    return Chapter(
        "Pictures",
        [
            Part(
                title=f"Worst {SHOWN}",
                figure=worst,
                caption="Rings are truth, crosses the prediction, lines join the two.",
            ),
            Part(title=f"Best {SHOWN}", figure=best, caption="The same for the smallest errors."),
        ],
    )


def landmarks_chapter(
    truth: LandmarkSet, found: np.ndarray, scores: dict[str, Any], anatomy: list[int], folder: Path
) -> Chapter:
    """A row a landmark, a row a grade, and the ellipses of error in px."""
    parts = [
        Part(table=block_table(scores.get("per_landmark", {}), "landmark"), caption="Mean error of each landmark.")
    ]
    ellipses = draw_error_ellipses(truth, found, anatomy, folder)
    if ellipses is not None:
        parts.append(
            Part(
                figure=ellipses,
                caption="Error of each landmark after superimposing prediction and truth: ellipses "
                "hold 95 % of the errors, were they Gaussian, magnified as stated.",
            )
        )
    if scores.get("per_grade"):
        parts.append(
            Part(
                title="By grade",
                table=block_table(scores["per_grade"], "grade"),
                caption="What badly graded pictures do to the error.",
            )
        )
    return Chapter("Landmarks", parts)


def shape_chapter(truth: LandmarkSet, found: np.ndarray, anatomy: list[int], folder: Path) -> Chapter | None:
    """What automation does to shape: truth and prediction in one shape space; None where too few were found."""
    from ethomorph.shape.draw import draw_components
    from ethomorph.shape.missing import fill_missing
    from ethomorph.shape.procrustes import generalized_procrustes
    from ethomorph.shape.tangent import tangent_pca

    true, guess = truth.array()[:, anatomy], found[:, anatomy]
    usable = np.isfinite(true).all(axis=2).sum(axis=1) > 3
    usable &= np.isfinite(guess).all(axis=2).sum(axis=1) > 3
    if usable.sum() < 4:
        return None
    both = fill_missing(np.concatenate([true[usable], guess[usable]])).points
    gpa = generalized_procrustes(both)
    count = int(usable.sum())
    space = tangent_pca(gpa.aligned[:count])
    figure = draw_components(space, predicted=gpa.aligned[count:])
    path = folder / "shape.png"
    figure.savefig(path, dpi=130)
    return Chapter(
        "Shape",
        [
            Part(
                figure=path,
                caption="Principal components of true shape; each prediction is joined to its truth. Long lines are "
                "shapes that automation moved, a shrunken cloud is variation that it lost.",
            ),
        ],
    )


def draw_error_ellipses(truth: LandmarkSet, found: np.ndarray, anatomy: list[int], folder: Path) -> Path | None:
    """Ellipses of prediction minus truth on the mean shape; None where fewer than three specimens show all of it."""
    from ethomorph.shape.draw import draw_ellipses
    from ethomorph.shape.procrustes import generalized_procrustes, similarity

    true, guess = truth.array()[:, anatomy], found[:, anatomy]
    enough = (np.isfinite(true).all(axis=2) & np.isfinite(guess).all(axis=2)).sum(axis=1) > 2
    if enough.sum() < 3:
        return None
    true, guess = true[enough], guess[enough]
    gpa = generalized_procrustes(true)
    size = float(np.median(gpa.centroid_size))
    mean = gpa.mean * size
    errors = np.stack([_turned(g - t, similarity(t, mean)) for t, g in zip(true, guess, strict=True)])
    place = {old: new for new, old in enumerate(anatomy)}
    edges = [(place[a], place[b]) for a, b in truth.edges if a in place and b in place]
    widest = float(np.sqrt(np.nanmean((errors**2).sum(axis=2), axis=0)).max())
    magnify = float(np.clip(np.floor(WIDEST_ELLIPSE * size / max(widest, 1e-9)), 1, 20))
    names = [truth.names[i] for i in anatomy]
    figure = draw_ellipses(
        mean, errors, names=names, edges=edges, magnify=magnify, title=f"errors magnified {magnify:.0f} times"
    )
    path = folder / "ellipses.png"
    figure.savefig(path, dpi=130)
    return path


def _turned(errors: np.ndarray, fit: Any) -> np.ndarray:
    """Errors in the frame of the mean shape: turned with the specimen, not scaled with it."""
    dim = errors.shape[1]
    linear = fit.matrix[:dim, :dim]
    return errors @ (linear / np.linalg.det(linear) ** (1 / dim)).T


def block_table(blocks: dict[str, dict[str, Any]], heading: str) -> pd.DataFrame:
    """A row an entry with its main error, interval, count, and whatever else its block holds."""
    rows = []
    for name, metrics in blocks.items():
        row: dict[str, str] = {heading: name.replace("_", " ")}
        for metric, block in metrics.items():
            if isinstance(block, dict) and "value" in block:
                row[metric.replace("_", " ")] = str(Metric.from_dict(block))
        rows.append(row)
    return pd.DataFrame(rows).fillna("")

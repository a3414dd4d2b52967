"""The tables and pictures of an identification, as files in a folder.

What grows with the square of the trails is written only as far as people can use it: a matrix of 20,000 trails is 3 GB.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ethomorph.core.files import atomic_path, write_json
from ethomorph.core.prints import PrintTable
from ethomorph.identity.census import Census, write_histories
from ethomorph.identity.estimator import Identifier
from ethomorph.identity.fit import canonical_pair
from ethomorph.identity.match import match
from ethomorph.identity.result import Identification
from ethomorph.identity.table import write_prints

ALL_PAIRS = 1000
"""Up to so many trails every pair has a row, and the matrix a file; above, only pairs called the same have rows."""

DRAWN = 1000
"""Up to so many trails the tree and the matrix are drawn."""


def write_tables(found: Identification, survey: PrintTable, census: Census, folder: Path) -> list[Path]:
    """Assignments, pairs, distances, variables, census, capture histories; returns the paths."""
    prints = np.bincount(survey.trail_codes)
    names = found.names
    rows = [{**row, "prints": int(prints[i])} for i, row in enumerate(found.assignments())]
    usage = [{"variable": v, "weight": f"{u:.5f}"} for v, u in zip(found.variables, found.usage, strict=True)]
    usage.sort(key=lambda row: -float(row["weight"]))
    met = [
        {"individual": names[k], "site": census.sites[i], "session": census.sessions[j], "trails": count}
        for (k, i, j), count in zip(np.argwhere(census.met), census.met[census.met > 0].tolist(), strict=True)
    ]
    truth = survey.of_trails(survey.animal) if survey.known.all() else None
    files = [
        write_csv(rows, folder / "assignments.csv"),
        write_csv(
            _pairs(found, truth), folder / "pairs.csv", _PAIR_COLUMNS + (["truly_same"] if truth is not None else [])
        ),
        write_csv(usage, folder / "variables.csv"),
        write_csv(met, folder / "census.csv"),
        write_histories(census, folder / "capture_histories.csv"),
    ]
    if len(found.trails) <= ALL_PAIRS:
        files.append(write_csv(_matrix(found), folder / "distances.csv"))
    return files


def write_for_review(
    found: Identification, survey: PrintTable, folder: Path, images: str | Path | None = None
) -> list[Path]:
    """What the review page needs beside the tables: the tree, and the prints as they were compared.

    Not written for more than `ALL_PAIRS` trails, whose pairs nobody can look at.
    """
    if len(found.trails) > ALL_PAIRS:
        return []
    tree = {
        "trails": found.trails, "linkage": found.tree.tolist(), "cut": found.cut, "height": found.height,
        "individual": found.individual.tolist(), "variables": found.variables, "usage": found.usage.tolist(),
        "images": None if images is None else str(Path(images).absolute()),
    }  # fmt: skip
    kept = survey.with_variables(found.variables)
    return [write_json(folder / "tree.json", tree), write_prints(kept, folder / "prints.csv")]


def write_matches(model: Identifier, survey: PrintTable, folder: Path, *, unknown: float | None) -> Path:
    """The best known animal of each trail, or "none of these"; see `match.match`."""
    best = match(model, survey, unknown=unknown).best()
    rows = ({"trail": trail, "best": name, "probability": f"{chance:.4f}"} for trail, name, chance in best)
    return write_csv(rows, folder / "matches.csv", ["trail", "best", "probability"])


def draw_all(found: Identification, survey: PrintTable, values: np.ndarray, folder: Path) -> list[Path]:
    """Tree, matrix of pairs, count, and the most doubtful pair; `values` are the survey's, completed."""
    from ethomorph.identity.draw import draw_count, draw_pair, draw_pairs, draw_tree

    files = [draw_count(found, folder / "count.png")]
    if len(found.trails) <= DRAWN:
        files += [draw_tree(found, folder / "tree.png"), draw_pairs(found, folder / "pairs.png")]
    doubtful = most_doubtful(found, survey)
    if doubtful is not None:
        pair = canonical_pair(values, survey.trail, doubtful, values)
        files.append(draw_pair(pair, doubtful, folder / "doubtful_pair.png"))
    return files


def most_doubtful(found: Identification, survey: PrintTable) -> tuple[str, str] | None:
    """The pair of trails whose score is nearest to 0, both with enough prints for an ellipse; None among too many."""
    if len(found.trails) > DRAWN or len(survey) < 10:
        return None
    enough = np.bincount(survey.trail_codes) >= 3
    score = np.where(enough[:, None] & enough & np.triu(np.isfinite(found.scores), 1), np.abs(found.scores), np.inf)
    a, b = np.unravel_index(int(score.argmin()), score.shape)
    return (found.trails[a], found.trails[b]) if np.isfinite(score[a, b]) else None


def write_csv(rows: Iterable[dict[str, Any]], path: Path, columns: Sequence[str] = ()) -> Path:
    """Rows as CSV, one by one; `columns` are those of the first row of a list where they are not given."""
    if not columns:
        rows = list(rows)
        columns = list(rows[0]) if rows else ["empty"]
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


_PAIR_COLUMNS = ["trail_a", "trail_b", "log_likelihood_ratio", "called_same", "one_individual"]


def _pairs(found: Identification, truth: np.ndarray | None) -> Iterator[dict[str, Any]]:
    every = len(found.trails) <= ALL_PAIRS
    for a, name in enumerate(found.trails):
        score = found.scores[a, a + 1 :]
        one = found.individual[a + 1 :] == found.individual[a]
        wanted = np.isfinite(score) if every else (score > 0) | one
        for b in np.flatnonzero(wanted).tolist():
            row = {
                "trail_a": name, "trail_b": found.trails[a + 1 + b], "log_likelihood_ratio": f"{score[b]:.4f}",
                "called_same": int(score[b] > 0), "one_individual": int(one[b]),
            }  # fmt: skip
            yield row if truth is None else row | {"truly_same": int(truth[a] == truth[a + 1 + b])}


def _matrix(found: Identification) -> list[dict[str, Any]]:
    return [
        {
            "trail": name,
            **{other: "" if np.isnan(s) else f"{-s:.4f}" for other, s in zip(found.trails, row, strict=True)},
        }
        for name, row in zip(found.trails, found.scores, strict=True)
    ]

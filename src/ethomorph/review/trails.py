"""A folder of an identification, read for looking: the tree, scores of pairs, the prints' measures and pictures."""

from __future__ import annotations

import hashlib
import json
import math
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ethomorph.core.errors import InputError, StudyError
from ethomorph.review.source import file_version
from ethomorph.study.config import Study, StudyConfig, TaskSection
from ethomorph.study.run import Run

TREE_FILE, RESULT_FILE, PRINTS_FILE, DISTANCES = "tree.json", "identity.json", "prints.csv", "distances.csv"
SHOWN_MEASURES = 14
"""Measures of a pair that are drawn: those that the comparison leaned on most."""
MOST_DOTS = 400
"""Prints of other trails that are drawn behind a pair."""
PLACES = ("site", "session", "foot", "sex", "substrate")


class TrailStudy(Study):
    """The folder that `ethomorph identify` wrote, as a study of one task."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.file = self.folder / RESULT_FILE
        task = {"kind": "identity", "labels": PRINTS_FILE}
        self.config = StudyConfig.model_validate(
            {"study": {"name": self.folder.resolve().name}, "task": {"prints": task}}
        )


def is_identified(folder: Path) -> bool:
    """Whether a folder is what `ethomorph identify` wrote; raises StudyError where it is, and cannot be looked at."""
    if not (folder / RESULT_FILE).is_file() or (folder / "study.toml").is_file():
        return False
    if not (folder / TREE_FILE).is_file():
        raise StudyError(
            f"no {TREE_FILE} in it: made by an older version, or of too many trails to look at pair by pair",
            place=folder, fix="run `ethomorph identify` again, on one site after the other",
        )  # fmt: skip
    return True


def identified(study: Study, name: str, section: TaskSection, run: Run) -> Path:
    """The folder with the trails of a study's table that the run did not learn from, made where it is not there yet.

    These are the trails of unknown animals where the table has some, else those of the run's test part.
    """
    from ethomorph.identity.estimator import Identifier
    from ethomorph.identity.identify import write_identification
    from ethomorph.identity.table import read_prints
    from ethomorph.identity.task import checked_settings

    labels = study.existing(section.labels, f"task.{name}.labels")
    made_of = f"{labels}:{file_version(labels)}\n{run.folder.name}:{file_version(run.scores_file)}"
    folder = study.folder / "review" / "prints" / f"{name}-{hashlib.sha256(made_of.encode()).hexdigest()[:12]}"
    if (folder / RESULT_FILE).is_file():
        return folder
    model = Identifier.load(run.model)
    whole = read_prints(labels, **checked_settings(section, name, study.file)["columns"], needed=model.variables_)
    survey = whole.where(~whole.known)
    if not len(survey):
        known, part_of = whole.where(whole.known), run.read_split()
        survey = known.where(np.array([part_of.get(f"line {line}") == "test" for line in known.rows]))
    if len(survey.trails) < 2:
        raise InputError("no trails to look at: no animal is unknown, and none was kept for testing", place=labels)
    write_identification(
        model.predict(survey), survey, folder, model=model, learned_from=f"run {run.folder.name}", pictures=False
    )
    return folder


class TrailFolder:
    """What is in such a folder.

    Attributes
    ----------
    names : the trails; `place` their numbers.
    linkage : (trails - 1, 4) of SciPy, `cut` the height at which it gives `individual`, `height` what heights mean.
    individuals : the count's metric block.
    counts : prints of each trail.
    images : folder of the prints' pictures, or None.
    """

    def __init__(self, folder: Path, images: Path | None = None) -> None:
        self.folder = folder
        try:
            tree = json.loads((folder / TREE_FILE).read_text(encoding="utf-8"))
            result = json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))
            self.names: list[str] = tree["trails"]
            self.linkage = np.array(tree["linkage"], dtype=float).reshape(-1, 4)
            self.cut, self.height = float(tree["cut"]), str(tree["height"])
            self.individual = np.array(tree["individual"], dtype=int)
            self.variables, self.usage = list(tree["variables"]), np.array(tree["usage"], dtype=float)
            self.individuals: dict[str, Any] = result["individuals"]
            self.warnings: list[str] = list(result["warnings"])
            table = pd.read_csv(folder / PRINTS_FILE, dtype={"trail": str, "print": str}, keep_default_na=False)
            self.values = table[self.variables].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
            matrix = pd.read_csv(folder / DISTANCES, index_col=0)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StudyError(
                f"cannot be read ({type(error).__name__})", place=folder, fix="run `ethomorph identify` again"
            ) from None
        self.place = {name: i for i, name in enumerate(self.names)}
        self.scores = -matrix.to_numpy(dtype=float)
        self.table = table
        self.code = np.array([self.place[str(t)] for t in table["trail"]])
        self.counts = np.bincount(self.code, minlength=len(self.names)).tolist()
        named = tree.get("images")
        self.images = images if images is not None else Path(named) if named else None

    @cached_property
    def sites(self) -> list[str]:
        """Where each trail was, "" where nobody knows."""
        return [self._known(i).get("site", "") for i in range(len(self.names))]

    def site_of(self, a: int, b: int) -> str | None:
        """The site or sites of two trails."""
        return " / ".join(dict.fromkeys(s for s in (self.sites[a], self.sites[b]) if s)) or None

    def compared(self, a: int, b: int) -> dict[str, Any]:
        """Everything that the page draws of a pair: both trails, their measures, their prints in canonical space."""
        score = float(self.scores[a, b])
        return {
            "score": score if math.isfinite(score) else None,
            "trails": [self._trail(a), self._trail(b)],
            "measures": self._measures(a, b),
            "canonical": self._canonical(a, b),
        }

    def picture(self, name: str) -> Path | None:
        """The picture of a print by the table's name for it."""
        return self._pictures.get(name) or self._pictures.get(Path(name).stem) if name in self._print_names else None

    @cached_property
    def _print_names(self) -> set[str]:
        return set(self.table["print"]) if "print" in self.table else set()

    @cached_property
    def _pictures(self) -> dict[str, Path]:
        """Pictures by file name and by file name without suffix."""
        from ethomorph.formats.images import find_images

        if self.images is None or not self.images.is_dir():
            return {}
        found = find_images([self.images])
        return {path.stem: path for path in found} | {path.name: path for path in found}

    def _trail(self, i: int) -> dict[str, Any]:
        rows = np.flatnonzero(self.code == i)
        prints = self.table["print"].iloc[rows].tolist() if "print" in self.table else []
        return {
            "name": self.names[i], "prints": len(rows), "known": self._known(i), "individual": int(self.individual[i]),
            "pictures": [{"name": p, "there": self.picture(p) is not None} for p in prints if p],
        }  # fmt: skip

    def _known(self, i: int) -> dict[str, str]:
        first = self.table.iloc[int(np.argmax(self.code == i))]
        return {role: str(first[role]) for role in PLACES if role in self.table and str(first[role])}

    def _measures(self, a: int, b: int) -> list[dict[str, Any]]:
        """What the comparison leaned on most, each with both trails' prints and the middle 95 % of the survey."""
        found = []
        for k in np.argsort(-self.usage, kind="stable")[:SHOWN_MEASURES]:
            column = self.values[:, k]
            seen = column[np.isfinite(column)]
            if not len(seen):
                continue
            low, high = np.quantile(seen, [0.025, 0.975])
            found.append({
                "name": self.variables[k], "low": float(low), "high": float(high),
                "least": float(seen.min()), "most": float(seen.max()),
                "a": _finite(column[self.code == a]), "b": _finite(column[self.code == b]),
            })  # fmt: skip
        return found

    def _canonical(self, a: int, b: int) -> dict[str, Any] | None:
        """Both trails' prints on the two axes that part them best beside all prints; None for too few prints."""
        from ethomorph.identity.fit import canonical_pair

        if min(self.counts[a], self.counts[b]) < 3 or len(self.values) < 10:
            return None
        trail = np.array(self.names)[self.code]
        try:
            pair = canonical_pair(self._completed, trail, (self.names[a], self.names[b]), self._completed)
        except (InputError, np.linalg.LinAlgError):
            return None
        step = max(1, math.ceil(len(pair.reference) / MOST_DOTS))
        drawn = {"a": pair.first, "b": pair.second, "others": pair.reference[::step]}
        return {name: _rounded(points) for name, points in drawn.items()}

    @cached_property
    def _completed(self) -> np.ndarray:
        """The measures with gaps filled by the column's median, for drawing."""
        middle = np.nan_to_num(np.nanmedian(self.values, axis=0))
        return np.where(np.isfinite(self.values), self.values, middle)


def _finite(values: np.ndarray) -> list[float]:
    return [float(v) for v in values if math.isfinite(v)]


def _rounded(points: np.ndarray) -> list[list[float]]:
    return [[round(float(x), 4), round(float(y), 4)] for x, y in points[:, :2]]

"""The measured prints of a study as a task: animals are split, some teach, the others are counted and sorted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ethomorph.core.errors import SplitError, StudyError
from ethomorph.core.files import write_text
from ethomorph.core.prints import PrintTable
from ethomorph.identity.chapters import identity_chapters
from ethomorph.identity.columns import GIVEN
from ethomorph.identity.estimator import Identifier
from ethomorph.identity.health import judge, record
from ethomorph.identity.plda import SMALLEST_REFERENCE
from ethomorph.identity.result import Identification
from ethomorph.identity.table import read_prints
from ethomorph.identity.task_score import per_trail, score_part
from ethomorph.study.config import TaskSection
from ethomorph.study.provenance import Stopwatch
from ethomorph.study.run import Run
from ethomorph.study.task import PER_SAMPLE, Chapter, Task

PREDICTIONS = "predictions.csv"
METHODS = ("plda", "fit")
SETTINGS = {"species": None, "imputation": "forest", "replicas": 10}
"""What ``[task.NAME.settings]`` may hold beside ``columns``, with its defaults; see `Identifier`."""


class IdentityTask(Task):
    """``kind = "identity"``: ``labels`` is a table of measurements, one row a print.

    Attributes
    ----------
    table : the prints of known animals, a sample each, in the order of `samples`.
    """

    main_metric = "balanced_accuracy"
    higher_is_better = True

    def load(self) -> None:
        path = self.study.existing(self.section.labels, f"task.{self.name}.labels")
        self.inputs.append(path)
        self._settings = checked_settings(self.section, self.name, self.study.file)
        self.columns = self._settings.pop("columns")
        whole = read_prints(path, **self.columns)
        self.warnings += whole.notes
        unknown = int((~whole.known).sum())
        if unknown:
            self.warnings.append(f"{unknown} prints of unknown animals teach nothing; identify them with `predict`")
        self.table = whole.where(whole.known)
        if not len(self.table):
            raise StudyError(
                f"task.{self.name}.labels: no print has a known animal", place=path,
                fix="name the animals, or count trails of unknown animals with `ethomorph identify`",
            )  # fmt: skip
        groups = groups_of(self.table, self.study.config.split.by, str(path))
        names = [f"line {line}" for line in self.table.rows]
        extra = {role: column for role, column in self.table.attributes.items() if role not in ("sample", "group")}
        self.samples = pd.DataFrame({"sample": names, "group": groups, "trail": self.table.trail, **extra})

    def resolved(self) -> dict[str, Any]:
        return {"method": self.method, **self._settings, "columns": self.columns}

    def refuse_unfit(self, parts: list[str]) -> None:
        train, test = self._part(parts, "train"), self._part(parts, "test")
        number = len(np.unique(train.animal))
        if number < SMALLEST_REFERENCE:
            raise SplitError(
                f"{number} animals in the training part, at least {SMALLEST_REFERENCE} are needed, better 15",
                place=self.study.file, fix="lower test or validation in [split], or add animals",
            )  # fmt: skip
        if len(test) and len(test.trails) < 2:
            raise SplitError("one trail in the test part", place=self.study.file, fix="raise test in [split]")

    def audit(self, parts: list[str] | None, *, progress: bool) -> Any:
        from ethomorph.audit.run import Audit, run_audit

        samples = self.samples.assign(part=parts) if parts is not None else self.samples
        audit = run_audit(None, samples=samples, images=False, progress=progress)
        wanted = [f for f in audit.findings if f.rule != "empty_part" or self.study.config.split.validation > 0]
        return Audit([*judge(self.table), *wanted], audit.counts, audit.data)

    def fit(self, parts: list[str], run: Run, *, max_minutes: float | None, resume: bool, progress: bool) -> None:
        watch = Stopwatch()
        train = self._part(parts, "train")
        model = self._identifier().fit(train)
        model.save(run.model)
        record(model, train, run.folder, seconds=watch.seconds)

    def score(self, parts: list[str], run: Run, *, part: str, progress: bool) -> dict[str, Any]:
        survey, found = self._identified(parts, run, part)
        owner = survey.of_trails(survey.animal)
        write_text(run.folder / PREDICTIONS, pd.DataFrame(found.assignments()).to_csv(index=False))
        write_text(run.folder / PER_SAMPLE, per_trail(found, owner).to_csv(index=False))
        return score_part(found, survey, self._part(parts, "train"))

    def score_other(self, run: Run, labels: Path, images: Path | None, *, progress: bool) -> dict[str, Any]:
        """Scores on another table of known animals, against this run's own training part as baseline."""
        model = Identifier.load(run.model)
        whole = read_prints(labels, **self.columns, needed=model.variables_)
        survey = whole.where(whole.known)
        if not len(survey):
            raise StudyError("no print has a known animal", place=labels, fix="name the animals in a column")
        part_of = run.read_split()
        train = self.table.where(np.array([part_of.get(s) == "train" for s in self.samples["sample"]]))
        header = {"task": self.name, "kind": "identity", "part": "other", "samples": len(survey)}
        header["groups"] = len(np.unique(survey.animal))
        return header | score_part(model.predict(survey), survey, train)

    def chapters(self, parts: list[str], run: Run, folder: Path) -> list[Chapter]:
        if "test" not in parts:
            return []
        survey, found = self._identified(parts, run, "test")
        return identity_chapters(found, survey, self._part(parts, "train"), folder)

    @property
    def method(self) -> str:
        return self.section.method or METHODS[0]

    def _identifier(self) -> Identifier:
        return Identifier(method=self.method, seed=self.study.config.split.seed, **self._settings)  # type: ignore[arg-type]

    def _identified(self, parts: list[str], run: Run, part: str) -> tuple[PrintTable, Identification]:
        """A part's prints and what the run's model makes of them."""
        survey = self._part(parts, part)
        return survey, Identifier.load(run.model).predict(survey)

    def _part(self, parts: list[str], wanted: str) -> PrintTable:
        return self.table.where(np.array([part == wanted for part in parts], dtype=bool))


TASK = IdentityTask

VALIDATION = 0.0
"""Nothing is chosen on a validation part: the cut and the calibration come from training animals left out in turn."""

TEMPLATE = """\
[task.{task}]
kind = "identity"
labels = {labels}      # one row a print: columns for animal and trail, then the measurements
method = "plda"        # plda (two-covariance model) or fit (pairwise reference-centroid method)

# [task.{task}.settings]
# imputation = "forest"              # or "mean", for missing measurements
# species = "tiger"                  # for fit: tiger, puma, cheetah, panda or rhino
# columns = {{ animal = "Name" }}      # where the automatic choice of columns is to be overruled
"""


def checked_settings(section: TaskSection, name: str, file: Path) -> dict[str, Any]:
    """The method's settings with defaults, and ``columns`` by role; raises StudyError naming the key."""
    from ethomorph.identity.fit import PRESETS

    if section.method not in (None, *METHODS):
        raise StudyError(f"task.{name}.method: found {section.method!r}", place=file, fix="use plda or fit")
    given = dict(section.settings)
    columns = given.pop("columns", {})
    wrong = [key for key in given if key not in SETTINGS]
    if wrong:
        raise StudyError(
            f"task.{name}.settings.{wrong[0]}: unknown key", place=file, fix=f"known: {', '.join(SETTINGS)}, columns"
        )
    if not isinstance(columns, dict) or any(role not in GIVEN for role in columns):
        raise StudyError(f"task.{name}.settings.columns: not role = name", place=file, fix=f"roles: {', '.join(GIVEN)}")
    settings = {**SETTINGS, **given}
    allowed = {"species": (None, *PRESETS), "imputation": ("forest", "mean")}
    for key, values in allowed.items():
        if settings[key] not in values:
            listed = ", ".join(str(v) for v in values if v)
            raise StudyError(f"task.{name}.settings.{key}: found {settings[key]!r}", place=file, fix=f"use {listed}")
    if not isinstance(settings["replicas"], int) or settings["replicas"] < 0:
        raise StudyError(f"task.{name}.settings.replicas: found {settings['replicas']!r}", place=file, fix="use 10")
    return settings | {"columns": {role: str(column) for role, column in columns.items()}}


def groups_of(table: PrintTable, by: str, place: str) -> list[str]:
    """Each print's group: its animal, or an attribute of it such as the site, which then keeps animals whole.

    Raises
    ------
    SplitError : prints as groups, an unknown attribute, or an animal with two values of it.
    """
    if by in ("specimen", "animal"):
        return table.animal.tolist()
    if by == "sample":
        raise SplitError("prints of one animal would stand on both sides", place=place, fix='use by = "specimen"')
    column = table.attributes.get(by)
    if column is None:
        raise SplitError(f"no column {by!r}", place=place, fix='use by = "specimen"')
    home: dict[str, str] = {}
    for animal, value in zip(table.animal.tolist(), column.tolist(), strict=True):
        if home.setdefault(animal, value) != value:
            raise SplitError(f"animal {animal!r} has several values of {by!r}", place=place, fix='use by = "specimen"')
    return column.tolist()


def predict_new(
    run: Run,
    section: TaskSection,
    inputs: list[str],
    *,
    out: Path,
    sheet: Path | None,
    distances: Path | None,
    skip_bad: bool,
    progress: bool,
) -> dict[str, Any]:
    """Identify the trails of a new table by a run's model: ``out`` is the assignments' CSV, or a folder for everything.

    `sheet` draws the tree. Raises InputError for more than one table, as trails of two files have no common names.
    """
    from ethomorph.identity.identify import write_identification

    if len(inputs) != 1:
        raise StudyError(f"{len(inputs)} tables", fix="give one table of prints, with a column for the site")
    if distances is not None:
        raise StudyError("--distances is for landmarks", fix="the folder of --out holds the matrix of trails")
    settings = checked_settings(section, "", run.config_file)
    model = Identifier.load(run.model)
    survey = read_prints(inputs[0], **settings["columns"], needed=model.variables_)
    found = model.predict(survey)
    if out.suffix.lower() == ".csv":
        write_text(out, pd.DataFrame(found.assignments()).to_csv(index=False))
    elif out.suffix:
        raise StudyError(f"{out.suffix} is not written", place=out, fix="name a .csv file, or a folder for everything")
    else:
        write_identification(found, survey, out, model=model, learned_from=f"run {run.folder.name}")
    if sheet is not None:
        from ethomorph.identity.draw import draw_tree

        draw_tree(found, sheet)
    count = found.individuals
    return {
        "out": str(out),
        "prints": len(survey),
        "trails": len(found.trails),
        "individuals": count.to_dict(),
        "summary": f"{len(found.trails)} trails, individuals: {count.value:g} "
        f"(95 % interval {count.low:g} to {count.high:g})",
        "skipped": [],
        "notes": [*survey.notes, *found.warnings],
    }

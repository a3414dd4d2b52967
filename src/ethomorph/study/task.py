"""What every task room offers the workflows, so that train, score and report are written once for all kinds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ethomorph.core.errors import StudyError
from ethomorph.study.config import Study, TaskSection
from ethomorph.study.run import Run
from ethomorph.study.split import assign_parts

if TYPE_CHECKING:
    from ethomorph.training.supervision import Supervision

ROOMS = {
    "landmarks": "ethomorph.keypoints.task",
    "pose": "ethomorph.keypoints.pose.task",
    "identity": "ethomorph.identity.task",
    "segmentation": "ethomorph.volumes.task",
    "behavior": "ethomorph.behavior.task",
}
"""The module of each kind; it defines ``TASK``, a subclass of `Task`."""

PER_SAMPLE = "per_sample.csv"
"""What `Task.score` leaves beside the predictions: sample, group, and the main metric with its unit in the name."""


@dataclass
class Part:
    """A picture, table or sentence of a report; exactly one of `text`, `table`, `figure` and `html` is given."""

    title: str = ""
    text: str = ""
    table: pd.DataFrame | None = None
    figure: Path | None = None
    html: str = ""
    caption: str = ""


@dataclass
class Chapter:
    """A titled stretch of a report."""

    title: str
    parts: list[Part] = field(default_factory=list)


class Task(ABC):
    """One ``[task.NAME]`` of a study, loaded.

    Attributes
    ----------
    samples : table with the columns sample, group, and whatever is known about each sample.
    warnings : what loading had to say, one sentence each.
    inputs : every file that was read, for provenance.
    """

    samples: pd.DataFrame
    warnings: list[str]
    main_metric: str
    """The metric that stands for the task where one number must."""
    higher_is_better: bool = False
    """Whether more of the main metric is better, as of an accuracy; False for errors."""

    def __init__(self, study: Study, name: str, section: TaskSection) -> None:
        self.study, self.name, self.section = study, name, section
        self.warnings = []
        self.inputs: list[Path] = []

    @abstractmethod
    def load(self) -> None:
        """Read labels and metadata, fill `samples`. Raises InputError."""

    def assign(self) -> list[str]:
        """The part of each sample: groups kept whole, as ``[split]`` asks. Raises SplitError."""
        split = self.study.config.split
        groups = self.samples["group"].tolist()
        return assign_parts(groups, test=split.test, validation=split.validation, seed=split.seed)

    @abstractmethod
    def refuse_unfit(self, parts: list[str]) -> None:
        """Raise InputError where training cannot succeed: unreadable images, an empty training part."""

    @abstractmethod
    def audit(self, parts: list[str] | None, *, progress: bool) -> Any:
        """The audit's findings, see `ethomorph.audit`."""

    @abstractmethod
    def resolved(self) -> dict[str, Any]:
        """Every setting of the method as it will be used, for config.toml."""

    @abstractmethod
    def fit(self, parts: list[str], run: Run, *, max_minutes: float | None, resume: bool, progress: bool) -> None:
        """Train on the part ``train``, choose on ``validation``; leave model/, history.csv and health.json."""

    def trial(self, parts: list[str], folder: Path, supervision: Supervision, *, progress: bool = False) -> None:
        """Train as `fit` does, into a folder that is thrown away, as `supervision` wants it: an experiment.

        Whatever trains by `ethomorph.training.fit.fit` needs no method of its own; its fits see the supervision.
        """
        from ethomorph.training.supervision import supervised

        with supervised(supervision):
            self.fit(parts, Run(folder), max_minutes=supervision.max_minutes, resume=False, progress=progress)

    def remedies(self) -> dict[str, dict[str, Any]]:
        """What `diagnose --heal` may change: the name of a change to keys of the task's table, as ``--set`` takes them.

        Names are those of `ethomorph.training.changes.CHANGES`, of which ``lower_rate`` is known for every task that
        has a setting ``learning_rate``. A room adds its own, such as ``scaled_input``; None takes a key out of the
        table, so that the method's default holds again.
        """
        found = value_in(self.resolved().get("settings", {}), "learning_rate")
        if found is None:
            return {}
        path, rate = found
        key = f"settings.{path}"
        changes: dict[str, dict[str, Any]] = {
            "lower_rate": {key: rate / 10},
            "much_lower_rate": {key: rate / 100},
            "higher_rate": {key: rate * 10},
        }
        chosen = value_in(self.section.settings, "learning_rate") is not None
        return changes | ({"usual_rate": {key: None}} if chosen else {})

    @abstractmethod
    def score(self, parts: list[str], run: Run, *, part: str, progress: bool) -> dict[str, Any]:
        """Predict a part, leave predictions.*, return the scores block without task, kind and part."""

    @abstractmethod
    def score_other(self, run: Run, labels: Path, images: Path | None, *, progress: bool) -> dict[str, Any]:
        """The whole scores block on other labelled data. Raises InputError where it does not fit this run."""

    @abstractmethod
    def chapters(self, parts: list[str], run: Run, folder: Path) -> list[Chapter]:
        """The task's own chapters of the report; pictures are drawn into `folder`."""


def value_in(table: dict[str, Any], name: str) -> tuple[str, float] | None:
    """Dotted key and value of the first number called `name`, in the table itself before the tables inside.

    >>> value_in({"trees": {"depth": 3}, "network": {"learning_rate": 0.1}}, "learning_rate")
    ('network.learning_rate', 0.1)
    """
    if isinstance(table.get(name), (int, float)):
        return name, float(table[name])
    for key, inner in table.items():
        if isinstance(inner, dict) and (found := value_in(inner, name)) is not None:
            return f"{key}.{found[0]}", found[1]
    return None


def open_task(study: Study, name: str | None = None, overrides: dict[str, Any] | None = None) -> Task:
    """Load a study's task; `overrides` are ``key=value`` changes of its table, dotted keys going deeper.

    Raises
    ------
    StudyError : no such task, a kind without a room yet, an override that does not fit.
    """
    name, section = study.task(name)
    if overrides:
        section = overridden(study, name, section, overrides)
    if section.kind not in ROOMS:
        raise StudyError(
            f"task.{name}.kind: {section.kind!r} is not built yet", place=study.file, fix=f"kinds: {', '.join(ROOMS)}"
        )
    task: Task = import_module(ROOMS[section.kind]).TASK(study, name, section)
    task.load()
    return task


def overridden(study: Study, name: str, section: TaskSection, overrides: dict[str, Any]) -> TaskSection:
    """A task's table with dotted keys changed; None takes a key out. Raises StudyError for what does not fit."""
    from pydantic import ValidationError

    from ethomorph.study.config import explain

    document = section.model_dump(exclude_unset=True)
    for dotted, value in overrides.items():
        *path, last = dotted.split(".")
        table = document
        for key in path:
            table = table.setdefault(key, {})
            if not isinstance(table, dict):
                raise StudyError(
                    f"--set {dotted}: {key} is not a table", place=study.file, fix="use a key of [task.NAME]"
                )
        if value is None:
            table.pop(last, None)
        else:
            table[last] = value
    try:
        return TaskSection.model_validate(document)
    except ValidationError as error:
        raise StudyError(f"--set {explain(error, TaskSection, document)}", place=study.file) from None

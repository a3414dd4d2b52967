"""Sweeps: which settings do best on the validation part, tried one after the other, resumable, sick ones marked.

The test part is never looked at. Trials stand in one file beside their folders, or in a database; a sweep that was cut
short goes on where it stood.
"""

from __future__ import annotations

import shutil
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ethomorph.core.errors import InputError, MissingPart, SplitError, StudyError
from ethomorph.core.files import write_json, write_text
from ethomorph.core.turn import Turn
from ethomorph.study.config import Study
from ethomorph.study.run import Run, plain
from ethomorph.study.task import Task, open_task
from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Health, diagnose
from ethomorph.workflow.space import Dimension, read_space
from ethomorph.workflow.sweep_storage import open_storage
from ethomorph.workflow.train import split_task

if TYPE_CHECKING:
    import optuna

PART = "validation"
PRUNE_AFTER_TRIALS, PRUNE_AFTER_EPOCHS = 4, 2
PRUNED_BY = "validation_loss"


@dataclass(frozen=True)
class Sweep:
    """What a sweep found.

    Attributes
    ----------
    folder : ``sweeps/<task>/<name>/`` with trials.csv, sweep.json, sweep.png, sweep.sqlite and a folder a trial.
    table : a row a trial: number, state, health, the metric, epochs, and the settings tried.
    best : number of the best trial that is not sick; None where there is none.
    """

    folder: Path
    table: pd.DataFrame
    metric: str
    higher_is_better: bool
    best: int | None
    settings: dict[str, Any]


def sweep(
    folder: str | Path,
    space: str | Path,
    *,
    trials: int,
    task: str | None = None,
    name: str | None = None,
    max_minutes: float | None = None,
    prune: bool = True,
    seed: int = 0,
    shared: bool = False,
    storage: str | None = None,
    progress: bool = True,
) -> Sweep:
    """Try settings of a task until `trials` are done in all, those of earlier calls included.

    Parameters
    ----------
    folder : the study.
    space : file that says what may vary, see `ethomorph.workflow.space`.
    name : the sweep's; the space file's stem where left out.
    max_minutes : bound of each trial.
    prune : end trials early whose validation loss is worse than the median of the others' at the same epoch.
    shared : other processes work on the same sweep, so what is running elsewhere is left to them; a later call without
        it makes up for those that were killed.
    storage : where the trials stand, see `ethomorph.workflow.sweep_storage.open_storage`.

    Raises
    ------
    StudyError : a space that does not fit the task or differs from the sweep's earlier one; no validation part.
    MissingPart : Optuna is not installed.
    """
    optuna = load_optuna()
    study, dimensions = Study(folder), read_space(Path(space))
    task_name, _ = study.task(task)
    opened = open_task(study, task_name)
    refuse_without_validation(opened)
    place = study.folder / "sweeps" / task_name / (name or Path(space).stem)
    remember_space(place, dimensions)
    direction = "maximize" if opened.higher_is_better else "minimize"
    found = optuna.create_study(
        study_name=study_name(storage, study, place),
        storage=open_storage(place, storage),
        direction=direction,
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(PRUNE_AFTER_TRIALS, PRUNE_AFTER_EPOCHS)
        if prune
        else optuna.pruners.NopPruner(),
    )
    if not shared:
        take_up_broken_trials(found)
    done = len(finished(found))
    trier = Trier(study.folder, task_name, dimensions, place, max_minutes, progress)
    while not trier.interrupted:
        # whoever holds the turn counts and begins a trial, so that several processes never make one too many
        trier.turn.acquire()
        if len(finished(found)) + (len(running(found)) if shared else 0) >= trials:
            trier.turn.release()
            break
        # a resumed or a second sampler must not draw the first trials' settings again
        startup = min(10, trials // 2 + 1)
        found.sampler = optuna.samplers.TPESampler(
            seed=seed + len(found.trials), n_startup_trials=startup, constraints_func=sickness
        )
        found.optimize(trier, n_trials=1, catch=(InputError,))
        if progress:
            trier.say(found.trials[trier.last], len(finished(found)), trials)
    if done >= trials and progress:
        print(f"all {trials} trials had been made; ask for more with a larger number", file=sys.stderr)
    return write_results(found, place, dimensions, opened)


def study_name(storage: str | None, study: Study, place: Path) -> str:
    """The name of a sweep in its storage; on a server, which may keep many, the study's and the sweep's too."""
    return (
        f"{study.config.study.name}/{place.parent.name}/{place.name}" if "://" in (storage or "") else place.parent.name
    )


class Trier:
    """Make one trial: train with the settings it asks for, judge on the validation part."""

    def __init__(
        self,
        folder: Path,
        task: str,
        dimensions: list[Dimension],
        place: Path,
        max_minutes: float | None,
        progress: bool,
    ) -> None:
        self.folder, self.task, self.dimensions, self.place = folder, task, dimensions, place
        self.max_minutes, self.progress = max_minutes, progress
        self.interrupted, self.last = False, 0
        self.turn = Turn(place / ".turn")

    def __call__(self, trial: optuna.Trial) -> float:
        import optuna

        self.turn.release()
        self.last = trial.number

        from ethomorph.training.supervision import Supervision

        settings = {one.key: one.suggest(trial) for one in self.dimensions}
        run = Run(self.place / f"trial_{trial.number:03d}")
        try:
            task = open_task(Study(self.folder), self.task, settings)
            parts = split_task(task)
            task.refuse_unfit(parts)
        except InputError as error:
            trial.set_user_attr("reason", str(error))
            raise
        run.write_config(
            plain({"task": self.task, "trial": trial.number, "settings": settings, "resolved": task.resolved()})
        )
        run.write_split(zip(task.samples["sample"], task.samples["group"], parts, strict=True))

        def on_epoch(row: dict[str, Any]) -> str | None:
            value = row.get(PRUNED_BY)
            if value is None:
                return None
            trial.report(-value if task.higher_is_better else value, int(row["epoch"]))
            return f"worse than the median of the trials at epoch {row['epoch']}" if trial.should_prune() else None

        supervision = Supervision(max_minutes=self.max_minutes, on_epoch=on_epoch)
        try:
            task.trial(parts, run.folder, supervision)
        except InputError as error:
            trial.set_user_attr("reason", str(error))
            raise
        seen = supervision.evidence[-1] if supervision.evidence else None
        health = self.health(run, seen)
        trial.set_user_attr("health", health.verdict)
        trial.set_user_attr("findings", [one.rule for one in health.findings if one.severity != "info"])
        trial.set_user_attr("epochs", len(seen.epochs) if seen else None)
        shutil.rmtree(run.folder / "checkpoints", ignore_errors=True)
        if seen is not None and seen.stop == "interrupt":
            self.interrupted = True
            raise InputError("interrupted", place=f"trial {trial.number}")
        if seen is not None and seen.stop == "pruned":
            raise optuna.TrialPruned(seen.stop_reason)
        metric = task.score(parts, run, part=PART, progress=False)["metrics"][task.main_metric]
        if metric.get("value") is None:
            trial.set_user_attr("reason", metric.get("reason", "no value"))
            raise InputError(metric.get("reason", "no value"), place=f"trial {trial.number}")
        return float(metric["value"])

    @staticmethod
    def health(run: Run, seen: Evidence | None) -> Health:
        """The verdict on a trial; a method that leaves no evidence may have left its own."""
        if seen is not None:
            return diagnose(seen)
        return Health.from_dict(run.read_json("health.json")) if run.health_file.exists() else Health()

    @staticmethod
    def say(trial: Any, done: int, trials: int) -> None:
        values = ", ".join(f"{key.rpartition('.')[2]} {shown(value)}" for key, value in trial.params.items())
        outcome = (
            f"{trial.value:.4g}"
            if trial.state.name == "COMPLETE"
            else trial.user_attrs.get("reason", trial.state.name.lower())
        )
        sick = ", sick" if trial.user_attrs.get("health") == "sick" else ""
        print(f"trial {done} of {trials}: {values}: {outcome}{sick}", file=sys.stderr, flush=True)


def sickness(trial: Any) -> tuple[float]:
    """Above zero for a sick trial: what it scored must not draw the search towards it."""
    return (1.0 if trial.user_attrs.get("health") == "sick" else 0.0,)


def load_optuna() -> Any:
    """Optuna, without its own log lines; raises MissingPart where it is not installed."""
    try:
        import optuna
    except ImportError as error:
        fix = "pip install 'ethomorph[sweep]'"
        raise MissingPart("Optuna is not installed", place="sweep", fix=fix) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


def refuse_without_validation(task: Task) -> None:
    """Refuse to sweep where nothing but the test part could judge."""
    if PART not in split_task(task):
        fix = "set validation in [split]: a sweep never looks at the test part"
        raise SplitError("the split has no validation part", place=task.study.file, fix=fix)


def remember_space(place: Path, dimensions: list[Dimension]) -> None:
    """Write the space beside the sweep; refuse another one under the same name."""
    import json

    block, path = {one.key: one.to_dict() for one in dimensions}, place / "space.json"
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) != block:
        raise StudyError("this sweep was begun with another space", place=place, fix="give another --name")
    write_json(path, block)


def finished(study: Any) -> list[Any]:
    """Trials that need not be made again."""
    return [
        trial
        for trial in study.trials
        if trial.state.name in ("COMPLETE", "PRUNED") or (trial.state.name == "FAIL" and "reason" in trial.user_attrs)
    ]


def running(study: Any) -> list[Any]:
    """Trials that some process is making, or that a kill left so."""
    return [trial for trial in study.trials if trial.state.name in ("RUNNING", "WAITING")]


def take_up_broken_trials(study: Any) -> None:
    """Trials that a kill left running count as failed; their settings come first."""
    from optuna.trial import TrialState

    for trial in study.trials:
        if trial.state == TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)
            if trial.params:
                study.enqueue_trial(trial.params)


def write_results(study: Any, place: Path, dimensions: list[Dimension], task: Task) -> Sweep:
    """trials.csv, sweep.json and the picture."""
    from ethomorph.report.parallel import draw_parallel

    rows = [
        {
            "trial": trial.number,
            "state": trial.state.name.lower(),
            "health": trial.user_attrs.get("health", ""),
            # Optuna gives a trial that was cut short its last intermediate value
            task.main_metric: trial.value if trial.state.name == "COMPLETE" else None,
            "epochs": trial.user_attrs.get("epochs"),
            **{one.key: trial.params.get(one.key) for one in dimensions},
            "findings": ", ".join(trial.user_attrs.get("findings", [])),
            "reason": trial.user_attrs.get("reason", ""),
        }
        for trial in finished(study)
    ]
    table = pd.DataFrame(rows)
    judged = table[(table["state"] == "complete") & (table["health"] != "sick")] if len(table) else table
    best = None
    if len(judged):
        values = judged[task.main_metric].astype(float).to_numpy()
        best = int(judged["trial"].to_numpy()[values.argmax() if task.higher_is_better else values.argmin()])
        table = table.sort_values(task.main_metric, ascending=not task.higher_is_better, na_position="last")
    write_text(place / "trials.csv", table.to_csv(index=False))
    settings: dict[str, Any] = next((trial.params for trial in study.trials if trial.number == best), {})
    block = {
        "task": task.name,
        "metric": task.main_metric,
        "part": PART,
        "higher_is_better": task.higher_is_better,
        "best": best,
        "settings": settings,
        "trials": [{k: None if v != v else v for k, v in row.items()} for row in rows],
    }
    write_json(place / "sweep.json", block)
    if len(table):
        draw_parallel(
            table, dimensions_of(dimensions), metric=task.main_metric, higher_is_better=task.higher_is_better,
            path=place / "sweep.png",
        )  # fmt: skip
    return Sweep(place, table, task.main_metric, task.higher_is_better, best, settings)


def dimensions_of(dimensions: list[Dimension]) -> dict[str, bool]:
    """Key to whether its axis is logarithmic."""
    return {one.key: one.log for one in dimensions}


def shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)

"""Train a study's task: split, fit, score the test part once, and leave a run folder that explains itself."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from ethomorph.core.errors import Interrupted, StudyError
from ethomorph.study.config import Study, TaskSection
from ethomorph.study.provenance import Stopwatch, describe_run
from ethomorph.study.run import Run, plain
from ethomorph.study.task import Task, open_task
from ethomorph.training.ranks import decided, join


def split_task(task: Task) -> list[str]:
    """The part of each of the task's samples, as ``[split]`` asks. Raises SplitError."""
    return task.assign()


def describe_split(task: Task, parts: list[str]) -> pd.DataFrame:
    """A row a part: how many samples and groups."""
    table = (
        task.samples.assign(part=parts)
        .groupby("part", sort=False)
        .agg(samples=("sample", "size"), groups=("group", "nunique"))
    )
    return table.reindex([p for p in ("train", "validation", "test") if p in table.index]).reset_index()


def train(
    folder: str | Path,
    *,
    task: str | None = None,
    run: str | None = None,
    overrides: dict[str, Any] | None = None,
    max_minutes: float | None = None,
    resume: bool = False,
    progress: bool = True,
) -> Run:
    """Train one task and score its test part.

    Parameters
    ----------
    folder : the study.
    task : its name; may be left out where the study has one task.
    run : the run's name; the time where it is left out. With `resume` the newest unfinished run where it is left out.
    overrides : changes of the task's table for this run, dotted keys.
    max_minutes : bound of the training; also a key of the task.
    resume : go on with a run that was stopped, with its own split and settings.

    Returns
    -------
    The finished run.

    Raises
    ------
    InputError : the study, its labels or its images cannot be used; nothing is left half-written.
    """
    watch, mine = Stopwatch(), join()
    study = Study(folder)
    name, _ = study.task(task)
    place = Run(decided(lambda: (_unfinished(study, name, run) if resume else _fresh(study, name, run)).folder))
    if not mine.first:
        return _help(study, name, place, overrides, max_minutes, resume=resume)
    if resume:
        opened, parts = reopen(place, study)
    else:
        opened = open_task(study, name, overrides)
        parts = split_task(opened)
        opened.refuse_unfit(parts)
        minutes = max_minutes or opened.section.max_minutes
        place.write_config(_resolved(opened, minutes))
        place.write_split(zip(opened.samples["sample"], opened.samples["group"], parts, strict=True))
    minutes = max_minutes or place.config().get("max_minutes")
    opened.fit(parts, place, max_minutes=minutes, resume=resume, progress=progress)
    stop_where_interrupted(place)
    score_run(opened, parts, place, progress=progress)
    place.write_json(
        "provenance.json",
        describe_run(
            command=sys.argv,
            seed=study.config.split.seed,
            inputs=opened.inputs,
            root=study.folder,
            seconds=watch.seconds,
        ),
    )
    write_report(opened, parts, place)
    return place


def _help(
    study: Study, name: str, place: Run, overrides: dict[str, Any] | None, max_minutes: float | None, *, resume: bool
) -> Run:
    """Train with the first process, on the same samples, and leave nothing: the run is the first one's to write."""
    with tempfile.TemporaryDirectory(prefix="ethomorph-rank-") as folder:
        here = Run(Path(folder) / place.folder.name)
        if resume:
            shutil.copytree(place.folder, here.folder)
            opened, parts = reopen(place, study)
        else:
            opened = open_task(study, name, overrides)
            parts = split_task(opened)
            opened.refuse_unfit(parts)
        minutes = max_minutes or (place.config().get("max_minutes") if resume else opened.section.max_minutes)
        opened.fit(parts, here, max_minutes=minutes, resume=resume, progress=False)
        stop_where_interrupted(here)
    return place


def stop_where_interrupted(run: Run) -> None:
    """Raise Interrupted where training was stopped before its end, so that nothing half-trained is scored."""
    try:
        stop = run.read_json("evidence.json").get("stop")
    except StudyError:  # trees leave none: they cannot be resumed, so they are never half-way
        return
    if stop == "interrupt":
        raise Interrupted(f"training was stopped; go on with --run {run.folder.name} --resume")


def score_run(task: Task, parts: list[str], run: Run, *, part: str = "test", progress: bool = True) -> dict[str, Any]:
    """Score one part and write scores.json; an empty part gives nulls with the reason."""
    chosen = task.samples[[p == part for p in parts]]
    header = {
        "task": task.name,
        "kind": task.section.kind,
        "part": part,
        "samples": len(chosen),
        "groups": int(chosen["group"].nunique()),
    }
    if len(chosen):
        block = task.score(parts, run, part=part, progress=progress)
    else:
        missing = {"value": None, "reason": f"the split has no {part} part", "n": 0}
        block = {"metrics": {task.main_metric: missing}, "baselines": {}, "by_group": [], "warnings": []}
    scores = header | block
    said: list[str] = [*task.warnings, *block["warnings"]]
    scores["warnings"] = list(dict.fromkeys(said))
    run.write_json("scores.json", scores)
    return scores


def write_report(task: Task, parts: list[str], run: Run) -> Path:
    """Build report.html from what the run folder holds."""
    from ethomorph.report.run import write_run_report

    return write_run_report(task, parts, run)


def reopen(run: Run, study: Study | None = None) -> tuple[Task, list[str]]:
    """A run's task with the settings and split it was trained with.

    Raises
    ------
    StudyError : labels changed since, so that a sample has no part.
    """
    study = study or run.study()
    config = run.config()
    section = TaskSection.model_validate(config["section"])
    study.config.task[config["task"]] = section
    task = open_task(study, config["task"])
    part_of = run.read_split()
    new = [sample for sample in task.samples["sample"] if sample not in part_of]
    if new:
        raise StudyError(
            f"{len(new)} sample(s) were labelled after this run's split, such as {new[0]!r}",
            place=run.split_file,
            fix="train a new run",
        )
    return task, [part_of[sample] for sample in task.samples["sample"]]


def _resolved(task: Task, max_minutes: float | None) -> dict[str, Any]:
    from ethomorph import __version__

    return plain(
        {
            "ethomorph": __version__,
            "task": task.name,
            "max_minutes": max_minutes,
            "split": task.study.config.split.model_dump(),
            "section": task.section.model_dump(exclude_unset=True) | {"kind": task.section.kind},
            "resolved": task.resolved(),
        }
    )


def _fresh(study: Study, task: str, name: str | None) -> Run:
    run = Run.new(study, task, name)
    if run.config_file.exists():
        raise StudyError("this run exists", place=run.folder, fix="give another --run, or go on with it by --resume")
    return run


def _unfinished(study: Study, task: str, name: str | None) -> Run:
    if name is not None:
        return Run.open(Run.new(study, task, name).folder)
    runs = [Run(file.parent) for file in (study.folder / "runs" / task).glob("*/config.toml")]
    open_runs = sorted((r for r in runs if not r.is_finished), key=lambda r: r.config_file.stat().st_mtime)
    if not open_runs:
        raise StudyError(
            "no unfinished run to resume", place=study.folder / "runs" / task, fix="leave --resume out to start one"
        )
    return open_runs[-1]

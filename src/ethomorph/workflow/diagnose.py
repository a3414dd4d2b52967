"""What was wrong with a training: its evidence judged again, separating experiments, and healing by named changes."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ethomorph.core.errors import InputError, StudyError
from ethomorph.study.config import Study, TaskSection
from ethomorph.study.provenance import Stopwatch, describe_run
from ethomorph.study.run import Run, plain
from ethomorph.study.task import Task, overridden
from ethomorph.training.differential import (
    Diagnosis,
    Experiment,
    differential,
    gain_of,
    wanted_experiments,
)
from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Health
from ethomorph.workflow.train import reopen, score_run, write_report

STEPS, MINUTES = 200, 2.0
ROUNDS = 3


@dataclass(frozen=True)
class Round:
    """One healing: which change, why, in which run, and how that run came out."""

    run: Path
    change: str
    because: str
    settings: dict[str, Any]
    start: str
    verdict: str


@dataclass(frozen=True)
class Report:
    """A run's diagnosis, and what healing did."""

    run: Run
    diagnosis: Diagnosis
    rounds: list[Round] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        rounds = [vars(one) | {"run": str(one.run)} for one in self.rounds]
        return {"run": str(self.run.folder), **self.diagnosis.to_dict(), "healed": rounds}


def diagnose_run(
    folder: str | Path,
    *,
    experiments: bool = False,
    heal: bool = False,
    steps: int = STEPS,
    max_minutes: float | None = None,
    progress: bool = True,
) -> Report:
    """Judge a run from what it left behind.

    Parameters
    ----------
    folder : a run; a task's or study's folder stands for its newest run.
    experiments : also train for `steps` steps, once for each change that tells the likeliest causes apart.
    heal : train again with the likeliest cause's change, up to `ROUNDS` times with one more change each.
    max_minutes : bound of each healing; each experiment takes `MINUTES` at most.

    Raises
    ------
    StudyError : no run there, a method that leaves no evidence, or nothing that healing could change.
    """
    run = Run.open(folder)
    if not (run.folder / "evidence.json").exists() and run.health_file.exists():
        # regression and decision trees have no steps to watch: their own findings are all there is
        return Report(run, Diagnosis(Health.from_dict(run.read_json("health.json"))))
    evidence = Evidence.read(run.folder)
    found = differential(evidence)
    if experiments:
        task, parts = reopen(run)
        made = run_experiments(task, parts, wanted_experiments(found), steps=steps, progress=progress)
        found = differential(evidence, made)
    run.write_json("diagnosis.json", Report(run, found).to_dict())
    rounds = heal_run(run, found, max_minutes=max_minutes, progress=progress) if heal else []
    report = Report(run, found, rounds)
    run.write_json("diagnosis.json", report.to_dict())
    return report


def run_experiments(
    task: Task, parts: list[str], names: list[str], *, steps: int = STEPS, progress: bool = True
) -> list[Experiment]:
    """Train shortly, once for each change; what cannot be run says why."""
    from ethomorph.training.changes import CHANGES, NothingToChange
    from ethomorph.training.supervision import Supervision

    made: list[Experiment] = []
    reference: float | None = None
    for name in names:
        change, began = CHANGES[name], time.monotonic()
        supervision = Supervision(change=change, max_steps=steps, max_minutes=MINUTES)
        note = ""
        try:
            with tempfile.TemporaryDirectory(prefix="ethomorph-trial-") as folder:
                task.trial(parts, Path(folder), supervision)
        except NothingToChange as error:
            note = str(error)
        except (InputError, RuntimeError, ValueError, IndexError) as error:
            # a fault that ends training is what may be looked for: the next experiment goes on
            note = f"ended with {type(error).__name__}: {' '.join(str(error).split())[:120]}"
        seen = supervision.evidence[-1] if supervision.evidence else None
        if seen is None and not note:
            note = "this method does not train by gradient steps"
        if name == "as_it_was" and seen is not None:
            reference = seen.reference_loss
        gain = None if seen is None else gain_of(seen, reference)
        made.append(Experiment(name, change.says, gain, seen.steps if seen else 0, time.monotonic() - began, note))
        if progress:
            said = note or ("no loss" if gain is None else f"{gain:.0%} of the ignorant loss learned")
            print(f"experiment {len(made)} of {len(names)}, {change.says}: {said}", file=sys.stderr, flush=True)
        if (seen is None and note.startswith("this method")) or (seen is not None and seen.stop == "interrupt"):
            break
    return made


def heal_run(run: Run, found: Diagnosis, *, max_minutes: float | None, progress: bool) -> list[Round]:
    """Train again with one more change each round, until the run is not sick or nothing is left to change."""
    rounds: list[Round] = []
    changed: dict[str, Any] = {}
    used: set[str] = set()
    if found.health.verdict != "sick":
        return []
    current = run
    for number in range(1, ROUNDS + 1):
        task, _ = reopen(current)
        choice = choose_remedy(found, task.remedies(), used)
        if choice is None:
            break
        change, because, settings = choice
        used.add(change)
        changed |= settings
        start = healthy_checkpoint(run) if change.endswith("rate") and set(changed) == set(settings) else None
        name = f"{run.folder.name}-healed" + (f"-{number}" if number > 1 else "")
        fresh = run.folder.parent / name
        if (fresh / "config.toml").exists():
            raise StudyError("this healing exists", place=fresh, fix="delete the folder to heal again")
        record = {"from": run.folder.name, "change": change, "because": because, "settings": plain(settings)}
        healed = retrain(run, Run(fresh), changed, record, start, max_minutes=max_minutes, progress=progress)
        found = differential(Evidence.read(healed.folder))
        place = f"epoch {start[1]} of {run.folder.name}" if start else "the beginning"
        rounds.append(Round(healed.folder, change, because, settings, place, found.health.verdict))
        current = healed
        if found.health.verdict != "sick":
            break
    if not rounds:
        named = found.suspects[0].cause if found.suspects else None
        fix = named.advice if named else "train a new run"
        raise StudyError("nothing that this task could change by itself would mend this run", place=run.folder, fix=fix)
    finish(current, progress=progress)
    return rounds


def choose_remedy(
    found: Diagnosis, offered: dict[str, dict[str, Any]], used: set[str]
) -> tuple[str, str, dict[str, Any]] | None:
    """The likeliest cause's first change that the task can make: its name, why, and the settings."""
    for suspect in found.suspects:
        for change in suspect.cause.remedies:
            if change in offered and change not in used and suspect.standing != "unlikely":
                return change, suspect.cause.says, offered[change]
    return None


def healthy_checkpoint(run: Run) -> tuple[Path, int] | None:
    """The best epoch's weights, where that epoch came before the first sick one; with its number."""
    from ethomorph.training.checkpoint import best_path

    evidence, path = Evidence.read(run.folder), best_path(run.folder)
    sick = [one.epoch for one in differential(evidence).health.findings if one.severity == "sick"]
    first = min((epoch if epoch is not None else 1 for epoch in sick), default=1)
    best = evidence.best_epoch
    return (path, best) if best is not None and best < first and path.exists() else None


def retrain(
    run: Run,
    fresh: Run,
    changes: dict[str, Any],
    record: dict[str, Any],
    start: tuple[Path, int] | None,
    *,
    max_minutes: float | None,
    progress: bool,
) -> Run:
    """Train `run`'s task again on its own split with changed settings, into `fresh`."""
    from ethomorph.training.supervision import Supervision, supervised

    config = run.config()
    study = run.study()
    section = overridden(study, config["task"], TaskSection.model_validate(config["section"]), changes)
    config["section"] = plain(section.model_dump(exclude_unset=True) | {"kind": section.kind})
    fresh.write_config(config)
    fresh.split_file.write_bytes(run.split_file.read_bytes())
    task, parts = reopen(fresh, Study(study.file))
    config["resolved"] = plain(task.resolved())
    config["healed"] = record | {"start": f"epoch {start[1]}" if start else "the beginning"}
    fresh.write_config(config)
    minutes = max_minutes or config.get("max_minutes")
    with supervised(Supervision(start=start[0] if start else None)):
        task.fit(parts, fresh, max_minutes=minutes, resume=False, progress=progress)
    return fresh


def finish(run: Run, *, progress: bool) -> None:
    """Score the test part and write what every finished run has."""
    watch = Stopwatch()
    task, parts = reopen(run)
    score_run(task, parts, run, progress=progress)
    seed, root = task.study.config.split.seed, task.study.folder
    described = describe_run(command=sys.argv, seed=seed, inputs=task.inputs, root=root, seconds=watch.seconds)
    run.write_json("provenance.json", described)
    write_report(task, parts, run)

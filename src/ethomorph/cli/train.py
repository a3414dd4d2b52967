"""``ethomorph train``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ethomorph.cli.cluster import Ask, DryRun, On, Wait, Where, changes, told
from ethomorph.cli.output import (
    Json,
    Quiet,
    parse_settings,
    print_json,
    print_table,
    say,
    say_all,
    show_warnings_plainly,
)

Task = Annotated[str | None, typer.Option("--task", help="Which task; may be left out where the study has one.")]


def train(
    study: Annotated[Path, typer.Argument(help="The study's folder.")],
    task: Task = None,
    run: Annotated[str | None, typer.Option("--run", help="The run's name; the time where left out.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a key of the task for this run, key=value; may be repeated."),
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option("--max-minutes", min=0, help="Stop training after so long.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
    on: On = Where.local,
    slurm: Ask = None,
    dry_run: DryRun = False,
    wait: Wait = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a task, judge it on specimens it never saw, and write a report.

    Example: `ethomorph train wings --max-minutes 10 --set method=ert`
    """
    show_warnings_plainly()
    if on is Where.slurm:
        from ethomorph.cluster.train import submit_training

        job, script = submit_training(
            study, task=task, run=run, settings=settings or [], max_minutes=max_minutes, resume=resume,
            changes=changes(slurm), dry_run=dry_run,
        )  # fmt: skip
        raise typer.Exit(told(job, script, study=study, dry_run=dry_run, wait=wait, json=json))
    from ethomorph.report.run import metric_table
    from ethomorph.training.ranks import ranks
    from ethomorph.workflow.train import train as train_task

    finished = train_task(
        study,
        task=task,
        run=run,
        overrides=parse_settings(settings or []),
        max_minutes=max_minutes,
        resume=resume,
        progress=not quiet,
    )
    if not ranks().first:
        return
    scores = finished.read_json("scores.json")
    if json:
        print_json(
            {
                "run": str(finished.folder),
                "scores": scores,
                "health": finished.read_json("health.json"),
                "report": str(finished.report_file),
            }
        )
        return
    print_table(metric_table(scores))
    say_all(scores["warnings"])
    say(f"run: {finished.folder}")
    print(f"report: {finished.report_file}")

"""``ethomorph sweep``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ethomorph.cli.cluster import Ask, DryRun, On, Wait, Where, changes, told
from ethomorph.cli.output import Json, Quiet, print_json, print_table, say, show_warnings_plainly

SHOWN = 12


def sweep(
    study: Annotated[Path, typer.Argument(help="The study's folder.")],
    space: Annotated[Path, typer.Option("--space", help="TOML file: a table for each key that may vary.")],
    trials: Annotated[int, typer.Option("--trials", min=1, help="Trials in all, those of earlier calls included.")],
    task: Annotated[str | None, typer.Option("--task", help="Which task; may be left out where there is one.")] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="The sweep's name; the space file's where left out.")
    ] = None,
    max_minutes: Annotated[float | None, typer.Option("--max-minutes", min=0, help="Bound of each trial.")] = None,
    prune: Annotated[bool, typer.Option("--prune/--no-prune", help="End trials early that fall behind.")] = True,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed tries other settings.")] = 0,
    shared: Annotated[bool, typer.Option("--shared", help="Other processes work on this sweep too.")] = False,
    storage: Annotated[
        str | None,
        typer.Option("--storage", help="sqlite, journal (for several machines), or a database's SQLAlchemy URL."),
    ] = None,
    tasks: Annotated[int, typer.Option("--tasks", min=1, help="With --on slurm: trials at the same time.")] = 4,
    on: On = Where.local,
    slurm: Ask = None,
    dry_run: DryRun = False,
    wait: Wait = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Try settings of a task and say which do best on the validation part; the test part is never looked at.

    A space file has a table for each key, such as `["settings.learning_rate"]` with `low = 1e-4`, `high = 1e-1` and
    `log = true`, or `["method"]` with `choices = ["a", "b"]`.

    Example: `ethomorph sweep wings --space rates.toml --trials 20 --max-minutes 5`
    """
    show_warnings_plainly()
    if on is Where.slurm:
        from ethomorph.cluster.sweep import submit_sweep

        job, script = submit_sweep(
            study, space, trials=trials, task=task, name=name, max_minutes=max_minutes, prune=prune, seed=seed,
            tasks=tasks, storage=storage, changes=changes(slurm), dry_run=dry_run,
        )  # fmt: skip
        raise typer.Exit(told(job, script, study=study, dry_run=dry_run, wait=wait, json=json))
    from ethomorph.workflow.sweep import sweep as run_sweep

    found = run_sweep(
        study,
        space,
        trials=trials,
        task=task,
        name=name,
        max_minutes=max_minutes,
        prune=prune,
        seed=seed,
        shared=shared,
        storage=storage,
        progress=not quiet,
    )
    if json:
        from ethomorph.study.run import Run

        print_json(Run(found.folder).read_json("sweep.json") | {"folder": str(found.folder)})
        return
    table = found.table.drop(columns=[c for c in ("findings", "reason") if not found.table[c].any()]).head(SHOWN)
    print_table(table.apply(lambda column: column.map(short)))
    if len(found.table) > SHOWN:
        say(f"{len(found.table) - SHOWN} more in {found.folder / 'trials.csv'}")
    if found.best is None:
        say("no trial came out healthy; see the column findings")
    else:
        flags = " ".join(f"--set {key}={short(value)}" for key, value in found.settings.items())
        print(f"best: trial {found.best}: {flags}")
    print(f"picture: {found.folder / 'sweep.png'}")


def short(value: object) -> str:
    """A cell for the screen."""
    if value is None or value != value:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)

"""``ethomorph diagnose``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ethomorph.cli.output import Json, Quiet, print_json, print_table, say, show_warnings_plainly

if TYPE_CHECKING:
    from ethomorph.workflow.diagnose import Report


def diagnose(
    run: Annotated[Path, typer.Argument(help="The run's folder; a study's folder stands for its newest run.")],
    experiments: Annotated[
        bool,
        typer.Option("--experiments", help="Train shortly with one thing changed at a time, to tell causes apart."),
    ] = False,
    heal: Annotated[
        bool, typer.Option("--heal", help="Train again with the likeliest cause mended, one named change at a time.")
    ] = False,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps of each experiment.")] = 200,
    max_minutes: Annotated[float | None, typer.Option("--max-minutes", min=0, help="Bound of each healing.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what was wrong with a training, why, and what to change; find out by experiment, and mend it.

    Example: `ethomorph diagnose wings/runs/wings/2025-03-01_101500 --experiments`
    """
    show_warnings_plainly()
    from ethomorph.workflow.diagnose import diagnose_run

    report = diagnose_run(
        run, experiments=experiments, heal=heal, steps=steps, max_minutes=max_minutes, progress=not quiet
    )
    if json:
        print_json(report.to_dict())
        return
    show(report)


def show(report: Report) -> None:
    """Findings, causes, experiments and healings, each as a table where there are any."""
    import pandas as pd

    found = report.diagnosis
    print(f"{report.run.folder.name}: {found.health.verdict}")
    if found.health.findings:
        rows = [
            {
                "finding": one.rule.replace("_", " "),
                "": one.severity,
                "epoch": one.epoch or "",
                "evidence": one.evidence,
            }
            for one in found.health.findings
        ]
        print_table(pd.DataFrame(rows))
    if found.suspects:
        print()
        rows = [
            {"likely cause": one.cause.says, "": one.standing, "what to do": one.cause.advice, "tested": one.tested}
            for one in found.suspects[:6]
        ]
        print_table(pd.DataFrame(rows))
    if found.experiments:
        print()
        rows = [
            {
                "experiment": one.says,
                "learned": "" if one.gain is None else f"{one.gain:.0%}",
                "steps": one.steps,
                "seconds": f"{one.seconds:.0f}",
                "": one.note,
            }
            for one in found.experiments
        ]
        print_table(pd.DataFrame(rows))
    for one in report.rounds:
        print(f"healed: {one.change.replace('_', ' ')}, from {one.start}: {one.verdict}; {one.run}")
    if found.suspects and not found.experiments:
        say("`--experiments` tells these causes apart, `--heal` mends the first that can be mended")

"""``ethomorph score``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ethomorph.cli.cluster import Ask, DryRun, On, Wait, Where, changes, told
from ethomorph.cli.output import Json, Quiet, print_json, print_table, say_all, show_warnings_plainly


def score(
    run: Annotated[Path, typer.Argument(help="A run's folder, or its study for the newest run.")],
    labels: Annotated[
        Path | None, typer.Option("--labels", help="Other labelled data; the run's own test part where left out.")
    ] = None,
    images: Annotated[Path | None, typer.Option("--images", help="The pictures of --labels.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Where to write the scores; scores.json of the run, or scores-LABELS.json beside it."
        ),
    ] = None,
    on: On = Where.local,
    slurm: Ask = None,
    dry_run: DryRun = False,
    wait: Wait = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score a run on its test part, or on other labelled data.

    Example: `ethomorph score wings/runs/wings/first --labels other.tps --images other`
    """
    show_warnings_plainly()
    if on is Where.slurm:
        from ethomorph.cluster.score import submit_scoring

        job, script = submit_scoring(
            run, labels=labels, images=images, out=out, changes=changes(slurm), dry_run=dry_run
        )
        raise typer.Exit(told(job, script, study=job.folder.parents[1], dry_run=dry_run, wait=wait, json=json))
    from ethomorph.report.run import metric_table
    from ethomorph.workflow.score import score as score_labels

    scores = score_labels(run, labels=labels, images=images, out=out, progress=not quiet)
    if json:
        print_json(scores)
        return
    print_table(metric_table(scores))
    say_all(scores["warnings"])

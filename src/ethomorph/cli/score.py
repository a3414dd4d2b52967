"""``ethomorph score``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score a run on its test part, or on other labelled data.

    Example: `ethomorph score wings/runs/wings/first --labels other.tps --images other`
    """
    show_warnings_plainly()
    from ethomorph.report.run import metric_table
    from ethomorph.workflow.score import score as score_labels

    scores = score_labels(run, labels=labels, images=images, out=out, progress=not quiet)
    if json:
        print_json(scores)
        return
    print_table(metric_table(scores))
    say_all(scores["warnings"])

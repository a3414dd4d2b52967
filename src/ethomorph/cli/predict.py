"""``ethomorph predict``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ethomorph.cli.output import Json, Quiet, print_json, say, say_all, show_warnings_plainly


def predict(
    run: Annotated[Path, typer.Argument(help="A run's folder, its study for the newest run, or a dlib .dat.")],
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT...", help="Pictures: files, folders or patterns.")],
    out: Annotated[Path, typer.Option("--out", help="The file to write: .tps, .csv, .xml, .mrk.json, .slp, ...")],
    sheet: Annotated[Path | None, typer.Option("--sheet", help="Also draw an overlay sheet, a PNG.")] = None,
    distances: Annotated[
        Path | None, typer.Option("--distances", help="Also measure the task's named distances into this CSV.")
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="List pictures that cannot be read and go on, instead of stopping.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Predict new pictures with a trained run.

    Example: `ethomorph predict wings/runs/wings/first new_photos --out new.tps --sheet new.png`
    """
    show_warnings_plainly()
    from ethomorph.workflow.predict import predict as predict_inputs

    done = predict_inputs(run, inputs, out=out, sheet=sheet, distances=distances, skip_bad=skip_bad, progress=not quiet)
    if json:
        print_json(done)
        return
    say_all(done["notes"])
    say(f"{done['images']} picture(s), {done['found']} specimen(s) found, {done['not_found']} picture(s) without one")
    print(done["out"])

"""``ethomorph predict``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ethomorph.cli.cluster import Ask, DryRun, On, Wait, Where, changes, told
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
    tasks: Annotated[
        int | None,
        typer.Option("--tasks", min=1, help="Processes here, or tasks of the array; one bad file fails alone."),
    ] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try the failed inputs again.")] = False,
    on: On = Where.local,
    slurm: Ask = None,
    dry_run: DryRun = False,
    wait: Wait = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Predict new pictures with a trained run.

    Example: `ethomorph predict wings/runs/wings/first new_photos --out new.tps --sheet new.png`
    """
    show_warnings_plainly()
    if on is Where.slurm:
        from ethomorph.cluster.submit import submit_many
        from ethomorph.cluster.work import Work
        from ethomorph.study.run import Run

        opened = Run.open(run)
        study = opened.study()
        job, script = submit_many(
            study, Work.predict(opened), inputs, out=out, tasks=tasks, retry_failed=retry_failed,
            changes=changes(slurm), dry_run=dry_run,
        )  # fmt: skip
        raise typer.Exit(told(job, script, study=study.folder, dry_run=dry_run, wait=wait, json=json))
    if tasks is not None:
        _many(run, inputs, out=out, tasks=tasks, retry_failed=retry_failed, json=json, quiet=quiet)
        return
    from ethomorph.workflow.predict import predict as predict_inputs

    done = predict_inputs(run, inputs, out=out, sheet=sheet, distances=distances, skip_bad=skip_bad, progress=not quiet)
    if json:
        print_json(done)
        return
    say_all(done["notes"])
    say(done["summary"] if "summary" in done else pictures_of(done))
    print(done["out"])


def _many(
    run: Path, inputs: list[str], *, out: Path, tasks: int, retry_failed: bool, json: bool, quiet: bool
) -> None:
    from ethomorph.cluster.many import predict_many
    from ethomorph.study.run import Run

    done = predict_many(Run.open(run), inputs, out=out, tasks=tasks, retry_failed=retry_failed, progress=not quiet)
    if json:
        print_json(done)
        return
    say_all([*done["notes"], *(f"left out: {line}" for line in done["failures"])])
    say(f"{done['done']} of {done['inputs']} inputs done, {done['failed']} failed; each is listed in {done['table']}")
    print(done["out"])


def pictures_of(done: dict) -> str:
    """What became of the pictures, as a sentence."""
    return f"{done['images']} picture(s), {done['found']} specimen(s) found, {done['not_found']} picture(s) without one"

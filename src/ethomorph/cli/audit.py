"""``ethomorph audit``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ethomorph.cli.output import Json, Quiet, print_json, print_table, say_all, show_warnings_plainly
from ethomorph.cli.train import Task


def audit(
    study: Annotated[Path, typer.Argument(help="The study's folder.")],
    task: Task = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for audit.json and audit.html; the study's where left out.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Ask whether this data set is fit to learn from.

    Example: `ethomorph audit wings`
    """
    show_warnings_plainly()
    from ethomorph.workflow.audit import audit_study, findings_table

    result, files = audit_study(study, task=task, out=out, progress=not quiet)
    if json:
        print_json(result)
        return
    print_table(findings_table(result), title=f"verdict: {result['verdict']}")
    say_all(result.get("notes", []))
    print(files["html"])

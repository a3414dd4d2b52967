"""``ethomorph report``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ethomorph.cli.output import show_warnings_plainly


def report(run: Annotated[Path, typer.Argument(help="A run's folder, or its study for the newest run.")]) -> None:
    """Rebuild a run's report.html from its files.

    Example: `ethomorph report wings/runs/wings/first`
    """
    show_warnings_plainly()
    from ethomorph.study.run import Run
    from ethomorph.workflow.train import reopen, write_report

    opened = Run.open(run)
    print(f"report: {write_report(*reopen(opened), opened)}")

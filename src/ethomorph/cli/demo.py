"""``ethomorph demo``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ethomorph.cli.output import Quiet, show_warnings_plainly


def demo(
    out: Annotated[Path, typer.Option("--out", help="Where to put the demo's study.")] = Path("demo"),
    quiet: Quiet = False,
) -> None:
    """Run the main job on simulated radiographs, end to end, in about three minutes.

    Example: `ethomorph demo --out demo`
    """
    show_warnings_plainly()
    from ethomorph.workflow.demo import run_demo

    print(f"report: {run_demo(out, progress=not quiet)}")

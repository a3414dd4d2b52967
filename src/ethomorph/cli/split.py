"""``ethomorph split``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ethomorph.cli.output import Json, print_json, print_table, say_all, show_warnings_plainly
from ethomorph.cli.train import Task


def split(
    study: Annotated[Path, typer.Argument(help="The study's folder.")],
    task: Task = None,
    out: Annotated[Path | None, typer.Option("--out", help="Also write sample,group,part to this CSV.")] = None,
    json: Json = False,
) -> None:
    """Show which specimens a training would learn from, choose on and be judged on.

    Example: `ethomorph split wings`
    """
    show_warnings_plainly()
    from ethomorph.study.config import Study
    from ethomorph.study.task import open_task
    from ethomorph.workflow.train import describe_split, split_task

    opened = open_task(Study(study), task)
    parts = split_task(opened)
    table = opened.samples[["sample", "group"]].assign(part=parts)
    if out is not None:
        from ethomorph.core.files import write_text

        write_text(out, table.to_csv(index=False))
    if json:
        print_json(
            {
                "by": opened.study.config.split.by,
                "parts": describe_split(opened, parts).to_dict("records"),
                "samples": table.to_dict("records"),
            }
        )
        return
    print_table(
        describe_split(opened, parts),
        title=f"split by {opened.study.config.split.by}, seed {opened.study.config.split.seed}",
    )
    say_all(opened.warnings)

"""``ethomorph jobs``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ethomorph.cli.output import Json, print_json, print_table, say


def jobs(
    study: Annotated[Path, typer.Argument(help="The study whose jobs to list.")],
    cancel: Annotated[str | None, typer.Option("--cancel", help="End this job.")] = None,
    retry: Annotated[
        str | None, typer.Option("--retry", help="Submit again what this job left undone; `failed` for every such job.")
    ] = None,
    job: Annotated[str | None, typer.Option("--job", help="Show one job, its failures and the end of its log.")] = None,
    json: Json = False,
) -> None:
    """What was given to the cluster, and what became of it.

    Example: `ethomorph jobs wings --retry failed`
    """
    import pandas as pd

    from ethomorph.cluster import slurm
    from ethomorph.cluster.job import Job
    from ethomorph.cluster.status import describe_jobs
    from ethomorph.cluster.submit import jobs_folder
    from ethomorph.cluster.submit import retry as submit_again
    from ethomorph.core.errors import StudyError
    from ethomorph.study.config import Study

    folder = jobs_folder(Study(study))
    if cancel is not None:
        slurm.cancel(Job.read(folder / cancel))
        say(f"asked Slurm to end {cancel}")
    rows = describe_jobs(folder.parent)
    if retry is not None:
        undone = [row["job"] for row in rows if row["undone"]] if retry == "failed" else [retry]
        for name in undone:
            again = submit_again(Job.read(folder / name))
            say(f"{name}: submitted again as {again.name}, Slurm job {again.slurm_id}")
        rows = describe_jobs(folder.parent)
    if job is not None:
        rows = [row for row in rows if row["job"] == job]
        if not rows:
            raise StudyError(f"no job {job!r}", place=folder, fix="`ethomorph jobs STUDY` lists them")
    if json:
        print_json(rows)
    elif job is not None:
        _show(rows[0])
    elif rows:
        print_table(pd.DataFrame([_row(row) for row in rows]))
    else:
        say("no jobs yet; begin with `ethomorph train STUDY --on slurm`")


def _row(block: dict[str, Any]) -> dict[str, str]:
    if "inputs" in block:
        progress = f"{block['done']} of {block['inputs']} done, {block['failed']} failed"
    elif "epochs" in block:
        progress = f"{block['epochs']} epochs"
    else:
        progress = ""
    left = block.get("seconds_left")
    return {
        "job": block["job"],
        "slurm": block["slurm"] or "",
        "state": block["state"],
        "progress": progress,
        "left": f"{left / 60:.0f} min" if left else "",
        "health": block.get("health", ""),
        "last words": (block["said"] or block["log"] or [""])[-1][:80],
    }


def _show(block: dict[str, Any]) -> None:
    for key, value in block.items():
        if key in ("log", "failures", "said"):
            continue
        print(f"{key}: {', '.join(map(str, value)) if isinstance(value, list) else value}")
    for line in [*block["said"], *block.get("failures", []), *block["log"]]:
        print(f"  {line}")

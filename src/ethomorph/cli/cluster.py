"""What the verbs that can run on a cluster have in common: where, the script only, and waiting for the end."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ethomorph.cli.output import parse_settings, print_json, say

if TYPE_CHECKING:
    from ethomorph.cluster.job import Job


class Where(StrEnum):
    """Where a verb runs."""

    local = "local"
    slurm = "slurm"


On = Annotated[Where, typer.Option("--on", help="Run here, or hand it to Slurm and come back at once.")]
Ask = Annotated[
    list[str] | None,
    typer.Option("--slurm", help="Change a key of the study's [slurm] table, key=value; may be repeated."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the sbatch script and submit nothing.")]
Wait = Annotated[bool, typer.Option("--wait", help="Watch the job until it ends.")]
LOOK_EVERY_S = 2.0


def changes(pairs: list[str] | None) -> dict[str, Any]:
    """What ``--slurm key=value`` changes."""
    return parse_settings(pairs or [])


def told(job: Job | None, script: str, *, study: Path, dry_run: bool, wait: bool, json: bool) -> int:
    """Say what was submitted, or show the script; returns the exit code."""
    if dry_run:
        print(script, end="")
        return 0
    if job is None:
        say("nothing is pending: every input is done")
        return 0
    from ethomorph.cluster.status import describe_jobs

    say(f"submitted as Slurm job {job.slurm_id}; this terminal may be closed, `ethomorph jobs {study}` tells the rest")
    code = watch(study, job.name) if wait else 0
    if json:
        print_json(next(one for one in describe_jobs(study) if one["job"] == job.name))
    else:
        print(job.name)
    return code


def watch(study: Path, name: str) -> int:
    """Wait until a job, and those that it submits in turn, have ended; 0 where all went well."""
    from ethomorph.cluster.status import describe_jobs

    while True:
        rows = describe_jobs(study)
        begun = next(i for i, row in enumerate(rows) if row["job"] == name)
        mine = [row for row in rows[begun:] if row["verb"] == rows[begun]["verb"]]
        if all(row["state"] in ("done", "failed", "lost", "unknown") for row in mine) and not any(
            row["merging"] for row in mine
        ):
            return 0 if mine[-1]["state"] == "done" else 1
        time.sleep(LOOK_EVERY_S)

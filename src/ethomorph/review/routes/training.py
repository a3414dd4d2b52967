"""Starting a run, watching it, and comparing two."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import StringConstraints

from ethomorph.review.models import JobShown, Said
from ethomorph.review.routes.access import Desk, Looks, Manages
from ethomorph.review.routes.edits import TaskName
from ethomorph.review.runs import compared, curves, run_named, runs_of
from ethomorph.review.shield import REPORT_POLICY
from ethomorph.review.source import Refused

router = APIRouter(prefix="/api/studies/{study}/tasks/{task}")
RunName = Annotated[str, Path(max_length=200)]
NewName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,80}$")]


class RunWanted(Said):
    """A run to start; `minutes` bounds its training."""

    name: NewName
    minutes: float | None = None


@router.get("/runs")
def runs(task: TaskName, desk: Looks) -> list[dict[str, Any]]:
    _known(desk, task)
    return runs_of(desk.opened.study, task)


@router.get("/runs/{run}/curves")
def run_curves(task: TaskName, run: RunName, desk: Looks) -> dict[str, Any]:
    """The curves as far as they are, and the doctor's findings."""
    _known(desk, task)
    return curves(run_named(desk.opened.study, task, run))


@router.get("/runs/{run}/report", response_class=Response)
def report(task: TaskName, run: RunName, desk: Looks) -> Response:
    """The run's report, shut in a sandbox of its own."""
    _known(desk, task)
    file = run_named(desk.opened.study, task, run).report_file
    if not file.is_file():
        raise Refused(f"run {run} has no report yet")
    return Response(file.read_bytes(), media_type="text/html", headers={"content-security-policy": REPORT_POLICY})


@router.get("/compare")
def compare(
    task: TaskName,
    first: Annotated[str, Query(max_length=200)],
    second: Annotated[str, Query(max_length=200)],
    desk: Looks,
) -> dict[str, Any]:
    """Each sample's main metric in both runs."""
    _known(desk, task)
    return compared(desk.opened.study, task, first, second)


@router.post("/runs")
def start(task: TaskName, wanted: RunWanted, desk: Manages) -> JobShown:
    """Train the task in a process of its own; the page hears its lines."""
    _known(desk, task)
    command = ["train", str(desk.opened.study.folder), "--task", task, "--run", wanted.name, "--quiet"]
    if wanted.minutes is not None:
        if not 0 < wanted.minutes <= 10_000:
            raise Refused("minutes are above 0")
        command += ["--max-minutes", str(wanted.minutes)]
    return desk.server.jobs.start(
        desk.opened, f"train {task}", command, run=wanted.name, done=lambda: desk.opened.close(task)
    )


@router.get("/jobs")
def jobs(task: TaskName, desk: Looks) -> list[JobShown]:
    _known(desk, task)
    return [job for job in desk.server.jobs.of(desk.opened.slug) if job.name.endswith(f" {task}")]


@router.delete("/jobs")
def stop(task: TaskName, name: Annotated[str, Query(max_length=300)], desk: Manages) -> list[JobShown]:
    """Ask a job to end, as Ctrl-C does; a training keeps its checkpoint."""
    _known(desk, task)
    desk.server.jobs.stop(desk.opened.slug, name)
    return jobs(task, desk)


def _known(desk: Desk, task: str) -> None:
    if task not in desk.opened.study.config.task:
        raise Refused(f"there is no task {task!r}")

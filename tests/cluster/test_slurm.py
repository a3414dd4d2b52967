"""On a real Slurm of one node: jobs come to their end although tasks and the node's daemon are killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from ethomorph.cli.app import execute
from ethomorph.cluster.job import jobs_of
from ethomorph.cluster.manifest import Manifest
from ethomorph.cluster.many import work_folder
from ethomorph.cluster.status import describe_jobs
from ethomorph.formats.registry import read_landmarks

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
PICTURES = 500


@pytest.fixture
def many(trained: Path, tmp_path: Path) -> Path:
    """Five hundred pictures, three of them damaged."""
    folder = tmp_path / "many"
    folder.mkdir()
    sources = sorted((trained / "new" / "images").iterdir())
    for i in range(PICTURES):
        shutil.copy(sources[i % len(sources)], folder / f"{i:04d}.png")
    for i in (7, 250, 499):
        (folder / f"{i:04d}.png").write_bytes(b"no picture")
    return folder


def test_training_as_a_job(slurm, trained):
    assert execute(["train", str(trained), "--run", "on_slurm", "--on", "slurm", "--wait"]) == 0
    here, there = (json.loads((trained / "runs/t" / run / "scores.json").read_text()) for run in ("a", "on_slurm"))
    assert here == there


def test_a_training_in_two_processes_and_its_scoring(slurm, trained):
    """One training in two processes that srun starts: the same split, and one run folder; scored by another job."""
    settings = ["method=heatmap", "settings={steps = 30, pictures = 4, coarse = {filters = 4}, refine = {filters = 4}}"]
    command = ["train", str(trained), "--run", "pair", "--on", "slurm", "--wait", "--slurm", "processes=2"]
    assert execute([*command, *(part for one in settings for part in ("--set", one))]) == 0
    run = trained / "runs/t/pair"
    assert (run / "split.csv").read_bytes() == (trained / "runs/t/a/split.csv").read_bytes()
    assert len(list(list(jobs_of(trained))[-1].folder.glob("logs/*_log.out"))) == 2
    scores = (run / "scores.json").read_bytes()
    (run / "scores.json").unlink()
    assert execute(["score", str(run), "--on", "slurm", "--wait"]) == 0
    assert json.loads((run / "scores.json").read_bytes()) == json.loads(scores)


def test_an_array_survives_killed_tasks_and_a_killed_daemon(slurm, trained, many, tmp_path):
    out = tmp_path / "found.tps"
    run = str(trained / "runs/t/a")
    assert execute(["predict", run, str(many), "--out", str(out), "--on", "slurm", "--tasks", "4"]) == 0
    manifest_folder = work_folder(out)
    manifest = wait_for(lambda: done_at_least(manifest_folder, 20), "the first results")
    [job] = [one for one in jobs_of(trained) if one.manifest == manifest.folder]
    victim = next(said["pid"] for said in job.results().values() if said["state"] == "running")
    parts = {part: part.stat().st_mtime_ns for part in manifest.parts_done()}
    os.kill(victim, signal.SIGKILL)
    slurm.kill_slurmd()
    time.sleep(1)
    slurm.start_slurmd()
    wait_for(lambda: out.exists() and not Manifest(manifest_folder).counts().pending, "the end", seconds=600)
    counts = Manifest(manifest_folder).counts()
    assert (counts.done, counts.failed) == (PICTURES - 3, 3)
    assert len({s.image for s in read_landmarks(out, images=many, gaps="missing")}) == PICTURES - 3
    failures = " ".join(said for _, said in Manifest(manifest_folder).failures())
    assert all(f"{i:04d}.png" in failures for i in (7, 250, 499))
    assert all(part.stat().st_mtime_ns == before for part, before in parts.items()), "something was done twice"
    assert not [path for path, times in predicted(manifest_folder).items() if times > 1]


def test_a_cancelled_job_can_be_submitted_again(slurm, trained, many, tmp_path, capsys):
    out = tmp_path / "cancelled.tps"
    run = str(trained / "runs/t/a")
    assert execute(["predict", run, str(many), "--out", str(out), "--on", "slurm", "--tasks", "2", "--json"]) == 0
    name = json.loads(capsys.readouterr().out)["job"]
    wait_for(lambda: done_at_least(work_folder(out), 1), "a first result")
    assert execute(["jobs", str(trained), "--cancel", name]) == 0
    wait_for(lambda: state_of(trained, name) not in ("running", "pending"), "the end of the cancelled job")
    left = Manifest(work_folder(out)).counts().pending
    assert left
    assert execute(["jobs", str(trained), "--retry", name]) == 0
    wait_for(lambda: out.exists(), "the end of the second go", seconds=600)
    assert Manifest(work_folder(out)).counts().done == PICTURES - 3


def test_a_sweep_makes_its_trials_once_although_one_task_is_killed(slurm, trained):
    (trained / "depth.toml").write_text('["settings.cascade_depth"]\nlow = 2\nhigh = 6\n')
    command = ["sweep", str(trained), "--space", str(trained / "depth.toml"), "--trials", "8"]
    assert execute([*command, "--on", "slurm", "--tasks", "2"]) == 0
    job = next(one for one in jobs_of(trained) if one.verb == "sweep")
    victim = wait_for(
        lambda: next((s["pid"] for s in job.results().values() if s["state"] == "running"), None), "a task"
    )
    storage = trained / "sweeps" / "t" / "depth"
    wait_for(lambda: len(list(storage.glob("trial_*"))) >= 2, "the first trials")
    os.kill(victim, signal.SIGKILL)
    made = wait_for(lambda: finished_sweep(storage), "the end of the sweep", seconds=600)
    assert len(made["trials"]) == 8 and made["best"] is not None
    assert len({trial["trial"] for trial in made["trials"]}) == 8


def finished_sweep(folder: Path) -> dict | None:
    """sweep.json once it holds every trial."""
    file = folder / "sweep.json"
    block = json.loads(file.read_text()) if file.exists() else None
    return block if block and len(block["trials"]) >= 8 else None


def state_of(study: Path, name: str) -> str:
    return next(row["state"] for row in describe_jobs(study) if row["job"] == name)


def done_at_least(folder: Path, count: int) -> Manifest | None:
    manifest = Manifest(folder) if (folder / "plan.json").exists() else None
    return manifest if manifest and manifest.counts().done >= count else None


def predicted(folder: Path) -> dict[int, int]:
    """How often each input was logged as done."""
    times: dict[int, int] = {}
    for log in (folder / "logs").glob("*.jsonl"):
        for line in log.read_bytes().splitlines():
            if line.strip():
                number, said = json.loads(line)
                times[number] = times.get(number, 0) + (not said)
    return times


def wait_for(condition, what: str, seconds: float = 120):
    """The condition's first true value; fails with the queue's word where it never comes."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            queue = subprocess.run(["squeue", "-t", "all"], capture_output=True, text=True, check=False).stdout
            raise AssertionError(f"waited in vain for {what}\n{queue}")
        time.sleep(0.3)
    return found

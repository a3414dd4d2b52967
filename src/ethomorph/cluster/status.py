"""What became of jobs: our own result files first, then the queue's word; one row a job."""

from __future__ import annotations

import csv
import time
from collections import Counter
from pathlib import Path
from typing import Any

from ethomorph.cluster import slurm
from ethomorph.cluster.job import Job, jobs_of
from ethomorph.cluster.manifest import Manifest
from ethomorph.study.run import Run

LOG_LINES = 3


def describe_jobs(study: Path) -> list[dict[str, Any]]:
    """Every job of a study as `describe` says it, the newest last."""
    jobs = list(jobs_of(study))
    queue = slurm.queue_states([one for job in jobs for one in (job.slurm_id, job.finisher_id) if one])
    return [describe(job, queue) for job in jobs]


def describe(job: Job, queue: dict[str, dict[int, str]]) -> dict[str, Any]:
    """State, progress, time left, the last words of the log and the doctor's verdict of one job."""
    states = task_states(job, queue)
    tally = Counter(states)
    block: dict[str, Any] = {
        "job": job.name, "verb": job.verb, "slurm": job.slurm_id, "state": overall(job, tally),
        "tasks": dict(tally), "submitted": job.submitted, "attempt": job.attempt,
    }  # fmt: skip
    if job.manifest is not None:
        block |= manifest_progress(job)
    elif job.run is not None:
        block |= training_progress(Run(job.run))
    failed = [f"task {number}: {said['said']}" for number, said in job.results().items() if said.get("said")]
    merged = job.manifest is not None and Manifest(job.manifest).is_merged
    merging = not merged and queue.get(job.finisher_id or "", {}).get(0, "") in slurm.LIVE
    undone = not merging and (
        bool(block.get("failed") or block.get("pending"))
        if job.manifest is not None
        else block["state"] in ("failed", "lost")
    )
    return block | {"merging": merging, "undone": undone, "said": failed[:LOG_LINES], "log": log_tail(job)}


def task_states(job: Job, queue: dict[str, dict[int, str]]) -> list[str]:
    """pending, running, done, failed or lost (killed without a word) for each task."""
    said, seen = job.results(), queue.get(job.slurm_id or "", {})
    states = []
    for task in range(job.tasks):
        own = str(said.get(task, {}).get("state", ""))
        slurm_word = seen.get(task) or (seen.get(0, "") if job.tasks == 1 else "")
        if own in ("done", "failed", "stopped"):
            states.append("failed" if own == "stopped" else own)
        elif slurm_word in slurm.LIVE or (slurm_word == "" and not own and _waits(seen)):
            states.append("running" if slurm_word in ("RUNNING", "COMPLETING") else "pending")
        elif own == "running" or slurm_word:
            states.append("lost")
        else:
            states.append("unknown")
    return states


def overall(job: Job, tally: Counter[str]) -> str:
    """One word for a job; an array counts as done once its manifest has nothing pending."""
    if job.manifest is not None and not Manifest(job.manifest).counts().pending:
        return "done"
    for state in ("running", "pending", "lost", "failed", "unknown"):
        if tally[state]:
            return state
    return "done"


def manifest_progress(job: Job) -> dict[str, Any]:
    """Counts of the inputs, and from the pace of the logs the seconds that are left."""
    assert job.manifest is not None
    manifest = Manifest(job.manifest)
    counts = manifest.counts()
    block: dict[str, Any] = {
        "inputs": counts.inputs, "done": counts.done, "failed": counts.failed, "pending": counts.pending,
        "failures": [said for _, said in manifest.failures()],
    }  # fmt: skip
    logs = list((job.manifest / "logs").glob(f"{job.name}-*.jsonl"))
    mine = {number for share in job.chunks for number in share}
    finished = len(mine & set(manifest.outcomes()))
    if logs and counts.pending and finished:
        begun = min(log.stat().st_ctime for log in logs)
        started = min((job.folder / "results").stat().st_ctime, begun) if (job.folder / "results").exists() else begun
        block["seconds_left"] = round((time.time() - started) / finished * (len(mine) - finished))
    return block


def training_progress(run: Run) -> dict[str, Any]:
    """Epochs done, and what the doctor found."""
    block: dict[str, Any] = {"run": str(run.folder)}
    if run.history_file.exists():
        with run.history_file.open(newline="", encoding="utf-8") as stream:
            block["epochs"] = sum(1 for _ in csv.DictReader(stream))
    if run.health_file.exists():
        health = run.read_json("health.json")
        block["health"] = health["verdict"]
        block["findings"] = [finding["rule"] for finding in health["findings"]]
    return block


def log_tail(job: Job) -> list[str]:
    """The last lines that any task printed."""
    files = sorted(slurm.logs(job).glob("*.out"), key=lambda file: file.stat().st_mtime)
    if not files:
        return []
    with files[-1].open("rb") as stream:
        stream.seek(max(0, files[-1].stat().st_size - 4000))
        lines = stream.read().decode("utf-8", "replace").replace("\r", "\n").splitlines()
    return [line.strip()[:200] for line in lines if line.strip() and "submitit" not in line][-LOG_LINES:]


def _waits(seen: dict[int, str]) -> bool:
    return any(state in slurm.LIVE for state in seen.values())

"""Slurm, through submitit: the script, the submission, the queue's word on a job, and its end.

Nothing here decides when or where work runs; that is Slurm's. What submitit pickles is the name of one of our functions
and a job's folder, written and read by the same installation.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ethomorph.cluster.job import Job
from ethomorph.core.errors import InputError, MissingPart
from ethomorph.study.config import SlurmSection

NEEDED, INSTALL = "submitit is needed for --on slurm", "pip install 'ethomorph[cluster]'"
WARNING_S = 120
"""Seconds before a time limit at which a job is told, so that it can write a checkpoint and queue again."""
END_TOGETHER = "export SLURM_KILL_BAD_EXIT=1"
"""srun then ends the processes that would wait in vain for one that failed."""
LIVE = {"PENDING", "RUNNING", "CONFIGURING", "COMPLETING", "REQUEUED", "SUSPENDED", "RESIZING", "REQUEUE_HOLD"}


def script(job: Job, resources: SlurmSection, *, dependency: str | None = None) -> str:
    """The sbatch script that `submit` would hand in."""
    try:
        from submitit.slurm import slurm as submitit_slurm
    except ImportError:
        raise MissingPart(NEEDED, fix=INSTALL) from None
    arguments = parameters(job, resources, dependency)
    if job.tasks > 1:
        arguments["map_count"] = job.tasks
    command = f"{shlex.quote(sys.executable)} -u -m submitit.core._submit {shlex.quote(str(logs(job)))}"
    return str(submitit_slurm._make_sbatch_string(command, logs(job), **arguments))


def parameters(job: Job, resources: SlurmSection, dependency: str | None = None) -> dict[str, Any]:
    """submitit's names for what a job asks for; a training alone may span several processes and machines."""
    together = job.verb == "train" and resources.ranks > 1
    wanted: dict[str, Any] = {
        "job_name": f"ethomorph-{job.verb}",
        "partition": resources.partition,
        "account": resources.account,
        "qos": resources.qos,
        "constraint": resources.constraint,
        "cpus_per_task": resources.cpus,
        "gpus_per_node": resources.gpus or None,
        "mem": f"{round(resources.memory_gb * 1024)}M",
        "time": resources.minutes,
        "array_parallelism": resources.tasks,
        "setup": [*resources.setup, *([END_TOGETHER] if together else [])] or None,
        "dependency": dependency,
        "signal_delay_s": min(WARNING_S, resources.minutes * 30),
        "stderr_to_stdout": True,
        "nodes": resources.nodes if together else None,
        "ntasks_per_node": resources.ranks_per_node if together else None,
        # srun passes the notice of the time limit on to the work; a job that submits further ones runs without
        "use_srun": dependency is None,
        "additional_parameters": {"requeue": True, **resources.extra},
    }
    return {name: value for name, value in wanted.items() if value is not None}


def submit(job: Job, resources: SlurmSection, calls: list[Callable[[], Any]], *, dependency: str | None = None) -> str:
    """Hand in one call, or an array of several; returns Slurm's number.

    Raises
    ------
    InputError : no Slurm here, or Slurm refuses; its own words.
    """
    executor = _executor(job)
    executor.update_parameters(**parameters(job, resources, dependency))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = executor.submit(calls[0]) if len(calls) == 1 else executor.submit_array(calls)[0]
    except Exception as error:
        said = " ".join(str(getattr(error, "args", [error])[0]).split())[-300:]
        raise InputError(f"Slurm refuses: {said}", place="sbatch", fix="change [slurm] in study.toml") from None
    return str(made.job_id).partition("_")[0]


def logs(job: Job) -> Path:
    """Where the tasks' output goes."""
    return job.folder / "logs"


def queue_states(slurm_ids: list[str]) -> dict[str, dict[int, str]]:
    """Slurm's word on each task by job: from the queue, which remembers the finished for some minutes, then accounts.

    Jobs that neither knows are left out.
    """
    if not slurm_ids or shutil.which("squeue") is None:
        return {}
    ids = sorted(set(slurm_ids))
    lines = _in_queue(",".join(ids))
    if lines is None:  # squeue refuses a whole list for one number that it has forgotten
        lines = [line for one in ids for line in _in_queue(one) or []]
    found: dict[str, dict[int, str]] = {}
    for line in lines:
        number, task, state = line.split()[:3]
        found.setdefault(number, {})[int(task) if task.isdigit() else 0] = state
    for number in set(slurm_ids) - set(found):
        accounts = _accounts(number)
        if accounts:
            found[number] = accounts
    return found


def cancel(job: Job) -> None:
    """End a job and what waits for it."""
    ids = [one for one in (job.finisher_id, job.slurm_id) if one]
    if ids and _ask(["scancel", *ids]) is None:
        raise InputError("scancel failed", place=job.folder, fix="look with `squeue`")


def requeue() -> None:
    """Ask Slurm to queue the job that this process runs in again."""
    number = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    mine = "_".join(n for n in number if n) or os.environ["SLURM_JOB_ID"]
    subprocess.run(["scontrol", "requeue", mine], check=True, timeout=60)


def meet() -> bool:
    """Tell this process of the others that srun started with it, in torchrun's words; whether it is the first.

    submitit exports them: each process then sees one GPU, its own.
    """
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) == 1:
        return True
    from submitit.helpers import TorchDistributedEnvironment

    told = TorchDistributedEnvironment().export(set_cuda_visible_devices="CUDA_VISIBLE_DEVICES" in os.environ)
    return bool(told.rank == 0)


def refuse_no_slurm() -> None:
    """Raise where this machine has no Slurm to submit to."""
    if shutil.which("sbatch") is None:
        raise InputError("there is no sbatch here", fix="log in to the cluster's submit machine, or use --on local")


def _executor(job: Job) -> Any:
    refuse_no_slurm()
    try:
        from submitit import SlurmExecutor
    except ImportError:
        raise MissingPart(NEEDED, fix=INSTALL) from None
    logs(job).mkdir(parents=True, exist_ok=True)
    return SlurmExecutor(folder=logs(job))


def _in_queue(ids: str) -> list[str] | None:
    return _ask(["squeue", "-r", "-h", "-t", "all", "-o", "%F %K %T", "-j", ids])


def _ask(command: list[str]) -> list[str] | None:
    """Lines of a command's answer, or None where it failed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else None


def _accounts(number: str) -> dict[int, str]:
    if shutil.which("sacct") is None:
        return {}
    found: dict[int, str] = {}
    for line in _ask(["sacct", "-X", "-n", "-P", "-o", "JobID,State", "-j", number]) or []:
        name, _, state = line.partition("|")
        task = name.partition("_")[2]
        found[int(task) if task.isdigit() else 0] = state.split()[0] if state else ""
    return found

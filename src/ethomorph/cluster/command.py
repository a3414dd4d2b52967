"""What runs inside a job: a command line, or a task's share of a manifest; safe to run again after any kind of end.

A training that is told its time is nearly up writes a checkpoint, asks to be queued again, and goes on from there.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ethomorph.cluster import slurm
from ethomorph.cluster.job import Job
from ethomorph.cluster.manifest import Manifest, chunks
from ethomorph.cluster.many import finish, finish_if_last, work
from ethomorph.study.config import SlurmSection
from ethomorph.study.run import Run
from ethomorph.training.ranks import ranks

TIME_IS_UP = signal.SIGUSR2
"""What Slurm sends before a time limit, as submitit asks it to."""
ATTEMPTS = 3
"""How often the inputs that a task left undone are submitted again, before a person has to look."""


class Command:
    """A command line as a job, or one of several tasks that run it: `Command(folder)()`."""

    def __init__(self, folder: Path, task: int = 0) -> None:
        self.folder, self.task = folder, task

    def __call__(self) -> int:
        from ethomorph.cli.app import INTERRUPTED, execute

        job = Job.read(self.folder)
        if not slurm.meet():
            return self.help(job)
        job.write_result(self.task, state="running")
        said = io.StringIO()
        with notices() as told, contextlib.redirect_stderr(_Both(sys.stderr, said)):
            code = execute(resumed(job))
        last = next((line for line in reversed(said.getvalue().splitlines()) if line.strip()), "")
        if told and code == INTERRUPTED:
            job.write_result(self.task, state="queued again", exit=code, said=last)
            slurm.requeue()
        else:
            state = "done" if code == 0 else "failed"
            job.write_result(self.task, state=state, exit=code, said=last if code else "")
            if code and ranks().several:
                raise RuntimeError(last)  # so that srun ends the processes that wait for this one
        return code

    def help(self, job: Job) -> int:
        """One of the further processes of a training, which the first one speaks for."""
        from ethomorph.cli.app import INTERRUPTED, execute

        with notices():
            code = execute(resumed(job))
        if code not in (0, INTERRUPTED):
            raise RuntimeError(f"ended with {code}")
        return code


class Last:
    """The command line behind the tasks of a job."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self) -> int:
        from ethomorph.cli.app import execute

        return execute(Job.read(self.folder).last)


class Share:
    """A task of an array: its chunk of a manifest."""

    def __init__(self, folder: Path, task: int) -> None:
        self.folder, self.task = folder, task

    def __call__(self) -> None:
        job = Job.read(self.folder)
        assert job.manifest is not None
        job.write_result(self.task, state="running")
        with notices() as told:
            try:
                work(job.manifest, job.chunks[self.task], f"{job.name}-{self.task}")
            except KeyboardInterrupt:
                job.write_result(self.task, state="queued again" if told else "stopped")
                if told:
                    slurm.requeue()
                return
            except Exception as error:
                job.write_result(self.task, state="failed", said=" ".join(str(error).split())[:300])
                raise
        finish_if_last(job.manifest)
        job.write_result(self.task, state="done")


class Finish:
    """After an array: merge what the last task did not come to, or submit what a killed one left undone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self) -> dict[str, Any]:
        job = Job.read(self.folder)
        assert job.manifest is not None
        pending = Manifest(job.manifest).pending()
        if pending and job.attempt < ATTEMPTS:
            again = submit_share(job.manifest, job, pending, attempt=job.attempt + 1)
            return {"submitted": again.name, "pending": len(pending)}
        if Manifest(job.manifest).is_merged:
            return {"merged": True}
        return finish(job.manifest)


def submit_share(manifest: Path, like: Job, pending: list[int], *, attempt: int = 1) -> Job:
    """Submit an array over these inputs, and behind it the job that merges."""
    resources = SlurmSection.model_validate(like.resources)
    job = Job.new(
        like.folder.parent, like.verb, manifest=manifest, run=like.run, attempt=attempt, resources=like.resources,
        chunks=chunks(pending, like.tasks if attempt == 1 else min(like.tasks, len(pending))),
    ).write()  # fmt: skip
    calls = [Share(job.folder, task) for task in range(len(job.chunks))]
    number = slurm.submit(job, resources, list(calls))
    small = resources.model_copy(update={"gpus": 0, "cpus": 1})
    last = slurm.submit(job, small, [Finish(job.folder)], dependency=f"afterany:{number}")
    return job.with_ids(number, last)


def resumed(job: Job) -> list[str]:
    """The command line, with ``--resume`` where an earlier go of the same training left a checkpoint."""
    arguments = list(job.arguments)
    if job.verb == "train" and job.run is not None and "--resume" not in arguments:
        run = Run(job.run)
        if run.config_file.exists() and not run.is_finished:
            arguments.append("--resume")
    return arguments


@contextlib.contextmanager
def notices() -> Iterator[list[str]]:
    """Let a notice of the time limit end the work in order; the list that is yielded then names it.

    A training has a handler of its own for SIGTERM, which stops it at the next step with a checkpoint; elsewhere the
    work ends at once, and what was finished is on disk.
    """
    told: list[str] = []

    def ask(number: int, frame: Any) -> None:
        told.append(signal.Signals(number).name)
        os.kill(os.getpid(), signal.SIGTERM)

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = {TIME_IS_UP: signal.signal(TIME_IS_UP, ask), signal.SIGTERM: signal.signal(signal.SIGTERM, stop)}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Both(io.TextIOBase):
    """Text to a stream and to a memory of it."""

    def __init__(self, stream: Any, memory: io.StringIO) -> None:
        self.stream, self.memory = stream, memory

    def write(self, text: str) -> int:
        self.memory.write(text)
        return int(self.stream.write(text))

    def flush(self) -> None:
        self.stream.flush()

    def isatty(self) -> bool:
        return False

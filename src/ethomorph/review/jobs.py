"""Long work that the page starts: a verb of the command line in a process of its own, its last lines kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from threading import Lock, Thread
from typing import TYPE_CHECKING

from ethomorph.core.errors import InputError
from ethomorph.review.events import Broadcaster
from ethomorph.review.models import JobShown

if TYPE_CHECKING:
    from ethomorph.review.library import OpenStudy

LINES = 60


class Busy(InputError):
    """The same work is going on already."""


class Job:
    """One process."""

    def __init__(self, study: str, name: str, command: list[str], run: str | None) -> None:
        self.study, self.name, self.run = study, name, run
        self.what = "ethomorph " + " ".join(command)
        self.lines: deque[str] = deque(maxlen=LINES)
        self.stopped = False
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ethomorph", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, text=True, errors="replace", start_new_session=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )  # fmt: skip

    def shown(self) -> JobShown:
        code = self.process.poll()
        state = "running" if code is None else "stopped" if self.stopped else "done" if code == 0 else "failed"
        return JobShown(name=self.name, what=self.what, state=state, lines=list(self.lines), run=self.run)  # type: ignore[arg-type]

    def stop(self) -> None:
        """Ask it to end, as Ctrl-C does, so that a training keeps its checkpoint."""
        self.stopped = True
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGINT)


class Jobs:
    """All work of a server; one of a name in a study at a time."""

    def __init__(self, events: Broadcaster) -> None:
        self.events = events
        self._jobs: dict[tuple[str, str], Job] = {}
        self._lock = Lock()

    def start(
        self, opened: OpenStudy, name: str, command: list[str], *, run: str | None = None,
        done: Callable[[], None] | None = None,
    ) -> JobShown:  # fmt: skip
        """Start a verb; raises Busy where one of that name is at work in the study."""
        place = (opened.slug, name)
        with self._lock:
            known = self._jobs.get(place)
            if known is not None and known.process.poll() is None:
                raise Busy(f"{name} is going on already")
            job = self._jobs[place] = Job(opened.slug, name, command, run)
        Thread(target=self._follow, args=(job, done), daemon=True).start()
        return job.shown()

    def of(self, study: str) -> list[JobShown]:
        return [job.shown() for (mine, _), job in self._jobs.items() if mine == study]

    def stop(self, study: str, name: str) -> None:
        job = self._jobs.get((study, name))
        if job is not None:
            job.stop()

    def stop_all(self) -> None:
        for job in self._jobs.values():
            job.stop()

    def _follow(self, job: Job, done: Callable[[], None] | None) -> None:
        assert job.process.stdout is not None
        for line in job.process.stdout:
            text = line.rstrip()[-300:]
            if text:
                job.lines.append(text)
                self.events.tell(job.study, "job", name=job.name, line=text)
        if job.process.wait() == 0 and done is not None:
            done()
        self.events.tell(job.study, "job", name=job.name, state=job.shown().state)

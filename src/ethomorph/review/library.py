"""The studies that a server has open, each task loaded when somebody first looks at it."""

from __future__ import annotations

import contextlib
import re
from importlib import import_module
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from sqlalchemy import Engine

from ethomorph.core.errors import InputError, StudyError
from ethomorph.review.events import Broadcaster
from ethomorph.review.source import Refused, Source
from ethomorph.review.store import Store
from ethomorph.review.trails import TrailStudy, is_identified
from ethomorph.study.config import Study, TaskSection
from ethomorph.study.run import Run

SOURCES = {
    "landmarks": ("ethomorph.review.landmarks", "LandmarkSource"),
    "pose": ("ethomorph.review.poses", "PoseSource"),
    "behavior": ("ethomorph.review.behavior", "BehaviorSource"),
    "segmentation": ("ethomorph.review.volumes", "VolumeSource"),
    "identity": ("ethomorph.review.prints", "PrintSource"),
}
"""Where each kind's source is."""


class OpenStudy:
    """One study folder: its tasks' sources, and the run to look at where one was named."""

    def __init__(self, folder: Path, engine: Engine, events: Broadcaster, run: Run | None = None) -> None:
        self.study = TrailStudy(folder) if is_identified(folder) else Study(folder)
        self.engine, self.events, self.run = engine, events, run
        self.slug = slug_of(self.study.folder)
        self._run_task = run.config().get("task") if run is not None else None
        self._sources: dict[str, Source] = {}
        self._locks = {name: Lock() for name in self.study.config.task}
        self.ready: set[str] = set()

    @property
    def title(self) -> str:
        return self.study.config.study.name

    def tasks(self) -> dict[str, TaskSection]:
        """The tasks that can be looked at, the named run's first."""
        tasks = {n: s for n, s in self.study.config.task.items() if s.kind in SOURCES}
        return dict(sorted(tasks.items(), key=lambda pair: pair[0] != self._run_task))

    def source(self, task: str) -> Source:
        """A task's source, opened now if it was not; raises Refused where there is no such task."""
        if task not in self.tasks():
            raise Refused(f"there is no task {task!r}")
        with self._locks[task]:
            if task not in self._sources:
                self._sources[task] = self._open(task)
            return self._sources[task]

    def open_ahead(self) -> None:
        """Open the first task now, so that the page need not wait for it."""
        for task in list(self.tasks())[:1]:
            with contextlib.suppress(InputError):  # said when somebody looks at it
                self.source(task)

    def close(self, task: str) -> None:
        """Forget a task's source, so that its files are read again."""
        with self._locks[task]:
            self._sources.pop(task, None)
            self.ready.discard(task)

    def _open(self, task: str) -> Source:
        section = self.study.config.task[task]
        module, name = SOURCES[section.kind]
        store = Store(self.engine, self.slug, task)
        run = self.run if task == self._run_task else None
        source: Source = getattr(import_module(module), name)(self.study, task, section, store, run)
        Thread(target=self._prepare, args=(task, source), daemon=True, name=f"prepare-{task}").start()
        return source

    def _prepare(self, task: str, source: Source) -> None:
        try:
            source.prepare()
        except InputError as error:
            source.warnings.append(str(error))
        self.ready.add(task)
        self.events.tell(self.slug, "ready", task=task)


class Library:
    """The studies of one server, by their short names.

    Raises
    ------
    StudyError : two studies of one short name, or a path that is neither a study nor a run.
    """

    def __init__(self, paths: list[Path], engine: Engine, events: Broadcaster) -> None:
        self.studies: dict[str, OpenStudy] = {}
        for path in paths:
            folder, run = study_or_run(path)
            opened = OpenStudy(folder, engine, events, run)
            if opened.slug in self.studies:
                raise StudyError(f"two studies are called {opened.slug!r}", place=path, fix="rename one of the folders")
            self.studies[opened.slug] = opened

    def study(self, slug: str) -> OpenStudy:
        if slug not in self.studies:
            raise Refused(f"there is no study {slug!r}")
        return self.studies[slug]


def study_or_run(path: Path) -> tuple[Path, Run | None]:
    """The study folder (or that of an identification) that a path means, and the run where it names one."""
    if is_identified(path):
        return path, None
    if (path / "config.toml").is_file() and not (path / "study.toml").is_file():
        run = Run(path)
        return run.study().folder, run
    return Study(path).folder, None


def slug_of(folder: Path) -> str:
    """A study's short name in addresses and tables, from its folder's name.

    >>> slug_of(Path("studies/Fly wings (2024)"))
    'fly-wings-2024'
    """
    return re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")[:80] or "study"


def describe(opened: OpenStudy, role: str | None) -> dict[str, Any]:
    """A study as the page lists it."""
    return {
        "slug": opened.slug, "name": opened.title, "role": role,
        "tasks": [{"name": name, "kind": section.kind} for name, section in opened.tasks().items()],
        "run": opened.run.folder.name if opened.run else None, "trains": not isinstance(opened.study, TrailStudy),
    }  # fmt: skip

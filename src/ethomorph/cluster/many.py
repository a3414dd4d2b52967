"""Work through thousands of inputs: cut short and called again, it does only what is missing; one bad file fails alone.

The same work is done here by processes of this machine and on a cluster by the tasks of an array.
"""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ethomorph.cluster.manifest import Counts, Manifest, chunks
from ethomorph.cluster.work import Work
from ethomorph.core.errors import InputError
from ethomorph.core.files import write_text
from ethomorph.study.predictor import Predictor
from ethomorph.study.run import Run

LOOK_EVERY_S = 0.5


def work_folder(out: Path) -> Path:
    """Where the manifest of an output lies."""
    return out.with_name(f".{out.name}.work")


def begin(task: Work, given: list[str], out: Path) -> Manifest:
    """The manifest of some work, new or taken up. Raises InputError where there is nothing to do."""
    worker = task.worker(out)
    return Manifest.create(work_folder(out), work=task, out=out, inputs=worker.inputs(given), suffix=worker.suffix)


def predict_many(
    run: Run,
    given: list[str],
    *,
    out: Path,
    tasks: int = 1,
    retry_failed: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Predict files, folders or patterns; as `do_many`."""
    return do_many(Work.predict(run), given, out=out, tasks=tasks, retry_failed=retry_failed, progress=progress)


def do_many(
    task: Work, given: list[str], *, out: Path, tasks: int = 1, retry_failed: bool = False, progress: bool = True
) -> dict[str, Any]:
    """Do the same to files, folders or patterns with `tasks` processes of this machine.

    Returns
    -------
    As `finish`.

    Raises
    ------
    InputError : no run, nothing to do, or an output begun with another run or other options.
    """
    manifest = begin(task, given, out)
    pending = manifest.pending(failed_too=retry_failed)
    tasks = max(1, min(tasks, len(pending)))
    if tasks == 1:
        with progress_of(manifest, shown=progress) as look:
            work(manifest.folder, pending, "local-0", after_batch=look)
    elif pending:
        with progress_of(manifest, shown=progress) as look:
            _in_processes(manifest.folder, chunks(pending, tasks), look)
    return finish(manifest.folder)


def work(folder: Path, numbers: list[int], worker: str, *, after_batch: Callable[[], None] | None = None) -> None:
    """Predict these inputs of a manifest and log each; those that are done already are left alone."""
    manifest = Manifest(folder)
    numbers = [number for number in numbers if manifest.outcomes().get(number, "pending")] if numbers else []
    if not numbers:
        return
    predictor = manifest.work.worker(manifest.out)
    log = manifest.log(worker)
    try:
        for start in range(0, len(numbers), predictor.batch):
            log.write(_predict(predictor, manifest, numbers[start : start + predictor.batch]))
            if after_batch is not None:
                after_batch()
    finally:
        log.close()


def finish(folder: Path) -> dict[str, Any]:
    """Merge what is done into the output, once nothing is pending; say what failed.

    Returns
    -------
    ``out``, ``inputs``, ``done``, ``failed``, ``pending``, ``failures`` (a line each), ``table`` (CSV of every input)
    and ``notes``.
    """
    manifest = Manifest(folder)
    counts = manifest.counts()
    notes: list[str] = []
    if not counts.pending and counts.done:
        notes = manifest.work.worker(manifest.out).merge(manifest.parts_done(), manifest.out)
        manifest.mark_merged()
    table = manifest.out.with_name(f"{manifest.out.name}.inputs.csv")
    write_text(table, status_table(manifest))
    return {
        "out": str(manifest.out),
        "inputs": counts.inputs,
        "done": counts.done,
        "failed": counts.failed,
        "pending": counts.pending,
        "failures": [said for _, said in manifest.failures()],
        "table": str(table),
        "notes": notes,
    }


def finish_if_last(folder: Path) -> None:
    """Merge where nothing is pending any more and nobody else does it already."""
    manifest = Manifest(folder)
    turn = manifest.turn()
    if manifest.counts().pending or not turn.acquire(wait=False):
        return
    try:
        if not manifest.is_merged:
            finish(folder)
    finally:
        turn.release()


def status_table(manifest: Manifest) -> str:
    """CSV ``input,state,said``: every input as done, failed or pending."""
    outcomes = manifest.outcomes()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["input", "state", "said"])
    for number, path in enumerate(manifest.inputs):
        said = outcomes.get(number)
        writer.writerow([path, "pending" if said is None else "failed" if said else "done", said or ""])
    return text.getvalue()


@contextmanager
def progress_of(manifest: Manifest, *, shown: bool) -> Iterator[Callable[[], None]]:
    """A progress bar with the time left; call what it yields to bring it up to date."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not shown) as bar:
        job = bar.add_task(manifest.work.verb, total=len(manifest.inputs))
        last = [0.0]

        def look() -> None:
            if shown and time.monotonic() - last[0] > LOOK_EVERY_S:
                counts: Counts = manifest.counts()
                bar.update(job, completed=counts.done + counts.failed)
                last[0] = time.monotonic()

        yield look


def _predict(predictor: Predictor, manifest: Manifest, batch: list[int]) -> list[tuple[int, str]]:
    """The outcome of each input; where a batch fails as a whole, each is tried alone, so that the good ones pass."""
    inputs, parts = [manifest.inputs[i] for i in batch], [manifest.part(i) for i in batch]
    try:
        return [(i, said or "") for i, said in zip(batch, predictor.predict(inputs, parts), strict=True)]
    except Exception as error:
        if len(batch) == 1:
            line = " ".join(str(error).split())[:300]
            where = "" if isinstance(error, InputError) else f"{inputs[0]}: {type(error).__name__}: "
            return [(batch[0], where + line)]
    return [outcome for one in batch for outcome in _predict(predictor, manifest, [one])]


def _in_processes(folder: Path, shares: list[list[int]], look: Callable[[], None]) -> None:
    from multiprocessing import get_context

    threads = max(1, available_cores() // len(shares))
    with ProcessPoolExecutor(len(shares), get_context("spawn"), _cap_threads, (threads,)) as pool:
        running = {pool.submit(work, folder, share, f"local-{i}") for i, share in enumerate(shares)}
        while running:
            done, running = wait(running, timeout=LOOK_EVERY_S)
            for future in done:
                refuse_dead_worker(future, folder)
            look()


def available_cores() -> int:
    """Cores that this process may use, which on a cluster is fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def refuse_dead_worker(future: Future[None], folder: Path) -> None:
    """Raise InputError where a worker was killed; what it finished is kept."""
    from concurrent.futures.process import BrokenProcessPool

    try:
        future.result()
    except BrokenProcessPool:
        counts = Manifest(folder).counts()
        raise InputError(
            f"a worker process was killed, most often for want of memory; {counts.done} of {counts.inputs} are done",
            place=folder, fix="run the same command again, with fewer --tasks",
        ) from None  # fmt: skip


def _cap_threads(threads: int) -> None:
    """Processes that each take every core slow one another down."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    import torch

    torch.set_num_threads(threads)

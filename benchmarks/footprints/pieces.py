"""Work in pieces that are kept, so that a long benchmark can be cut short and go on later."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from ethomorph.core.files import write_json

WORKERS = 2


def rows_of(
    work: Path, name: str, one: Callable[[Any], dict[str, Any]], jobs: Iterable[Any], *, piece: int = 20
) -> tuple[list[dict[str, Any]], float]:
    """`one` of each job, in order, and the seconds spent; pieces of so many jobs are kept in `work` and not run again.

    Every job must be told apart by its place, so the list of jobs never changes for one `name`.
    """
    todo, rows, seconds = list(jobs), [], 0.0
    with ProcessPoolExecutor(max_workers=WORKERS) as pool:
        for start in range(0, len(todo), piece):
            kept = work / f"{name}-{start}.json"
            if not kept.exists():
                begun = time.perf_counter()
                done = list(pool.map(one, todo[start : start + piece]))
                write_json(kept, {"rows": done, "seconds": time.perf_counter() - begun})
            block = json.loads(kept.read_text(encoding="utf-8"))
            rows += block["rows"]
            seconds += block["seconds"]
            print(f"{name}: {len(rows)} of {len(todo)}", file=sys.stderr, flush=True)
    return rows, seconds

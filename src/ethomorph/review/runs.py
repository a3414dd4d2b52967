"""Runs of a task as the page shows them: scores, curves, the doctor's findings, and two runs sample by sample."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd

from ethomorph.core.errors import InputError
from ethomorph.review.source import Refused
from ethomorph.study.config import Study
from ethomorph.study.run import Run
from ethomorph.study.task import PER_SAMPLE

MOST_ROWS = 2000


def runs_of(study: Study, task: str) -> list[dict[str, Any]]:
    """The task's runs, the newest first: name, whether finished, verdict and the metrics."""
    found = []
    for file in (study.folder / "runs" / task).glob("*/config.toml"):
        run = Run(file.parent)
        found.append({"name": run.folder.name, "time": file.stat().st_mtime, **_summary(run)})
    return sorted(found, key=lambda row: -row["time"])


def run_named(study: Study, task: str, name: str) -> Run:
    """A run by its name; raises Refused where there is none, whatever the name tries."""
    known = {row["name"] for row in runs_of(study, task)}
    if name not in known:
        raise Refused(f"there is no run {name!r}")
    return Run(study.folder / "runs" / task / name)


def curves(run: Run) -> dict[str, Any]:
    """history.csv as columns of numbers (null where empty), and the findings so far."""
    columns: dict[str, list[float | None]] = {}
    if run.history_file.is_file():
        try:
            table = pd.read_csv(run.history_file)
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError):
            table = pd.DataFrame()
        step = max(1, math.ceil(len(table) / MOST_ROWS))
        for name in table.select_dtypes("number"):
            columns[str(name)] = [float(v) if math.isfinite(v) else None for v in table[name].iloc[::step]]
    return {"columns": columns, "health": _json(run, "health.json"), "finished": run.is_finished}


def compared(study: Study, task: str, first: str, second: str) -> dict[str, Any]:
    """The main metric of each sample that both runs scored; raises Refused where a run has no such table."""
    tables = [_per_sample(run_named(study, task, name)) for name in (first, second)]
    metric = next((c for c in tables[0].columns if c not in ("sample", "group")), None)
    if metric is None or metric not in tables[1].columns:
        raise Refused("the two runs were not scored alike")
    both = tables[0].merge(tables[1], on="sample", suffixes=("", "_second"))
    rows = [
        {"sample": str(r["sample"]), "first": float(r[metric]), "second": float(r[f"{metric}_second"])}
        for r in both.to_dict("records") if math.isfinite(r[metric]) and math.isfinite(r[f"{metric}_second"])
    ]  # fmt: skip
    return {
        "metric": metric,
        "rows": rows,
        "only_first": len(tables[0]) - len(both),
        "only_second": len(tables[1]) - len(both),
    }


def _summary(run: Run) -> dict[str, Any]:
    scores, health = _json(run, "scores.json"), _json(run, "health.json")
    return {
        "finished": run.is_finished, "verdict": (health or {}).get("verdict"),
        "metrics": {k: v for k, v in (scores or {}).get("metrics", {}).items() if isinstance(v, dict)},
        "report": run.report_file.is_file(), "sampled": (run.folder / PER_SAMPLE).is_file(),
    }  # fmt: skip


def _json(run: Run, name: str) -> dict[str, Any] | None:
    try:
        return run.read_json(name)
    except InputError:
        return None


def _per_sample(run: Run) -> pd.DataFrame:
    path: Path = run.folder / PER_SAMPLE
    if not path.is_file():
        raise Refused(f"run {run.folder.name} was not scored sample by sample")
    return pd.read_csv(path)

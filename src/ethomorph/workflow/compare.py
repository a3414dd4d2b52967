"""Compare two runs on the samples that both were tested on: the paired difference, not two intervals side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from ethomorph.core.errors import StudyError
from ethomorph.study.run import Run
from ethomorph.study.task import PER_SAMPLE

UNITS = ("px", "mm", "cm", "deg", "s")
"""Ends of a metric's name that are its unit; "accuracy" is none."""


def compare(first: str | Path, second: str | Path) -> dict[str, Any]:
    """Mean of `first` minus `second` over the samples both runs scored, with its interval and p value.

    Returns
    -------
    ``metric``, ``first`` and ``second`` (run, value), ``difference`` (a metric block with p_value), ``warnings``.

    Raises
    ------
    StudyError : runs without per-sample scores, of other metrics, or without a sample in common.
    """
    from ethomorph.statistics.paired import paired_difference

    runs = [Run.open(first), Run.open(second)]
    tables = [_scored(run) for run in runs]
    names = [table.columns[-1] for table in tables]
    if names[0] != names[1]:
        raise StudyError(
            f"{runs[0].folder.name} is scored by {names[0]}, {runs[1].folder.name} by {names[1]}",
            fix="compare runs of one kind",
        )
    both = tables[0].merge(tables[1], on="sample", suffixes=("", "_second"))
    if both.empty:
        raise StudyError("the two runs have no test sample in common", fix="train both with the same [split]")
    metric = names[0]
    a, b = both[metric], both[f"{metric}_second"]
    known = a.notna() & b.notna()
    warnings = []
    for run, table in zip(runs, tables, strict=True):
        alone = len(table) - len(both)
        if alone:
            warnings.append(f"{alone} sample(s) were scored in {run.folder.name} only and are left out")
    if (~known).any():
        warnings.append(f"{int((~known).sum())} sample(s) have no value in one of the runs and are left out")
    if not known.any():
        raise StudyError("no sample has a value in both runs", fix="look at the runs' scores")
    difference = paired_difference(
        a[known].to_numpy(), b[known].to_numpy(), both["group"][known].tolist(), unit=_unit(metric)
    )
    return {
        "metric": metric,
        "first": {"run": str(runs[0].folder), "value": float(a[known].mean())},
        "second": {"run": str(runs[1].folder), "value": float(b[known].mean())},
        "difference": difference.to_dict(),
        "warnings": warnings,
    }


def _scored(run: Run) -> pd.DataFrame:
    path = run.folder / PER_SAMPLE
    if not path.is_file():
        raise StudyError(f"no {PER_SAMPLE}", place=run.folder, fix="score the run again: ethomorph score RUN")
    return pd.read_csv(path, dtype={"sample": str, "group": str})


def _unit(metric: str) -> str:
    last = metric.rsplit("_", 1)[-1]
    return last if last in UNITS else ""

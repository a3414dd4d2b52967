"""report.html of a run: the numbers first, then health, curves, and the task's own chapters."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from ethomorph.core.metric import Metric
from ethomorph.report.curves import draw_curves
from ethomorph.report.findings import findings_part
from ethomorph.report.page import card, cards, write_page
from ethomorph.statistics.intervals import MINIMUM_GROUPS
from ethomorph.study.run import Run
from ethomorph.study.task import Chapter, Part, Task


def write_run_report(task: Task, parts: list[str], run: Run) -> Path:
    """Build the report from the files of the run folder; returns its path."""
    scores = run.read_json("scores.json")
    health = run.read_json("health.json")
    with tempfile.TemporaryDirectory() as folder:
        chapters = [
            scores_chapter(scores),
            *task.chapters(parts, run, Path(folder)),
            training_chapter(run, health, Path(folder)),
            provenance_chapter(run),
        ]
        return write_page(
            run.report_file,
            title=f"{task.study.config.study.name}: {task.name}",
            subtitle=f"{task.section.kind}, run {run.folder.name}, {scores['samples']} {scores['part']} samples "
            f"of {scores['groups']} "
            f"{task.study.config.split.by}s that training never saw",
            lead=_cards(task, scores, health),
            chapters=chapters,
        )


def scores_chapter(scores: dict[str, Any]) -> Chapter:
    """Every metric with interval and count, the baselines, and what must be said about them."""
    parts = [
        Part(table=metric_table(scores), caption="95 % intervals by bootstrap over groups. n counts what was averaged.")
    ]
    parts += [Part(text=f"Note: {warning}") for warning in scores["warnings"]]
    return Chapter("Scores", parts)


def metric_table(scores: dict[str, Any]) -> pd.DataFrame:
    """A row a metric: value, interval, n, and each baseline's value beside it."""
    rows = []
    for name, block in scores["metrics"].items():
        row = {"metric": name.replace("_", " "), **_cells(block)}
        for baseline, metrics in scores["baselines"].items():
            row[f"baseline: {baseline.replace('_', ' ')}"] = _cells(metrics[name])["value"] if name in metrics else ""
        rows.append(row)
    return pd.DataFrame(rows).fillna("")


def training_chapter(run: Run, health: dict[str, Any], folder: Path) -> Chapter:
    """Curves, and what the health monitor found."""
    parts = [findings_part(health["findings"], none="The health monitor found nothing to object to.")]
    if health["verdict"] != "healthy":
        parts += causes_part(run)
    if run.history_file.is_file():
        history = pd.read_csv(run.history_file)
        if len(history):
            parts.append(
                Part(
                    figure=draw_curves(history, folder / "curves.png"), caption="Training history, one point an epoch."
                )
            )
    return Chapter("Training", parts)


def causes_part(run: Run) -> list[Part]:
    """The likeliest causes of what was found; nothing for methods that leave no evidence."""
    from ethomorph.core.errors import StudyError
    from ethomorph.training.differential import differential
    from ethomorph.training.evidence import Evidence

    try:
        suspects = differential(Evidence.read(run.folder)).suspects[:3]
    except StudyError:
        return []
    if not suspects:
        return []
    table = pd.DataFrame(
        {
            "likely cause": [one.cause.says for one in suspects],
            "standing": [one.standing for one in suspects],
            "what to do": [one.cause.advice for one in suspects],
        }
    )
    return [Part(table=table, caption="`ethomorph diagnose` with --experiments tells these causes apart.")]


def provenance_chapter(run: Run) -> Chapter:
    """What was run, on what, with what."""
    record = run.read_json("provenance.json")
    rows = {
        "seed": record["seed"],
        "seconds": record["seconds"],
        "peak memory (MiB)": record["peak_memory_mb"],
        **record["machine"],
        **record["versions"],
    }
    table = pd.DataFrame({"what": list(rows), "value": [str(v) for v in rows.values()]})
    files = f"{len(record['inputs'])} input files, hashed in provenance.json"
    return Chapter("Provenance", [Part(table=table, caption=files)])


def _cards(task: Task, scores: dict[str, Any], health: dict[str, Any]) -> str:
    main = scores["metrics"][task.main_metric]
    items = [card(task.main_metric.replace("_", " "), *_value_and_detail(main))]
    for baseline, metrics in scores["baselines"].items():
        if task.main_metric in metrics:
            items.append(card(f"baseline: {baseline.replace('_', ' ')}", *_value_and_detail(metrics[task.main_metric])))
    counted = sum(f["severity"] != "info" for f in health["findings"])
    items.append(card("training health", health["verdict"], f"{counted} finding(s)", health["verdict"]))
    return cards(items)


def _value_and_detail(block: dict[str, Any]) -> tuple[str, str]:
    cells = _cells(block)
    interval = (
        f"95 % interval {cells['95 % interval']}"
        if block["value"] is not None and block.get("low") is not None
        else cells["95 % interval"]
    )
    return cells["value"], f"{interval}, n = {cells['n']}"


def _cells(block: dict[str, Any]) -> dict[str, str]:
    metric = Metric.from_dict(block)
    if metric.value is None:
        return {"value": "none", "95 % interval": metric.reason, "n": str(metric.n)}
    unit = f" {metric.unit}" if metric.unit else ""
    if metric.low is None or metric.high is None:
        few = f"none ({len(metric.points)} groups, {MINIMUM_GROUPS} are needed)"
        interval = few if metric.points else metric.note or "none"
    else:
        interval = f"{metric.low:.3g} to {metric.high:.3g}"
    return {"value": f"{metric.value:.3g}{unit}", "95 % interval": interval, "n": str(metric.n)}

"""Audit a study's task: is this data set fit to learn from. Leaves audit.json and audit.html."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from ethomorph.core.errors import SplitError
from ethomorph.core.files import write_json
from ethomorph.report.findings import findings_part
from ethomorph.report.page import card, cards, write_page
from ethomorph.study.config import Study
from ethomorph.study.task import Chapter, Part, open_task
from ethomorph.workflow.train import describe_split, split_task


def audit_study(
    folder: str | Path, *, task: str | None = None, out: str | Path | None = None, progress: bool = True
) -> tuple[dict[str, Any], dict[str, Path]]:
    """Run every check that fits the task, and write ``datasheet.md`` and ``croissant.json`` beside what it found.

    Returns
    -------
    The content of audit.json, and the paths written under ``json`` and ``html``.

    Raises
    ------
    InputError : the study or its labels cannot be read. Unreadable images are findings, not errors.
    """
    from ethomorph.audit.datasheet import MEDIA, QUESTIONS, read_answers, write_croissant, write_datasheet
    from ethomorph.audit.draw import draw_audit

    study = Study(folder)
    opened = open_task(study, task)
    notes = list(opened.warnings)
    try:
        parts: list[str] | None = split_task(opened)
    except SplitError as error:
        parts = None
        notes.append(f"no split: {error}")
    audit = opened.audit(parts, progress=progress)
    result = audit.to_dict() | {"task": opened.name, "notes": notes}
    target = Path(out) if out is not None else study.folder
    answers = read_answers(study.folder)
    tables = [path for path in dict.fromkeys(opened.inputs) if path.suffix.lower() in MEDIA]
    name = study.config.study.name
    still_open = write_datasheet(
        target / "datasheet.md", name=name, samples=opened.samples, answers=answers, findings=result["findings"]
    )
    write_croissant(
        target / "croissant.json", name=name, files=tables, folder=study.folder, samples=opened.samples, answers=answers
    )
    result["datasheet"] = {"questions": len(QUESTIONS), "open": still_open}
    write_json(target / "audit.json", result)
    with tempfile.TemporaryDirectory() as scratch:
        chapters = [Chapter("Findings", [findings_part(result["findings"], none="Nothing to object to.")])]
        if parts is not None:
            chapters.append(
                Chapter("Split", [Part(table=describe_split(opened, parts), caption=f"by {study.config.split.by}")])
            )
        if getattr(audit, "chapters", None) is not None:
            chapters += audit.chapters(Path(scratch))
        else:
            picture = Path(scratch) / "audit.png"
            draw_audit(audit, picture)
            caption = "Missing landmarks, and the samples most worth a look."
            chapters.append(Chapter("Pictures", [Part(figure=picture, caption=caption)]))
        if notes:
            chapters.append(Chapter("Notes", [Part(text=note) for note in notes]))
        page = write_page(
            target / "audit.html",
            title=f"{study.config.study.name}: audit of {opened.name}",
            subtitle="Is this data set fit to learn from?",
            lead=_cards(result, opened.samples),
            chapters=chapters,
        )
    return result, {"json": target / "audit.json", "html": page}


def findings_table(result: dict[str, Any]) -> pd.DataFrame:
    """A row a finding for the terminal."""
    rows = [
        {"severity": f["severity"], "rule": f["rule"].replace("_", " "), "evidence": _short(f["evidence"])}
        for f in result["findings"]
    ]
    return pd.DataFrame(rows, columns=["severity", "rule", "evidence"])


def _short(evidence: Any) -> str:
    if isinstance(evidence, dict):
        return "; ".join(f"{k.replace('_', ' ')} {v}" for k, v in evidence.items())
    return str(evidence)


def _cards(result: dict[str, Any], samples: pd.DataFrame) -> str:
    return cards(
        [
            card("verdict", result["verdict"], f"{len(result['findings'])} finding(s)", result["verdict"]),
            card("samples", str(len(samples))),
            card("groups", str(samples["group"].nunique()), "independent units"),
        ]
    )

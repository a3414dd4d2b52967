"""Score a finished run again: its own test part, or other labelled data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ethomorph.core.files import write_json
from ethomorph.study.run import Run
from ethomorph.workflow.train import reopen, score_run, write_report


def score(
    run: str | Path,
    *,
    labels: str | Path | None = None,
    images: str | Path | None = None,
    out: str | Path | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Scores of a run, as scores.json has them.

    Parameters
    ----------
    run : the run's folder, or its study for the newest run.
    labels, images : other labelled data of the same scheme; every sample there is scored as the part ``other``.
    out : where other data's scores are written; ``scores-<labels>.json`` in the run where left out.

    Raises
    ------
    InputError : no such run, or labels of another scheme.
    """
    opened = Run.open(run)
    task, parts = reopen(opened)
    if labels is None:
        scores = score_run(task, parts, opened, progress=progress)
        write_report(task, parts, opened)
        if out is not None:
            write_json(out, scores)
        return scores
    scores = task.score_other(opened, Path(labels), Path(images) if images else None, progress=progress)
    write_json(out or opened.folder / f"scores-{Path(labels).stem}.json", scores)
    return scores

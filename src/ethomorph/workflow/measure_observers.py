"""How far observers agree: their files in, a tidy table of kappas, alpha and paired events out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ethomorph.core.errors import FormatError
from ethomorph.core.files import write_text

if TYPE_CHECKING:
    import pandas as pd

    from ethomorph.core.events import EventLog

COLUMNS = ("observation", "subject", "figure", "behavior", "first", "second", "value", "n")


def measure_observers(
    sources: list[Path],
    *,
    out: str | Path,
    unit_s: float = 1.0,
    tolerance_s: float = 1.0,
    fps: float | None = None,
    column: str | None = None,
) -> pd.DataFrame:
    """Write agreement as a row a figure: ``kappa`` of moments, ``alpha``, and ``event_kappa`` with its counts.

    Parameters
    ----------
    sources : one table with a column an observer and a row a frame or clip; or a file an observer (BORIS, or labels
        frame by frame), named by its stem.
    unit_s : length of the moments that are compared.
    tolerance_s : how far two observers' starts of one event may lie apart.
    fps, column : of tables of frames.

    Raises
    ------
    FormatError : fewer than two observers, or files that share no observation.
    """
    import pandas as pd

    if len(sources) == 1:
        rows = ratings_rows(read_ratings(sources[0]))
    else:
        rows = log_rows(read_logs(sources, fps=fps, column=column), unit_s=unit_s, tolerance_s=tolerance_s)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    write_text(out, table.round({"value": 6}).to_csv(index=False))
    return table


def read_ratings(path: Path) -> pd.DataFrame:
    """A column an observer, a row a unit; a column that numbers the rows is left out."""
    import pandas as pd

    from ethomorph.behavior.tracks import is_events
    from ethomorph.formats.frame_labels import FRAME_COLUMNS

    if not path.is_file():
        raise FormatError("there is no such file", place=path, fix="check the path")
    if is_events(path):
        raise FormatError("the events of one observer", place=path, fix="give a file an observer")
    try:
        table = pd.read_csv(path, dtype=str, encoding="utf-8-sig", keep_default_na=False, na_values=[""])
    except (ValueError, OSError, EOFError) as error:
        raise FormatError(f"not a table ({' '.join(str(error).split())[:120]})", place=path) from None
    table = table[[c for c in table.columns if str(c).strip().lower() not in FRAME_COLUMNS]]
    if table.shape[1] < 2:
        raise FormatError(
            f"{table.shape[1]} column of scores", place=path, fix="give a column an observer, or a file an observer"
        )
    return table


def read_logs(sources: list[Path], *, fps: float | None, column: str | None) -> dict[str, EventLog]:
    """Each observer's events; where every file holds one observation, or one subject, these are the same one."""
    from ethomorph.workflow.measure_bouts import read_scored

    logs: dict[str, EventLog] = {}
    for path in sources:
        name = path.stem if path.stem not in logs else str(path)
        logs[name] = read_scored(path, fps=fps, column=column, group="subject")
    if all(len(log.observations) == 1 for log in logs.values()):
        logs = {who: renamed(log, next(iter(next(iter(logs.values())).observations))) for who, log in logs.items()}
    shared = set.intersection(*(set(log.observations) for log in logs.values()))
    if not shared:
        raise FormatError(
            "the files share no observation",
            place=sources[0],
            fix="name the same session alike in each observer's file",
        )
    return logs


def renamed(log: EventLog, observation: str) -> EventLog:
    """A log of one observation under another name."""
    from ethomorph.core.events import EventLog

    (seen,) = log.observations.values()
    events = [replace(event, observation=observation) for event in log.events]
    watched = {observation: replace(seen, name=observation)}
    return EventLog(events, watched, log.behaviors, log.subjects, log.source, log.notes)


def ratings_rows(ratings: pd.DataFrame) -> list[dict[str, Any]]:
    """Kappa of each pair, alpha of all, and of each behaviour."""
    from ethomorph.behavior.observers import pairwise_kappas, per_behavior
    from ethomorph.statistics.agreement import krippendorff_alpha

    names = sorted(set(ratings.stack().dropna()))
    codes = ratings.apply(lambda one: one.map({name: float(i) for i, name in enumerate(names)}))
    return moment_rows(
        {"observation": "", "subject": ""},
        pairwise_kappas(ratings),
        krippendorff_alpha(codes.to_numpy(float)),
        per_behavior(ratings.dropna(), names) if len(names) > 2 else None,
        len(ratings),
    )


def log_rows(logs: dict[str, EventLog], *, unit_s: float, tolerance_s: float) -> list[dict[str, Any]]:
    """The same for each observation and subject that all observers scored, and events paired two by two."""
    from ethomorph.behavior.observers import event_agreement, time_unit_agreement

    rows: list[dict[str, Any]] = []
    whole = list(logs.values())
    for observation in [o for o in whole[0].observations if all(o in log.observations for log in whole)]:
        subjects = dict.fromkeys(e.subject for log in whole for e in log.of(observation))
        for subject in subjects:
            where = {"observation": observation, "subject": subject}
            found = time_unit_agreement(logs, observation, subject, unit_s=unit_s)
            each = found["per_behavior"]
            rows += moment_rows(where, found["kappa"], found["alpha"], each, found["units"])
            names = list(logs)
            for i, first in enumerate(names):
                for second in names[i + 1 :]:
                    pair = event_agreement(
                        logs[first], logs[second], observation, subject, tolerance_s=tolerance_s
                    )  # fmt: skip
                    here = where | {"behavior": "", "first": first, "second": second}
                    number = pair.matched + pair.confused + pair.only_first + pair.only_second
                    rows.append(here | {"figure": "event_kappa", "value": pair.kappa, "n": number})
                    for name in ("matched", "confused", "only_first", "only_second"):
                        rows.append(here | {"figure": f"events_{name}", "value": getattr(pair, name), "n": number})
                    rows.append(here | {"figure": "event_lag_s", "value": pair.lag_s, "n": pair.matched})
    return rows


def moment_rows(
    where: dict[str, str], kappas: pd.DataFrame, alpha: float, each: pd.DataFrame | None, units: int
) -> list[dict[str, Any]]:
    """Rows of what was compared moment by moment."""

    def row(figure: str, value: Any, *, behavior: str = "", first: str = "", second: str = "") -> dict[str, Any]:
        named = {"figure": figure, "behavior": behavior, "first": first, "second": second}
        return {**where, **named, "value": value, "n": units}

    names = [str(name) for name in kappas.columns]
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    rows = [row("kappa", kappas.loc[a, b], first=a, second=b) for a, b in pairs]
    rows.append(row("alpha", alpha))
    for block in [] if each is None else each.to_dict("records"):
        figures = ("kappa", "prevalence_index", "bias_index")
        rows += [row(figure, block[figure], behavior=str(block["behavior"])) for figure in figures]
    return rows

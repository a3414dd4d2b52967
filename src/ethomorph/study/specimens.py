"""The specimens table: what is known about each individual, joined to samples by exact name."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ethomorph.core.errors import StudyError
from ethomorph.core.landmarks import LandmarkSet, Specimen


def read_specimens(path: str | Path) -> pd.DataFrame:
    """The table as text, one row a specimen or picture; empty cells are missing.

    Raises
    ------
    StudyError : not a CSV, no rows, no ``specimen`` column, or doubled column names.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig") as stream:
            header = stream.readline()
        separator = max(",;\t", key=header.count)
        table = pd.read_csv(path, dtype=str, sep=separator, encoding="utf-8-sig", skipinitialspace=True)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, ValueError) as error:
        raise StudyError(f"not a table that can be read: {error}", place=path, fix="save it as CSV in UTF-8") from None
    except OSError as error:
        raise StudyError(
            f"cannot be opened ({error.strerror})", place=path, fix="correct `specimens` in study.toml"
        ) from None
    table.columns = [str(column).strip() for column in table.columns]
    if "specimen" not in table.columns:
        raise StudyError(
            f"no column 'specimen' among {', '.join(table.columns)}",
            place=path,
            fix="name the individual's column 'specimen'",
        )
    if table.empty:
        raise StudyError("no rows", place=path, fix="add a row for each specimen")
    return table


def join_specimens(landmarks: LandmarkSet, table: pd.DataFrame, *, place: str | Path = "") -> list[str]:
    """Add each row's columns to the attributes of the specimens it describes; returns what did not match.

    Rows are matched by the ``image`` column where the table has one (file name, exact), otherwise by ``specimen``
    against the specimen's id. The row's own ``specimen`` then becomes the individual.

    Raises
    ------
    StudyError : a key stands in two rows that disagree, or no row matches anything.
    """
    key = "image" if "image" in table.columns else "specimen"
    refuse_contradictions(table, key, place)
    rows = {str(row[key]): row for row in table.dropna(subset=[key]).to_dict("records")}
    unmatched, used = [], set()
    for specimen in landmarks:
        name = _key_of(specimen, key, rows)
        if name is None:
            unmatched.append(specimen.label)
            continue
        used.add(name)
        specimen.attributes.update({str(k): str(v) for k, v in rows[name].items() if k != "image" and pd.notna(v)})
    if landmarks.specimens and not used:
        raise StudyError(
            f"no row's {key} fits any label, such as {landmarks[0].label!r} against {next(iter(rows), 'no row')!r}",
            place=place,
            fix=f"write {key} exactly as the label file does",
        )
    said = []
    if unmatched:
        said.append(f"{len(unmatched)} labelled specimen(s) without a row: {', '.join(unmatched[:8])}")
    idle = [name for name in rows if name not in used]
    if idle:
        said.append(f"{len(idle)} row(s) without a label: {', '.join(idle[:8])}")
    return said


def group_of(specimen: Specimen, by: str) -> str | None:
    """The unit of independence of a specimen: its individual, or another of its attributes; None where unknown."""
    if by == "specimen":
        return specimen.attributes.get("specimen") or specimen.id or specimen.image
    return specimen.attributes.get(by)


def refuse_contradictions(table: pd.DataFrame, key: str, place: str | Path) -> None:
    """Raise StudyError where one key stands in several rows that say different things."""
    distinct = table.dropna(subset=[key]).drop_duplicates()
    doubled = distinct[distinct.duplicated(key, keep=False)]
    if len(doubled):
        name = doubled[key].iloc[0]
        raise StudyError(
            f"{key} {name!r} stands in several rows that disagree", place=place, fix="keep one, or add a column 'image'"
        )


def _key_of(specimen: Specimen, key: str, rows: dict[str, dict]) -> str | None:
    names = [specimen.image, Path(specimen.image).name if specimen.image else None] if key == "image" else [specimen.id]
    return next((name for name in names if name is not None and name in rows), None)

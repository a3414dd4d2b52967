"""The cells of a table file as text: delimiters, encodings and Excel, before anything is understood.

It knows nothing of animals or measurements; `table` does.
"""

from __future__ import annotations

import csv
import io
import math
import re
import zipfile
from pathlib import Path

from ethomorph.core.errors import FormatError, MissingPart

LARGEST_BYTES = 1 << 29
"""Tables over 512 MiB are refused: 20,000 prints of 128 variables are 30 MiB."""

MISSING = {"", "na", "n/a", "nan", "#n/a", "null", "none", ".", "-", "?", "missing"}

_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")


def read_cells(path: str | Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a CSV, TSV, semicolon or Excel file as stripped text; empty rows are left out.

    Raises
    ------
    FormatError
        For a missing, empty, huge, binary or ragged file; the line is named.
    MissingPart
        For Excel without openpyxl.
    """
    path = Path(path)
    if not path.is_file():
        raise FormatError("no such file", place=path)
    if path.stat().st_size > LARGEST_BYTES:
        raise FormatError(
            f"{path.stat().st_size >> 20} MiB is too large for a table of prints", place=path, fix="split it"
        )
    rows = _excel(path) if path.suffix.lower() in (".xlsx", ".xlsm") else _delimited(path)
    numbered = [(i, [c.strip() for c in row]) for i, row in enumerate(rows, 1)]
    filled = [(i, row) for i, row in numbered if any(row)]
    if len(filled) < 2:
        raise FormatError(
            "no rows under a header", place=path, fix="give one row a print, with column names in the first row"
        )
    header = _unique(filled[0][1])
    body = []
    for line, row in filled[1:]:
        if len(row) > len(header) and not any(row[len(header) :]):
            row = row[: len(header)]
        if len(row) != len(header):
            raise FormatError(f"line {line} has {len(row)} cells, the header has {len(header)}", place=path)
        body.append(row)
    return header, body


def as_number(cell: str) -> float | None:
    """A cell as a number with decimal point or comma; NaN where missing; None where it is something else.

    Examples
    --------
    >>> as_number("3,25"), as_number("-1e3"), as_number("12 cm") is None, math.isnan(as_number("NA"))
    (3.25, -1000.0, True, True)
    """
    text = cell.strip()
    if text.casefold() in MISSING:
        return math.nan
    if _NUMBER.fullmatch(text):
        value = float(text.replace(",", "."))
        return value if math.isfinite(value) else None
    return None


def _delimited(path: Path) -> list[list[str]]:
    raw = path.read_bytes()
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = raw.decode("utf-16", errors="replace")
    else:
        if b"\0" in raw[:4096]:
            raise FormatError("this is not a text table", place=path, fix="save it as CSV or .xlsx")
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = raw.decode("cp1252", errors="replace")
    first = next((line for line in text.splitlines() if line.strip()), "")
    outside = re.sub(r'"[^"]*"', "", first)
    delimiter = max(";\t,|", key=outside.count)
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise FormatError(f"not a readable table ({error})", place=path) from None


def _excel(path: Path) -> list[list[str]]:
    try:
        import openpyxl
    except ImportError:
        raise MissingPart("reading Excel needs openpyxl", place=path, fix="pip install openpyxl") from None
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError):
        raise FormatError("not an Excel file", place=path, fix="save it as CSV") from None
    if unpacked > LARGEST_BYTES:
        raise FormatError(
            f"unpacks to {unpacked >> 20} MiB, too large for a table of prints", place=path, fix="split it"
        )
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        rows = [
            ["" if cell is None else str(cell) for cell in row]
            for row in book.worksheets[0].iter_rows(values_only=True)
        ]
        book.close()
    except Exception as error:  # openpyxl lets zip, XML and key errors through
        raise FormatError(
            f"not a readable Excel file ({type(error).__name__})", place=path, fix="save it as CSV"
        ) from None
    return rows


def _unique(header: list[str]) -> list[str]:
    """Column names, empty ones numbered and repeated ones suffixed."""
    seen: dict[str, int] = {}
    names = []
    for position, name in enumerate(header, 1):
        name = name or f"column {position}"
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return names

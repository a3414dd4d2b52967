"""Delimited text as rows of cells: which character separates, and whether the comma is the decimal sign."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from ethomorph.core.errors import FormatError
from ethomorph.core.files import write_text
from ethomorph.formats.text import MAX_LINE, read_text

SEPARATORS = ",;\t"
MAX_COLUMNS = 100_000


def read_rows(path: Path) -> list[tuple[int, list[str]]]:
    """Rows of stripped cells with their line numbers, blank lines left out; FormatError where quoting is broken.

    The separator is the one of comma, semicolon and tab that the first line has most of outside quotes.
    """
    text = read_text(path)
    first = next(line for line in text.split("\n") if line.strip())
    bare = "".join(first.split('"')[::2])
    separator = max(";\t,", key=bare.count)
    if not bare.count(separator):
        raise FormatError("its first line has no comma, semicolon or tab, so it is not a table", place=path)
    if bare.count(separator) > MAX_COLUMNS:
        raise FormatError(f"has more than {MAX_COLUMNS:,} columns", place=path)
    csv.field_size_limit(MAX_LINE)
    reader = csv.reader(io.StringIO(text), delimiter=separator, strict=True)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        raise FormatError(f"line {reader.line_num} is not a table row ({error})", place=path) from None
    return rows


def write_rows(rows: list[list[str]], path: str | Path) -> None:
    """Write comma-separated rows, atomically."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    write_text(path, stream.getvalue())


def even(rows: list[tuple[int, list[str]]], width: int, path: Path) -> None:
    """FormatError naming the first row that has not `width` cells; empty cells at the end do not count."""
    for line, row in rows:
        while len(row) > width and not row[-1]:
            row.pop()
        if len(row) != width:
            raise FormatError(f"line {line} has {len(row)} cells, the header has {width}", place=path)


def digits(value: float) -> str:
    """A number with all its digits; an empty cell for NaN; whole numbers without a point."""
    if value != value:
        return ""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)

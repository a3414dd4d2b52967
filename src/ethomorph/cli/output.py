"""Tables and JSON on standard output; everything else goes to standard error."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import pandas as pd

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bars.")]


def print_json(value: Any) -> None:
    """One JSON document; NaN is a fault of ours and is refused."""
    print(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False, default=str))


def print_table(table: pd.DataFrame, *, title: str = "") -> None:
    """A table on standard output, as wide as it needs to be when piped."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(title=title or None, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for i, column in enumerate(table.columns):
        shown.add_column(str(column), no_wrap=i == 0, overflow="fold")
    for record in table.itertuples(index=False):
        shown.add_row(*(Text("" if v is None or v != v else str(v)) for v in record))
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(shown)


def say(line: str) -> None:
    """A remark for the person, on standard error."""
    print(line, file=sys.stderr)


def say_all(lines: Iterable[str]) -> None:
    for line in lines:
        say(f"note: {line}")


def show_warnings_plainly() -> None:
    """Warnings as one line on standard error, without file names and source lines."""
    warnings.showwarning = lambda message, category, *rest: (
        say(f"warning: {message}") if category is UserWarning else None
    )


def parse_settings(pairs: list[str]) -> dict[str, Any]:
    """``key=value`` pairs of ``--set``; a value is read as TOML, and as text where it is not TOML.

    Examples
    --------
    >>> parse_settings(["settings.depth=3", "method=ert", "settings.names=['a']"])
    {'settings.depth': 3, 'method': 'ert', 'settings.names': ['a']}
    """
    import tomllib

    from ethomorph.core.errors import StudyError

    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.strip():
            raise StudyError(f"--set {pair}: not key=value", fix="write for example --set settings.batch_size=4")
        try:
            found[key.strip()] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            found[key.strip()] = text.strip()
    return found

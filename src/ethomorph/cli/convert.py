"""``ethomorph convert``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ethomorph.cli.output import Json, print_json, say_all, show_warnings_plainly


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="The file to read.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write; its name says the format.")],
    images: Annotated[
        Path | None, typer.Option("--images", help="Folder of the pictures; needed where y must be turned over.")
    ] = None,
    gaps: Annotated[
        Literal["refuse", "missing"],
        typer.Option("--gaps", help="What to do with specimens of another landmark count."),
    ] = "refuse",
    source_format: Annotated[
        str | None, typer.Option("--from", help="Format of IN, where its name does not tell.")
    ] = None,
    target_format: Annotated[
        str | None, typer.Option("--to", help="Format of OUT, where its name does not tell.")
    ] = None,
    json: Json = False,
) -> None:
    """Convert landmarks between any two formats; says what the target cannot hold.

    Example: `ethomorph convert wings.tps wings.xml --images photos`
    """
    show_warnings_plainly()
    from ethomorph.formats.registry import convert as convert_file

    notes = convert_file(source, target, images=images, gaps=gaps, from_=source_format, to=target_format)
    if json:
        print_json({"out": str(target), "notes": notes})
        return
    say_all(notes)
    print(target)

"""``ethomorph new``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ethomorph.cli.output import say_all


def new(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The study folder to make.")],
    kind: Annotated[str, typer.Option("--kind", help="landmarks, pose, segmentation, behavior or identity.")],
    labels: Annotated[Path, typer.Option("--labels", help="The label file, left where it is.")],
    images: Annotated[
        Path | None, typer.Option("--images", help="The folder of the pictures, left where it is.")
    ] = None,
    specimens: Annotated[
        Path | None, typer.Option("--specimens", help="A CSV that says which individual, sex, site ... each is.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="The study's name.")] = None,
) -> None:
    """Make a study folder with a commented study.toml, after checking that labels and images fit.

    Example: `ethomorph new wings --kind landmarks --labels wings.tps --images photos`
    """
    from ethomorph.workflow.new import new_study

    made, notes = new_study(folder, kind=kind, labels=labels, images=images, specimens=specimens, name=name)
    say_all(notes)
    print(made)

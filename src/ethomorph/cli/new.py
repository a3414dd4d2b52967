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
    poses: Annotated[
        Path | None, typer.Option("--poses", help="Behaviour: the pose file, or folder of them, that labels score.")
    ] = None,
    fps: Annotated[float | None, typer.Option("--fps", min=0.001, help="Behaviour: frames a second of poses.")] = None,
    column: Annotated[
        str | None, typer.Option("--column", help="Behaviour: the column of labels, or the BORIS observation.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="The study's name.")] = None,
) -> None:
    """Make a study folder with a commented study.toml, after checking that labels and images fit.

    Example: `ethomorph new wings --kind landmarks --labels wings.tps --images photos`
    """
    from ethomorph.workflow.new import new_study

    made, notes = new_study(
        folder, kind=kind, labels=labels, images=images, specimens=specimens, poses=poses, fps=fps, column=column,
        name=name,
    )  # fmt: skip
    say_all(notes)
    print(made)

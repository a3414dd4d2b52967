"""``ethomorph suggest``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ethomorph.cli.output import Json, print_json, print_table, show_warnings_plainly


def suggest(
    video: Annotated[Path, typer.Argument(help="The predicted video.")],
    labels: Annotated[Path, typer.Argument(help="Its predicted poses.")],
    out: Annotated[Path, typer.Option("--out", help="The .slp to write; SLEAP shows its suggestions.")] = Path(
        "suggested.slp"
    ),
    count: Annotated[int, typer.Option("--count", min=1, help="How many frames.")] = 20,
    animals: Annotated[int, typer.Option("--animals", min=0, help="Animals in a frame; from the poses if 0.")] = 0,
    json: Json = False,
) -> None:
    """Say which frames to label next: where the model is unsure, where motion is odd, frames unlike each other.

    Example: `ethomorph suggest fish.mp4 fish.slp --count 30 --out next.slp`
    """
    show_warnings_plainly()
    import pandas as pd

    from ethomorph.formats.video import open_film
    from ethomorph.keypoints.pose.suggest import write_suggestions

    chosen = write_suggestions(labels, open_film(video), out, count, expected=animals)
    if json:
        print_json({"out": str(out), "frames": [vars(one) for one in chosen]})
        return
    print_table(pd.DataFrame([{"frame": one.frame, "why": one.reason} for one in chosen]))
    print(out)

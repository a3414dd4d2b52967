"""``ethomorph render``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ethomorph.cli.output import Json, Quiet, print_json, say, show_warnings_plainly


def render(
    video: Annotated[Path, typer.Argument(help="A video, or a folder of pictures.")],
    labels: Annotated[
        Path | None, typer.Argument(help="Poses in any format; left out, the video is only encoded again.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="The .mp4 to write, or a .png for a sheet of stills.")] = Path(
        "overlay.mp4"
    ),
    trail: Annotated[int, typer.Option("--trail", min=0, help="Frames that trails reach back.")] = 0,
    names: Annotated[bool, typer.Option("--names/--no-names", help="Write the tracks' names.")] = True,
    confidence: Annotated[bool, typer.Option("--confidence", help="Write each animal's confidence.")] = False,
    crop: Annotated[str | None, typer.Option("--crop", help="left,top,right,bottom in px.")] = None,
    follow: Annotated[str, typer.Option("--follow", help="Keep the picture centred on this track.")] = "",
    scale: Annotated[float, typer.Option("--scale", min=0.05, max=4, help="Size of the result.")] = 1.0,
    speed: Annotated[float, typer.Option("--speed", min=0.01, max=100, help="0.5 plays at half speed.")] = 1.0,
    start: Annotated[int, typer.Option("--start", min=0, help="First frame.")] = 0,
    stop: Annotated[int | None, typer.Option("--stop", min=1, help="Frame to stop before.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Draw poses on a video: skeletons, tracks, trails.

    Example: `ethomorph render fish.mp4 fish.slp --out overlay.mp4 --trail 25`
    """
    show_warnings_plainly()
    from ethomorph.core.errors import InputError
    from ethomorph.keypoints.pose.render import Look
    from ethomorph.keypoints.pose.render import render as render_video

    box = None
    if crop is not None:
        try:
            left, top, right, bottom = (int(part) for part in crop.split(","))
        except ValueError:
            raise InputError(f"--crop {crop}: not four numbers", fix="write left,top,right,bottom") from None
        box = (left, top, right, bottom)
    look = Look(trail, names, confidence, scale, speed, box, follow, start, stop)
    done = render_video(video, labels, out, look=look, progress=not quiet)
    if json:
        print_json(done)
        return
    say(f"{done['frames']} frame(s), {done['animals']} animal(s) drawn")
    print(done["out"])

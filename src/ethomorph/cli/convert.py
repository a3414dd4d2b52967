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
    spacing: Annotated[
        str | None,
        typer.Option("--spacing", help="X,Y,Z in mm: of a volume that says none; of landmarks that are voxel indices."),
    ] = None,
    downsample: Annotated[
        int, typer.Option("--downsample", min=1, help="TIFF stacks: mean over cubes of so many voxels a side.")
    ] = 1,
    log: Annotated[
        Path | None, typer.Option("--log", help="TIFF stacks: scanner log or MorphoSource table with the spacing.")
    ] = None,
    grid: Annotated[
        Path | None, typer.Option("--grid", help="Volumes: bring the result onto this volume's grid, by header.")
    ] = None,
    axis: Annotated[
        Literal["z", "y", "x"], typer.Option("--axis", help="A study of volumes to a data set of slices: across which.")
    ] = "z",
    every: Annotated[int, typer.Option("--every", min=1, help="Slices: every how many-th one.")] = 1,
    unit: Annotated[
        str | None, typer.Option("--unit", help="Surfaces: what one unit of the file is, such as mm.")
    ] = None,
    frame: Annotated[
        Literal["lps", "ras"] | None, typer.Option("--frame", help="Surfaces: their frame, where the file says none.")
    ] = None,
    segment: Annotated[
        str | None, typer.Option("--segment", help="Surfaces: which segment of IN becomes a surface.")
    ] = None,
    fill_holes: Annotated[
        float, typer.Option("--fill-holes", min=0, help="Surfaces: close holes up to this width in mm.")
    ] = 0.0,
    partial: Annotated[
        bool, typer.Option("--partial", help="Surfaces: write the part of each voxel that is inside, not labels.")
    ] = False,
    json: Json = False,
) -> None:
    """Convert landmarks, volumes or surfaces between any two formats; says what the target cannot hold.

    Examples: `ethomorph convert wings.tps wings.xml --images photos`,
    `ethomorph convert slices/ head.nrrd --spacing 0.02,0.02,0.02 --downsample 2`,
    `ethomorph convert STUDY slices --axis y` (a Hugging Face data set),
    `ethomorph convert skull.stl skull.seg.nrrd --grid mri.nrrd --unit mm --frame ras`
    """
    show_warnings_plainly()
    from ethomorph.formats.mesh import is_mesh
    from ethomorph.formats.registry import convert as convert_file
    from ethomorph.formats.volumes import convert_volume, is_volume, parse_spacing

    if (source / "study.toml").is_file():
        from ethomorph.workflow.slices import study_slices

        notes = study_slices(source, target, axis=axis, every=every)
    elif is_mesh(source) or is_mesh(target):
        from ethomorph.workflow.surfaces import convert_surface

        notes = convert_surface(
            source, target, unit=unit, frame=frame, grid=grid, spacing=parse_spacing(spacing), segment=segment,
            fill_holes_mm=fill_holes, partial=partial,
        )  # fmt: skip
    elif source_format is None and target_format is None and is_volume(source):
        size = parse_spacing(spacing)
        notes = convert_volume(source, target, spacing=size, downsample=downsample, log=log, grid=grid)
    else:
        notes = convert_file(
            source, target, images=images, gaps=gaps, from_=source_format, to=target_format,
            spacing=parse_spacing(spacing),
        )  # fmt: skip
    if json:
        print_json({"out": str(target), "notes": notes})
        return
    say_all(notes)
    print(target)

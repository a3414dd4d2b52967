"""``ethomorph measure teeth`` and ``ethomorph measure sections``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ethomorph.cli.output import Json, print_json, say_all, show_warnings_plainly

Segmentation = Annotated[Path, typer.Argument(help="A .seg.nrrd, or labels in another volume format.")]
Compat = Annotated[
    bool, typer.Option("--slicer-compat", help="Reproduce the Slicer module's known defects, for published tables.")
]
Picture = Annotated[Path | None, typer.Option("--picture", help="Also draw a PNG.")]


def teeth(
    segmentation: Segmentation,
    points: Annotated[Path | None, typer.Option("--points", help="The jaw's eight points, .mrk.json.")] = None,
    rows: Annotated[Path | None, typer.Option("--rows", help="TOML with a [[row]] for each jaw and side.")] = None,
    tooth: Annotated[
        list[str] | None, typer.Option("--teeth", help="Segments that are teeth, * for anything; else Tooth*.")
    ] = None,
    jaw: Annotated[Literal["lower", "upper"], typer.Option("--jaw")] = "lower",
    side: Annotated[Literal["left", "right", ""], typer.Option("--side")] = "",
    muscle: Annotated[
        list[str] | None,
        typer.Option("--muscle", help="force=1,angle=90 or volume=1,pennation=0,fmax=0.2; up to three times."),
    ] = None,
    tips: Annotated[Path | None, typer.Option("--tips", help="Tips set by hand, named as the teeth.")] = None,
    bases: Annotated[Path | None, typer.Option("--bases", help="Bases set by hand, named as the teeth.")] = None,
    specimen: Annotated[str, typer.Option("--specimen", help="Its name in the table.")] = "",
    slicer_compat: Compat = False,
    out: Annotated[Path, typer.Option("--out", help="The CSV to write.")] = Path("teeth.csv"),
    picture: Picture = None,
    page: Annotated[Path | None, typer.Option("--page", help="Also write an interactive page.")] = None,
    scene: Annotated[Path | None, typer.Option("--scene", help="Also write a folder that 3D Slicer opens.")] = None,
    transform: Annotated[
        list[Path] | None, typer.Option("--transform", help="Transform files to put into --scene.")
    ] = None,
    json: Json = False,
) -> None:
    """Levers, bite force and stress of every tooth, with Dental Dynamics' columns.

    Example: `ethomorph measure teeth jaw.seg.nrrd --points jaw.mrk.json --muscle force=10,angle=70 --picture jaw.png`
    """
    show_warnings_plainly()
    from ethomorph.workflow.teeth import measure_tooth_stress

    table, notes = measure_tooth_stress(
        segmentation, out=out, points=points, rows=rows, teeth=tooth, jaw=jaw, side=side, muscles=muscle, tips=tips,
        bases=bases, specimen=specimen, slicer_compat=slicer_compat, picture=picture, page=page, scene=scene,
        transforms=transform,
    )  # fmt: skip
    _tell(table, notes, out, json)


def sections(
    segmentation: Segmentation,
    segment: Annotated[list[str], typer.Option("--segment", help="A segment's name, * for anything; may be repeated.")],
    image: Annotated[Path | None, typer.Option("--image", help="The scan, for the mean brightness.")] = None,
    axis: Annotated[
        Literal["long", "x", "y", "z"], typer.Option("--axis", help="long: across the segment's own long axis.")
    ] = "long",
    interval: Annotated[
        float, typer.Option("--interval", min=0, max=100, help="Percent of length; 0: every slice.")
    ] = 1.0,
    whole: Annotated[
        str | None, typer.Option("--whole", help="A segment of the bone with its cavities, for compactness.")
    ] = None,
    angle: Annotated[float | None, typer.Option("--angle", help="A further pair of axes, degrees.")] = None,
    slicer_compat: Compat = False,
    out: Annotated[Path, typer.Option("--out", help="The CSV to write.")] = Path("sections.csv"),
    picture: Picture = None,
    json: Json = False,
) -> None:
    """Cross-section geometry along a bone, with SegmentGeometry's columns.

    Example: `ethomorph measure sections limb.seg.nrrd --segment Humerus --interval 5 --out sections.csv`
    """
    show_warnings_plainly()
    from ethomorph.workflow.teeth import measure_bone_sections

    table, notes = measure_bone_sections(
        segmentation, segment, out=out, image=image, axis=axis, interval=interval, whole=whole, angle=angle,
        slicer_compat=slicer_compat, picture=picture,
    )  # fmt: skip
    _tell(table, notes, out, json)


def _tell(table, notes: list[str], out: Path, json: bool) -> None:  # type: ignore[no-untyped-def]
    if json:
        rows = table.astype(object).where(table.notna(), None).to_dict("records")
        print_json({"out": str(out), "notes": notes, "rows": rows})
        return
    say_all(notes)
    print(out)

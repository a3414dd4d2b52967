"""``ethomorph align``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ethomorph.cli.output import Json, print_json, say, say_all, show_warnings_plainly


def align(
    volume: Annotated[Path, typer.Argument(help="The scan: NRRD, NIfTI, MetaImage, a folder of DICOM or TIFF slices.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the aligned head, transforms and align.json.")] = Path(
        "aligned"
    ),
    segmentation: Annotated[
        Path | None,
        typer.Option("--segmentation", help="Its .seg.nrrd; tells bone and lower jaw, and is brought along."),
    ] = None,
    landmarks: Annotated[Path | None, typer.Option("--landmarks", help="Its .mrk.json or .fcsv.")] = None,
    surface: Annotated[
        list[Path] | None, typer.Option("--surface", help="A STL, PLY or OBJ to bring along; may be repeated.")
    ] = None,
    unit: Annotated[str, typer.Option("--unit", help="Unit of the surfaces.")] = "mm",
    frame: Annotated[
        Literal["lps", "ras"] | None, typer.Option("--frame", help="Frame of surfaces that do not say theirs.")
    ] = None,
    template: Annotated[
        Path | None, typer.Option("--template", help="A volume or surface of a head that lies in the head frame.")
    ] = None,
    template_labels: Annotated[
        Path | None, typer.Option("--template-labels", help="Its segmentation; the lower jaw in it is left out.")
    ] = None,
    template_landmarks: Annotated[Path | None, typer.Option("--template-landmarks", help="Its landmarks.")] = None,
    origin: Annotated[
        list[str] | None, typer.Option("--origin", help="Landmark at the frame's origin; twice: their middle.")
    ] = None,
    anterior: Annotated[list[str] | None, typer.Option("--anterior", help="Landmark in front.")] = None,
    posterior: Annotated[
        list[str] | None, typer.Option("--posterior", help="Landmark behind; else the origin.")
    ] = None,
    transform: Annotated[
        list[Path] | None,
        typer.Option("--transform", help="ITK file that already takes the scan there; repeated: outermost last."),
    ] = None,
    method: Annotated[Literal["auto", "landmarks", "template", "symmetry"], typer.Option("--method")] = "auto",
    threshold: Annotated[float | None, typer.Option("--threshold", help="Grey value of bone.")] = None,
    spacing: Annotated[float | None, typer.Option("--spacing", min=1e-6, help="Voxel size of the result, mm.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Also test the registration over random poses.")] = False,
    poses: Annotated[int, typer.Option("--poses", min=1, help="How many poses --check tries.")] = 10,
    targets: Annotated[
        Path | None, typer.Option("--targets", help="Landmarks that only --check uses, never the fit.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    json: Json = False,
) -> None:
    """Bring a scanned head into its own anatomical frame, cut to the bone, with everything that belongs to it.

    Example: `ethomorph align skull.nrrd --segmentation skull.seg.nrrd --template mean_head.nrrd --out head --check`
    """
    show_warnings_plainly()
    from ethomorph.workflow.align import align as align_files

    record = align_files(
        volume, out, segmentation=segmentation, landmarks=landmarks, surfaces=surface, unit=unit, frame=frame,
        template=template, template_labels=template_labels, template_landmarks=template_landmarks, origin=origin,
        anterior=anterior, posterior=posterior, transforms=transform, method=method, threshold=threshold,
        spacing=spacing, check=check, poses=poses, targets=targets, seed=seed,
    )  # fmt: skip
    if json:
        print_json(record)
    else:
        say_all(record["notes"])
        for name, block in {**record["checks"], **record.get("test", {})}.items():
            value = f"none ({block['reason']})" if block["value"] is None else f"{block['value']:.4g} {block['unit']}"
            note = f" ({block['note']})" if block.get("note") else ""
            say(f"{name.replace('_', ' ')}: {value}{note}")
    if record["status"] == "refused":
        say(f"refused: {record['reason']}")
        raise typer.Exit(2)
    if not json:
        print(out / "align.json")

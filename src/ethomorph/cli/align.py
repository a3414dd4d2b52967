"""``ethomorph align``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ethomorph.cli.cluster import Ask, DryRun, On, Wait, Where, changes, told
from ethomorph.cli.output import Json, Quiet, print_json, say, say_all, show_warnings_plainly
from ethomorph.core.errors import InputError

if TYPE_CHECKING:
    from ethomorph.cluster.work import Work


def align(
    volumes: Annotated[
        list[str],
        typer.Argument(
            metavar="VOLUME...",
            help="The scan: NRRD, NIfTI, MetaImage, a folder of DICOM or TIFF slices; or many, or a folder of scans.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="Folder for the aligned head, transforms and align.json; of many, one each.")
    ] = Path("aligned"),
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
    method: Annotated[
        Literal["auto", "landmarks", "template", "symmetry", "image"],
        typer.Option("--method", help="image: onto the template's own voxels, by grey values; not a head frame."),
    ] = "auto",
    bend: Annotated[
        Literal["rigid", "similarity", "affine", "spline", "elastic"],
        typer.Option("--bend", help="With --method image: how far the scan may change."),
    ] = "rigid",
    start: Annotated[
        Literal["bone", "landmarks", "header"],
        typer.Option("--start", help="With --method image: what finds the orientation; or give --transform."),
    ] = "bone",
    likeness: Annotated[
        Literal["mutual_information", "correlation"],
        typer.Option("--likeness", help="With --method image: mutual_information for CT on MRI."),
    ] = "mutual_information",
    threshold: Annotated[float | None, typer.Option("--threshold", help="Grey value of bone.")] = None,
    spacing: Annotated[float | None, typer.Option("--spacing", min=1e-6, help="Voxel size of the result, mm.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Also test the registration over random poses.")] = False,
    poses: Annotated[int, typer.Option("--poses", min=1, help="How many poses --check tries.")] = 10,
    targets: Annotated[
        Path | None, typer.Option("--targets", help="Landmarks that only --check uses, never the fit.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    tasks: Annotated[
        int | None, typer.Option("--tasks", min=1, help="Of many: processes here, or array tasks.")
    ] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try the failed scans again.")] = False,
    on: On = Where.local,
    study: Annotated[
        Path | None, typer.Option("--study", help="With --on slurm: whose [slurm] to use, and where to list the job.")
    ] = None,
    slurm: Ask = None,
    dry_run: DryRun = False,
    wait: Wait = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Bring a scanned head into its own anatomical frame, cut to the bone, with everything that belongs to it.

    Of many scans, the segmentation and landmarks beside each by its name (head.nrrd, head.seg.nrrd, head.mrk.json) come
    along; one that cannot be aligned fails alone.

    Example: `ethomorph align skull.nrrd --segmentation skull.seg.nrrd --template mean_head.nrrd --out head --check`
    """
    show_warnings_plainly()
    from ethomorph.workflow.align import align as align_files
    from ethomorph.workflow.align_many import scans

    common: dict[str, Any] = {
        "unit": unit, "frame": frame, "origin": origin, "anterior": anterior, "posterior": posterior, "method": method,
        "bend": bend, "start": start, "likeness": likeness,
        "threshold": threshold, "spacing": spacing, "check": check, "poses": poses, "seed": seed,
    }  # fmt: skip
    files: dict[str, Any] = {
        "template": template, "template_labels": template_labels, "template_landmarks": template_landmarks,
    }  # fmt: skip
    own: dict[str, Any] = {
        "--segmentation": segmentation, "--landmarks": landmarks, "--surface": surface, "--transform": transform,
        "--targets": targets,
    }  # fmt: skip
    found = scans(volumes)
    if len(found) > 1 or tasks is not None or on is Where.slurm:
        refuse_files_of_one_head(own)
        from ethomorph.cluster.work import Work

        located = {name: None if path is None else str(path.absolute()) for name, path in files.items()}
        task = Work("align", options=common | located)
        if on is Where.slurm:
            raise typer.Exit(_on_slurm(task, volumes, out, study, tasks, retry_failed, slurm, dry_run, wait, json))
        raise typer.Exit(_many(task, volumes, out, tasks or 1, retry_failed, json=json, quiet=quiet))
    record = align_files(
        found[0], out, segmentation=segmentation, landmarks=landmarks, surfaces=surface, transforms=transform,
        targets=targets, **files, **common,
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


def refuse_files_of_one_head(given: dict[str, object]) -> None:
    """Refuse options that name the files of a single scan, where there are many."""
    for name, value in given.items():
        if value:
            raise InputError(f"{name} is of one scan", fix="lay such files beside each scan, by its name")


def _on_slurm(
    task: Work, volumes: list[str], out: Path, study: Path | None, tasks: int | None, retry_failed: bool,
    slurm: list[str] | None, dry_run: bool, wait: bool, json: bool,
) -> int:  # fmt: skip
    from ethomorph.cluster.submit import submit_many
    from ethomorph.study.config import Study

    if study is None:
        raise InputError("--on slurm needs a study", fix="give --study FOLDER, whose study.toml holds [slurm]")
    opened = Study(study)
    job, script = submit_many(
        opened, task, volumes, out=out, tasks=tasks, retry_failed=retry_failed, changes=changes(slurm), dry_run=dry_run
    )
    return told(job, script, study=opened.folder, dry_run=dry_run, wait=wait, json=json)


def _many(
    task: Work, volumes: list[str], out: Path, tasks: int, retry_failed: bool, *, json: bool, quiet: bool
) -> int:  # fmt: skip
    from ethomorph.cluster.many import do_many

    done = do_many(task, volumes, out=out, tasks=tasks, retry_failed=retry_failed, progress=not quiet)
    if json:
        print_json(done)
    else:
        say_all([*done["notes"], *(f"left out: {line}" for line in done["failures"])])
        say(
            f"{done['done']} of {done['inputs']} heads aligned, {done['failed']} not; each is listed in {done['table']}"
        )
        print(done["out"])
    return 0 if done["done"] else 2

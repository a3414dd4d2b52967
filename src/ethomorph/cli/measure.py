"""``ethomorph measure WHAT``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ethomorph.cli.measure_ct import sections, teeth
from ethomorph.cli.output import Json, print_json, say_all, show_warnings_plainly

app = typer.Typer(no_args_is_help=True, help="Measure shape, distances, ... into a tidy CSV.")
app.command()(teeth)
app.command()(sections)

Labels = Annotated[Path, typer.Argument(help="Landmarks in any format, or a run's predictions.")]
Images = Annotated[Path | None, typer.Option("--images", help="The folder of the pictures.")]
Study = Annotated[Path | None, typer.Option("--study", help="Take names, scale and distances from this study's task.")]
TaskName = Annotated[str | None, typer.Option("--task", help="Which task of --study.")]
Out = Annotated[Path, typer.Option("--out", help="The CSV to write.")]


@app.command()
def shape(
    labels: Labels,
    study: Study = None,
    task: TaskName = None,
    images: Images = None,
    out: Out = Path("shape.csv"),
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", help="A landmark that is not anatomy, such as a scale bar's end.")
    ] = None,
    gaps: Annotated[
        Literal["refuse", "missing"],
        typer.Option("--gaps", help="What to do with specimens of another landmark count."),
    ] = "refuse",
    picture: Annotated[Path | None, typer.Option("--picture", help="Also draw the shape space, a PNG.")] = None,
    json: Json = False,
) -> None:
    """Procrustes superimposition: centroid size, shape distance from the mean and principal components.

    Example: `ethomorph measure shape lizards.tps --exclude scale_left --exclude scale_right --out shape.csv`
    """
    show_warnings_plainly()
    from ethomorph.workflow.measure import measure_shape

    table, notes = measure_shape(
        labels, images=images, out=out, study=study, task=task, exclude=exclude, gaps=gaps, picture=picture
    )
    _tell(table, notes, out, json)


@app.command()
def distances(
    labels: Labels,
    pairs: Annotated[list[str] | None, typer.Option("--pair", help="name=landmark,landmark; may be repeated.")] = None,
    study: Study = None,
    task: TaskName = None,
    images: Images = None,
    out: Out = Path("distances.csv"),
    mm_per_px: Annotated[
        float | None, typer.Option("--mm-per-px", min=0, help="The scale, where the file has none.")
    ] = None,
    json: Json = False,
) -> None:
    """Named distances between landmarks, in mm where a scale is known and in px beside it.

    Example: `ethomorph measure distances lizards.tps --pair femur=hip_left,knee_left --mm-per-px 0.04`
    """
    show_warnings_plainly()
    from ethomorph.workflow.measure import measure_distances

    table, notes = measure_distances(
        labels, pairs=pairs, study=study, task=task, images=images, out=out, mm_per_px=mm_per_px
    )
    _tell(table, notes, out, json)


@app.command()
def prints(
    labels: Labels,
    recipe: Annotated[
        str, typer.Option("--recipe", help="felid, or a TOML file that says what is measured on another species.")
    ] = "felid",
    specimens: Annotated[
        Path | None, typer.Option("--specimens", help="CSV: image, specimen (the animal), trail, foot, sex, site, ...")
    ] = None,
    study: Study = None,
    task: TaskName = None,
    images: Images = None,
    out: Out = Path("prints.csv"),
    mm_per_px: Annotated[
        float | None, typer.Option("--mm-per-px", min=0, help="The scale, where the file has none.")
    ] = None,
    json: Json = False,
) -> None:
    """Footprints: lengths, angles and areas by a recipe, a row a print, ready for `ethomorph identify`.

    Example: `ethomorph measure prints paws.tps --specimens specimens.csv --out prints.csv`
    """
    show_warnings_plainly()
    from ethomorph.workflow.measure import measure_footprints

    count, notes = measure_footprints(
        labels, recipe=recipe, specimens=specimens, images=images, out=out, study=study, task=task, mm_per_px=mm_per_px
    )
    if json:
        print_json({"out": str(out), "prints": count, "notes": notes})
        return
    say_all(notes)
    print(out)


@app.command()
def kinematics(
    labels: Annotated[Path, typer.Argument(help="Tracked poses in any format.")],
    fps: Annotated[float, typer.Option("--fps", min=0.001, help="Frames a second of the video.")],
    out: Out = Path("kinematics.csv"),
    fill: Annotated[int, typer.Option("--fill", min=0, help="Longest gap in frames that is filled linearly.")] = 5,
    smooth: Annotated[int, typer.Option("--smooth", min=0, help="Frames of the smoothing window; 0 for none.")] = 0,
    front: Annotated[str, typer.Option("--front", help="Node that heading runs to; the first where left out.")] = "",
    back: Annotated[str, typer.Option("--back", help="Node that heading runs from; the last where left out.")] = "",
    angles: Annotated[list[str] | None, typer.Option("--angle", help="a,b,c: the angle at b; may be repeated.")] = None,
    mm_per_px: Annotated[float | None, typer.Option("--mm-per-px", min=0, help="Also give mm.")] = None,
    netcdf: Annotated[
        Path | None, typer.Option("--netcdf", help="Also write the poses for the package movement.")
    ] = None,
    json: Json = False,
) -> None:
    """Speed, heading, angles and distances of tracked animals, a row an animal and frame.

    Example: `ethomorph measure kinematics fish.slp --fps 25 --front snout --back tail --smooth 7 --out fish.csv`
    """
    show_warnings_plainly()
    from ethomorph.workflow.measure import measure_kinematics

    table, notes = measure_kinematics(
        labels, fps=fps, out=out, fill=fill, smooth=smooth, front=front, back=back, angles=angles or [],
        mm_per_px=mm_per_px, netcdf=netcdf,
    )  # fmt: skip
    _tell(table, notes, out, json)


@app.command()
def bouts(
    source: Annotated[
        Path, typer.Argument(help="BORIS project or export, labels frame by frame, or a run's predictions.csv.")
    ],
    out: Out = Path("bouts.csv"),
    budget: Annotated[
        Path | None, typer.Option("--budget", help="Also write a row a subject and behaviour: counts, shares, latency.")
    ] = None,
    transitions: Annotated[Path | None, typer.Option("--transitions", help="Also write what followed what.")] = None,
    bins: Annotated[Path | None, typer.Option("--bins", help="Also write rates in bins of time.")] = None,
    bin_s: Annotated[float, typer.Option("--bin-s", min=0.001, help="Length of a bin, s.")] = 60.0,
    picture: Annotated[Path | None, typer.Option("--picture", help="Also draw the transitions, a PNG.")] = None,
    fps: Annotated[float | None, typer.Option("--fps", min=0.001, help="Frames a second of a table of frames.")] = None,
    column: Annotated[str | None, typer.Option("--column", help="The column of labels in a table of frames.")] = None,
    subject: Annotated[str, typer.Option("--subject", help="Who a table of frames is of.")] = "",
    out_of_view: Annotated[
        list[str] | None, typer.Option("--out-of-view", help="A state in which nothing could be seen; may be repeated.")
    ] = None,
    ethogram: Annotated[Path | None, typer.Option("--ethogram", help="Say what does not fit this ethogram.")] = None,
    json: Json = False,
) -> None:
    """Bouts, time budgets of observed time, transitions and rates.

    Example: `ethomorph measure bouts session.boris --budget budget.csv --out-of-view hidden`
    """
    show_warnings_plainly()
    from ethomorph.cli.output import print_table
    from ethomorph.workflow.measure_bouts import measure_bouts

    done = measure_bouts(
        source, out=out, budget=budget, transitions=transitions, bins=bins, bin_s=bin_s, picture=picture, fps=fps,
        column=column, group=subject, out_of_view=out_of_view, ethogram=ethogram,
    )  # fmt: skip
    if json:
        shares = done.budget.astype(object).where(done.budget.notna(), None).to_dict("records")
        print_json({"files": done.files, "bouts": len(done.bouts), "budget": shares, "notes": done.notes})
        return
    columns = ["subject", "behavior", "bouts", "rate_per_min", "total_s", "share_of_observed", "mean_s", "latency_s"]
    print_table(done.budget[columns].map(lambda v: f"{v:.4g}" if isinstance(v, float) and v == v else v))
    say_all(done.notes)
    print(out)


@app.command()
def observers(
    sources: Annotated[
        list[Path],
        typer.Argument(help="A table with a column an observer, or a file an observer (BORIS, labels of frames)."),
    ],
    out: Out = Path("agreement.csv"),
    unit_s: Annotated[float, typer.Option("--unit-s", min=0.001, help="Length of the moments compared, s.")] = 1.0,
    tolerance_s: Annotated[
        float, typer.Option("--tolerance-s", min=0, help="How far starts of one event may lie apart, s.")
    ] = 1.0,
    fps: Annotated[float | None, typer.Option("--fps", min=0.001, help="Frames a second of tables of frames.")] = None,
    column: Annotated[str | None, typer.Option("--column", help="The column of labels in tables of frames.")] = None,
    json: Json = False,
) -> None:
    """Do observers agree: Cohen's kappa of each pair, Krippendorff's alpha of all, events paired within a tolerance.

    Example: `ethomorph measure observers anna.boris ben.boris --unit-s 0.5 --tolerance-s 1`
    """
    show_warnings_plainly()
    from ethomorph.cli.output import print_table
    from ethomorph.workflow.measure_observers import measure_observers

    table = measure_observers(sources, out=out, unit_s=unit_s, tolerance_s=tolerance_s, fps=fps, column=column)
    if json:
        _tell(table, [], out, True)
        return
    table = table.loc[:, [bool((table[name] != "").any()) for name in table.columns]]
    print_table(table.map(lambda v: f"{v:.3f}" if isinstance(v, float) and v == v else v))
    print(out)


def _tell(table, notes: list[str], out: Path, json: bool) -> None:  # type: ignore[no-untyped-def]
    if json:
        print_json(
            {
                "out": str(out),
                "notes": notes,
                "rows": table.astype(object).where(table.notna(), None).to_dict("records"),
            }
        )
        return
    say_all(notes)
    print(out)

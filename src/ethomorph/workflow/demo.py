"""The main job on an embedded sample, end to end: simulated radiographs with known truth, so that anyone can try it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from ethomorph.core.errors import StudyError
from ethomorph.core.files import write_text
from ethomorph.report.findings import findings_part
from ethomorph.report.page import card, cards, write_page
from ethomorph.report.run import metric_table, scores_chapter
from ethomorph.study.config import Study
from ethomorph.study.run import Run
from ethomorph.study.task import Chapter, Part, Task, open_task
from ethomorph.workflow.audit import audit_study, findings_table
from ethomorph.workflow.compare import compare
from ethomorph.workflow.measure import measure_shape
from ethomorph.workflow.predict import predict
from ethomorph.workflow.train import describe_split, split_task, train

INDIVIDUALS, PER_INDIVIDUAL, CODED_TWICE, NEW = 34, 2, 16, 5
"""Size of the sample: training has to end in a minute or two on two slow cores."""

STUDY = """\
[study]
name = "Simulated lizards"
specimens = "sample/specimens.csv"

[split]
by = "specimen"        # two radiographs of one individual never stand in two parts
test = 0.3
validation = 0.12
seed = 0

[task.trees]           # regression trees, as ml-morph uses them
kind = "landmarks"
labels = "sample/landmarks.tps"
images = "sample/images"
names = {names}
repeat = "sample/repeat.tps"
method = "ert"
settings = {{ preset = "ml-morph" }}
grades = {{ train = ["good"] }}
scale = {{ landmarks = {bar}, mm = 27.0 }}

[task.network]         # a coarse-to-fine network
kind = "landmarks"
labels = "sample/landmarks.tps"
images = "sample/images"
names = {names}
repeat = "sample/repeat.tps"
method = "heatmap"
grades = {{ train = ["good"] }}
scale = {{ landmarks = {bar}, mm = 27.0 }}
max_minutes = 2.5
settings = {{ steps = 240 }}

[task.network.distances]
head = ["snout_tip", "occiput"]
humerus_left = ["shoulder_left", "elbow_left"]
femur_left = ["hip_left", "knee_left"]
tibia_left = ["knee_left", "ankle_left"]
"""


def run_demo(out: str | Path = "demo", *, progress: bool = True) -> Path:
    """Simulate, audit, split, train two methods, compare, predict new radiographs, measure; returns the report.

    Raises
    ------
    StudyError : `out` holds something that is not a demo.
    """
    out = Path(out)
    refuse_other_content(out)
    shutil.rmtree(out, ignore_errors=True)
    with step("simulating lizards, each radiographed twice, and two observers"):
        make_sample(out)
    with step("auditing: is this data set fit to learn from?"):
        audit, _ = audit_study(out, task="network", progress=False)
    say_table(findings_table(audit), empty="  nothing to object to")
    task = open_task(Study(out), "network")
    parts = split_task(task)
    say_table(describe_split(task, parts))
    with step("training regression trees (ert)"):
        trees = train(out, task="trees", run="demo", progress=progress)
    say_table(metric_table(trees.read_json("scores.json")).head(4))
    with step("training a small network (heatmap)"):
        network = train(out, task="network", run="demo", progress=progress)
    say_table(metric_table(network.read_json("scores.json")).head(4))
    difference = describe_difference(network, trees)
    print(f"  {difference}", file=sys.stderr)
    with step("predicting new radiographs, measuring distances in mm and shape"):
        done = predict(
            network.folder,
            [str(out / "new" / "images")],
            out=out / "new" / "predicted.tps",
            sheet=out / "new" / "predicted.png",
            distances=out / "new" / "distances.csv",
            progress=False,
        )
        shape, _ = measure_shape(
            out / "new" / "predicted.tps",
            images=out / "new" / "images",
            out=out / "new" / "shape.csv",
            study=out,
            task="network",
        )
    distances = pd.read_csv(out / "new" / "distances.csv")
    say_table(distances.pivot(index="image", columns="distance", values="mm").round(2).reset_index())
    print(
        f"  {done['found']} specimens in {done['images']} new radiographs; shapes in {out / 'new' / 'shape.csv'}",
        file=sys.stderr,
    )
    return write_demo_report(out, task, parts, [trees, network], difference, audit, distances, shape)


def make_sample(out: Path) -> None:
    """Write the study: radiographs, two codings, specimens table, study.toml, and new radiographs without labels."""
    from ethomorph.phantoms.radiograph import simulate_radiographs

    sample = simulate_radiographs(INDIVIDUALS, images_per_individual=PER_INDIVIDUAL, repeats=CODED_TWICE, seed=7)
    sample.write(out / "sample", labels="coded")
    new = simulate_radiographs(NEW, seed=8, bad_share=0.0, empty=1)
    new.write(out / "new")
    write_text(out / "study.toml", STUDY.format(bar=sample.landmarks.names[:2], names=sample.landmarks.names))


def write_demo_report(
    out: Path,
    task: Task,
    parts: list[str],
    runs: list[Run],
    difference: str,
    audit: dict,
    distances: pd.DataFrame,
    shape: pd.DataFrame,
) -> Path:
    """One page that tells the demo's whole story; returns its path."""
    import tempfile

    trees, network = runs
    scores = network.read_json("scores.json")
    main = scores["metrics"][task.main_metric]
    rows = [
        {"method": run.folder.parent.name, **metric_table(run.read_json("scores.json")).iloc[0].to_dict()}
        for run in runs
    ]
    with tempfile.TemporaryDirectory() as scratch:
        chapters = [
            Chapter("Two methods", [Part(table=pd.DataFrame(rows)), Part(text=difference)]),
            scores_chapter(scores),
            *task.chapters(parts, network, Path(scratch)),
            Chapter(
                "New radiographs",
                [
                    Part(
                        figure=out / "new" / "predicted.png",
                        caption="Predicted landmarks on radiographs without labels; the last is empty.",
                    ),
                    Part(title="Distances", table=_rounded(distances.drop(columns=["specimen", "note"]))),
                    Part(
                        title="Shape",
                        table=_rounded(shape[["image", "centroid_size_mm", "procrustes_distance", "pc1", "pc2"]]),
                    ),
                ],
            ),
            Chapter(
                "Audit",
                [
                    findings_part(audit["findings"], none="Nothing to object to."),
                    Part(table=describe_split(task, parts)),
                ],
            ),
            Chapter(
                "Training",
                [
                    findings_part(
                        network.read_json("health.json")["findings"],
                        none="The health monitor found nothing to object to.",
                    )
                ],
            ),
        ]
        return write_page(
            out / "report.html",
            title="ethomorph on simulated lizards",
            subtitle=f"{len(task.samples)} radiographs of {task.samples['group'].nunique()} individuals, "
            "simulated with known truth",
            lead=cards(
                [
                    card(
                        "mean error, network",
                        f"{main['value']:.2f} px",
                        f"{scores['samples']} test radiographs of {scores['groups']} individuals",
                    ),
                    card(
                        "mean error, trees",
                        f"{trees.read_json('scores.json')['metrics'][task.main_metric]['value']:.2f} px",
                        "same radiographs",
                    ),
                    card("audit", audit["verdict"], f"{len(audit['findings'])} finding(s)", audit["verdict"]),
                    card(
                        "training health",
                        network.read_json("health.json")["verdict"],
                        "",
                        network.read_json("health.json")["verdict"],
                    ),
                ]
            ),
            chapters=chapters,
        )


def describe_difference(first: Run, second: Run) -> str:
    """The paired difference of two runs as a sentence, or why there is none."""
    try:
        gap = compare(first.folder, second.folder)["difference"]
    except StudyError as error:
        return f"the two methods cannot be compared: {error}"
    said = f"{first.folder.parent.name} minus {second.folder.parent.name}, paired by individual: {gap['value']:.3g} px"
    if gap.get("low") is None:
        return said
    return f"{said} (95 % interval {gap['low']:.3g} to {gap['high']:.3g}, p = {gap['p_value']:.2g})"


def refuse_other_content(out: Path) -> None:
    """Raise StudyError where `out` holds something that a demo did not make."""
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / "sample").is_dir())):
        raise StudyError("this is not a demo's folder", place=out, fix="give another --out")


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is being done, and how long it took, on standard error."""
    from ethomorph.study.provenance import Stopwatch

    watch = Stopwatch()
    print(f"\n{what} ...", file=sys.stderr, flush=True)
    yield
    print(f"  {watch.seconds:.0f} s", file=sys.stderr, flush=True)


def say_table(table: pd.DataFrame, *, empty: str = "") -> None:
    text = table.to_string(index=False) if len(table) else empty
    print("\n".join(f"  {line}" for line in text.splitlines()), file=sys.stderr, flush=True)


def _rounded(table: pd.DataFrame) -> pd.DataFrame:
    return table.map(lambda v: ("" if v != v else f"{v:.3g}") if isinstance(v, float) else v)

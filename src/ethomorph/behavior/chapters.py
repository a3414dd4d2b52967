"""The behaviour chapters of a report: confusion, calibration, baselines, worst clips, bouts, shares of animals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ethomorph.behavior.draw import draw_baselines, draw_bouts, draw_calibration, draw_clips, draw_confusion
from ethomorph.behavior.segments import segments
from ethomorph.behavior.video import Canvas, read_clip
from ethomorph.core.errors import ImageError
from ethomorph.core.metric import Metric
from ethomorph.formats.frame_labels import REST
from ethomorph.study.run import Run
from ethomorph.study.task import Chapter, Part

if TYPE_CHECKING:
    from ethomorph.behavior.task import BehaviorTask

SHOWN = 6
WORST_CANVAS = Canvas(frames=12, height=120, width=120, colour=True)


def behavior_chapters(task: BehaviorTask, parts: list[str], run: Run, folder: Path) -> list[Chapter]:
    """Everything that the numbers at the top do not show."""
    scores = run.read_json("scores.json")
    if "confusion" not in scores:
        return []
    predictions = pd.read_csv(
        run.folder / "predictions.csv", dtype={"sample": str, "group": str, "truth": str, "predicted": str}
    )
    chapters = [classes_chapter(scores, predictions, folder)]
    if task.clips is not None and not task.clips.has_signals:
        worst = worst_chapter(task, predictions, folder)
        chapters += [worst] if worst else []
    if task.blocks is not None:
        chapters.append(bouts_chapter(predictions, task, scores["classes"], folder))
    chapters.append(shares_chapter(scores))
    return chapters


def classes_chapter(scores: dict[str, Any], predictions: pd.DataFrame, folder: Path) -> Chapter:
    """Confusion, each class, calibration, and what looked at nothing."""
    parts = [
        Part(
            title="What is taken for what",
            figure=draw_confusion(np.array(scores["confusion"]), scores["classes"], folder / "confusion.png"),
            caption="Rows are true classes with their number, cells per cent of the row.",
        ),
        Part(title="Each class", table=class_table(scores["per_class"])),
    ]
    beside = draw_baselines(scores, folder / "baselines.png")
    if beside is not None:
        parts.append(
            Part(
                title="Beside models that never looked", figure=beside,
                caption="Majority says the commonest class, stratified guesses by the shares, metadata only reads the "
                "table (place, time, animal ...) and no pixel. Bars are 95 % intervals over groups.",
            )
        )  # fmt: skip
    confidence = np.array([row[f"p_{row['predicted']}"] for row in predictions.to_dict("records")], float)
    right = (predictions["truth"] == predictions["predicted"]).to_numpy(float)
    parts.append(
        Part(
            title="Calibration",
            figure=draw_calibration(np.clip(confidence, 0, 1), right, folder / "calibration.png"),
            caption="Bins of equal count, on groups that training never saw. Below the dashed line a model is "
            "surer than it is right.",
        )
    )
    return Chapter("Classes", parts)


def class_table(blocks: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """A row a class: number, precision, recall, F1, average precision."""
    rows = []
    for name, block in blocks.items():
        row: dict[str, str] = {"class": name.replace("_", " "), "number": str(block["support"])}
        for figure in ("precision", "recall", "f1", "average_precision"):
            if figure in block:
                row[figure.replace("_", " ")] = str(Metric.from_dict(block[figure]))
        rows.append(row)
    return pd.DataFrame(rows).fillna("")


def worst_chapter(task: BehaviorTask, predictions: pd.DataFrame, folder: Path) -> Chapter | None:
    """The clips that were wrong with most confidence, as contact sheets."""
    wrong = predictions[predictions["truth"] != predictions["predicted"]].copy()
    if wrong.empty or task.clips is None:
        return None
    wrong["sure"] = [row[f"p_{row['predicted']}"] for row in wrong.to_dict("records")]
    wrong = wrong.sort_values("sure", ascending=False)
    by_name = {clip.name: clip for clip in task.clips}
    shown = []
    for row in wrong.to_dict("records"):
        clip = by_name.get(row["sample"])
        if clip is None:
            continue
        try:
            frames = read_clip(clip, WORST_CANVAS)
        except ImageError:
            continue
        title = f"{row['truth']} taken for {row['predicted']}".replace("_", " ")
        shown.append((frames, title, f"{100 * row['sure']:.0f} % sure, {row['group']}"))
        if len(shown) == SHOWN:
            break
    if not shown:
        return None
    sheet = draw_clips(shown, folder / "worst.png")
    return Chapter(
        "Worst clips", [Part(figure=sheet, caption="Wrong with most confidence; look whether the label is right.")]
    )


def bouts_chapter(predictions: pd.DataFrame, task: BehaviorTask, classes: list[str], folder: Path) -> Chapter:
    """True and predicted bouts in time."""
    place = {name: i for i, name in enumerate(classes)}
    fps = {r.name: r.fps for r in task.blocks.recordings} if task.blocks else {}
    stretches = []
    for name, table in predictions.groupby("recording", sort=False):
        frame = table["frame"].to_numpy()
        for run in segments(np.cumsum(np.diff(frame, prepend=frame[0] - 1) > 1)):
            rows = table.iloc[run.start : run.stop]
            truth, said = (np.array([place[x] for x in rows[c]]) for c in ("truth", "predicted"))
            stretches.append((truth, said, fps[str(name)], str(rows["group"].iloc[0])))
    rest = REST if REST in classes else None
    picture = draw_bouts(stretches, classes, folder / "bouts.png", rest=rest)
    return Chapter(
        "Bouts", [Part(figure=picture, caption="Upper line of each pair: as scored. Lower line: predicted.")]
    )


def shares_chapter(scores: dict[str, Any]) -> Chapter:
    """What a study would publish of each animal, and how far prediction is from truth."""
    rows = []
    for name, block in scores.get("share_errors", {}).items():
        said = {key: Metric.from_dict(value) for key, value in block.items()}
        limits = (
            f"{said['lower'].value:.2f} to {said['upper'].value:.2f}" if said["lower"].value is not None else "none"
        )
        rows.append(
            {
                "class": name.replace("_", " "), "mean error": str(said["mean_error"]), "bias": str(said["bias"]),
                "limits of agreement": limits,
            }
        )  # fmt: skip
    caption = (
        "Share of each class in each animal's (or block's) samples, predicted less true, in percentage points: "
        "Bland-Altman over animals."
    )
    return Chapter("Shares of animals", [Part(table=pd.DataFrame(rows), caption=caption)])

"""What a model says of a part beside the truth, and every score of it: test part, baselines, folds of whole groups."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ethomorph.audit.metadata_model import cross_predicted, metadata_of, metadata_probabilities, random_folds
from ethomorph.behavior.estimator import BehaviorClassifier, recording_labels, units_of
from ethomorph.behavior.feature_model import Rows
from ethomorph.behavior.folds import cross_predict, grouped_folds
from ethomorph.behavior.metrics import class_scores, confusion
from ethomorph.behavior.samples import Blocks
from ethomorph.behavior.score import class_metrics, score_bouts, score_classes, share_errors
from ethomorph.behavior.segments import UNSCORED, segments
from ethomorph.core.clips import ClipSet, codes_of
from ethomorph.core.recordings import Recording
from ethomorph.formats.frame_labels import REST

if TYPE_CHECKING:
    from ethomorph.behavior.task import BehaviorTask

FOLD_SECONDS = 240.0
"""Longest time that folds over the whole data set may take where nobody asked for them."""
FEW_GROUPS = 3
"""Groups that a class needs so that it can be taught, chosen and judged on different ones."""
IN_FOLDS = ("macro_f1", "balanced_accuracy", "accuracy", "kappa")


@dataclass
class Judged:
    """Predictions of a part beside the truth, a row a clip or scored frame.

    Attributes
    ----------
    truth, codes : (n,) true and decided class.
    probabilities : (n, classes).
    samples, groups : (n,) names.
    table : what predictions.csv holds.
    bouts : predicted bouts, for frames.
    stretches : for frames: pairs of true and predicted codes, fps and group of each scored stretch.
    """

    truth: np.ndarray
    codes: np.ndarray
    probabilities: np.ndarray
    samples: np.ndarray
    groups: np.ndarray
    table: pd.DataFrame
    bouts: pd.DataFrame | None = None
    stretches: list[tuple[np.ndarray, np.ndarray, float, str]] = field(default_factory=list)


def judged_clips(clips: ClipSet, groups: np.ndarray, model: BehaviorClassifier, *, progress: bool) -> Judged:
    """Clips predicted; those that cannot be read are left out, which the model has listed."""
    found = model.predict(clips, progress=progress)
    kept = {name: i for i, name in enumerate(found.names)}
    rows = [i for i, clip in enumerate(clips) if clip.name in kept]
    truth = codes_of([clips[i].label for i in rows], model.classes_, clips.source)
    codes, probabilities = np.asarray(found.codes), np.asarray(found.probabilities)
    names = np.array([clips[i].name for i in rows])
    table = pd.DataFrame({"sample": names, "group": np.asarray(groups)[rows]})
    table["truth"] = [model.classes_[c] for c in truth]
    table["predicted"] = [model.classes_[c] for c in codes]
    for k, name in enumerate(model.classes_):
        table[f"p_{name}"] = probabilities[:, k].round(5)
    return Judged(truth, codes, probabilities, names, np.asarray(groups)[rows], table)


def judged_frames(recordings: list[Recording], blocks: Blocks | None, model: BehaviorClassifier) -> Judged:
    """Frames predicted from whole recordings, judged where they have a label."""
    found = model.predict(recordings)
    block_of = {}
    if blocks is not None:
        block_of = {r.name: names for r, names in zip(blocks.recordings, blocks.of_frame, strict=True)}
    columns: list[dict[str, Any]] = []
    stretches, bouts = [], []
    for i, recording in enumerate(recordings):
        truth = codes_of(recording_labels(recording), model.classes_, recording.name)
        scored = np.flatnonzero(truth >= 0)
        said = np.asarray(found.codes[i])
        units = units_of(recording)
        names = block_of.get(recording.name, np.full(len(recording), recording.name))
        columns.append(
            {
                "recording": np.full(len(scored), recording.name), "frame": scored, "sample": names[scored],
                "group": units[scored], "truth": truth[scored], "codes": said[scored],
                "p": np.asarray(found.probabilities[i])[scored],
            }
        )  # fmt: skip
        for run in segments(np.where(truth >= 0, 0, UNSCORED)):
            here = slice(run.start, run.stop)
            stretches.append((truth[here], said[here], recording.fps, str(units[run.start])))
            for bout in segments(said[here]):
                start, stop = run.start + bout.start, run.start + bout.stop
                bouts.append(
                    {
                        "recording": recording.name, "group": str(units[run.start]),
                        "behavior": model.classes_[bout.code], "start_s": start / recording.fps,
                        "stop_s": stop / recording.fps, "duration_s": (stop - start) / recording.fps,
                        "cut_start": bout.start == 0, "cut_stop": bout.stop == run.stop - run.start,
                    }
                )  # fmt: skip
    joined = {key: np.concatenate([c[key] for c in columns]) for key in columns[0]}
    table = pd.DataFrame({key: joined[key] for key in ("recording", "frame", "sample", "group")})
    table["truth"] = [model.classes_[c] for c in joined["truth"]]
    table["predicted"] = [model.classes_[c] for c in joined["codes"]]
    for k, name in enumerate(model.classes_):
        table[f"p_{name}"] = joined["p"][:, k].round(5)
    return Judged(
        joined["truth"], joined["codes"], joined["p"], joined["sample"], joined["group"], table,
        pd.DataFrame(bouts), stretches,
    )  # fmt: skip


def score_task(
    task: BehaviorTask,
    model: BehaviorClassifier,
    judged: Judged,
    parts: list[str] | None,
    *,
    folds: bool,
    progress: bool,
) -> dict[str, Any]:
    """The scores block: the part itself, its baselines, and where asked for folds of whole groups over all data."""
    training = task.training_codes(parts) if parts is not None else None
    metadata = part_metadata(task, judged, parts) if parts is not None else None
    seed = task.study.config.split.seed
    block = score_classes(
        judged.truth, judged.codes, judged.probabilities, classes=model.classes_, groups=judged.groups,
        training=training, metadata=metadata, seed=seed,
    )  # fmt: skip
    if judged.stretches:
        truths, codes, fps, groups = (list(column) for column in zip(*judged.stretches, strict=True))
        rest = REST if REST in model.classes_ else None
        bouts = score_bouts(truths, codes, fps=fps, groups=groups, classes=model.classes_, rest=rest, seed=seed)
        block["metrics"] |= {name: metric.to_dict() for name, metric in bouts.items()}
    block["share_errors"] = share_errors(judged.truth, judged.codes, judged.groups, model.classes_, seed=seed)
    if folds:
        add_folds(task, model, block, progress=progress)
    return block


def part_metadata(task: BehaviorTask, judged: Judged, parts: list[str]) -> np.ndarray | None:
    """Probabilities of the metadata-only model for the judged clips, learned on the training part's table."""
    if task.clips is None:
        return None
    metadata = metadata_of(task.samples)
    codes = task.clips.codes(task.classes)
    train = np.flatnonzero(np.array(parts) == "train")
    place = {name: i for i, name in enumerate(task.samples["sample"])}
    test = np.array([place[name] for name in judged.samples])
    return metadata_probabilities(metadata, codes, train, test, len(task.classes), seed=task.study.config.split.seed)


def add_folds(task: BehaviorTask, model: BehaviorClassifier, block: dict[str, Any], *, progress: bool) -> None:
    """Add what the method scores on folds of whole groups over all data; and what a random split would have said.

    A random split is judged only where ``[split] by = "sample"`` asks for it, and then always beside the grouped one.
    """
    chosen = model.settings
    if model.method != "features" or chosen.folds == 0:
        return
    random = task.study.config.split.by == "sample"
    rows = all_rows(task, model, progress=progress)
    groups = rows.groups
    if len(np.unique(groups)) < 3:
        return
    seed = task.study.config.split.seed
    kinds = {"grouped": grouped_folds(groups.tolist(), max(0, chosen.folds), seed=seed)}
    if random:
        kinds["random"] = random_folds(len(groups), seed=seed)
    limit = FOLD_SECONDS if chosen.folds < 0 else None
    for kind, folds in kinds.items():
        found = cross_predict(
            rows, folds, classes=len(model.classes_), trees=chosen.trees,
            imbalance=chosen.imbalance, linear_share=chosen.linear_share, favour_rare=chosen.favour_rare, seed=seed,
            time_left_s=limit,
        )  # fmt: skip
        if found is None:
            block["warnings"].append(
                f"{kind} folds over all data would take more than {FOLD_SECONDS / 60:.0f} minutes and were left out; "
                "ask for them with settings.folds"
            )
            continue
        metrics = class_metrics(rows.codes, found[1], found[0], groups, len(model.classes_), seed=seed, resamples=200)
        for name in IN_FOLDS:
            block["metrics"][f"{kind}_folds_{name}"] = metrics[name].to_dict()
        if kind == "grouped":
            block["warnings"] += few_groups_told(rows.codes, found[1], groups, model.classes_)
        _fold_baselines(task, block, rows.codes, folds, groups, kind, seed)
        block.setdefault("folds", {})[kind] = {"folds": len(np.unique(folds)), "samples": len(folds)}


def all_rows(task: BehaviorTask, model: BehaviorClassifier, *, progress: bool) -> Rows:
    """Every labelled sample of the task as rows, grouped by the animal (or block) that each belongs to."""
    if task.clips is None:
        assert task.blocks is not None
        rows, _ = model.rows(task.blocks.recordings, progress=progress)
        return replace(rows, guard=task.section.guard_s)
    rows, names = model.rows(task.clips, progress=progress)
    if task.study.config.split.by == "sample" and all(rows.groups.tolist()):
        return rows
    group = dict(zip(task.samples["sample"], task.samples["group"], strict=True))
    return replace(rows, groups=np.array([group[name] for name in names]))


def few_groups_told(truth: np.ndarray, predicted: np.ndarray, groups: np.ndarray, classes: list[str]) -> list[str]:
    """The sentence on classes of which too few groups are there to teach and to judge, and what they do to the score.

    Parameters
    ----------
    truth, predicted : (n,) codes on folds of whole groups.
    """
    count = len(classes)
    shown_by = np.array([len(np.unique(groups[truth == code])) for code in range(count)])
    few, enough = np.flatnonzero((shown_by > 0) & (shown_by < FEW_GROUPS)), np.flatnonzero(shown_by >= FEW_GROUPS)
    if not len(few):
        return []
    f1 = class_scores(confusion(truth, predicted, count))["f1"]
    named = ", ".join(f"{classes[code]} ({shown_by[code]})" for code in few)
    beside = f", that of the other classes {f1[enough].mean():.2f}" if len(enough) else ""
    return [
        f"{len(few)} of {count} classes live in fewer than {FEW_GROUPS} groups ({named}): on folds of whole groups "
        f"their mean F1 is {f1[few].mean():.2f}{beside}. A split that cuts groups would score them by the look of the "
        "group, not by the behaviour; record them in more groups"
    ]


def _fold_baselines(
    task: BehaviorTask, block: dict[str, Any], codes: np.ndarray, folds: np.ndarray, groups: np.ndarray, kind: str,
    seed: int,
) -> None:  # fmt: skip
    count = len(task.classes)
    majority = np.zeros(len(codes), int)
    for fold in np.unique(folds):
        majority[folds == fold] = np.argmax(np.bincount(codes[folds != fold], minlength=count))
    said = {"majority": (majority, None)}
    if task.clips is not None and len(codes) == len(task.samples):
        p = cross_predicted(metadata_of(task.samples), codes, folds, count, seed=seed)
        said["metadata_only"] = (p.argmax(1), p)  # type: ignore[assignment]
    for name, (predicted, _) in said.items():
        metrics = class_metrics(codes, predicted, None, groups, count, seed=seed, resamples=200)
        for metric in IN_FOLDS:
            block["baselines"].setdefault(name, {})[f"{kind}_folds_{metric}"] = metrics[metric].to_dict()

"""The behaviour of a study as a task: load, audit, fit, score and report, on the parts that a split made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ethomorph.behavior.estimator import BehaviorClassifier, recording_labels
from ethomorph.behavior.ethogram import label_problems, read_ethogram
from ethomorph.behavior.evaluate import Judged, judged_clips, judged_frames, score_task
from ethomorph.behavior.samples import BLOCK, Blocks, blocked, clip_groups, clip_samples, of_parts, read_samples
from ethomorph.core.clips import ClipSet
from ethomorph.core.errors import LabelError, SplitError
from ethomorph.core.files import write_text
from ethomorph.core.recordings import Recording
from ethomorph.formats.frame_labels import REST
from ethomorph.study.config import TaskSection
from ethomorph.study.run import Run, plain
from ethomorph.study.task import PER_SAMPLE, Chapter, Task
from ethomorph.training.health import Health

PREDICTIONS, BOUTS = "predictions.csv", "bouts.csv"
CACHE = "cache"

VALIDATION = 0.15
TEMPLATE = """\
[task.{task}]
kind = "{kind}"
labels = {labels}
{images}
method = "features"    # features (motion or pose, no GPU needed), tcn, convlstm, r3d or x3d
# ethogram = "ethogram.toml"  # what each code means; labels are checked against it
{poses}
{fps}
{column}
# blocks_s = 10               # with [split] by = "block": judged on stretches of time that training never saw
# max_minutes = 20            # stop training a network after so long

# [task.{task}.settings]
# frames = 24                 # sampled evenly over each whole clip
# side_px = 96
# unreadable = "leave_out"    # list clips that cannot be read and go on
# imbalance = {{ under_sampling = 0.5 }}  # or over_sampling, class_weights, focal; probabilities are made true again
"""


class BehaviorTask(Task):
    """``kind = "behavior"``.

    Attributes
    ----------
    clips : the labelled clips, a sample each; None where recordings are scored.
    blocks : the recordings cut into samples; None where clips are scored.
    classes : every code that occurs.
    """

    main_metric = "macro_f1"
    higher_is_better = True

    def load(self) -> None:
        labels = self._input(self.section.labels, "labels")
        images = self.study.existing(self.section.images, self._key("images")) if self.section.images else None
        poses = self._input(self.section.poses, "poses") if self.section.poses else None
        found = read_samples(self.section, labels, images, poses)
        by = self.study.config.split.by
        self.clips: ClipSet | None = None
        self.blocks: Blocks | None = None
        if isinstance(found, ClipSet):
            self.clips = self._labelled(self._with_specimens(found))
            self.warnings += self.clips.notes
            self.samples = clip_samples(self.clips, clip_groups(self.clips, by))
            self.classes = self.clips.classes
        else:
            self.blocks = blocked(found, by=by, blocks_s=self.section.blocks_s)
            self.warnings += [note for one in found for note in one.notes]
            self.samples = self.blocks.table
            self.classes = sorted({name for one in found for name in recording_labels(one)} - {""})
        if len(self.classes) < 2:
            raise LabelError(f"{len(self.classes)} class(es)", place=labels, fix="label two behaviours at least")
        self._check_ethogram()

    def resolved(self) -> dict[str, Any]:
        model = self._classifier(None)
        return plain({"method": model.method, "classes": self.classes, "settings": model.settings.to_dict()})

    def remedies(self) -> dict[str, dict[str, Any]]:
        model = self._classifier(None)
        if model.method == "features":
            return {}
        network, key = model.settings.network, "settings.network."
        found: dict[str, dict[str, Any]] = {
            "lower_rate": {f"{key}learning_rate": network.learning_rate / 10},
            "much_lower_rate": {f"{key}learning_rate": network.learning_rate / 100},
            "higher_rate": {f"{key}learning_rate": network.learning_rate * 10},
        }
        given = self.section.settings.get("network", {})
        if "learning_rate" in given:
            found["usual_rate"] = {f"{key}learning_rate": None}
        if network.pixel_full != 255:
            found["scaled_input"] = {f"{key}pixel_full": None}
        if network.optimizer == "sgd" and network.momentum:
            found["no_momentum"] = {f"{key}momentum": 0.0}
        return found

    def refuse_unfit(self, parts: list[str]) -> None:
        counts = pd.Series(parts).value_counts()
        if not counts.get("train"):
            raise SplitError("no training samples", place=self.study.file, fix="change [split]")
        if self.clips is not None and not self.clips.has_signals and any(c.path is None for c in self.clips):
            raise LabelError(
                "the clips have no videos", place=self.study.file, fix=f"name their folder in {self._key('images')}"
            )

    def audit(self, parts: list[str] | None, *, progress: bool) -> Any:
        from ethomorph.behavior.examine import audit_behavior

        return audit_behavior(self, parts, progress=progress)

    def fit(self, parts: list[str], run: Run, *, max_minutes: float | None, resume: bool, progress: bool) -> None:
        train, validation = self.part(parts, "train"), self.part(parts, "validation")
        if self.clips is not None:
            self.inputs += [c.path for c in self.clips if c.path is not None]
        model = self._classifier(max_minutes)
        model.fit(
            train, validation if len(validation) else None, classes=self.classes, folder=run.folder, resume=resume,
            progress=progress,
        )  # fmt: skip
        model.save(run.model)
        if model.method == "features":
            write_text(run.history_file, pd.DataFrame(model.history_).to_csv(index=False))
            Health(self._judged(model)).write(run.folder)

    def score(self, parts: list[str], run: Run, *, part: str, progress: bool) -> dict[str, Any]:
        model = BehaviorClassifier.load(run.model, cache=self.cache)
        judged = self.judge(model, parts, part, progress=progress)
        write_text(run.folder / PREDICTIONS, judged.table.to_csv(index=False))
        if judged.bouts is not None:
            write_text(run.folder / BOUTS, judged.bouts.to_csv(index=False))
        right = judged.truth == judged.codes
        table = pd.DataFrame({"sample": judged.samples, "group": judged.groups, "right": right.astype(float)})
        table = table.groupby(["sample", "group"], sort=False, as_index=False).mean()
        write_text(
            run.folder / PER_SAMPLE,
            table.to_csv(index=False),
        )
        block = score_task(self, model, judged, parts, folds=part == "test", progress=progress)
        block["warnings"] = [*model.notes_, *skipped_sentence(model), *block["warnings"]]
        return block

    def score_other(self, run: Run, labels: Path, images: Path | None, *, progress: bool) -> dict[str, Any]:
        found = read_samples(self.section, labels.absolute(), images.absolute() if images else None, None)
        model = BehaviorClassifier.load(run.model, cache=None)
        if not isinstance(found, ClipSet):
            raise LabelError("recordings are scored inside their own study", place=labels, fix="make a study of them")
        strange = sorted(set(found.classes) - set(model.classes_))
        if strange:
            raise LabelError(
                f"{', '.join(strange[:5])}: this run does not know",
                place=labels,
                fix=f"it knows {', '.join(model.classes_)}",
            )
        groups = np.array(clip_groups(found, self.study.config.split.by))
        judged = judged_clips(found, groups, model, progress=progress)
        header = {"task": self.name, "kind": "behavior", "part": "other", "samples": len(found),
                  "groups": len(set(groups.tolist()))}  # fmt: skip
        block = score_task(self, model, judged, None, folds=False, progress=progress)
        block["warnings"] = [*seen_in_training(run, judged.samples, judged.groups), *block["warnings"]]
        return header | block

    def chapters(self, parts: list[str], run: Run, folder: Path) -> list[Chapter]:
        from ethomorph.behavior.chapters import behavior_chapters

        return behavior_chapters(self, parts, run, folder)

    @property
    def cache(self) -> Path:
        """Where this task's decoded clips are kept."""
        return self.study.folder / CACHE / self.name

    def part(self, parts: list[str], wanted: str) -> Any:
        """The clips of a part, or the recordings with labels in that part alone."""
        if self.clips is not None:
            return self.clips.subset(i for i, name in enumerate(parts) if name == wanted)
        assert self.blocks is not None
        part_of = dict(zip(self.samples["sample"], parts, strict=True))
        guard = self.section.guard_s if wanted == "train" else 0.0
        return of_parts(self.blocks, part_of, wanted, guard_s=guard)

    def judge(self, model: BehaviorClassifier, parts: list[str], part: str, *, progress: bool) -> Judged:
        """What the model says of a part, beside the truth."""
        if self.clips is not None:
            chosen = [i for i, name in enumerate(parts) if name == part]
            groups = self.samples["group"].to_numpy()[chosen]
            return judged_clips(self.clips.subset(chosen), groups, model, progress=progress)
        recordings: list[Recording] = self.part(parts, part)
        return judged_frames(recordings, self.blocks, model)

    def training_codes(self, parts: list[str]) -> np.ndarray:
        """Codes of everything in the training part."""
        place = {name: i for i, name in enumerate(self.classes)}
        train = self.part(parts, "train")
        labels = (
            train.labels if isinstance(train, ClipSet) else [x for one in train for x in recording_labels(one) if x]
        )
        return np.array([place[label] for label in labels], dtype=int)

    def _classifier(self, max_minutes: float | None) -> BehaviorClassifier:
        return BehaviorClassifier(
            method=self.section.method or "features",  # type: ignore[arg-type]
            settings=self.section.settings or None,
            cache=self.cache,
            seed=self.study.config.split.seed,
            max_minutes=max_minutes,
        )

    def _judged(self, model: BehaviorClassifier) -> list[Any]:
        """What the losses of the trees say: whether they learned anything that the class shares do not say."""
        from ethomorph.training.health import Finding

        held = [row["validation_loss"] for row in model.history_ if "validation_loss" in row]
        known = model.taught_[model.taught_ > 0]
        prior = float(-(known * np.log(known)).sum())
        if not held or min(held) < 0.98 * prior:
            return []
        said = f"best validation loss {min(held):.3g}, that of the class shares alone {prior:.3g}"
        causes = ("the features do not show these behaviours", "labels do not fit their clips", "too few animals")
        remedy = "look at the worst clips; try a network on pixels, or more frames a clip"
        return [Finding("unlearned", "sick", None, said, causes, remedy)]

    def _labelled(self, clips: ClipSet) -> ClipSet:
        """The clips that have a label; the others are told."""
        known = [i for i, clip in enumerate(clips) if clip.label]
        if len(known) == len(clips):
            return clips
        without = len(clips) - len(known)
        return clips.with_clips([clips[i] for i in known], [f"{without} clips have no label and are left out"])

    def _with_specimens(self, clips: ClipSet) -> ClipSet:
        """What the study's table of specimens says of each clip's animal, as attributes of the clip."""
        from dataclasses import replace

        from ethomorph.study.specimens import read_specimens, refuse_contradictions

        if self.study.config.study.specimens is None:
            return clips
        path = self.study.existing(self.study.config.study.specimens, "study.specimens")
        self.inputs.append(path)
        table = read_specimens(path)
        refuse_contradictions(table, "specimen", path)
        rows = {
            str(r["specimen"]): {str(k): str(v) for k, v in r.items() if pd.notna(v)} for r in table.to_dict("records")
        }
        unknown = sorted({clip.group for clip in clips} - set(rows))
        notes = [f"{len(unknown)} animals without a row in {path.name}: {', '.join(unknown[:6])}"] if unknown else []
        new = [
            replace(
                c, attributes={**c.attributes, **{k: v for k, v in rows.get(c.group, {}).items() if k != "specimen"}}
            )
            for c in clips
        ]
        return clips.with_clips(new, notes)

    def _check_ethogram(self) -> None:
        if self.section.ethogram is None:
            return
        ethogram = read_ethogram(self._input(self.section.ethogram, "ethogram"))
        labels = self.samples["label"] if self.clips is not None else [c for c in self.classes if c != REST]
        problems = label_problems(ethogram, labels)
        unknown = [p for p in problems if p.rule in ("unknown_code", "case_variant")]
        if unknown:
            raise LabelError(
                f"{len(unknown)} label(s) do not fit the ethogram: " + "; ".join(p.what for p in unknown[:4]),
                place=self.section.ethogram, fix="correct the labels, or define the code",
            )  # fmt: skip
        self.warnings += [p.what for p in problems]

    def _input(self, relative: Path, key: str) -> Path:
        path = self.study.existing(relative, self._key(key))
        if path.is_file():
            self.inputs.append(path)
        return path

    def _key(self, key: str) -> str:
        return f"task.{self.name}.{key}"


TASK = BehaviorTask


def seen_in_training(run: Run, samples: np.ndarray, groups: np.ndarray) -> list[str]:
    """The sentence that a score is no test: samples, or animals, that the run learned from are among those judged."""
    split = pd.read_csv(run.split_file, dtype=str)
    known = split[split["part"] != "test"]
    same, alike = np.isin(samples, known["sample"]).sum(), np.isin(groups, known["group"]).sum()
    if same:
        return [f"{same} of {len(samples)} samples are named as samples that this run learned from: this is no test"]
    if alike:
        return [f"{alike} of {len(samples)} samples are of groups that this run learned from: not unseen animals"]
    return []


def skipped_sentence(model: BehaviorClassifier) -> list[str]:
    """What was left out because it could not be read."""
    if not model.skipped_:
        return []
    names = list(model.skipped_)
    return [f"{len(names)} clips could not be read and are left out: {', '.join(names[:6])}"]


def predict_new(
    run: Run, section: TaskSection, inputs: list[str], *, out: Path, sheet: Path | None, distances: Path | None,
    skip_bad: bool, progress: bool,
) -> dict[str, Any]:  # fmt: skip
    """Predict videos, or pose files, and write a table; of pose files also their bouts, as BORIS exports them."""
    from ethomorph.behavior.predict_files import predict_files

    if distances is not None:
        raise LabelError("behaviours have no distances", fix="leave --distances out")
    return predict_files(run, section, inputs, out=out, sheet=sheet, skip_bad=skip_bad, progress=progress)


__all__ = ["BLOCK", "TASK", "BehaviorTask", "predict_new"]
